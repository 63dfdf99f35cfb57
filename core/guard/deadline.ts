// A question to the arbiter has exactly one outcome, and has it in time: the answer, or why there is none. All deadlines are
// the guard's; a driver that ignores its signal is not waited for, and what it says later is nobody's answer.
import { reasonOf } from '../errors/errors.js';
import { ArbiterError } from '../ownership/arbiter.js';
import type { Clock } from '../system/clock.js';

export type Answer<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'none'; readonly refused: boolean; readonly because: string };

/** Calls back once, never synchronously before `ask` has returned its promise. */
export const askInTime = <T>(
  clock: Clock,
  timeoutMs: number,
  ask: (signal: AbortSignal) => Promise<T>,
  settled: (answer: Answer<T>) => void,
): void => {
  const abort = new AbortController();
  let open = true;
  const settle = (answer: Answer<T>) => {
    if (!open) return;
    open = false;
    timer.cancel();
    settled(answer);
  };
  const timer = clock.after(timeoutMs, () => {
    settle({ kind: 'none', refused: false, because: `no answer within ${timeoutMs} ms` });
    abort.abort(new Error(`no answer within ${timeoutMs} ms`));
  });
  const failed = (error: unknown) =>
    settle({ kind: 'none', refused: error instanceof ArbiterError && error.kind === 'refused', because: reasonOf(error) });
  try {
    ask(abort.signal).then((value) => settle({ kind: 'answer', value }), failed);
  } catch (error) {
    failed(error);
  }
};

/** The same as a promise; it never rejects. */
export const inTime = <T>(clock: Clock, timeoutMs: number, ask: (signal: AbortSignal) => Promise<T>): Promise<Answer<T>> =>
  new Promise((resolve) => askInTime(clock, timeoutMs, ask, resolve));
