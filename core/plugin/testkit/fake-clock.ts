// A clock for tests: time stands still until a test moves it. Implements the same Clock as production, so that code under
// test cannot tell. Invariant: timers fire in order of their due time, and never while time stands still.
import type { Clock, Timer } from '../../system/clock.js';

interface Pending {
  dueMs: number;
  readonly order: number;
  readonly periodMs: number | null;
  readonly fire: () => void;
}

/** A Clock moved by hand. `nowMs()` begins at 1 000 000, so that a forgotten zero is seen. */
export class FakeClock implements Clock {
  readonly #pending = new Set<Pending>();
  #nowMs: number;
  #order = 0;

  constructor(startMs = 1_000_000) {
    this.#nowMs = startMs;
  }

  /** Timers not yet fired or cancelled: a test of a clean end asserts 0. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(afterMs: number, fire: () => void): Timer {
    return this.#add(Math.max(0, afterMs), null, fire);
  }

  every(periodMs: number, fire: () => void): Timer {
    if (!(periodMs > 0)) throw new RangeError(`a period must be positive, got ${periodMs} ms`);
    return this.#add(periodMs, periodMs, fire);
  }

  /** Waits for no test: it runs in the next `settle`, or whenever the test awaits something. */
  soon(fire: () => void): void {
    setImmediate(fire);
  }

  sleep(afterMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = () => {
        timer.cancel();
        reject(signal?.reason);
      };
      const timer = this.after(afterMs, () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      });
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  wallIso(atMs = this.#nowMs): string {
    return new Date(Date.UTC(2026, 0, 1) + atMs).toISOString();
  }

  /** Moves time and fires what falls due, synchronously; promise callbacks run only when the test awaits. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) this.#fire(next);
    this.#nowMs = endMs;
  }

  /** Like `advance`, but lets promise callbacks run before the first timer, after each, and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.settle();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#fire(next);
      await this.settle();
    }
    this.#nowMs = endMs;
    await this.settle();
  }

  /** Time passes while the process does not run: nothing fires until the next `advance`, and then each due timer once. */
  pause(ms: number): void {
    this.#nowMs += ms;
  }

  /** Lets promise callbacks and immediates that wait already run; time stands still. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #add(afterMs: number, periodMs: number | null, fire: () => void): Timer {
    const timer: Pending = { dueMs: this.#nowMs + afterMs, order: (this.#order += 1), periodMs, fire };
    this.#pending.add(timer);
    return { cancel: () => void this.#pending.delete(timer) };
  }

  #next(endMs: number): Pending | undefined {
    let first: Pending | undefined;
    for (const timer of this.#pending) {
      if (timer.dueMs > endMs) continue;
      if (first === undefined || timer.dueMs < first.dueMs || (timer.dueMs === first.dueMs && timer.order < first.order)) first = timer;
    }
    return first;
  }

  #fire(timer: Pending): void {
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
    if (timer.periodMs === null) this.#pending.delete(timer);
    else timer.dueMs = this.#nowMs + timer.periodMs;
    timer.fire();
  }
}
