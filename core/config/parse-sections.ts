// The sections of the file that stand alone: ports, timing, arbiter, and the keys of plugins. Pure.
// Each says what is wrong with it and what follows from it; none keeps the others from being checked.
import type { Catalogue } from './catalogue.js';
import type { ClusterConfig } from './cluster-config.js';
import type { Findings } from './findings.js';
import { didYouMean, nearest } from './nearest.js';
import { NO_STORE } from '../model/no-store.js';
import { arbiterSchema, isRootKey, ROOT_KEYS, timingSchema } from './sections.js';
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
  if (use === NO_STORE) {
    for (const key of Object.keys(options))
      findings.problem(['arbiter', key], `"${key}" belongs to a store, and there is none`, { at: 'key' });
    return { use, options: {} };
  }
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
