// The section `fencing`: the policy, and the levels of devices with their short form. Pure. Keys of a device that understudy
// does not own are its fence's options: checked when the catalogue is known, opaque otherwise.
// Invariant: what a device lacks is said at the device; a policy that the hosts cannot keep is refused.
import type { NodeId } from '../model/ids.js';
import type { Catalogue } from './catalogue.js';
import type { ClusterConfig, FenceDeviceConfig } from './cluster-config.js';
import type { Findings } from './findings.js';
import { type ConfigPath, isRecord } from './problem.js';
import { fenceDeviceSchema, fencingSchema } from './sections.js';
import { strict } from './walk-schema.js';

export interface FencingSurroundings {
  readonly watchdog: string | undefined;
  /** null when the nodes themselves could not be read. */
  readonly nodes: readonly NodeId[] | null;
  readonly findings: Findings;
  readonly catalogue: Catalogue | undefined;
}

/** Policy by default: what the hosts can keep. With a watchdog W is proof; without one only a confirmed stop is. */
export const parseFencing = (raw: unknown, around: FencingSurroundings): ClusterConfig['fencing'] | undefined => {
  const { watchdog, findings } = around;
  const parsed = findings.check(
    fencingSchema,
    typeof raw === 'string' ? { policy: raw } : (raw ?? {}),
    ['fencing'],
    typeof raw === 'string' ? { place: () => ['fencing'] } : {},
  );
  // What is wrong with one key must not hide what is wrong inside a device.
  for (const { value, path } of rawDevices(raw)) checkDevice(value, path, around);
  if (parsed === undefined) return undefined;
  const { policy = watchdog === undefined || watchdog === 'none' ? 'required' : 'watchdog', unsafe, delay, levels, ...short } = parsed;
  const at = typeof raw === 'string' ? ['fencing'] : ['fencing', 'policy'];
  if (policy === 'none' && !unsafe)
    findings.problem(at, 'without fencing two nodes may run the group at once, and both may write', {
      hint: 'say unsafe: true beside it if that is harmless here',
    });
  if (policy === 'none' && unsafe) findings.warning(at, 'unsafe: two nodes may run the group at once');
  if (policy === 'watchdog' && watchdog === 'none')
    findings.problem(at, 'policy watchdog needs a watchdog on every node, and none is configured', {
      hint: 'set watchdog: device:/dev/watchdog, or policy: required',
    });
  if (levels !== undefined) lonely(short, findings, 'stands beside levels', 'put it into a device of a level');
  const devices = levels === undefined ? shortForm(short, around) : levels.map((level) => level.map(deviceOf));
  if (policy === 'required' && devices.length === 0)
    findings.warning(at, 'no fence is named: the group moves by itself only when its holder itself says that it has stopped', {
      hint: 'name one: fencing: { policy: required, use: … }',
    });
  if (policy === 'none' && devices.length > 0)
    findings.warning(['fencing'], 'the fences named here are never used: the policy is none', { hint: 'say policy: required' });
  checkCoverage(devices, around);
  return { policy, unsafe, levels: devices, delay: { standbyMs: delay.standby, randomMs: delay.random } };
};

/** The fences that a section names, which may be wrong in every other way. */
export const fencesIn = (raw: unknown): readonly string[] => {
  if (!isRecord(raw)) return [];
  const levels: readonly unknown[] = Array.isArray(raw['levels']) ? raw['levels'].flat() : [];
  return [...new Set([raw, ...levels].flatMap((one) => (isRecord(one) && typeof one['use'] === 'string' ? [one['use']] : [])))];
};

interface RawDevice {
  readonly value: Readonly<Record<string, unknown>>;
  readonly path: ConfigPath;
}

const rawDevices = (raw: unknown): readonly RawDevice[] => {
  if (!isRecord(raw)) return [];
  if (raw['use'] !== undefined) return [{ value: raw, path: ['fencing'] }];
  const levels: readonly unknown[] = Array.isArray(raw['levels']) ? raw['levels'] : [];
  return levels.flatMap((level, depth) =>
    (Array.isArray(level) ? level : []).flatMap((value: unknown, index) =>
      isRecord(value) ? [{ value, path: ['fencing', 'levels', depth, index] }] : [],
    ),
  );
};

/** What a table of keys cannot say: names that must exist, and the options of the fence. */
const checkDevice = (value: RawDevice['value'], path: ConfigPath, { findings, catalogue, nodes }: FencingSurroundings): void => {
  const { use } = value;
  const own = Object.keys(path.length === 1 ? fencingSchema.shape : fenceDeviceSchema.shape);
  if (nodes !== null && Array.isArray(value['nodes']))
    value['nodes'].forEach((node: unknown, index) => {
      if (typeof node === 'string' && !nodes.includes(node)) findings.unknownName([...path, 'nodes', index], 'node', node, nodes);
    });
  const fences = catalogue?.fences;
  if (typeof use !== 'string' || fences === undefined) return;
  const definition = Object.hasOwn(fences, use) ? fences[use] : undefined;
  if (definition === undefined)
    return findings.unknownName([...path, 'use'], 'fence', use, Object.keys(fences), { lenient: catalogue?.lenient === true });
  const options = Object.fromEntries(Object.entries(value).filter(([key]) => !own.includes(key)));
  if (definition !== null) findings.check(strict(definition.options), options, path, { also: own });
};

const shortForm = (short: DeviceKeys, { findings }: FencingSurroundings): readonly (readonly FenceDeviceConfig[])[] => {
  if (short.use !== undefined) return [[deviceOf({ ...short, use: short.use })]];
  lonely(short, findings, 'belongs to a fence, and none is named', 'name one: fencing: { use: … }');
  return [];
};

/** Keys of a device where there is no device. */
const lonely = (keys: object, findings: Findings, why: string, hint: string): void => {
  for (const [key, value] of Object.entries(keys))
    if (value !== undefined) findings.problem(['fencing', key], `"${key}" ${why}`, { at: 'key', hint });
};

/** Its named keys; whatever else it has are the fence's options. */
interface DeviceKeys {
  readonly use?: string | undefined;
  readonly timeout?: number | undefined;
  readonly nodes?: readonly NodeId[] | undefined;
}

const deviceOf = ({ use, timeout, nodes, ...options }: DeviceKeys & { readonly use: string }): FenceDeviceConfig => ({
  use,
  limitMs: timeout ?? null,
  nodes: nodes ?? null,
  options,
});

/** A node that no device of any level can power off is a node whose loss waits for a person. */
const checkCoverage = (levels: readonly (readonly FenceDeviceConfig[])[], { nodes, findings }: FencingSurroundings): void => {
  if (levels.length === 0) return;
  for (const node of nodes ?? [])
    if (!levels.some((level) => level.some((one) => one.nodes === null || one.nodes.includes(node))))
      findings.problem(['fencing'], `no device can power off node "${node}"`, { at: 'key', hint: 'name it in the nodes of a device' });
};
