// A failing run in words: what the cluster was, what befell it, what happened last, and which promise was broken.
import type { Plan } from './fault-plan.js';
import { faultWords } from './carry-out.js';
import type { Outcome } from './run-plan.js';
import { lineOf } from './trace.js';

/** What is kept as `test/simulation/pinned/NAME.json` and run again by the suite. */
export interface Pinned {
  readonly title: string;
  readonly found: { readonly invariant: string; readonly sentence: string; readonly atMs: number };
  readonly plan: Plan;
}

const STORY_LINES = 60;

export const storyOf = (plan: Plan, outcome: Outcome, lines = STORY_LINES): string => {
  const [violation] = outcome.violations;
  const faults = plan.faults.map((fault) => `  ${(fault.atMs / 1_000).toFixed(3).padStart(9)} s  ${fault.kind}: ${faultWords(fault)}`);
  return [
    `seed ${plan.seed}: ${clusterWords(plan)}`,
    ...(plan.faults.length === 0 ? ['no faults but the weather'] : [`${plan.faults.length} faults:`, ...faults]),
    'what happened last:',
    ...outcome.story.slice(-lines).map((line) => `  ${lineOf(line)}`),
    ...(violation === undefined
      ? ['nothing was violated']
      : [`${violation.invariant} violated at ${(violation.atMs / 1_000).toFixed(3)} s: ${violation.sentence}`]),
  ].join('\n');
};

export const pinnedOf = (plan: Plan, outcome: Outcome): Pinned => {
  const [violation] = outcome.violations;
  if (violation === undefined) throw new RangeError('a run without a violation is no scenario');
  const { invariant, sentence, atMs } = violation;
  return {
    title: `${invariant}: ${sentence.split('\n', 1)[0] ?? ''}`,
    found: { invariant, sentence: sentence.split('\n', 1)[0] ?? '', atMs },
    plan,
  };
};

const clusterWords = (plan: Plan): string =>
  [
    `${plan.nodes} nodes`,
    `${plan.profile}${plan.strict ? ' strict' : ''}${plan.tightW ? ' with the shortest W' : ''}`,
    plan.takeover,
    `fencing ${plan.fencing}`,
    plan.watchdog ? 'watchdogs' : 'no watchdog',
    `${plan.heartbeatNetworks} heartbeat network${plan.heartbeatNetworks === 1 ? '' : 's'}`,
    `versions by ${plan.store.shape}`,
    ...(plan.stallChance > 0 ? [`stalls up to ${plan.stallMs} ms`] : []),
    ...Object.entries({ ...plan.weather, ...plan.storeWeather })
      .filter(([name, value]) => value > 0 && !name.endsWith('Ms'))
      .map(([name, value]) => `${name} ${(100 * value).toFixed(1)} %`),
  ].join(', ');
