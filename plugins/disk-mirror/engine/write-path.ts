// The way of a request (SAFETY b.2): its turn among overlapping ones (W4), its bits durable (W1), then the peer and the disk here
// in the order that the mode wants, then the answer, which `answers` gives (W2). Nothing here decides what a lost peer means:
// `standing` does, and parks what must wait.
import type { Core } from './core.js';
import { IntervalLocks } from './interval-locks.js';
import type { RequestDone } from './ports.js';
import { Request, type RequestKind } from './request.js';

/** A zero or trim longer than this is carried out piece by piece, so that none holds the log or the locks for long. */
const PIECE_BYTES = 64 * 1024 * 1024;

export class WritePath {
  readonly #core: Core;
  readonly #locks = new IntervalLocks<Request>((request) => this.#granted(request));
  readonly #free: Request[] = [];
  /** Waits until it is settled whether the peer still counts, in the order in which it came. */
  #parked: Request[] = [];
  #serial = 0;
  #underWay = 0;
  readonly #readsWait: boolean;
  readonly #onLocal = (request: Request, error: Error | null): void => this.#localDone(request, error);

  constructor(core: Core) {
    this.#core = core;
    const { mode, order } = core.options;
    // What a read has seen must not vanish in a failover: it takes its turn with writes that only this copy may have.
    this.#readsWait = mode === 'semi-sync' || (mode === 'sync' && order === 'parallel');
  }

  get serial(): number {
    return this.#serial;
  }

  /** It begins now: what begins later has a greater serial. */
  count(request: Request): void {
    request.serial = this.#serial++;
  }

  /** Requests taken and not yet carried out. */
  get underWay(): number {
    return this.#underWay;
  }

  get parked(): number {
    return this.#parked.length;
  }

  submit(
    kind: RequestKind,
    begin: number,
    end: number,
    bytes: Uint8Array | null,
    flags: { readonly fua: boolean; readonly mayPunch: boolean },
    done: RequestDone,
  ): void {
    const refused = this.#refusal(begin, end);
    if (refused !== null) return done(refused);
    if (bytes === null && end - begin > this.#pieceBytes) return this.#inPieces(kind, begin, end, flags, done);
    const request = this.#take(kind, begin, end, done);
    request.fua = flags.fua;
    request.mayPunch = flags.mayPunch;
    if (bytes !== null) request.bytes = bytes;
    if (kind === 'read' && !this.#readsWait) return this.#carryOut(request);
    if (this.#locks.acquire(request)) this.#granted(request);
  }

  flush(done: RequestDone): void {
    const refused = this.#refusal(0, 1);
    if (refused !== null) return done(refused);
    return this.#core.flushes.add(this.#take('flush', 0, 0, done));
  }

  /** W1 holds. */
  marked(request: Request): void {
    request.marked = true;
    this.#dispatch(request);
  }

  /** The metadata failed before: it was not begun. */
  neverMarked(request: Request): void {
    this.#locks.release(request);
    if (!request.ended) request.finish('EIO');
    this.#recycle(request);
  }

  /** The peer has it. */
  peerHas(request: Request): void {
    request.awaitsPeer = false;
    request.peerHas = true;
    if (this.#core.stopped && request.local !== 'asked') this.#drop(request);
    else if (request.local === 'no') this.#carryOut(request);
    else if (request.local === 'done') this.#complete(request);
  }

  /** The peer is gone before it said so. */
  lostPeer(request: Request): void {
    if (!this.#core.stopped) return this.#park(request);
    request.awaitsPeer = false;
    if (request.local !== 'asked') this.#drop(request);
  }

  /** `standing` has settled what had them wait. */
  resume(): void {
    const parked = this.#parked;
    this.#parked = [];
    for (const request of parked) {
      request.parked = false;
      request.awaitsPeer = false;
      if (request.local === 'done') this.#complete(request);
      else if (request.local === 'no') this.#dispatch(request);
    }
  }

  /** For resync: this range to itself. True = at once. */
  lock(range: Request): boolean {
    return this.#locks.acquire(range);
  }

  unlock(range: Request): void {
    this.#locks.release(range);
  }

  /** A lock of the resync's own. */
  range(granted: (range: Request) => void): Request {
    const range = new Request(() => undefined);
    range.onGranted = granted;
    return range;
  }

  forEachUnderWay(see: (request: Request) => void): void {
    this.#locks.forEachHolder(see);
  }

  /**
   * Every request that waits for its turn, the peer's fate or the lease ends with this error. What a disk is at, or what is on its
   * way to the peer, ends when that has ended: its bytes are still in use.
   */
  endAll(error: 'EIO' | 'ESHUTDOWN'): void {
    const parked = this.#parked;
    this.#parked = [];
    for (const request of this.#locks.dismiss()) {
      if (request.onGranted !== null) continue;
      request.finish(error);
      this.#recycle(request);
    }
    for (const request of parked) {
      request.awaitsPeer = false;
      if (request.local !== 'asked') this.#drop(request);
    }
    this.#core.flushes.endAll(error);
    this.#core.answers.endAll(error);
    this.#core.source.stop();
  }

  /** It was answered, or need not be. */
  recycle(request: Request): void {
    this.#recycle(request);
  }

  #refusal(begin: number, end: number): 'ESHUTDOWN' | 'EIO' | 'EINVAL' | null {
    const core = this.#core;
    if (core.failed !== null) return 'EIO';
    if (!core.serving || core.frozen !== null) return 'ESHUTDOWN';
    return begin >= 0 && end > begin && end <= core.ports.data.sizeBytes ? null : 'EINVAL';
  }

  #take(kind: RequestKind, begin: number, end: number, done: RequestDone): Request {
    const request = this.#free.pop() ?? new Request(this.#onLocal);
    request.reset(kind, begin, end, done);
    this.count(request);
    this.#underWay += 1;
    return request;
  }

  #recycle(request: Request): void {
    this.#underWay -= 1;
    if (this.#free.length < 4096) this.#free.push(request);
    if (this.#underWay === 0) this.#core.promotion.idle();
  }

  #granted(request: Request): void {
    if (request.onGranted !== null) return request.onGranted(request);
    if (request.kind === 'read') return this.#carryOut(request);
    if (this.#core.activity.mark(request)) this.marked(request);
  }

  #dispatch(request: Request): void {
    const core = this.#core;
    if (core.stopped) return this.#drop(request);
    if (core.standing.blocks()) return this.#park(request);
    this.count(request);
    const { mode, order } = core.options;
    if (core.standing.counted) {
      if (mode === 'async') return this.#carryOut(request);
      request.awaitsPeer = true;
      core.stream.write(request);
      if (order === 'parallel') this.#carryOut(request);
      return;
    }
    if (this.#peerTakes(request)) {
      // A target that does not keep up slows the application down: what it has not applied lies in somebody's memory.
      request.awaitsPeer = core.stream.lagBytes > core.options.targetLagBytes;
      core.stream.write(request);
    }
    return this.#carryOut(request);
  }

  /** The peer is there and has these chunks, or some of them: it gets what changes them. */
  #peerTakes({ begin, end }: Request): boolean {
    const { stream, source } = this.#core;
    return stream.open && !source.stale.hasAll(this.#core.chunkOf(begin), this.#core.chunksIn(begin, end));
  }

  #carryOut(request: Request): void {
    const { data } = this.#core.ports;
    request.local = 'asked';
    const { begin, end } = request;
    switch (request.kind) {
      case 'read':
        return data.read(request.bytes, begin, request.onLocal);
      case 'zero':
        return data.zero(begin, end - begin, request.mayPunch, request.onLocal);
      case 'trim':
        return data.trim(begin, end - begin, request.onLocal);
      case 'write':
      case 'flush':
        return data.write(request.bytes, begin, request.onLocal);
    }
  }

  #localDone(request: Request, error: Error | null): void {
    const core = this.#core;
    if (error !== null) core.fail(`the disk cannot ${request.kind} at ${request.begin}: ${error.message}`);
    request.local = 'done';
    if (request.kind === 'read') return this.#readDone(request, error);
    if (core.stopped) return request.awaitsPeer ? undefined : this.#drop(request);
    if (core.options.mode === 'async' && request.session !== core.stream.session && this.#peerTakes(request)) core.stream.write(request);
    if (!request.awaitsPeer) this.#complete(request);
  }

  #readDone(request: Request, error: Error | null): void {
    if (request.slot >= 0) this.#locks.release(request);
    if (error !== null) request.finish('EIO');
    this.#core.answers.give(request);
  }

  #park(request: Request): void {
    request.parked = true;
    this.#parked.push(request);
    this.#core.standing.waiting();
  }

  #complete(request: Request): void {
    this.#core.activity.release(request);
    this.#locks.release(request);
    if (request.fua) this.#core.flushes.add(request);
    else this.#core.answers.give(request);
  }

  /** Ended without having been carried out whole; its bits stay. */
  #drop(request: Request): void {
    this.#core.activity.release(request);
    this.#locks.release(request);
    request.finish(this.#core.failed === null ? 'ESHUTDOWN' : 'EIO');
    this.#recycle(request);
  }

  /** All of its extents must fit the log at once. */
  get #pieceBytes(): number {
    const { extentBytes, ports } = this.#core;
    return Math.min(PIECE_BYTES, Math.max(1, ports.metadata.maxExtents - 1) * extentBytes);
  }

  #inPieces(
    kind: RequestKind,
    begin: number,
    end: number,
    flags: { readonly fua: boolean; readonly mayPunch: boolean },
    done: RequestDone,
  ): void {
    const pieceBytes = this.#pieceBytes;
    let left = Math.ceil((end - begin) / pieceBytes);
    let worst: Parameters<RequestDone>[0] = null;
    for (let at = begin; at < end; at += pieceBytes)
      this.submit(kind, at, Math.min(at + pieceBytes, end), null, flags, (error) => {
        worst ??= error;
        left -= 1;
        if (left === 0) done(worst);
      });
  }
}
