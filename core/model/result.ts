// What came of an action.
import type { Action } from './plan.js';

/** `stale`: the lease was lost before or while it ran, so nothing may be concluded from it. */
export type ActionOutcome = 'done' | 'failed' | 'timed-out' | 'stale';

export interface ActionResult {
  readonly action: Action;
  readonly outcome: ActionOutcome;
  /** What went wrong, with the agent's own words; empty when done. */
  readonly reason: string;
  readonly elapsedMs: number;
  /** Facts for the timeline: API request ids, tables moved, exit codes. */
  readonly detail: Readonly<Record<string, unknown>>;
}
