// The language of the config file: every key that understudy owns, with its check, default and meaning. The reference and
// the JSON Schema are made from these same tables. Plugins' keys come from the catalogue.
import { HOOK_POINTS } from '../model/desired.js';
import { argv, choice, durationMs, flag, integer, list, text, z } from './fields.js';
import { TIMING_PROFILES } from './timing.js';

export const ID_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;
export const ID_RULE = 'use a-z, 0-9 and "-", at most 63 characters, not beginning with "-"';
const id = (describe: string) =>
  z
    .string()
    .regex(ID_PATTERN, { error: ({ input }) => `"${String(input)}" is not a name: ${ID_RULE}` })
    .describe(describe);
const address = (describe: string) =>
  z
    .union([z.ipv4(), z.ipv6()], {
      error: ({ input }) => (typeof input === 'string' ? `"${input}" is not a numeric address, like 10.0.1.10 or fd00::1` : undefined),
    })
    .describe(describe);
const windowed = (describe: string, max: number, withinMs: number) =>
  z
    .strictObject({ max: integer('So many at most.').default(max), within: durationMs('Inside this time.', withinMs) })
    .prefault({ within: undefined })
    .describe(describe);
const formed = (describe: string, pattern: RegExp, form: string) =>
  z
    .string()
    .regex(pattern, { error: () => `write ${form}` })
    .describe(describe);

export const clusterSchema = id('Name of the cluster. Part of every key in the arbiter and of every heartbeat.');
export const keySchema = formed(
  'The key all nodes share, made by `understudy keygen`. A relative path starts at this file.',
  /^file:.+$/,
  'file: and the path of the key file, e.g. file:/etc/understudy/cluster.key',
);

export const nodeSchema = z.strictObject({
  zone: text('Availability zone or site, for people and for plugins.').optional(),
  networks: z
    .strictObject({
      service: address('Address at which clients and the cloud know the node.').optional(),
      heartbeat: z
        .array(address('Address in one heartbeat network.'))
        .min(1, 'at least one heartbeat network is needed')
        .readonly()
        .describe('One address in each heartbeat network, in the same order on every node. Two networks that share nothing are best.'),
      mirror: z
        .union([
          address('Address for disk mirroring.').transform((one) => [one]),
          z.array(address('Address in one mirror network.')).min(1).readonly(),
        ])
        .optional()
        .describe(
          'Address for disk mirroring, or one in each mirror network, in the same order on every node. Default: the heartbeat networks.',
        ),
    })
    .describe('Numeric addresses of this node.'),
});

export const arbiterSchema = z.looseObject({
  use: text("Which store decides: the name of an arbiter of a plugin. Its other keys are that arbiter's options."),
});

/** Keys of a fence device that understudy owns; every other key is an option of the fence named by `use`. */
const fenceDeviceKeys = {
  timeout: durationMs('One attempt of the device may take so long. Default: what the fence says, else 2m.', undefined, {
    minMs: 1000,
    maxMs: 600_000,
  }).optional(),
  nodes: z
    .array(id('Name of a node.'))
    .min(1)
    .readonly()
    .optional()
    .describe('The nodes this device can power off. Default: all. A level counts for a node only through the devices that name it.'),
};
export const fenceDeviceSchema = z.looseObject({ use: text('The fence: the name of a fence of a plugin.'), ...fenceDeviceKeys });

export const fencingSchema = z.looseObject({
  policy: choice(
    '`required`: nothing starts before the old holder is confirmed off. `watchdog`: the takeover wait is the proof, and every node has a watchdog. `none`: no proof at all.',
    ['required', 'watchdog', 'none'],
  ).optional(),
  use: text('Short for one level of one device: the fence that powers a node off. Its other keys stand beside it.').optional(),
  ...fenceDeviceKeys,
  levels: z
    .array(z.array(fenceDeviceSchema).min(1).readonly())
    .min(1)
    .readonly()
    .optional()
    .describe(
      'Lists of devices: all devices of a level must confirm that the node is off; the next level is tried when one does not. `[[{ use: NAME, … }], [{ use: NAME, … }]]`',
    ),
  delay: z
    .strictObject({
      standby: durationMs('The node that does not run the group waits so long before it fences.', 20_000, { minMs: 0, maxMs: 600_000 }),
      random: durationMs('And up to so much longer, by chance.', 10_000, { minMs: 0, maxMs: 600_000 }),
    })
    .prefault({ standby: undefined, random: undefined })
    .describe('Only for a cluster without a store, where two nodes could fence each other at once.'),
  unsafe: flag('Must be true for `policy: none`: two nodes may run the group at once.', false),
});

export const timingSchema = z.strictObject({
  profile: choice('The set of numbers to start from.', [...TIMING_PROFILES, 'strict']).default('standard'),
  strict: flag('A longer takeover wait that withstands any number of pauses of the old holder.', false),
  heartbeat: durationMs('h: one heartbeat on every network each so often.').optional(),
  suspectAfter: durationMs('Silence on all networks for so long makes a peer suspect.').optional(),
  renew: durationMs('R: the holder renews its lease each so often.').optional(),
  attempt: durationMs('a: limit of one attempt at the arbiter.').optional(),
  soft: durationMs('So long after the last good renewal the holder asks its peers instead.').optional(),
  selfFence: durationMs('D: so long after the last good renewal the holder stops the group.').optional(),
  stopBudget: durationMs('S: so long the hard stop of the group may take.').optional(),
  watchdog: durationMs('WD: an unpetted watchdog resets the host after so long. Whole seconds.').optional(),
  watchdogGranularity: durationMs('g: granularity of the watchdog device.', undefined, { minMs: 0 }).optional(),
  petMaxAge: durationMs('P_max: the oldest renewal on which the watchdog may still be petted.').optional(),
  poll: durationMs('Q: the others read the lease record each so often.').optional(),
  margin: durationMs("ε: added to every inequality between two nodes' clocks.").optional(),
  drift: z.number().min(0).max(0.1).describe('ρ: by how much the rates of two clocks may differ; 0.01 is one per cent.').optional(),
  takeoverWait: durationMs('W: the record unchanged for so long may be taken over.').optional(),
  rankDelay: durationMs('After a release the node of rank r waits r times this.', undefined, { minMs: 0 }).optional(),
  arbiterRtt: durationMs('Round trip to the arbiter that `confirm: renewal` allows for.', undefined, { minMs: 100 }).optional(),
  steady: durationMs('So long without a gap a peer was heard before its silence counts for `takeover: preempt`.').optional(),
});

export const failsafeSchema = z.strictObject({
  peerLost: choice(
    '`stop`: while the arbiter is silent, a member that does not answer ends the group within D. `fence-then-continue`: its confirmed fence counts as its promise until it is heard again.',
    ['stop', 'fence-then-continue'],
  ).default('stop'),
  arbiterLossMove: durationMs('So long alone without the arbiter, while a ready node sees it all the time: the group moves there.', 60_000),
});

const port = (describe: string, fallback: number) => integer(describe, { min: 1, max: 65_535 }).default(fallback);
export const portsSchema = z.strictObject({
  heartbeat: port('UDP, heartbeats.', 4470),
  link: port('TCP, controller to controller.', 4471),
  witness: port('TCP, the witness arbiter.', 4472),
  api: port('TCP on the loopback address, the HTTP API.', 4473),
  mirror: port('TCP, the first mirrored volume; each further one has the next port.', 4480),
});

export const watchdogSchema = formed(
  'What resets the host when its guard no longer runs: `none`; `device:/dev/watchdog`, a device of the kernel; or `socket:PATH`, a watchdog process outside the host. `{node}` in the path is the node.',
  /^(none|device:\/.+|socket:.+)$/,
  'none, device:/dev/watchdog or socket:PATH',
);
export const addressesSchema = formed(
  'Where floating addresses are put: `system`, or `table:PATH`, a file (the lab without root). `{node}` in the path is the node.',
  /^(system|table:.+)$/,
  'system, or table:PATH',
);
export const pluginsSchema = list(
  'Plugins beyond the built-in ones: paths relative to this file, or package names; `{ use, integrity: sha256-… }` pins the file that is loaded (`understudy plugins hash FILE`).',
  z.union([
    text('Path or package.'),
    z.strictObject({
      use: text('Path or package.'),
      integrity: text('What the file that is loaded must have.').regex(
        /^sha256-[A-Za-z0-9+/]{43}=$/,
        'write what `understudy plugins hash FILE` prints',
      ),
    }),
  ]),
);

/** Keys of a group. `resources` and `hooks` have tables of their own. */
export const groupSchema = z.strictObject({
  prefer: z
    .array(id('Name of a node.'))
    .min(1)
    .readonly()
    .optional()
    .describe('Candidate nodes, best first. Default: all nodes in file order.'),
  failback: choice('Whether the group goes back to a better node by itself: `never`; `manual`, shown as advice; `immediate`.', [
    'never',
    'manual',
    'immediate',
  ]).default('never'),
  takeover: choice('`lease`: the old holder is certainly stopped. `preempt`: at once, only writes are fenced.', [
    'lease',
    'preempt',
  ]).default('lease'),
  confirm: choice('How `preempt` makes sure that the holder is silent: one missed renewal, or nothing more.', ['renewal', 'none']).default(
    'renewal',
  ),
  failover: windowed('More unplanned failovers than this: the group stays down until `understudy clear`.', 2, 3_600_000),
  resources: z.record(z.string(), z.unknown()).describe('The parts of the group in start order.'),
  hooks: z.record(z.string(), z.unknown()).optional().describe('Scripts by hook point.'),
});

/** Keys of a resource that understudy owns. Every other key is an option of the agent named by `use`. */
export const resourceSchema = z.strictObject({
  use: text('The agent: the type of the resource.'),
  after: list(
    'Resources of this group that must be online before. Default: the one before it in the file; `[]` for none.',
    id('Name of a resource.'),
  ).optional(),
  critical: flag('Whether its fault moves the group.', true),
  every: durationMs("Monitor it each so often. Default 10s, or the agent's own.").optional(),
  timeouts: z
    .strictObject({
      monitor: durationMs("Limit of a monitor. Default 20s, or the agent's own.").optional(),
      start: durationMs("Limit of a start. Default 60s, or the agent's own.").optional(),
      stop: durationMs("Limit of a stop. Default 60s, or the agent's own.").optional(),
    })
    .prefault({})
    .describe('How long each operation may take.'),
  tolerance: integer('So many bad monitors in a row before it counts as faulted.', { min: 1, max: 100 }).default(1),
  unknownLimit: integer('So many unknown monitors in a row before it counts as faulted; 0 is never.', { max: 10_000 }).default(0),
  restart: windowed('Local restarts before the group moves.', 2, 600_000),
  on: z.record(z.string(), z.record(z.string(), z.unknown())).default({}).describe('Options that differ on a node: `on: { a: { … } }`.'),
});
export const RESOURCE_KEYS: readonly string[] = Object.keys(resourceSchema.shape);

export const hookSchema = z.strictObject({
  run: argv('The script and its arguments; ./ and ../ start at this file.'),
  timeout: durationMs('It is ended after so long.', 30_000),
  onFailure: choice('`abort` (only before…) ends the move, `fault` faults the group.', ['ignore', 'abort', 'fault']).default('ignore'),
  on: choice('On which node it runs.', ['active', 'standby', 'all']).default('active'),
  platform: choice('Only on this platform.', ['any', 'linux', 'win32']).default('any'),
  order: choice('`pre` before, `post` after the others of the point.', ['pre', 'normal', 'post']).default('normal'),
});
export const hookPointSchema = choice('When it runs.', HOOK_POINTS);

/** Top-level keys that understudy owns; all others belong to plugins. */
export const ROOT_KEYS = [
  'cluster',
  'key',
  'nodes',
  'arbiter',
  'fencing',
  'timing',
  'failsafe',
  'ports',
  'watchdog',
  'addresses',
  'plugins',
  'groups',
] as const;
export const isRootKey = (key: string): boolean => (ROOT_KEYS as readonly string[]).includes(key);
