// Runs one plan to its end and says what came of it: violations, figures, the trace. After the faults everything must come
// back by itself: within the quiet time exactly one node runs the group, nothing resets any more.
import { befall } from './carry-out.js';
import { ClusterWorld, type Whole } from './cluster-world.js';
import type { Plan } from './fault-plan.js';
import type { GroupId } from '../model/ids.js';
import type { Oracle } from './oracle.js';
import type { TraceLine } from './trace.js';
import { wholeOf } from './whole.js';
import type { Violation } from './world.js';

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly events: number;
  readonly hash: string;
  readonly marks: ReadonlyMap<string, number>;
  readonly story: readonly TraceLine[];
}

export interface RunOptions {
  readonly traceLines?: number;
  /** A configuration of somebody's own, with real controllers. */
  readonly whole?: Whole;
  /** Puts something beside the guards of all nodes, before the first boot. */
  readonly around?: (cluster: ClusterWorld) => void;
  /** Ends it earlier, before it has healed. */
  readonly untilMs?: number;
}

/** So long before the end nothing may be reset and no lease may be lost any more. */
const STEADY_MS = 20_000;

export const runPlan = async (plan: Plan, options: RunOptions = {}): Promise<Outcome> => {
  const whole = options.whole ?? (plan.whole === true ? wholeOf(plan) : undefined);
  const cluster = new ClusterWorld(plan, { ...options, ...(whole === undefined ? {} : { whole }) });
  const { world } = cluster;
  options.around?.(cluster);
  befall(cluster);
  cluster.boot();
  world.at(plan.endMs - STEADY_MS, () => checkLive(cluster, 'shortly before the end'));
  world.at(plan.endMs - 1, () => checkLive(cluster, 'at the end'));
  await world.run(Math.min(plan.endMs, options.untilMs ?? plan.endMs));
  return {
    seed: plan.seed,
    violations: world.violations,
    events: world.events,
    hash: world.trace.hash,
    marks: world.marks,
    story: world.trace.lines(),
  };
};

const checkLive = (cluster: ClusterWorld, when: string): void => {
  for (const oracle of cluster.oracles) checkGroup(cluster, oracle, when);
};

const checkGroup = (cluster: ClusterWorld, oracle: Oracle, when: string): void => {
  const { world } = cluster;
  const { group } = oracle;
  const active = oracle.active();
  const [only] = active;
  const complain = (what: string) =>
    world.violate('liveness', `${when}, ${Math.round((world.nowMs - cluster.plan.healMs) / 1_000)} s after everything healed: ${what}`);
  if (only === undefined) return complain(`nobody runs ${group}; ${leasesOf(cluster, group)}`);
  if (active.length > 1) return complain(`${active.map(({ id }) => id).join(' and ')} run ${group}`);
  const phase = cluster.guards
    .get(only.id)
    ?.view()
    .leases.find((lease) => lease.group === group)?.phase;
  if (!cluster.serving(group).includes(only.id)) complain(`${only.id} runs only a part of ${group}; ${leasesOf(cluster, group)}`);
  if (phase !== 'held') complain(`${only.id} runs ${group} and its guard is in ${phase}`);
};

const leasesOf = (cluster: ClusterWorld, group: GroupId): string =>
  cluster.nodes
    .map((node) => {
      const lease = node.processes.has('guard')
        ? cluster.guards
            .get(node.id)
            ?.view()
            .leases.find((one) => one.group === group)
        : undefined;
      const verdict = cluster.wholes.get(node.id)?.last?.plan.verdicts.find((one) => one.group === group);
      const planned = verdict === undefined ? '' : ` (${verdict.state}: ${verdict.because})`;
      return `${node.id}: ${lease === undefined ? (node.powered ? 'no guard' : 'off') : `${lease.phase}, ${lease.because}`}${planned}`;
    })
    .join('; ');
