// What scenes are made of: shapes of clusters in which a mistake of one kind can show, and the faults that most of them share.
import type { Timing } from '../model/timing.js';
import type { Chance } from './chance.js';
import type { Fault, Plan } from './fault-plan.js';

export type SceneTiming = Pick<
  Timing,
  'selfFenceMs' | 'stopBudgetMs' | 'takeoverWaitMs' | 'attemptMs' | 'petMaxAgeMs' | 'watchdogMs' | 'suspectAfterMs'
>;

export interface Round {
  readonly chance: Chance;
  readonly atMs: number;
  readonly timing: SceneTiming;
  readonly plan: Plan;
  readonly ids: readonly string[];
  readonly round: number;
}

export interface Scene {
  readonly name: string;
  readonly shape: (chance: Chance) => Partial<Plan>;
  readonly faults: (round: Round) => readonly Fault[];
}

/** Neither a watchdog nor a fence: the guard and the leash are all there is. */
export const bare = (): Partial<Plan> => ({ watchdog: false, fencing: 'none' });
export const dogged = (): Partial<Plan> => ({ watchdog: true, fencing: 'watchdog' });
export const either = (chance: Chance): Partial<Plan> => (chance.happens(0.6) ? bare() : dogged());

/** Half a second of slack would hide it. The first node is the slow one, and holds first. */
export const tight: Partial<Plan> = { strict: false, tightW: true, slowStops: true, rates: [0.99, 1.01, 1.01] };

export const HOLDER = '@holder';
export const OTHERS = '@others';
export const IT = '@it';
export const LONG_MS = 42_000;

/** The holder loses everything. */
export const isolated = ({ chance }: Round, atMs: number, forMs = LONG_MS): Fault => ({
  atMs,
  kind: 'isolated',
  node: HOLDER,
  store: chance.pick(['down', 'unanswered'] as const),
  forMs,
});
/** The holder gives its lease back, and may have it again soon. */
export const handsOver = (atMs: number): Fault => ({ atMs, kind: 'standby', node: HOLDER, forMs: 4_000 });
/** Nobody but the guard is left to end something on the holder. */
export const noLeash = ({ chance }: Round, atMs: number, share = 0.7): readonly Fault[] =>
  chance.happens(share) ? [{ atMs: atMs - 200, kind: 'pause', node: HOLDER, process: 'leash', forMs: LONG_MS }] : [];
