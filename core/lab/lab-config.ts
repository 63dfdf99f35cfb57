// The config of a lab's cluster, as one would write it by hand: the topology's addresses, what the lab's services want in it,
// and one group. Pure. Every host gets the same file.
import { join } from 'node:path';
import { stringify } from 'yaml';
import { UnderstudyError } from '../errors/errors.js';
import { clusterKey, type LabTopology } from './topology.js';

export interface ServiceConfig {
  readonly name: string;
  /** Merged into the config at top level. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The resource that floats each address by this service, if it does. */
  readonly resources: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface GroupOptions {
  readonly takeover: 'lease' | 'preempt';
  readonly confirm: 'renewal' | 'none';
  readonly timing: string;
  /** Groups in the config file's own words, instead of the lab's own. */
  readonly groups?: Readonly<Record<string, unknown>>;
  /** Top-level keys that replace what the lab would write. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** The group of every lab that names none: an address and an application that counts. */
export const LAB_GROUP = 'web';

/** Where the application listens: at the floating address, or, where that is only a line in a table, at the host's own. */
export const listenAddress = (topology: LabTopology, node: string): string =>
  topology.kind === 'netns' ? (topology.floating[0] ?? '') : (topology.hosts.find((host) => host.node === node)?.addresses.service ?? '');

const labGroup = (
  topology: LabTopology,
  services: readonly ServiceConfig[],
  options: GroupOptions,
  application: readonly string[],
): Record<string, unknown> => {
  const [address = ''] = topology.floating;
  const vip = services.map(({ resources }) => resources[address]).find((resource) => resource !== undefined);
  if (vip === undefined)
    throw new UnderstudyError('LAB_FAILED', `no service of the lab can float ${address}`, {
      hint: 'understudy plugins list shows what was found; one plugin must offer a lab service with addresses.',
    });
  const run = (node: string): readonly string[] => [...application, `${listenAddress(topology, node)}:${topology.ports[0]}`];
  const [first] = topology.hosts;
  const others = topology.hosts.slice(1).filter(({ node }) => run(node).join(' ') !== run(first?.node ?? '').join(' '));
  return {
    prefer: topology.hosts.map(({ node }) => node),
    takeover: options.takeover,
    ...(options.takeover === 'preempt' ? { confirm: options.confirm } : {}),
    // A lab is failed over again and again, on purpose.
    failover: { max: 1000, within: '1h' },
    resources: {
      vip,
      app: {
        use: 'app-script',
        mode: 'foreground',
        start: run(first?.node ?? ''),
        every: '1s',
        restart: { max: 1000, within: '1h' },
        ...(options.takeover === 'preempt' ? { lingerSafe: true } : {}),
        ...(others.length > 0 ? { on: Object.fromEntries(others.map(({ node }) => [node, { start: run(node) }])) } : {}),
      },
    },
  };
};

/** The whole config as a plain object. Throws LAB_FAILED when two services want the same key. */
export const labConfig = (
  topology: LabTopology,
  services: readonly ServiceConfig[],
  options: GroupOptions,
  application: readonly string[],
): Record<string, unknown> => {
  const fromServices: Record<string, unknown> = {};
  for (const { name, config } of services)
    for (const [key, value] of Object.entries(config)) {
      if (key in fromServices)
        throw new UnderstudyError('LAB_FAILED', `service ${name} wants the config key "${key}", which another service of the lab has set`);
      fromServices[key] = value;
    }
  return {
    cluster: `lab-${topology.id}`,
    key: `file:${clusterKey(topology)}`,
    nodes: Object.fromEntries(
      topology.hosts.map(({ node, zone, addresses }) => [
        node,
        {
          zone,
          networks: {
            service: addresses.service,
            heartbeat: [addresses['heartbeat-1'], addresses['heartbeat-2']],
            mirror: addresses.mirror,
          },
        },
      ]),
    ),
    ...fromServices,
    timing: options.timing,
    watchdog: `socket:${join(topology.directory, 'dog', '{node}.sock')}`,
    ...(topology.kind === 'loopback' ? { addresses: `table:${join(topology.directory, 'addresses', '{node}')}` } : {}),
    groups: options.groups ?? { [LAB_GROUP]: labGroup(topology, services, options, application) },
    ...options.settings,
  };
};

export const configText = (config: Record<string, unknown>): string =>
  `# Written by understudy lab; the same on every host.\n${stringify(config, { lineWidth: 0 })}`;
