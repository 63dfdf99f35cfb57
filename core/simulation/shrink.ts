// Makes a failing plan smaller while it still fails in the same way: fewer faults, better weather, an earlier end. What is
// left is the story that people read, and the scenario that is kept.
import type { Plan } from './fault-plan.js';
import { FAIR } from './network.js';
import { type Outcome, runPlan } from './run-plan.js';
import { FAIR_STORE } from './sim-arbiter.js';

export interface Shrunk<P extends Plan> {
  readonly plan: P;
  readonly outcome: Outcome;
  readonly runs: number;
}

export interface ShrinkOptions<P extends Plan> {
  /** Bounds the work; what is found by then is returned. */
  readonly maxRuns?: number;
  /** How a plan is run; the last lines of its story are wanted. */
  readonly run?: (plan: P, options: { readonly traceLines: number }) => Promise<Outcome>;
}

export const shrink = async <P extends Plan>(
  plan: P,
  outcome: Outcome,
  { maxRuns = 200, run = runPlan }: ShrinkOptions<P> = {},
): Promise<Shrunk<P>> => {
  let best = { plan, outcome };
  let runs = 0;
  const invariant = outcome.violations[0]?.invariant;
  const fails = async (candidate: P): Promise<boolean> => {
    if (runs >= maxRuns) return false;
    runs += 1;
    const result = await run(candidate, { traceLines: 400 });
    if (result.violations[0]?.invariant !== invariant) return false;
    best = { plan: candidate, outcome: result };
    return true;
  };

  // What happens after it cannot be its cause; liveness is judged at the end that the plan has.
  const atMs = outcome.violations[0]?.atMs ?? plan.endMs;
  if (invariant !== 'liveness') {
    const endMs = Math.ceil(atMs) + 1_000;
    await fails({ ...plan, faults: plan.faults.filter((fault) => fault.atMs <= atMs), endMs, healMs: Math.min(plan.healMs, endMs) });
  }
  for (const easier of EASIER) await fails(easier(best.plan));
  for (let size = Math.max(1, best.plan.faults.length >> 1); size >= 1; size = size === 1 ? 0 : size >> 1) {
    for (let from = 0; from < best.plan.faults.length; ) {
      const { faults } = best.plan;
      const smaller = [...faults.slice(0, from), ...faults.slice(from + size)];
      if (!(await fails({ ...best.plan, faults: smaller }))) from += size;
    }
  }
  for (const easier of EASIER) await fails(easier(best.plan));
  return { ...best, runs };
};

const EASIER: readonly (<P extends Plan>(plan: P) => P)[] = [
  (plan) => ({ ...plan, weather: FAIR }),
  (plan) => ({ ...plan, storeWeather: FAIR_STORE }),
  (plan) => ({ ...plan, stallChance: 0 }),
  (plan) => ({ ...plan, rates: plan.rates.map(() => 1) }),
  (plan) => ({ ...plan, store: { ...plan.store, pushes: false } }),
];
