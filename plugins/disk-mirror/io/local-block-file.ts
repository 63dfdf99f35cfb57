// The one BlockFile: what can be done at once is done at once within a turn's budget, everything else on threads. Invariants:
// every request answers once and after its call has returned; after the first failed write, zero or flush nothing is written
// any more and every later one answers with that failure (a later fdatasync would call lost bytes durable); a flush covers
// all that was answered before it was asked, because it starts after it was asked.
import assert from 'node:assert';
import { closeSync, fdatasyncSync } from 'node:fs';
import type { Clock } from 'understudy/plugin';
import type { AllocatedRun, BlockFile, Done } from './block-file.js';
import type { Holes } from './holes.js';
import type { InstantCalls } from './instant-calls.js';
import { Lane } from './lane.js';
import type { PoolCalls } from './pool-calls.js';
import { TurnBudget } from './turn-budget.js';

export interface LocalParts {
  readonly fd: number;
  readonly sizeBytes: number;
  readonly instant: InstantCalls;
  readonly pool: PoolCalls;
  readonly holes: Holes;
  /** Requests on threads at once; a flush has one more of its own. */
  readonly lanes: number;
  readonly clock: Clock;
}

export class LocalBlockFile implements BlockFile {
  readonly sizeBytes: number;
  readonly #parts: LocalParts;
  readonly #lane: Lane;
  readonly #budget = new TurnBudget();
  #renewing = false;
  /** What the turn had no room for. */
  readonly #deferred: [bytes: number, step: (atOnce: boolean) => void][] = [];
  #answers: [done: Done, error: Error | null][] = [];
  #failure: Error | null = null;
  #flushing = false;
  #flushWaiters: Done[] = [];
  #busy = 0;
  #closed: (() => void) | null = null;
  #closing: Promise<void> | null = null;

  constructor(parts: LocalParts) {
    this.#parts = parts;
    this.sizeBytes = parts.sizeBytes;
    this.#lane = new Lane(parts.lanes);
  }

  read(into: Uint8Array, offset: number, done: Done): void {
    if (!this.#begin(offset, into.length, done)) return;
    const { instant, pool } = this.#parts;
    this.#inTurn(into.length, (atOnce) => {
      const had = atOnce ? this.#timed(() => instant.read(into, offset)) : 0;
      if (had === into.length) return this.#later(done, null);
      const rest = had > 0 ? into.subarray(had) : into;
      this.#lane.run((finished) =>
        pool.read(rest, offset + had, (error) => {
          finished();
          this.#answer(done, error);
        }),
      );
    });
  }

  write(bytes: Uint8Array, offset: number, done: Done): void {
    if (!this.#begin(offset, bytes.length, done)) return;
    const { instant, pool } = this.#parts;
    this.#inTurn(bytes.length, (atOnce) => {
      if (this.#refuse(done)) return;
      const taken = atOnce ? this.#timed(() => instant.write(bytes, offset)) : 0;
      if (typeof taken !== 'number') return this.#later(done, this.#fail(taken));
      if (taken === bytes.length) return this.#later(done, null);
      this.#change((finished) => pool.write(taken > 0 ? bytes.subarray(taken) : bytes, offset + taken, finished), done);
    });
  }

  zero(offset: number, length: number, mayPunch: boolean, done: Done): void {
    if (!this.#begin(offset, length, done) || this.#refuse(done)) return;
    const { holes, pool } = this.#parts;
    this.#change((finished) => holes.zero(offset, length, mayPunch, pool, finished), done);
  }

  trim(offset: number, length: number, done: Done): void {
    if (!this.#begin(offset, length, done) || this.#refuse(done)) return;
    this.#change((finished) => this.#parts.holes.trim(offset, length, finished), done);
  }

  flush(done: Done): void {
    if (!this.#begin(0, 0, done) || this.#refuse(done)) return;
    if (this.#parts.instant.kind === 'memory') return this.#flushMemory(done);
    this.#flushWaiters.push(done);
    if (!this.#flushing) this.#flushNow();
  }

  allocated(offset: number, length: number): Promise<readonly AllocatedRun[]> {
    return new Promise((resolve, reject) => {
      let runs: readonly AllocatedRun[] = [];
      if (!this.#begin(offset, length, (error) => (error === null ? resolve(runs) : reject(error)))) return;
      this.#parts.holes.allocated(offset, length).then(
        (found) => {
          runs = found;
          this.#answer(() => resolve(runs), null);
        },
        (error: unknown) => this.#answer(() => reject(error), null),
      );
    });
  }

  close(): Promise<void> {
    this.#closing ??= new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#endIfIdle();
    });
    return this.#closing;
  }

  /** Counts the request in; false when it was answered with what is wrong about it. */
  #begin(offset: number, length: number, done: Done): boolean {
    assert(this.#closing === null, 'a closed file was asked');
    this.#busy += 1;
    const inside = Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= this.sizeBytes;
    if (inside) return true;
    this.#later(done, new RangeError(`${length} bytes at ${offset} are not inside the ${this.sizeBytes} bytes of the volume`));
    return false;
  }

  #refuse(done: Done): boolean {
    if (this.#failure === null) return false;
    this.#later(done, this.#failure);
    return true;
  }

  /** Runs the step in this turn, in one of the next ones, or, with `atOnce` false, for a thread to do the work. */
  #inTurn(bytes: number, step: (atOnce: boolean) => void): void {
    const { instant, clock } = this.#parts;
    if (instant.kind === 'none') return step(false);
    // Behind those that wait already: nobody is overtaken for ever.
    const verdict = this.#deferred.length > 0 ? 'later' : this.#budget.take(bytes, clock.nowMs());
    if (this.#budget.low) this.#renewSoon();
    if (verdict === 'later') this.#deferred.push([bytes, step]);
    else step(verdict === 'now');
  }

  #nextTurn(): void {
    const { clock } = this.#parts;
    this.#renewing = false;
    this.#budget.renew();
    let at = 0;
    for (; at < this.#deferred.length; at += 1) {
      const [bytes, step] = this.#deferred[at] as [number, (atOnce: boolean) => void];
      const verdict = this.#budget.take(bytes, clock.nowMs());
      if (verdict === 'later') break;
      step(verdict === 'now');
    }
    this.#deferred.splice(0, at);
    if (this.#deferred.length > 0 || this.#budget.low) this.#renewSoon();
  }

  #renewSoon(): void {
    if (this.#renewing) return;
    this.#renewing = true;
    this.#parts.clock.soon(() => this.#nextTurn());
  }

  #timed<T>(call: () => T): T {
    const { clock } = this.#parts;
    const fromMs = clock.nowMs();
    const result = call();
    this.#budget.spent(fromMs, clock.nowMs());
    return result;
  }

  /** One step that changes the file, on a thread, unless it has failed while this waited. */
  #change(step: (finished: Done) => void, done: Done): void {
    this.#lane.run((finished) => {
      const end: Done = (error) => {
        const answer = error === null ? null : this.#fail(error);
        finished(); // Only now: the next in the lane must know of the failure.
        this.#answer(done, answer);
      };
      if (this.#failure === null) step(end);
      else this.#parts.clock.soon(() => end(this.#failure));
    });
  }

  /** Nothing is made durable there; the call still tells of an error. */
  #flushMemory(done: Done): void {
    try {
      fdatasyncSync(this.#parts.fd);
      this.#later(done, null);
    } catch (error) {
      this.#later(done, this.#fail(error as Error));
    }
  }

  #flushNow(): void {
    const waiters = this.#flushWaiters;
    this.#flushWaiters = [];
    this.#flushing = true;
    this.#parts.pool.flush((error) => {
      // Whoever asked meanwhile waits for the next: this one may have begun before their bytes were there.
      const failure = error === null ? this.#failure : this.#fail(error);
      this.#flushing = false;
      if (this.#flushWaiters.length > 0) this.#flushNow();
      for (const done of waiters) this.#answer(done, failure);
    });
  }

  #fail(error: Error): Error {
    this.#failure ??= error;
    return error;
  }

  /** Answers when the call that asked has returned. */
  #later(done: Done, error: Error | null): void {
    this.#answers.push([done, error]);
    if (this.#answers.length === 1) process.nextTick(() => this.#drain());
  }

  #drain(): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const [done, error] of answers) this.#answer(done, error);
  }

  #answer(done: Done, error: Error | null): void {
    this.#busy -= 1;
    try {
      done(error);
    } finally {
      this.#endIfIdle();
    }
  }

  #endIfIdle(): void {
    if (this.#closed === null || this.#busy > 0) return;
    const closed = this.#closed;
    this.#closed = null;
    this.#parts.pool.close();
    closeSync(this.#parts.fd);
    closed();
  }
}
