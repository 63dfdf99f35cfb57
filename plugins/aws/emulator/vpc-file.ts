// The VPC as a file (YAML or JSON) or as an object of the same shape: what is left out gets a plain default, what names
// something that is not there is refused. Pure; reading the file is the command's.
import { choice, flag, integer, list, options, table, text, UnderstudyError, z } from 'understudy/plugin';
import { normalCidr } from './routes.js';
import type { Interface, Route, RouteTable, Vpc } from './vpc.js';

const tags = table('Tags', z.string()).default({});

export const VPC_FILE = options({
  region: text('Region').default('ap-northeast-2'),
  account: text('Account id').default('111122223333'),
  vpcs: table('VPCs by id', options({ cidr: text('IPv4 block'), ipv6Cidr: text('IPv6 block').optional(), tags })),
  subnets: table(
    'Subnets by id',
    options({
      vpc: text('VPC id'),
      cidr: text('IPv4 block'),
      ipv6Cidr: text('IPv6 block').optional(),
      zone: text('Availability zone'),
      tags,
    }),
  ),
  instances: table(
    'Instances by id',
    options({
      zone: text('Availability zone'),
      type: text('Instance type').default('m7i.large'),
      state: choice('State', ['running', 'stopped']).default('running'),
      tags,
    }),
  ).default({}),
  interfaces: table(
    'Network interfaces by id',
    options({
      subnet: text('Subnet id'),
      address: text('Primary private address'),
      secondary: list('Further private addresses', text('Address')).default([]),
      ipv6: list('IPv6 addresses', text('Address')).default([]),
      instance: text('Instance it is attached to').optional(),
      deviceIndex: integer('Device index').default(0),
      mac: text('MAC address').optional(),
      sourceDestCheck: flag('Source/destination check', true),
      groups: list('Security groups', text('Security group id')).default([]),
      tags,
    }),
  ),
  routeTables: table(
    'Route tables by id',
    options({
      vpc: text('VPC id'),
      subnets: list('Subnets it is associated with', text('Subnet id')).default([]),
      routes: list(
        'Routes beside the local one',
        options({
          to: text('Destination block'),
          interface: text('Target interface').optional(),
          gateway: text('Target gateway').optional(),
        }),
      ).default([]),
      tags,
    }),
  ).default({}),
  elastic: table('Elastic addresses by allocation id', options({ publicIp: text('Public address'), tags })).default({}),
  securityGroups: table(
    'Security groups by id',
    options({
      vpc: text('VPC id'),
      name: text('Name').optional(),
      inbound: list('Sources that inbound rules let in', text('Block')).default([]),
      outbound: list('Destinations that outbound rules let out', text('Block')).default(['0.0.0.0/0']),
      tags,
    }),
  ).default({}),
  clientTable: text('The route table that the followed packets meet; default the first').optional(),
});
export type VpcFile = z.input<typeof VPC_FILE>;

/** The VPC that the file describes, and the route table whose packets are followed. */
export const vpcFrom = (file: unknown): { readonly vpc: Vpc; readonly clientTable: string | null } => {
  const parsed = VPC_FILE.safeParse(file);
  if (!parsed.success) throw new UnderstudyError('CONFIG_INVALID', `The VPC description is not usable: ${z.prettifyError(parsed.error)}`);
  const { region, account, vpcs, subnets, instances, interfaces, routeTables, elastic, securityGroups, clientTable } = parsed.data;
  const refuse = (what: string): never => {
    throw new UnderstudyError('CONFIG_INVALID', `The VPC description is not usable: ${what}`);
  };
  const expect = (known: Readonly<Record<string, unknown>>, id: string, by: string) =>
    known[id] ?? refuse(`${by} names ${id}, which it does not describe`);
  for (const [id, { vpc }] of Object.entries(subnets)) expect(vpcs, vpc, id);
  for (const [id, { vpc }] of Object.entries(securityGroups)) expect(vpcs, vpc, id);
  for (const [id, { subnet, instance, groups }] of Object.entries(interfaces)) {
    expect(subnets, subnet, id);
    for (const group of groups) expect(securityGroups, group, id);
    if (instance !== undefined) expect(instances, instance, id);
  }
  for (const [id, { vpc, routes }] of Object.entries(routeTables)) {
    expect(vpcs, vpc, id);
    for (const route of routes) if (route.interface !== undefined) expect(interfaces, route.interface, id);
  }
  if (clientTable !== undefined) expect(routeTables, clientTable, 'clientTable');
  return {
    clientTable: clientTable ?? Object.keys(routeTables)[0] ?? null,
    vpc: {
      region,
      account,
      networks: mapped(vpcs, (id, entry) => ({ ...entry, id, ipv6Cidr: entry.ipv6Cidr ?? null })),
      subnets: mapped(subnets, (id, entry) => ({ ...entry, id, ipv6Cidr: entry.ipv6Cidr ?? null })),
      instances: mapped(instances, (id, entry) => ({ ...entry, id, reachable: entry.state === 'running' })),
      interfaces: mapped(
        interfaces,
        (id, { address, instance, mac, ...rest }, index): Interface => ({
          ...rest,
          id,
          primary: address,
          instance: instance ?? null,
          mac: mac ?? `02:00:00:00:${hex(index >> 8)}:${hex(index & 255)}`,
        }),
      ),
      routeTables: mapped(
        routeTables,
        (id, { routes, ...rest }): RouteTable => ({
          ...rest,
          id,
          routes: [...localRoutes(vpcs[rest.vpc]!), ...routes.map((route) => routeFrom(id, route))],
        }),
      ),
      elastic: mapped(elastic, (id, entry) => ({ ...entry, id, association: null })),
      securityGroups: mapped(securityGroups, (id, entry) => ({ ...entry, id, name: entry.name ?? id })),
      associations: 0,
    },
  };
};

const mapped = <From, To>(
  entries: Readonly<Record<string, From>>,
  make: (id: string, entry: From, index: number) => To,
): Readonly<Record<string, To>> =>
  Object.fromEntries(Object.entries(entries).map(([id, entry], index) => [id, make(id, entry, index + 1)]));

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');

const localRoutes = ({ cidr, ipv6Cidr }: { readonly cidr: string; readonly ipv6Cidr?: string | undefined }): readonly Route[] =>
  [cidr, ...(ipv6Cidr === undefined ? [] : [ipv6Cidr])].map((destination) => ({
    destination: normalCidr(destination),
    target: { kind: 'local' },
    origin: 'CreateRouteTable',
  }));

const routeFrom = (
  id: string,
  route: { readonly to: string; readonly interface?: string | undefined; readonly gateway?: string | undefined },
): Route => {
  if ((route.interface === undefined) === (route.gateway === undefined)) {
    throw new UnderstudyError(
      'CONFIG_INVALID',
      `The VPC description is not usable: the route to ${route.to} of ${id} needs either an interface or a gateway`,
    );
  }
  const target =
    route.interface === undefined
      ? ({ kind: 'gateway', id: route.gateway! } as const)
      : ({ kind: 'interface', id: route.interface } as const);
  return { destination: normalCidr(route.to), target, origin: 'CreateRoute' };
};
