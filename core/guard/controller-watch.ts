// Whether the controller makes progress (SAFETY a.2, a.6): silent for 5 s it is ended, for its supervisor to start again, and
// the lease is kept; after three such ends, or a minute without progress, nobody can act for the groups any more and they
// are stopped. One that would run and gets no processor is not ended: the next one would get none either, and a plugin that was
// just running would be blamed. A decision only: who kills and who stops is told by the answer.
import type { ProcessorTime } from '../system/processor-time.js';

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
/** Silent for so long, it is looked at what it has been waiting for since. */
const LOOK_CLOSER_MS = 2_000;

export class ControllerWatch {
  #controller: ControllerIdentity | null = null;
  #progressMs: number;
  #steadySinceMs: number | null = null;
  #endedMs: number | null = null;
  #ends = 0;
  #leaveUntilMs = Number.NEGATIVE_INFINITY;
  /** What it had when it was first looked at closer in the present silence. */
  #closer: (ProcessorTime & { readonly atMs: number }) | null = null;
  readonly #processorTime: (controller: ControllerIdentity) => ProcessorTime | null;

  /** `processorTime` answers null where nobody knows. */
  constructor(nowMs: number, processorTime: (controller: ControllerIdentity) => ProcessorTime | null = () => null) {
    this.#progressMs = nowMs;
    this.#processorTime = processorTime;
  }

  hello(controller: ControllerIdentity, nowMs: number): void {
    this.#controller = controller;
    // A new one has its full time to begin; the budget is not renewed by being born.
    this.#endedMs = nowMs;
    this.#closer = null;
  }

  gone(): void {
    this.#controller = null;
  }

  progress(nowMs: number): void {
    if (nowMs - this.#progressMs > HUNG_MS || this.#steadySinceMs === null) this.#steadySinceMs = nowMs;
    if (nowMs - this.#steadySinceMs >= FORGIVE_MS) this.#ends = 0;
    this.#progressMs = nowMs;
    this.#leaveUntilMs = Number.NEGATIVE_INFINITY;
    this.#closer = null;
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
    if (silentMs < LOOK_CLOSER_MS) return { kind: 'fine' };
    const starvedMs = this.#starvedMs(nowMs);
    if (silentMs <= HUNG_MS) return { kind: 'fine' };
    this.#steadySinceMs = null;
    if (silentMs >= GIVE_UP_MS)
      return { kind: 'give-up', because: `the controller has made no progress for ${Math.round(silentMs / 1000)} s` };
    if (this.#controller === null) return { kind: 'fine' };
    if (nowMs - Math.max(fromMs, this.#endedMs ?? fromMs) - starvedMs <= HUNG_MS) return { kind: 'fine' };
    if (this.#ends >= MAX_ENDS)
      return { kind: 'give-up', because: `the controller was ended ${MAX_ENDS} times because it made no progress` };
    const controller = this.#controller;
    this.#controller = null;
    this.#endedMs = nowMs;
    this.#ends += 1;
    return { kind: 'hung', controller, silentMs };
  }

  /** How long it has waited for a processor since it was first looked at closer. */
  #starvedMs(nowMs: number): number {
    const had = this.#controller === null ? null : this.#processorTime(this.#controller);
    if (had === null) return 0;
    const from = (this.#closer ??= { ...had, atMs: nowMs });
    const waitedMs = had.waitedMs - from.waitedMs;
    // The kernel adds a wait when it is over. Who could run now and did not, has been waiting all the time.
    return had.runnable ? Math.max(waitedMs, nowMs - from.atMs - (had.ranMs - from.ranMs)) : waitedMs;
  }
}
