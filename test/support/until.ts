// Waits in tests of real sockets and processes: for a condition, never for a time.
import { systemClock } from '../../core/system/clock.js';

/** Resolves when the condition holds; rejects with `what` after `limitMs`. */
export const until = async (what: string, condition: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> => {
  const endMs = systemClock.nowMs() + limitMs;
  while (!(await condition())) {
    if (systemClock.nowMs() >= endMs) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await systemClock.sleep(5);
  }
};
