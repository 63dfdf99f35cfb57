// The sections of the file that stand alone: ports, fencing, timing, arbiter, and the keys of plugins. Pure.
// Each says what is wrong with it and what follows from it; none keeps the others from being checked.
import type { Catalogue } from './catalogue.js';
import type { ClusterConfig } from './cluster-config.js';
import type { Findings } from './findings.js';
import { didYouMean, nearest } from './nearest.js';
import { arbiterSchema, fencingSchema, isRootKey, ROOT_KEYS, timingSchema } from './sections.js';
import { failedInequalities, proveTiming, resolveTiming, type TimingChoice, type TimingCircumstances } from './timing.js';
import { strict } from './walk-schema.js';

/** Heartbeats are UDP and share with nobody. */
export const checkPorts = (ports: Readonly<Record<string, unknown>>, findings: Findings): void => {
  const { heartbeat: _udp, ...tcp } = ports;
  const seen = new Map<number, string>();
  for (const [name, value] of Object.entries(tcp)) {
    if (typeof value !== 'number') continue;
    const other = seen.get(value);
    if (other !== undefined) findings.problem(['ports', name], `port ${value} is also the port of ${other}`);
    seen.set(value, name);
  }
};

/** Policy by default: what the hosts can keep. With a watchdog W is proof; without one only a confirmed stop is. */
export const parseFencing = (raw: unknown, watchdog: string | undefined, findings: Findings): ClusterConfig['fencing'] | undefined => {
  const parsed = findings.check(
    fencingSchema,
    typeof raw === 'string' ? { policy: raw } : (raw ?? {}),
    ['fencing'],
    typeof raw === 'string' ? { place: () => ['fencing'] } : {},
  );
  if (parsed === undefined) return undefined;
  const { policy = watchdog === undefined || watchdog === 'none' ? 'required' : 'watchdog', use = null, unsafe, ...options } = parsed;
  const at = typeof raw === 'string' ? ['fencing'] : ['fencing', 'policy'];
  if (policy === 'none' && !unsafe)
    findings.problem(at, 'without fencing two nodes may run the group at once, and both may write', {
      hint: 'say unsafe: true beside it if that is harmless here',
    });
  if (policy === 'none' && unsafe) findings.warning(at, 'unsafe: two nodes may run the group at once');
  if (policy === 'watchdog' && watchdog === 'none')
    findings.problem(at, 'policy watchdog needs a watchdog on every node, and none is configured', {
      hint: 'set watchdog: socket:PATH, or policy: required',
    });
  if (policy === 'required' && use === null)
    findings.warning(at, 'no fence is named: the group moves by itself only when its holder itself says that it has stopped', {
      hint: 'name one: fencing: { policy: required, use: … }',
    });
  return { policy, use, unsafe, options };
};

export const parseTiming = (raw: unknown, circumstances: TimingCircumstances, findings: Findings): ClusterConfig['timing'] => {
  const parsed = findings.check(
    timingSchema,
    typeof raw === 'string' ? { profile: raw } : (raw ?? {}),
    ['timing'],
    typeof raw === 'string' ? { place: () => ['timing'] } : {},
  );
  const timing = resolveTiming(parsed === undefined ? { profile: 'standard', strict: false, values: {} } : choiceOf(parsed), circumstances);
  for (const failed of failedInequalities(proveTiming(timing, circumstances)))
    findings.problem(['timing'], failed, { code: 'TIMING_UNSAFE', at: 'key' });
  return timing;
};

const choiceOf = ({ profile, strict: strictColumn, drift, ...durations }: ReturnType<typeof timingSchema.parse>): TimingChoice => {
  const values = Object.fromEntries(
    Object.entries(durations).flatMap(([name, ms]) => (ms === undefined ? [] : [[`${name}Ms`, ms]])),
  ) as TimingChoice['values'];
  return {
    profile: profile === 'strict' ? 'standard' : profile,
    strict: strictColumn || profile === 'strict',
    values: drift === undefined ? values : { ...values, driftRatio: drift },
  };
};

/** Stores that cannot say "no" to one of two writers: a file has no compare-and-set that both nodes see. */
const NO_ARBITER = new Set(['file', 'local', 'local-file', 'nfs', 'share', 'shared-file', 'disk', 'sqlite']);

export const parseArbiter = (
  raw: unknown,
  renewMs: number,
  findings: Findings,
  catalogue: Catalogue | undefined,
): ClusterConfig['arbiter'] | undefined => {
  const parsed = findings.check(arbiterSchema, raw, ['arbiter']);
  if (parsed === undefined) return undefined;
  const { use, ...options } = parsed;
  const definition = catalogue === undefined || !Object.hasOwn(catalogue.arbiters, use) ? undefined : catalogue.arbiters[use];
  if (NO_ARBITER.has(use) && definition === undefined) {
    findings.problem(
      ['arbiter', 'use'],
      `"${use}" cannot decide between two nodes: a file, local or shared, has no compare-and-set that both sides of a partition see`,
      { hint: 'use a store outside the nodes: witness, etcd, dynamodb, s3' },
    );
  } else if (catalogue !== undefined && definition === undefined) {
    findings.unknownName(['arbiter', 'use'], 'arbiter', use, Object.keys(catalogue.arbiters));
  }
  if (definition === undefined || definition === null) return { use, options };
  findings.check(strict(definition.options), options, ['arbiter']);
  if (definition.minRenewMs !== undefined && renewMs < definition.minRenewMs) {
    findings.problem(
      ['arbiter', 'use'],
      `${use} answers too slowly for this timing: it is renewed every ${renewMs} ms, and ${definition.minRenewMs} ms is the least`,
      { hint: 'choose a slower timing profile, or another arbiter' },
    );
  }
  return { use, options };
};

/** Top-level keys that are not understudy's. Without a catalogue any is taken for a plugin's, unless it is a misspelt key of understudy. */
export const parseSettings = (
  root: Record<string, unknown>,
  findings: Findings,
  catalogue: Catalogue | undefined,
): ClusterConfig['settings'] => {
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(root)) {
    if (isRootKey(key)) continue;
    const known = [...ROOT_KEYS, ...Object.keys(catalogue?.settings ?? {})];
    const schema = catalogue !== undefined && Object.hasOwn(catalogue.settings, key) ? catalogue.settings[key] : undefined;
    if (catalogue === undefined ? nearest(key, ROOT_KEYS) !== undefined : schema === undefined) {
      const lenient = catalogue?.lenient === true && nearest(key, ROOT_KEYS) === undefined;
      findings[lenient ? 'warning' : 'problem']([key], `"${key}" is not known here`, {
        at: 'key',
        hint: didYouMean(key, known) ?? 'no loaded plugin owns it',
      });
    } else if (schema !== undefined && schema !== null) findings.check(strict(schema), value, [key]);
    settings[key] = value;
  }
  return settings;
};
