// How fast a resync may go: between a least rate, which it always has (so that it ends), and a greatest, led by what it costs the
// application. The latency of its requests is had without a clock from how many are under way and how many end (Little's law).

/** What may be asked at once however slow the ticks come. */
const BURST_MS = 200;
const FASTER = 1.15;
const SLOWER = 0.7;

export interface RateLimits {
  readonly minBytesPerSecond: number;
  readonly maxBytesPerSecond: number;
  readonly targetLatencyMs: number;
}

export class Rate {
  readonly #limits: RateLimits;
  #bytesPerSecond: number;
  #tokens = 0;
  #lastMs: number | null = null;
  #samples = 0;
  #underWay = 0;
  #ended = 0;

  constructor(limits: RateLimits) {
    this.#limits = limits;
    this.#bytesPerSecond = Math.max(limits.minBytesPerSecond, limits.maxBytesPerSecond / 4);
    this.#tokens = (this.#bytesPerSecond * BURST_MS) / 1_000;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** So many requests of the application are under way now, and so many have ended altogether. */
  sample(underWay: number): void {
    this.#samples += 1;
    this.#underWay += underWay;
  }

  /** `ended`: requests of the application since the last tick. */
  tick(nowMs: number, ended: number): void {
    this.#ended = ended;
    const elapsedMs = this.#lastMs === null ? 0 : nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (elapsedMs <= 0) return;
    this.#steer(elapsedMs);
    const most = (this.#bytesPerSecond * BURST_MS) / 1_000;
    this.#tokens = Math.min(Math.max(most, 1), this.#tokens + (this.#bytesPerSecond * elapsedMs) / 1_000);
  }

  /** May begin a read of so many bytes: what it takes too much is owed. */
  take(bytes: number): boolean {
    if (this.#tokens <= 0) return false;
    this.#tokens -= bytes;
    return true;
  }

  #steer(elapsedMs: number): void {
    const { minBytesPerSecond, maxBytesPerSecond, targetLatencyMs } = this.#limits;
    const underWay = this.#samples === 0 ? 0 : this.#underWay / this.#samples;
    const latencyMs = underWay === 0 ? 0 : this.#ended === 0 ? Number.POSITIVE_INFINITY : (underWay * elapsedMs) / this.#ended;
    this.#samples = 0;
    this.#underWay = 0;
    const wanted = this.#bytesPerSecond * (latencyMs > targetLatencyMs ? SLOWER : FASTER);
    this.#bytesPerSecond = Math.min(maxBytesPerSecond, Math.max(minBytesPerSecond, wanted));
  }
}
