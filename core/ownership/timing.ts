// Small arithmetic of the protocol's times (SAFETY a.5). Pure.
import type { Timing } from '../model/timing.js';

/** A will counts for so long after it was received (DESIGN 4). */
export const WILL_MAX_AGE_MS = 3_000;

/** m = D/8: how long before the deadline an acquisition's answer, or a page after a guard crash, still counts (I7). */
export const marginMs = (timing: Timing): number => timing.selfFenceMs / 8;

/** The next multiple of the period after `lastMs`: all groups of a node fall due in the same tick. */
export const nextOnGrid = (lastMs: number, periodMs: number): number =>
  Number.isFinite(lastMs) ? (Math.floor(lastMs / periodMs) + 1) * periodMs : Number.NEGATIVE_INFINITY;

/** The pause after an attempt that failed at once: four in an attempt's time, so that a refusing store is not flooded. */
export const retryMs = (timing: Timing): number => Math.min(timing.renewMs, timing.attemptMs) / 4;

/** How long a candidate waits after RELEASED or other evidence: its rank, and behind a named successor a fair chance for that one. */
export const candidateDelayMs = (timing: Timing, rank: number, successor: 'self' | 'other' | 'none'): number => {
  if (successor === 'self') return 0;
  // Two observers see the same thing up to a poll apart: less than that between two ranks would be no order at all.
  if (successor === 'none') return rank * (timing.rankDelayMs + timing.pollMs);
  return (rank + 1) * timing.rankDelayMs + 2 * timing.pollMs + timing.attemptMs;
};
