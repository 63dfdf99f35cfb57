// Whether the controller makes progress (SAFETY a.2, a.6): silent for 5 s it is ended, for its supervisor to start again, and
// the lease is kept; after three such ends, or a minute without progress, nobody can act for the groups any more and they
// are stopped. A decision only: who kills and who stops is told by the answer.

export interface ControllerIdentity {
  readonly pid: number;
  readonly startTime: string;
}

export type ControllerVerdict =
  | { readonly kind: 'fine' }
  /** End exactly this process. */
  | { readonly kind: 'hung'; readonly controller: ControllerIdentity; readonly silentMs: number }
  | { readonly kind: 'give-up'; readonly because: string };

const HUNG_MS = 5_000;
const MAX_ENDS = 3;
const GIVE_UP_MS = 60_000;
/** Progress for so long makes the earlier ends forgotten. */
const FORGIVE_MS = 60_000;
const MAX_LEAVE_MS = 600_000;

export class ControllerWatch {
  #controller: ControllerIdentity | null = null;
  #progressMs: number;
  #steadySinceMs: number | null = null;
  #endedMs: number | null = null;
  #ends = 0;
  #leaveUntilMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: number) {
    this.#progressMs = nowMs;
  }

  hello(controller: ControllerIdentity, nowMs: number): void {
    this.#controller = controller;
    // A new one has its full time to begin; the budget is not renewed by being born.
    this.#endedMs = nowMs;
  }

  gone(): void {
    this.#controller = null;
  }

  progress(nowMs: number): void {
    if (nowMs - this.#progressMs > HUNG_MS || this.#steadySinceMs === null) this.#steadySinceMs = nowMs;
    if (nowMs - this.#steadySinceMs >= FORGIVE_MS) this.#ends = 0;
    this.#progressMs = nowMs;
    this.#leaveUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** It leaves on purpose: for so long, and at most ten minutes, its absence does not count. Returns for how long. */
  leave(forMs: number, nowMs: number): number {
    const leftForMs = Math.min(Math.max(0, forMs), MAX_LEAVE_MS);
    this.#leaveUntilMs = nowMs + leftForMs;
    return leftForMs;
  }

  /** This process itself was paused: silence counts only while it listened. */
  paused(gapMs: number): void {
    this.#progressMs += gapMs;
    if (this.#endedMs !== null) this.#endedMs += gapMs;
  }

  leaving(nowMs: number): boolean {
    return nowMs < this.#leaveUntilMs;
  }

  look(nowMs: number): ControllerVerdict {
    const fromMs = Math.max(this.#progressMs, this.#leaveUntilMs);
    const silentMs = nowMs - fromMs;
    if (silentMs <= HUNG_MS) return { kind: 'fine' };
    this.#steadySinceMs = null;
    if (silentMs >= GIVE_UP_MS)
      return { kind: 'give-up', because: `the controller has made no progress for ${Math.round(silentMs / 1000)} s` };
    if (this.#controller === null || nowMs - Math.max(fromMs, this.#endedMs ?? fromMs) <= HUNG_MS) return { kind: 'fine' };
    if (this.#ends >= MAX_ENDS)
      return { kind: 'give-up', because: `the controller was ended ${MAX_ENDS} times because it made no progress` };
    const controller = this.#controller;
    this.#controller = null;
    this.#endedMs = nowMs;
    this.#ends += 1;
    return { kind: 'hung', controller, silentMs };
  }
}
