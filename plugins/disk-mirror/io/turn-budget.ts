// How much may be done inside one turn of the event loop, and when inline work must stop. A turn's bytes are bounded. Time lost in
// calls that took long after all comes out of a credit that fills slowly: when it is gone the threads do everything, so in the long
// run no more than one part in sixteen of the time is lost. One lost slice of the processor does not cost the fast way. Pure:
// moments come in.

/** About half a millisecond of copying on slow memory; a request counts at least MIN_BYTES, for its fixed cost. */
export const TURN_BYTES = 1024 * 1024;
const MIN_BYTES = 4096;
const LOW_BYTES = TURN_BYTES / 2;
const SLOW_MS = 1;
const CREDIT_MS = 100;
/** So much of the passing time becomes credit. */
const SHARE = 1 / 16;
/** Never more than ten seconds without the fast way. */
const MAX_DEBT_MS = 10_000 * SHARE;

export type Verdict =
  /** Do it in this turn. */
  | 'now'
  /** The turn is used up: in the next. */
  | 'later'
  /** Not in the event loop. */
  | 'never';

export class TurnBudget {
  #left = TURN_BYTES;
  #creditMs = CREDIT_MS;
  #countedMs = 0;

  /** Takes what a request of so many bytes needs, if it may be done now. One that alone is more than a turn's worth never may. */
  take(bytes: number, nowMs: number): Verdict {
    if (bytes > TURN_BYTES || this.#credit(nowMs) < 0) return 'never';
    if (this.#left <= 0) return 'later';
    this.#left -= Math.max(MIN_BYTES, bytes);
    return 'now';
  }

  /** So much is used up that the next turn must be told. Not before: to be told of every turn costs a system call in each. */
  get low(): boolean {
    return this.#left < LOW_BYTES;
  }

  /** A new turn. */
  renew(): void {
    this.#left = TURN_BYTES;
  }

  /** Told of every inline call. */
  spent(fromMs: number, toMs: number): void {
    const tookMs = toMs - fromMs;
    if (tookMs <= SLOW_MS) return;
    this.#creditMs = Math.max(-MAX_DEBT_MS, this.#credit(fromMs) - tookMs);
    this.#countedMs = toMs; // The lost time itself earns nothing.
  }

  #credit(nowMs: number): number {
    this.#creditMs = Math.min(CREDIT_MS, this.#creditMs + Math.max(0, nowMs - this.#countedMs) * SHARE);
    this.#countedMs = Math.max(this.#countedMs, nowMs);
    return this.#creditMs;
  }
}
