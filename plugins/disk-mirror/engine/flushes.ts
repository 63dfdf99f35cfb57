// FLUSH, FUA and the flushes of our own. Those that come while one runs share the next (group commit). In sync both copies flush
// before the answer, in async the peer gets a barrier and this copy answers; while the peer does not count, this copy alone does.
// A flush of both cleans the bits of its round (W3).
import type { Core } from './core.js';
import type { Request } from './request.js';
import type { Round } from './rounds.js';

interface OpenFlush {
  readonly round: Round;
  readonly seq: number;
  readonly waiters: readonly Request[];
  readonly whenBoth: (() => void) | null;
  here: boolean;
  there: boolean;
  answered: boolean;
}

/** Async: barriers that may be under way; then the application's flushes wait. */
const MOST_OPEN = 64;
const NOBODY: readonly Request[] = [];

export class Flushes {
  readonly #core: Core;
  #waiting: Request[] = [];
  #open: OpenFlush[] = [];
  /** An application's flush is at the disk here: the next ones share. */
  #busy = 0;
  #lastMs = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** A flush, or a write that must be durable before its answer. */
  add(request: Request): void {
    if (this.#core.stopped) return this.#core.answers.give(request);
    this.#waiting.push(request);
    return this.pump();
  }

  pump(): void {
    const { standing, stopped } = this.#core;
    if (this.#waiting.length === 0 || this.#busy > 0 || stopped) return;
    if (standing.blocks()) return standing.waiting();
    if (standing.counted && this.#open.length >= MOST_OPEN) return;
    const waiters = this.#waiting;
    this.#waiting = [];
    this.#busy += 1;
    for (const request of waiters) this.#core.writes.count(request);
    if (standing.counted) this.#both(waiters, null, true);
    else this.#here(waiters, true);
  }

  /** Both copies flush; `then` when they have. Lost with the connection. */
  both(then: () => void): void {
    this.#both(NOBODY, then, false);
  }

  /** This copy flushes. */
  here(then: (error: Error | null) => void): void {
    this.#core.ports.data.flush((error) => {
      if (error !== null) this.#core.fail(`the disk cannot flush: ${error.message}`);
      then(error);
    });
  }

  /** The peer has flushed everything up to `seq`. */
  flushed(seq: number): void {
    for (const open of this.#open) {
      if (open.seq > seq) break;
      open.there = true;
      this.#settle(open);
    }
    this.#open = this.#open.filter(({ here, there }) => !(here && there));
    this.pump();
  }

  /** The peer is gone: who waits for it waits for what comes of it. */
  lose(): void {
    const open = this.#open;
    this.#open = [];
    this.#core.rounds.forget();
    this.#waiting = [...open.flatMap(({ waiters, answered }) => (answered ? [] : waiters)), ...this.#waiting];
  }

  /** Bits of what nobody flushes are to be cleaned too. */
  tick(): void {
    const { stream, rounds, nowMs, options, stopped } = this.#core;
    if (stopped || !stream.open || rounds.pending === 0) return;
    if (nowMs - this.#lastMs >= options.flushEveryMs && this.#open.length < MOST_OPEN) this.#both(NOBODY, null, false);
  }

  endAll(error: 'EIO' | 'ESHUTDOWN'): void {
    const waiting = [...this.#open.flatMap(({ waiters, answered }) => (answered ? [] : waiters)), ...this.#waiting];
    this.#waiting = [];
    for (const open of this.#open) open.answered = true;
    for (const request of waiting) {
      request.finish(error);
      this.#core.writes.recycle(request);
    }
  }

  #both(waiters: readonly Request[], then: (() => void) | null, busy: boolean): void {
    this.#lastMs = this.#core.nowMs;
    const round = this.#core.rounds.close();
    const open: OpenFlush = { round, seq: this.#core.stream.flush(), waiters, whenBoth: then, here: false, there: false, answered: false };
    this.#open.push(open);
    this.here((error) => {
      if (busy) this.#busy -= 1;
      open.here = error === null;
      if (open.here && this.#open.includes(open)) {
        this.#settle(open);
        if (open.there) this.#open = this.#open.filter((one) => one !== open);
      }
      this.pump();
    });
  }

  #here(waiters: readonly Request[], busy: boolean): void {
    this.here(() => {
      if (busy) this.#busy -= 1;
      // After an error too: there is nothing left to say but that.
      for (const request of waiters) this.#core.answers.give(request);
      this.pump();
    });
  }

  #settle(open: OpenFlush): void {
    const { here, there } = open;
    if (!here) return;
    if (!open.answered && (there || this.#core.options.mode === 'async')) {
      open.answered = true;
      for (const request of open.waiters) {
        request.peerHas ||= there;
        this.#core.answers.give(request);
      }
    }
    if (!there) return;
    this.#core.rounds.clean(open.round);
    open.whenBoth?.();
  }
}
