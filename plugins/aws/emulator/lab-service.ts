// The lab's cloud: a VPC made of the lab's hosts, with the same ids every time, whose route table 1 the lab's router follows
// (that of the clients). Hosts ask it for the EC2 API and for their metadata at one address.
import { isIPv6 } from 'node:net';
import type { LabHost, LabService, LabServiceContext, LabServiceDefinition } from 'understudy/plugin';
import { reasonOf, UnderstudyError } from 'understudy/plugin';
import { startEmulator } from './emulator.js';
import { faultFrom } from './fault-words.js';
import type { VpcFile } from './vpc-file.js';

export const LAB_ROUTE_TABLES = ['rtb-lab-1', 'rtb-lab-2', 'rtb-lab-3'] as const;
const instanceId = (node: string) => `i-lab-${node}`;
const interfaceId = (node: string) => `eni-lab-${node}`;

export const ec2LabService: LabServiceDefinition = {
  summary: 'EC2 API and instance metadata over a VPC of the lab’s hosts; the lab’s router follows rtb-lab-1, the clients’ route table.',
  async start(context: LabServiceContext): Promise<LabService> {
    const { hosts, log } = context;
    const nodeOf = new Map(hosts.map(({ node }) => [instanceId(node), node]));
    const emulator = await startEmulator({
      listen: context.listenAddress,
      vpc: labVpc(hosts, context.floating),
      log,
      takes: { startMs: 500, stopMs: 500, gracefulStopMs: 5_000 },
      onRoute: ({ address, instance }) => context.route(address, nodeOf.get(instance ?? '') ?? null),
      onPower: (instance, on) => context.power(nodeOf.get(instance) ?? instance, on),
    });
    return {
      config: { aws: { region: regionOf(hosts), endpoint: emulator.url, stsEndpoint: emulator.url, imdsEndpoint: emulator.url } },
      addressResource: (address) => ({
        use: 'overlay-ip',
        address,
        routeTables: LAB_ROUTE_TABLES,
        // The address is not on the service network's link: packets are routed to the host, so loopback is its place.
        interface: 'lo',
        on: Object.fromEntries(hosts.map(({ node }) => [node, { eni: interfaceId(node) }])),
      }),
      powered: (node, on) => {
        emulator
          .powered(instanceId(node), on)
          .catch((thrown: unknown) => log.error('the routes did not follow the power', { node, on, reason: reasonOf(thrown) }));
      },
      fault: async (words) => {
        const asked = faultFrom(words);
        if ('node' in asked && !nodeOf.has(instanceId(asked.node)))
          throw new UnderstudyError('NOT_FOUND', `The lab has no host ${asked.node}; it has ${hosts.map(({ node }) => node).join(', ')}.`);
        if (asked.kind === 'end') {
          await emulator.end(instanceId(asked.node), asked.how);
          return `${instanceId(asked.node)} is ${asked.how}`;
        }
        if (asked.kind === 'source-dest-check') {
          await emulator.setSourceDestCheck(interfaceId(asked.node), asked.on);
          return `source/destination check of ${interfaceId(asked.node)}: ${asked.on ? 'on' : 'off'}`;
        }
        if (asked.kind === 'clear') {
          emulator.clearFaults();
          return 'no faults';
        }
        emulator.fault(asked.fault);
        return `shows ${words.join(' ')} until cleared`;
      },
      state: () => emulator.vpc,
      stop: () => emulator.stop(),
    };
  },
};

/** One instance with one interface for each host, one subnet for each zone and block, three route tables with each /32 and /128. */
export const labVpc = (hosts: readonly LabHost[], floating: readonly string[]): VpcFile => {
  const [first] = hosts;
  if (first === undefined) throw new UnderstudyError('LAB_FAILED', 'The lab has no hosts to make a VPC of.');
  const block = ({ serviceAddress }: LabHost) => `${serviceAddress.split('.').slice(0, 3).join('.')}.0/24`;
  const subnetId = (host: LabHost) => `subnet-lab-${host.zone}-${block(host).split('.')[2]}`;
  const routes = floating.map((address) => ({ to: `${address}/${isIPv6(address) ? 128 : 32}`, interface: interfaceId(first.node) }));
  return {
    region: regionOf(hosts),
    vpcs: { 'vpc-lab': { cidr: blockAround(hosts.map(({ serviceAddress }) => serviceAddress)), tags: { Name: 'lab' } } },
    subnets: Object.fromEntries(hosts.map((host) => [subnetId(host), { vpc: 'vpc-lab', cidr: block(host), zone: host.zone }])),
    instances: Object.fromEntries(hosts.map(({ node, zone }) => [instanceId(node), { zone, tags: { Name: node } }])),
    interfaces: Object.fromEntries(
      hosts.map((host) => [
        interfaceId(host.node),
        {
          subnet: subnetId(host),
          address: host.serviceAddress,
          instance: instanceId(host.node),
          sourceDestCheck: false,
          tags: { Name: host.node },
        },
      ]),
    ),
    routeTables: Object.fromEntries(
      LAB_ROUTE_TABLES.map((id) => [id, { vpc: 'vpc-lab', routes, tags: { Name: id === 'rtb-lab-1' ? 'clients' : id } }]),
    ),
    clientTable: LAB_ROUTE_TABLES[0],
  };
};

const regionOf = (hosts: readonly LabHost[]): string =>
  /^([a-z]+(?:-[a-z]+)+-\d+)[a-z]$/.exec(hosts[0]?.zone ?? '')?.[1] ?? 'ap-northeast-2';

/** The /16 or, where hosts lie further apart, the /8 that holds every address. */
const blockAround = (addresses: readonly string[]): string => {
  const distinct = (octets: number) => [...new Set(addresses.map((address) => address.split('.').slice(0, octets).join('.')))];
  const [sixteen] = distinct(2);
  return distinct(2).length === 1 ? `${sixteen}.0.0/16` : `${distinct(1)[0]}.0.0.0/8`;
};
