// How much may be done inside one turn of the event loop, and when inline work must stop: a turn's bytes are bounded, and a
// call that took long after all sends everything to the threads for sixteen times as long, so that waiting is never more
// than one part in sixteen of the time. Pure: moments come in.

/** About half a millisecond of copying on slow memory; a request counts at least MIN_BYTES, for its fixed cost. */
export const TURN_BYTES = 1024 * 1024;
const MIN_BYTES = 4096;
const SLOW_MS = 1;
const PENALTY = 16;
const MAX_PENALTY_MS = 10_000;

export class TurnBudget {
  #left = TURN_BYTES;
  #notBeforeMs = 0;

  /** Whether a request of so many bytes may be done in this turn. One that alone is more than a turn's worth never may. */
  take(bytes: number, nowMs: number): boolean {
    if (nowMs < this.#notBeforeMs || this.#left <= 0 || bytes > TURN_BYTES) return false;
    this.#left -= Math.max(MIN_BYTES, bytes);
    return true;
  }

  /** Whether something was taken since the last `renew`. */
  get used(): boolean {
    return this.#left !== TURN_BYTES;
  }

  /** A new turn. */
  renew(): void {
    this.#left = TURN_BYTES;
  }

  /** Told of every inline call. */
  spent(fromMs: number, toMs: number): void {
    const tookMs = toMs - fromMs;
    if (tookMs > SLOW_MS) this.#notBeforeMs = toMs + Math.min(MAX_PENALTY_MS, tookMs * PENALTY);
  }
}
