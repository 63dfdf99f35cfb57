// What a verdict sets in motion, and the shape of a row of the table. Words only: the rows are rules.ts, what a course means
// in actions is expand.ts, in wills wills.ts.
import type { NodeId } from '../model/ids.js';
import type { GroupState } from '../model/plan.js';
import type { Facts } from './facts.js';

export type Course =
  /** Touch nothing, and tell the guard only this. */
  | { readonly kind: 'wait'; readonly will: 'hold' | 'release' | 'none' | 'stand-by'; readonly successor: NodeId | null }
  /** Bring everything online, mend what is faulted. */
  | { readonly kind: 'run' }
  /** Fence these, and start nothing. */
  | { readonly kind: 'fence'; readonly nodes: readonly NodeId[] }
  /**
   * Stop everything in reverse order, then give the lease back. `ordered`: a want of people. `planned`: a move of people,
   * with its hooks. `fault`: counts as a failover. `gave-up`: counts too, and must be on record before the lease is free.
   */
  | { readonly kind: 'leave'; readonly successor: NodeId | null; readonly for: 'ordered' | 'planned' | 'fault' | 'gave-up' }
  /** The lease is not ours: stop what runs here all the same. */
  | { readonly kind: 'evict' }
  /** The lease is not ours: be ready, and say to the guard how ready. */
  | { readonly kind: 'stand-by' };

export interface Verdict {
  readonly state: GroupState;
  readonly course: Course;
  readonly because: string;
  readonly nextCommand: string | null;
}

export interface Rule {
  readonly id: string;
  readonly when: (facts: Facts) => boolean;
  readonly verdict: (facts: Facts) => Verdict;
}

/** A verdict with the id of the row that gave it. */
export type Ruled = Verdict & { readonly rule: string };

export const verdict = (state: GroupState, course: Course, because: string, nextCommand: string | null = null): Verdict => ({
  state,
  course,
  because,
  nextCommand,
});

export const RUN: Course = { kind: 'run' };
export const STAND_BY: Course = { kind: 'stand-by' };
export const EVICT: Course = { kind: 'evict' };
export const leaveFor = (reason: 'ordered' | 'planned' | 'fault' | 'gave-up', successor: NodeId | null): Course => ({
  kind: 'leave',
  successor,
  for: reason,
});
export const waitWith = (will: 'hold' | 'release' | 'none' | 'stand-by', successor: NodeId | null = null): Course => ({
  kind: 'wait',
  will,
  successor,
});
