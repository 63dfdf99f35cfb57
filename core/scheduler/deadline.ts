// One call of somebody else's code, bounded: begun in this very turn, told by a signal when its time is over, waited for a
// little longer, and then no longer waited for. A throw, also a synchronous one, comes back as a value.
import { UnderstudyError } from '../errors/errors.js';
import type { Clock } from '../system/clock.js';

export type Bounded<T> =
  | { readonly kind: 'value'; readonly value: T; readonly elapsedMs: number; readonly blockedMs: number }
  | { readonly kind: 'threw'; readonly error: unknown; readonly elapsedMs: number; readonly blockedMs: number }
  /** The deadline or the outer signal came first. `settled`: it ended in its grace; else it is still running somewhere. */
  | {
      readonly kind: 'late' | 'aborted';
      readonly error: unknown;
      readonly settled: boolean;
      readonly elapsedMs: number;
      readonly blockedMs: number;
    };

export interface BoundedOptions {
  readonly clock: Clock;
  readonly limitMs: number;
  /** After the deadline it may still clean up for so long. Default 500 ms. */
  readonly graceMs?: number;
  /** Ends the call early. */
  readonly signal?: AbortSignal;
  /** Told when a call that was given up settles after all. */
  readonly onSettledLate?: () => void;
}

/** Never rejects. `blockedMs` is how long the call held the loop before it first gave way. */
export const bounded = <T>(
  call: (signal: AbortSignal) => T | Promise<T>,
  { clock, limitMs, graceMs = 500, signal, onSettledLate }: BoundedOptions,
): Promise<Bounded<T>> =>
  new Promise((resolve) => {
    const beganMs = clock.nowMs();
    const abort = new AbortController();
    let over: 'late' | 'aborted' | null = null;
    let answered = false;
    let blockedMs = 0;
    const answer = (outcome: Omit<Bounded<T>, 'elapsedMs' | 'blockedMs'>) => {
      if (answered) return;
      answered = true;
      timer.cancel();
      signal?.removeEventListener('abort', outer);
      resolve({ ...outcome, elapsedMs: clock.nowMs() - beganMs, blockedMs } as Bounded<T>);
    };
    const giveUp = (kind: 'late' | 'aborted', reason: unknown) => {
      if (over !== null || answered) return;
      over = kind;
      timer.cancel();
      timer = clock.after(graceMs, () => answer({ kind, error: reason, settled: false } as Bounded<T>));
      abort.abort(reason);
    };
    const outer = () => giveUp('aborted', signal?.reason);
    let timer = clock.after(limitMs, () => giveUp('late', new UnderstudyError('TIMED_OUT', `it took longer than ${limitMs} ms`)));
    const settled = (outcome: Omit<Bounded<T>, 'elapsedMs' | 'blockedMs'>) => {
      if (answered) onSettledLate?.();
      else if (over !== null) answer({ kind: over, error: abort.signal.reason, settled: true } as Bounded<T>);
      else answer(outcome);
    };
    signal?.addEventListener('abort', outer, { once: true });
    if (signal?.aborted) outer();
    let result: T | Promise<T>;
    try {
      result = call(abort.signal);
    } catch (error) {
      blockedMs = clock.nowMs() - beganMs;
      settled({ kind: 'threw', error } as Bounded<T>);
      return;
    }
    blockedMs = clock.nowMs() - beganMs;
    Promise.resolve(result).then(
      (value) => settled({ kind: 'value', value } as Bounded<T>),
      (error: unknown) => settled({ kind: 'threw', error } as Bounded<T>),
    );
  });
