// Whether this node is fit to take a group: each unfitness is a sentence, and any sentence keeps its guard from acquiring.
// Core knows the loop and the disk; everything else (the cloud's instance state, a gateway) comes from plugins.
import { inject, injectable } from 'tsyringe';
import { Clock, type Timer } from '../system/clock.js';

const TICK_MS = 250;
/** SAFETY a.7: event-loop lag below this, or no takeover. */
const MAX_LAG_MS = 500;
/** A lag is held against the node for so long: it must be seen by the cycle that follows, and may not cost a takeover seconds. */
const REMEMBER_MS = 1000;

/** One more reason, while it lasts; null when fit. */
export type HealthCheck = () => string | null;

@injectable()
export class Health {
  private timer: Timer | null = null;
  private lastTickMs = 0;
  private worst: { lagMs: number; atMs: number } = { lagMs: 0, atMs: Number.NEGATIVE_INFINITY };
  private readonly checks = new Set<HealthCheck>();

  constructor(@inject(Clock) private readonly clock: Clock) {}

  start(): void {
    this.lastTickMs = this.clock.nowMs();
    this.timer = this.clock.every(TICK_MS, () => this.tick(), { idle: true });
  }

  stop(): void {
    this.timer?.cancel();
  }

  add(check: HealthCheck): void {
    this.checks.add(check);
  }

  /** The worst delay of a timer in the last seconds, milliseconds. */
  get loopLagMs(): number {
    return this.clock.nowMs() - this.worst.atMs <= REMEMBER_MS ? this.worst.lagMs : 0;
  }

  blockers(): readonly string[] {
    const lagMs = this.loopLagMs;
    const lag = lagMs > MAX_LAG_MS ? [`the controller's loop was held for ${Math.round(lagMs)} ms`] : [];
    return [...lag, ...[...this.checks].flatMap((check) => check() ?? [])];
  }

  private tick(): void {
    const nowMs = this.clock.nowMs();
    const lagMs = Math.max(0, nowMs - this.lastTickMs - TICK_MS);
    this.lastTickMs = nowMs;
    if (lagMs >= this.loopLagMs) this.worst = { lagMs, atMs: nowMs };
  }
}
