// What an export says of its blocks, made fit for an answer: runs of one kind joined, not longer than was asked, bounded in
// number. Pure.
import type { StatusRun } from './export.js';

/** Of one context in one answer; a client asks on from where it ends. */
export const MAX_RUNS = 32 * 1024;

/** Null when nothing usable is left: the export broke its word. */
export const fitRuns = (runs: readonly StatusRun[], length: number, one: boolean): readonly StatusRun[] | null => {
  const fit: { length: number; flags: number }[] = [];
  let left = length;
  for (const run of runs) {
    if (left <= 0) break;
    if (!Number.isSafeInteger(run.length) || run.length <= 0) return null;
    const bytes = Math.min(run.length, left);
    const last = fit.at(-1);
    if (last !== undefined && last.flags === run.flags) last.length += bytes;
    else if (fit.length === (one ? 1 : MAX_RUNS)) break;
    else fit.push({ length: bytes, flags: run.flags });
    left -= bytes;
  }
  return fit.length === 0 ? null : fit;
};
