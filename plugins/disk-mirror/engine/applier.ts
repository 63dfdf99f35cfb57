// The secondary's hand: carries out what the primary sent. Overlapping ranges in the order of the link, others side by side (W4);
// a flush covers everything before it, and in async nothing after it begins before it is durable (barrier). What has arrived is
// carried out even when the connection is gone, but nobody is told any more.
import type { Frame } from '../link/frames.js';
import type { Core } from './core.js';
import { type Interval, IntervalLocks } from './interval-locks.js';

type Work = Extract<Frame, { t: 'write' | 'zero' | 'trim' | 'sync-data' | 'sync-zero' | 'hash' }>;

class Task implements Interval {
  begin = 0;
  end = 0;
  slot = -1;
  readonly work: Work;
  /** Whose answer it is. */
  readonly session: number;
  readonly onLocal: (error: Error | null) => void;
  buffer: Uint8Array | null = null;

  constructor(work: Work, session: number, done: (task: Task, error: Error | null) => void) {
    this.work = work;
    this.session = session;
    this.onLocal = (error) => done(this, error);
    this.begin = work.offset;
    this.end = work.offset + ('bytes' in work ? work.bytes.length : work.length);
  }
}

/** The work with bytes that last. */
const kept = <W extends Work & { readonly bytes: Uint8Array }>(work: W, bytes: Uint8Array): W =>
  bytes === work.bytes ? work : { ...work, bytes };

interface Barrier {
  readonly seq: number;
  readonly session: number;
}

export class Applier {
  readonly #core: Core;
  readonly #locks = new IntervalLocks<Task>((task) => this.#carryOut(task));
  #session = 0;
  /** Begun or waiting for its turn. */
  #tasks = 0;
  /** Behind a barrier. */
  #behind: (Task | Barrier)[] = [];
  #barriers: Barrier[] = [];
  #flushing = false;
  /** Everything up to here is applied; what is done beyond it. */
  #applied = 0;
  readonly #beyond = new Set<number>();
  readonly #whenIdle: (() => void)[] = [];
  readonly #onLocal = (task: Task, error: Error | null): void => this.#done(task, error);
  /** Something was applied since the last barrier, first at this time. */
  #unflushedSinceMs: number | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  get idle(): boolean {
    return this.#tasks === 0 && this.#behind.length === 0 && this.#barriers.length === 0 && !this.#flushing;
  }

  /** How long there had been something that no barrier covers, when the primary was heard last. */
  unflushedAtLossMs = 0;

  /** How long there has been something that no barrier covers. */
  get unflushedMs(): number {
    return this.#unflushedSinceMs === null ? 0 : this.#core.nowMs - this.#unflushedSinceMs;
  }

  /** What comes from now on is of a new session; `idle` must be true. */
  begin(): void {
    this.#session += 1;
    this.#applied = 0;
    this.#beyond.clear();
  }

  /** The session is over: nobody is answered any more. */
  lose(): void {
    this.unflushedAtLossMs = this.unflushedMs;
    this.#session += 1;
  }

  /** Both copies are one, durably. */
  even(): void {
    this.#unflushedSinceMs = null;
    this.unflushedAtLossMs = 0;
  }

  whenIdle(then: () => void): void {
    if (this.idle) then();
    else this.#whenIdle.push(then);
  }

  take(work: Work): void {
    const { ports, options } = this.#core;
    if (work.t === 'write' && options.mode === 'semi-sync') this.#say({ t: 'received', epoch: work.epoch, seq: work.seq }, this.#session);
    const task = new Task('bytes' in work ? kept(work, ports.keep(work.bytes)) : work, this.#session, this.#onLocal);
    if (work.t !== 'hash') this.#unflushedSinceMs ??= this.#core.nowMs;
    if (this.#held) this.#behind.push(task);
    else this.#begin(task);
  }

  flush(seq: number): void {
    const barrier = { seq, session: this.#session };
    if (this.#held) {
      this.#behind.push(barrier);
      return;
    }
    this.#barriers.push(barrier);
    this.#mark(seq, barrier.session);
    this.#flushWhatIsDue();
  }

  /** Async: nothing after a barrier begins before it is durable. */
  get #held(): boolean {
    return this.#core.options.mode === 'async' && (this.#barriers.length > 0 || this.#behind.length > 0);
  }

  #begin(task: Task): void {
    this.#tasks += 1;
    if (this.#locks.acquire(task)) this.#carryOut(task);
  }

  #carryOut(task: Task): void {
    const { data } = this.#core.ports;
    const { work } = task;
    if (this.#core.failed !== null) return this.#leave(task);
    switch (work.t) {
      case 'write':
      case 'sync-data':
        return data.write(work.bytes, work.offset, task.onLocal);
      case 'zero':
        return data.zero(work.offset, work.length, work.mayPunch, task.onLocal);
      case 'sync-zero':
        return data.zero(work.offset, work.length, true, task.onLocal);
      case 'trim':
        return data.trim(work.offset, work.length, task.onLocal);
      case 'hash':
        task.buffer = new Uint8Array(work.length);
        return data.read(task.buffer, work.offset, task.onLocal);
    }
  }

  #done(task: Task, error: Error | null): void {
    const { work, session } = task;
    if (error !== null) {
      this.#core.fail(`the disk cannot ${work.t} at ${work.offset}: ${error.message}`);
      return this.#leave(task);
    }
    switch (work.t) {
      case 'hash':
        return this.#compare(task, work);
      case 'sync-data':
      case 'sync-zero':
        if (session === this.#session) this.#core.target.received(task.begin, task.end);
        this.#say({ t: 'sync-done', epoch: work.epoch, id: work.id }, session);
        break;
      case 'write':
      case 'zero':
      case 'trim':
        this.#mark(work.seq, session);
        if (session === this.#session) this.#say({ t: 'applied', epoch: work.epoch, seq: this.#applied }, session);
    }
    if ('bytes' in work) this.#core.ports.recycle(work.bytes);
    this.#leave(task);
  }

  #compare(task: Task, work: Extract<Work, { t: 'hash' }>): void {
    this.#core.ports.hash(task.buffer!, (hash) => {
      const same = hash.length === work.hash.length && hash.every((byte, at) => byte === work.hash[at]);
      if (same && task.session === this.#session) this.#core.target.received(task.begin, task.end);
      this.#say({ t: 'hash-answer', epoch: work.epoch, id: work.id, same }, task.session);
      this.#leave(task);
    });
  }

  #leave(task: Task): void {
    this.#tasks -= 1;
    this.#locks.release(task);
    this.#flushWhatIsDue();
    this.#look();
  }

  #mark(seq: number, session: number): void {
    if (session !== this.#session) return;
    if (seq === this.#applied + 1) this.#applied = seq;
    else this.#beyond.add(seq);
    if (this.#beyond.size === 0) return;
    while (this.#beyond.delete(this.#applied + 1)) this.#applied += 1;
  }

  /** One flush of the disk for all that are due. What was received for a resync is covered too. */
  #flushWhatIsDue(): void {
    if (this.#flushing || this.#barriers.length === 0) return;
    const live = this.#barriers[0]!.session === this.#session;
    // After the end of a session all that is under way must have ended: its numbers mean nothing any more.
    const due = live ? this.#barriers.filter(({ seq }) => seq <= this.#applied) : this.#tasks === 0 ? this.#barriers : [];
    if (due.length === 0) return;
    this.#flushing = true;
    const { seq, session } = due.at(-1)!;
    const received = this.#core.target.takeReceived();
    this.#core.ports.data.flush((error) => {
      this.#flushing = false;
      this.#barriers = this.#barriers.filter((barrier) => !due.includes(barrier));
      if (error !== null) this.#core.fail(`the disk cannot flush: ${error.message}`);
      else {
        this.#unflushedSinceMs = this.idle ? null : this.#core.nowMs;
        this.#core.target.durable(received);
        this.#say({ t: 'flushed', epoch: this.#core.session.epoch, seq }, session);
      }
      this.#letBehindBegin();
      this.#flushWhatIsDue();
      this.#look();
    });
  }

  #letBehindBegin(): void {
    while (this.#behind.length > 0 && this.#barriers.length === 0) {
      const next = this.#behind.shift()!;
      if (next instanceof Task) this.#begin(next);
      else {
        this.#barriers.push(next);
        this.#mark(next.seq, next.session);
      }
    }
  }

  #say(frame: Frame, session: number): void {
    if (session === this.#session && this.#core.failed === null) this.#core.ports.send(frame);
  }

  #look(): void {
    if (!this.idle) return;
    for (const waiting of this.#whenIdle.splice(0)) waiting();
  }
}
