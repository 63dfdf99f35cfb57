// Virtual time for everything in one process: the queue of what is to happen, the loop that lets it happen one after the
// other, the trace, and what went wrong. Invariants: nothing but the loop moves time; between two events every promise is
// settled as far as it can be; the same seed gives the same trace, event by event.
import { EventQueue, type Scheduled } from './event-queue.js';
import { Chance } from './chance.js';
import { type Forbidden, forbidRealTime } from './forbidden-time.js';
import { Trace } from './trace.js';

/** Something that must never happen has happened. */
export interface Violation {
  readonly atMs: number;
  /** `I-1` … `I-10`, `liveness`, `determinism`, `crash`. */
  readonly invariant: string;
  readonly sentence: string;
}

/** Immediates of one batch: Node settles all promises between two of them, and goes round its own loop only once a batch. */
const BATCH = 512;
const MAX_VIOLATIONS = 20;
/** Far more than a pause of a minute lets wait for one process. */
const MAX_AT_ONCE = 100_000;

export class World {
  readonly seed: number;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly violations: Violation[] = [];
  /** How often each thing of interest happened, for coverage and figures. */
  readonly marks = new Map<string, number>();
  events = 0;
  readonly #queue = new EventQueue();
  #nowMs = 0;
  #endMs = 0;
  #atOnce = 0;
  #pids = 100;

  constructor(seed: number, options: { readonly traceLines?: number } = {}) {
    this.seed = seed;
    this.chance = new Chance(seed).stream('world');
    this.trace = new Trace(options.traceLines ?? 400);
  }

  /** True time. No simulated node can read it. */
  get nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, run: () => void): Scheduled {
    return this.#queue.add(Math.max(atMs, this.#nowMs), run);
  }

  after(afterMs: number, run: () => void): Scheduled {
    return this.#queue.add(this.#nowMs + Math.max(0, afterMs), run);
  }

  /** Unlike any other of this world. */
  newPid(): number {
    return (this.#pids += 1);
  }

  mark(what: string): void {
    this.marks.set(what, (this.marks.get(what) ?? 0) + 1);
  }

  /** A line of the story, and a part of what must be the same when the seed is run again. */
  say(who: string, what: string, because = ''): void {
    this.trace.add(this.#nowMs, who, what, because);
  }

  /** While it runs: it ends then, if not earlier. */
  endBy(atMs: number): void {
    this.#endMs = Math.min(this.#endMs, atMs);
  }

  violate(invariant: string, sentence: string): void {
    if (this.violations.length >= MAX_VIOLATIONS) return;
    this.violations.push({ atMs: this.#nowMs, invariant, sentence });
    this.say('VIOLATION', invariant, sentence);
    // Everything after it may be its consequence.
    this.#endMs = Math.min(this.#endMs, this.#nowMs);
  }

  /**
   * Lets everything happen until `endMs`, or until the first violation. One event is one `setImmediate` callback: Node
   * settles every promise before the next, completely, and a batch of them costs 0.3 µs each (measured: a round trip of
   * the loop for each costs 1.3 µs, a fixed number of awaits 0.6 µs and is complete only by luck).
   */
  run(endMs: number): Promise<void> {
    this.#endMs = endMs;
    const forbidden = forbidRealTime((what) => this.violate('determinism', `${what} was touched by simulated code`));
    const crash = (error: unknown) => this.violate('crash', error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.on('unhandledRejection', crash);
    return new Promise<void>((resolve) => this.#batch(forbidden, resolve)).finally(() => {
      forbidden.end();
      process.off('unhandledRejection', crash);
    });
  }

  #batch(forbidden: Forbidden, ended: () => void): void {
    let over = false;
    const step = () => {
      if (over) return;
      over = !this.#step(forbidden);
    };
    for (let index = 0; index < BATCH; index += 1) forbidden.setImmediate(step);
    forbidden.setImmediate(() => {
      forbidden.inside = false;
      if (over) ended();
      else this.#batch(forbidden, ended);
    });
  }

  #step(forbidden: Forbidden): boolean {
    const next = this.#queue.next();
    if (next === undefined || next.atMs > this.#endMs) {
      forbidden.inside = false;
      this.#nowMs = Math.max(this.#nowMs, Math.min(this.#endMs, next?.atMs ?? this.#endMs));
      return false;
    }
    this.#atOnce = next.atMs === this.#nowMs ? this.#atOnce + 1 : 0;
    if (this.#atOnce > MAX_AT_ONCE) this.violate('liveness', `${MAX_AT_ONCE} events at one moment: something goes in a circle`);
    this.#nowMs = next.atMs;
    this.events += 1;
    this.trace.count(next.atMs, next.order);
    forbidden.inside = true;
    try {
      next.run();
    } catch (error) {
      this.violate('crash', error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    return true;
  }
}
