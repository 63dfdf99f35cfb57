// The only door to time. Monotonic for every decision; the wall clock is for people to read and is never compared.

/** A pending timer. `cancel` may be called any number of times. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** CLOCK_MONOTONIC in milliseconds with fractions: one clock for all processes of a boot. */
  nowMs(): number;
  /** Calls `fire` once, `afterMs` from now. Pending timers keep the process alive unless `idle` is true. */
  after(afterMs: number, fire: () => void, options?: { idle?: boolean }): Timer;
  /** Calls `fire` every `periodMs`, first after one period; the period is not made up for when the process paused. */
  every(periodMs: number, fire: () => void, options?: { idle?: boolean }): Timer;
  /** Calls `fire` once in a later turn: behind what waits in the sockets by now, before any timer that is not due yet. */
  soon(fire: () => void): void;
  /** Resolves after `afterMs`, or rejects with the signal's reason. */
  sleep(afterMs: number, signal?: AbortSignal): Promise<void>;
  /** ISO time with milliseconds, for people: of now, or of a moment of `nowMs()` that has passed. */
  wallIso(atMs?: number): string;
}
export const Clock: unique symbol = Symbol('Clock');

const timerOf = (handle: NodeJS.Timeout, clear: (handle: NodeJS.Timeout) => void, idle = false): Timer => {
  if (idle) handle.unref();
  return { cancel: () => clear(handle) };
};

export const systemClock: Clock = {
  nowMs: () => Number(process.hrtime.bigint()) / 1e6,
  after: (afterMs, fire, { idle } = {}) => timerOf(setTimeout(fire, Math.max(0, afterMs)), clearTimeout, idle),
  every: (periodMs, fire, { idle } = {}) => timerOf(setInterval(fire, periodMs), clearInterval, idle),
  soon: (fire) => void setImmediate(fire),
  sleep: (afterMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const done = () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      };
      const stop = () => {
        clearTimeout(handle);
        reject(signal?.reason);
      };
      const handle = setTimeout(done, Math.max(0, afterMs));
      signal?.addEventListener('abort', stop, { once: true });
    }),
  wallIso: (atMs) => new Date(Date.now() - (atMs === undefined ? 0 : Math.max(0, systemClock.nowMs() - atMs))).toISOString(),
};
