// When a connection counts as dead, and how long to wait before the next try. Pure: moments and chance come in.

/** Silence counts only while this process listened: a pause of its own is taken out (SAFETY a.3). */
export class Silence {
  readonly #deadMs: number;
  readonly #tickMs: number;
  #heardMs: number;
  #tickedMs: number;

  constructor(deadMs: number, tickMs: number, nowMs: number) {
    this.#deadMs = deadMs;
    this.#tickMs = tickMs;
    this.#heardMs = nowMs;
    this.#tickedMs = nowMs;
  }

  heard(nowMs: number): void {
    this.#heardMs = Math.max(this.#heardMs, nowMs);
  }

  get heardMs(): number {
    return this.#heardMs;
  }

  /** Called every `tickMs`; true = dead. Timers run before sockets are read, so what a pause delayed is still unread here. */
  tick(nowMs: number): boolean {
    const sinceMs = nowMs - this.#tickedMs;
    this.#tickedMs = nowMs;
    if (sinceMs > 2 * this.#tickMs) this.#heardMs = Math.min(nowMs, this.#heardMs + sinceMs - this.#tickMs);
    return nowMs - this.#heardMs > this.#deadMs;
  }
}

/** Doubles from `minMs` to `maxMs`; each wait is between half of it and all of it. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #chance: () => number;
  #nextMs: number;

  constructor(minMs: number, maxMs: number, chance: () => number) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#chance = chance;
    this.#nextMs = minMs;
  }

  next(): number {
    const waitMs = this.#nextMs * (0.5 + 0.5 * this.#chance());
    this.#nextMs = Math.min(this.#maxMs, this.#nextMs * 2);
    return waitMs;
  }

  /** The last connection was a good one. */
  reset(): void {
    this.#nextMs = this.#minMs;
  }
}
