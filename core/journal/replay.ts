// Runs a captured decision again. Pure: the planner is an argument, so a capture from one version can be judged by another.
import { isDeepStrictEqual } from 'node:util';
import type { DesiredState } from '../model/desired.js';
import type { ObservedState } from '../model/observed.js';
import type { Plan } from '../model/plan.js';

export type Planner = (desired: DesiredState, observed: ObservedState) => Plan;

/** What the planner was given and what it said. */
export interface Capture {
  readonly v: 1;
  /** ISO wall time, for people. */
  readonly at: string;
  readonly why: string;
  readonly desired: DesiredState;
  readonly observed: ObservedState;
  /** null when the planner threw; then `error` says how. */
  readonly plan: Plan | null;
  readonly error: string | null;
}

export interface Replay {
  readonly same: boolean;
  readonly expected: Plan | null;
  readonly actual: Plan | null;
  /** One sentence for each part that came out otherwise. */
  readonly differences: readonly string[];
}

/** Plans again and compares with what was captured. A planner that throws again the same way is `same`. */
export const replay = (capture: Capture, planner: Planner): Replay => {
  const again = attempt(planner, capture);
  const differences = [
    ...(again.error === capture.error ? [] : [`error: was ${capture.error ?? 'none'}, is ${again.error ?? 'none'}`]),
    ...listDifferences('action', ({ id }) => id, capture.plan?.actions ?? [], again.plan?.actions ?? []),
    ...listDifferences('will', ({ group }) => group, capture.plan?.wills ?? [], again.plan?.wills ?? []),
    ...listDifferences('verdict', ({ group }) => group, capture.plan?.verdicts ?? [], again.plan?.verdicts ?? []),
  ];
  return { same: differences.length === 0, expected: capture.plan, actual: again.plan, differences };
};

const attempt = (planner: Planner, { desired, observed }: Capture): { plan: Plan | null; error: string | null } => {
  try {
    // Through JSON once, as the captured plan went: `undefined` members must not look like differences.
    return { plan: JSON.parse(JSON.stringify(planner(desired, observed))) as Plan, error: null };
  } catch (error) {
    return { plan: null, error: error instanceof Error ? error.message : String(error) };
  }
};

const listDifferences = <T>(what: string, key: (item: T) => string, was: readonly T[], is: readonly T[]): readonly string[] => {
  const [before, after] = [new Map(was.map((item) => [key(item), item])), new Map(is.map((item) => [key(item), item]))];
  return [
    ...[...before.keys()].filter((name) => !after.has(name)).map((name) => `${what} ${name}: is gone`),
    ...[...after.keys()].filter((name) => !before.has(name)).map((name) => `${what} ${name}: is new`),
    ...[...before].flatMap(([name, item]) => {
      const other = after.get(name);
      return other === undefined || isDeepStrictEqual(item, other)
        ? []
        : [`${what} ${name}: was ${JSON.stringify(item)}, is ${JSON.stringify(other)}`];
    }),
  ];
};
