// The clock of the lease: CLOCK_BOOTTIME as far as Node can have it (SAFETY a.3). Monotonic time plus every sleep of the host
// since this guard started; a pause of this process alone is seen as a gap between two ticks.
import type { Clock } from '../system/clock.js';

/** Boot time that runs ahead of monotonic time by more than this is a sleep; /proc/uptime has steps of 10 ms. */
const SLEPT_MS = 50;
/** Looked for at most so often: a look costs 5 µs. */
const LOOK_MS = 10;

/** How long the host slept between two looks at CLOCK_BOOTTIME − CLOCK_MONOTONIC: all of it, or nothing for what may be rounding. */
export const sleptBetween = (beforeMs: number, nowMs: number): number => (nowMs - beforeMs > SLEPT_MS ? nowMs - beforeMs : 0);

export class LeaseClock {
  readonly #clock: Clock;
  readonly #bootOffset: () => number;
  #baseMs: number;
  #sleptMs = 0;
  #toldMs = 0;
  /** The last sleep: when it was found, by CLOCK_MONOTONIC, and all that was slept before it. */
  #lastSleep = { foundMs: Number.NEGATIVE_INFINITY, beforeMs: 0 };
  #lookedMs: number;

  /** `bootOffset`: CLOCK_BOOTTIME − CLOCK_MONOTONIC of this host, milliseconds (core/system/boot). */
  constructor(clock: Clock, bootOffset: () => number) {
    this.#clock = clock;
    this.#bootOffset = bootOffset;
    this.#baseMs = bootOffset();
    this.#lookedMs = clock.nowMs();
  }

  /** Also the first event after a sleep is handled with the sleep counted: it may be the answer to a renewal. */
  nowMs(): number {
    const monoMs = this.#clock.nowMs();
    if (monoMs - this.#lookedMs >= LOOK_MS) this.#look(monoMs);
    return monoMs + this.#sleptMs;
  }

  /**
   * The time of an event: what it shows is seen now, and counts from now. A sleep that ended just before is counted before it,
   * however short ago the last look was; found later, it would make what was just seen as old as the sleep was long.
   */
  eventMs(): number {
    const monoMs = this.#clock.nowMs();
    this.#look(monoMs);
    return monoMs + this.#sleptMs;
  }

  /** A moment of CLOCK_MONOTONIC on this clock, and back. */
  fromMonoMs = (monoMs: number): number => monoMs + this.#sleptMs;
  toMonoMs = (leaseMs: number): number => leaseMs - this.#sleptMs;

  /** When something was said that is read now: what was said before a sleep is older by all of it. */
  saidMs(monoMs: number): number {
    this.#look(this.#clock.nowMs());
    return monoMs + (monoMs < this.#lastSleep.foundMs ? this.#lastSleep.beforeMs : this.#sleptMs);
  }

  /** CLOCK_BOOTTIME − CLOCK_MONOTONIC as last looked at. */
  get bootOffsetMs(): number {
    return this.#baseMs;
  }

  /** Looks for a sleep; all that was found since it was last asked, else 0. Every deadline must be checked again after one. */
  look(): number {
    this.#look(this.#clock.nowMs());
    const gapMs = this.#sleptMs - this.#toldMs;
    this.#toldMs = this.#sleptMs;
    return gapMs;
  }

  #look(monoMs: number): void {
    this.#lookedMs = monoMs;
    const offsetMs = this.#bootOffset();
    const gapMs = sleptBetween(this.#baseMs, offsetMs);
    if (gapMs === 0) return;
    this.#baseMs = offsetMs;
    this.#lastSleep = { foundMs: monoMs, beforeMs: this.#sleptMs };
    this.#sleptMs += gapMs;
  }
}
