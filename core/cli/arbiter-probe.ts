// How quickly the arbiter answers from here: ten reads of the keys that a guard reads, nothing written. A machine that cannot
// reach it, or may not, has measured nothing, which is no fault of the config.
import type { ClusterConfig } from '../config/cluster-config.js';
import { withoutStore } from '../model/no-store.js';
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import type { NodeId } from '../model/ids.js';
import { groupOrdersKey, leaseKey, nodeOrdersKey } from '../ownership/record.js';
import type { Arbiter } from '../ownership/arbiter.js';
import type { Log } from '../plugin/contract.js';
import type { Registry } from '../plugin/registry.js';
import type { Clock } from '../system/clock.js';
import { loadKeys } from '../system/key-file.js';

export type ArbiterProbe =
  | { readonly kind: 'measured'; readonly reads: number; readonly p50Ms: number; readonly maxMs: number }
  | { readonly kind: 'not measured'; readonly because: string };

export interface ArbiterProbeOptions {
  readonly config: ClusterConfig;
  readonly registry: Registry;
  /** Who asks; the first node of the config where this host is none of them. */
  readonly node: NodeId;
  readonly clock: Clock;
  /** The first read, with everything that comes before it: connecting, logging in. */
  readonly firstMs: number;
}

const READS = 10;
const LONGEST_MS = 2_000;
const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Never rejects: what went wrong is why it was not measured. A read that has no answer in time counts as LONGEST_MS. */
export const probeArbiter = async (options: ArbiterProbeOptions): Promise<ArbiterProbe> => {
  const { config, registry, node, clock, firstMs } = options;
  const { cluster, ports, groups, nodes } = config;
  const keys = [
    ...groups.flatMap(({ id }) => [leaseKey(cluster, id), groupOrdersKey(cluster, id)]),
    ...nodes.map(({ id }) => nodeOrdersKey(cluster, id)),
  ];
  if (withoutStore(config)) return { kind: 'not measured', because: 'there is no store' };
  let arbiter: Arbiter | null = null;
  try {
    const definition = await registry.arbiter(config.arbiter.use);
    if (definition === undefined) return { kind: 'not measured', because: `no loaded plugin has an arbiter "${config.arbiter.use}"` };
    const key = loadKeys(config.keyFile).current.bytes;
    arbiter = await definition.open(definition.options.parse(config.arbiter.options), { cluster, node, key, ports, log: silent });
    await arbiter.read(keys, limited(clock, firstMs));
    const times: number[] = [];
    for (let n = 0; n < READS; n++) {
      const beganMs = clock.nowMs();
      const answered = await arbiter.read(keys, limited(clock, LONGEST_MS)).then(
        () => true,
        () => false,
      );
      times.push(answered ? clock.nowMs() - beganMs : LONGEST_MS);
    }
    times.sort((a, b) => a - b);
    return { kind: 'measured', reads: READS, p50Ms: times[READS / 2] ?? 0, maxMs: times.at(-1) ?? 0 };
  } catch (error) {
    return { kind: 'not measured', because: reasonOf(error) };
  } finally {
    await arbiter?.close();
  }
};

const limited = (clock: Clock, ms: number): AbortSignal => {
  const controller = new AbortController();
  clock.after(ms, () => controller.abort(new Error(`${ms} ms are over`)), { idle: true });
  return controller.signal;
};

/** Why a cluster with this attempt timeout cannot live with such answers; null when it can. Pure. */
export const objectionToProbe = (probe: ArbiterProbe, use: string, attemptMs: number): UnderstudyError | null =>
  probe.kind === 'not measured' || probe.maxMs <= attemptMs
    ? null
    : new UnderstudyError(
        'TIMING_UNSAFE',
        `arbiter ${use} is too slow for this timing: one of ${probe.reads} reads took ${Math.round(probe.maxMs)} ms (half of them ${Math.round(probe.p50Ms)} ms or less), and an attempt may take ${attemptMs} ms`,
        { hint: 'Choose a slower timing profile, or bring the arbiter nearer.' },
      );
