// The giving side of a resync (SAFETY b.6). A chunk is read and sent under its lock; from then on writes to it are mirrored, on the
// same ordered stream behind it; before, they leave only their bit. Its bit is cleared by the next flush of both, unless something
// newer touched it (`rounds`). At the end the target is counted first, has everything durable, takes the generation, and only then
// stands in the record again.
import type { Frame } from '../link/frames.js';
import { ChunkSet } from './chunk-set.js';
import type { Core } from './core.js';
import { framesOf, type Piece } from './piece.js';
import { PieceMemory } from './piece-memory.js';
import { Rate } from './rate.js';

export type ResyncKind = 'bitmap' | 'full' | 'checksum';
type Step = 'idle' | 'bitmap' | 'alone' | 'paused' | 'preparing' | 'copying' | 'flushing' | 'ending';

/** Read, sent or compared at one time. */
const WINDOW = 256;
const WINDOW_BYTES = 8 * 1024 * 1024;
/** Neighbours go together: a copy of a whole volume in chunks of 4 KiB would be a million frames for every 4 GiB. */
const PIECE_BYTES = 256 * 1024;
const MOST_QUEUED_BYTES = 4 * 1024 * 1024;

export class ResyncSource {
  readonly #core: Core;
  /** What the target has still to get whole. */
  readonly stale: ChunkSet;
  readonly #rate: Rate;
  readonly #pieces = new Map<number, Piece>();
  #memory = new PieceMemory();
  #step: Step = 'idle';
  #kind: ResyncKind = 'bitmap';
  #compares = false;
  #gotBitmap = false;
  #run = 0;
  #nextId = 1;
  #cursor = 0;
  #total = 0;
  #lastSerial = 0;
  paused = false;

  constructor(core: Core) {
    this.#core = core;
    this.stale = new ChunkSet(core.bits.chunks);
    this.#rate = new Rate(core.options.resync);
  }

  get step(): Step {
    return this.#step;
  }

  get progress(): { readonly kind: ResyncKind; readonly doneBytes: number; readonly ofBytes: number; readonly etaMs: number } {
    const { chunkBytes } = this.#core;
    let left = this.stale.count;
    for (const { chunk, chunks } of this.#pieces.values()) if (!this.stale.has(chunk)) left += chunks;
    return {
      kind: this.#kind,
      doneBytes: Math.max(0, this.#total - left) * chunkBytes,
      ofBytes: this.#total * chunkBytes,
      etaMs: Math.round(((left * chunkBytes) / this.#rate.bytesPerSecond) * 1_000),
    };
  }

  /** An operator wants it, on a primary whose peer is in sync. */
  order(kind: 'full' | 'checksum'): string | null {
    const { role, session, standing, stopped } = this.#core;
    if (role !== 'primary' || stopped) return 'a resync is ordered on the primary: it is the source';
    if (session.state !== 'mirroring' || !standing.counted || this.#step !== 'idle')
      return `the peer must be connected and in sync, it is ${session.state}`;
    this.begin(kind);
    return null;
  }

  /**
   * Both agreed that this copy is the source. `seeded`: the target's bytes are mostly the same, so they are compared first. `known`:
   * its bitmap is not needed, it is empty.
   */
  begin(how: ResyncKind, seeded = false, known = false): void {
    const kind = how === 'full' && seeded ? 'checksum' : how;
    this.#kind = kind;
    this.#compares = seeded || kind === 'checksum';
    this.#step = 'bitmap';
    this.#gotBitmap = known || kind !== 'bitmap';
    this.#run += 1;
    if (this.#gotBitmap) this.#prepare();
  }

  /** Dirty chunks of the target. */
  merge({ chunkBytes, first, bits, last }: Extract<Frame, { t: 'bitmap' }>): void {
    if (this.#step !== 'bitmap' || this.#gotBitmap) return this.#core.session.drop('a bitmap that nobody asked for');
    if (chunkBytes !== this.#core.chunkBytes)
      return this.#core.session.drop(`the peer counts chunks of ${chunkBytes} bytes, this node of ${this.#core.chunkBytes}`);
    if (bits.length > 0) this.#core.bits.merge(first, bits);
    if (!last) return undefined;
    this.#gotBitmap = true;
    return this.#prepare();
  }

  /** The target is durably Inconsistent: what is dirty now is all that it lacks, and what is written from now on it gets. */
  ready(): void {
    if (this.#step !== 'preparing') return this.#core.session.drop('ready for a resync that was not begun');
    const { bits, stream } = this.#core;
    this.stale.clear();
    if (this.#kind === 'bitmap') for (let chunk = bits.next(0); chunk >= 0; chunk = bits.next(chunk + 1)) this.stale.add(chunk);
    else for (let chunk = 0; chunk < bits.chunks; chunk++) this.stale.add(chunk);
    this.#total = this.stale.count;
    this.#cursor = 0;
    this.#memory = new PieceMemory();
    this.#step = 'copying';
    stream.start();
    this.#core.ports.tell({
      kind: 'mirror.resync-start',
      because: this.#core.session.because,
      data: { kind: this.#kind, chunks: this.#total },
    });
    return this.#pump();
  }

  /** The target has written this one. */
  done(id: number): void {
    const piece = this.#pieces.get(id);
    if (piece === undefined || piece.owed === 0) return undefined;
    piece.owed -= 1;
    if (piece.owed > 0) return undefined;
    this.#pieces.delete(id);
    this.#memory.back(piece.memory);
    this.#core.rounds.list(piece.chunk, piece.chunks);
    return this.#pump();
  }

  /** The chunk stood still meanwhile: the same there, or sent as it was read. */
  compared(id: number, same: boolean): void {
    const piece = this.#pieces.get(id);
    if (piece === undefined || !piece.asked) return undefined;
    piece.asked = false;
    if (!same) return this.#send(piece);
    this.#hasNow(piece);
    piece.owed = 1;
    return this.done(id);
  }

  /** The target is UpToDate under our generation, durably. */
  ended(): void {
    const { session, standing, role, ports } = this.#core;
    if (this.#step !== 'ending') return session.drop('the end of a resync that did not end');
    const run = this.#run;
    standing.saveTogether(session.peer!.bootId, () => {
      if (run !== this.#run) return;
      this.#step = 'idle';
      this.#memory = new PieceMemory();
      ports.tell({ kind: 'mirror.resync-end', because: 'both copies are equal', data: { chunks: this.#total } });
      session.mirroring();
      if (role === 'primary') standing.join();
      else this.#core.stream.lose();
    });
    return undefined;
  }

  /** The connection is gone: the bits say what is left. */
  stop(): void {
    this.#run += 1;
    this.#step = 'idle';
    for (const { range } of this.#pieces.values()) if (range.slot >= 0) this.#core.writes.unlock(range);
    this.#pieces.clear();
    this.#memory = new PieceMemory();
    this.stale.clear();
  }

  resume(): void {
    this.paused = false;
    if (this.#step === 'paused') this.#prepare();
    else this.#pump();
  }

  tick(): void {
    if (this.#step !== 'copying') return;
    const { writes, nowMs } = this.#core;
    this.#rate.sample(writes.underWay);
    this.#rate.tick(nowMs, writes.serial - this.#lastSerial);
    this.#lastSerial = writes.serial;
    this.#pump();
  }

  #prepare(): void {
    const { role, standing, flushes } = this.#core;
    const run = this.#run;
    this.#step = 'alone';
    // What the target gets must not be lost here by a power cut: all that lies here is durable first, and what is written from now
    // on has its bit in our own log. So the target may forget its own bits as soon as it has flushed.
    const begin = () => {
      if (run !== this.#run) return;
      if (this.paused) this.#pause();
      else flushes.here((error) => error === null && run === this.#run && this.#offer());
    };
    if (role === 'primary') standing.requireAlone(begin);
    else begin();
  }

  /** The target is out of the record: it may know that it is old. Sooner it would give way though it has all that was answered. */
  #pause(): void {
    const { role, ports, session } = this.#core;
    this.#step = 'paused';
    if (role === 'primary') ports.send({ t: 'outdate', epoch: session.epoch, id: 0 });
  }

  #offer(): void {
    const { session, standing, sb, bits, ports } = this.#core;
    this.#step = 'preparing';
    session.syncing();
    standing.share();
    ports.send({ t: 'sync-begin', epoch: session.epoch, kind: this.#kind, chunks: bits.count(), current: sb.current });
  }

  #pump(): void {
    if (this.#step !== 'copying') return;
    const { ports, writes, chunkBytes } = this.#core;
    this.#rate.sample(writes.underWay);
    while (!this.paused && this.#pieces.size < WINDOW && this.#memory.outBytes < WINDOW_BYTES && ports.queuedBytes() < MOST_QUEUED_BYTES) {
      const chunk = this.stale.next(this.#cursor);
      if (chunk < 0) break;
      const chunks = this.#neighbours(chunk);
      if (!this.#rate.take(chunks * chunkBytes)) break;
      // Each is asked for once: what lies behind the cursor is under way.
      this.#cursor = chunk + chunks;
      this.#copy(chunk, chunks);
    }
    if (this.stale.count === 0 && this.#pieces.size === 0) this.#finish();
  }

  /** Of a piece. A hash is of one chunk: what differs is sent, and no more. */
  get #mostChunks(): number {
    return this.#compares ? 1 : Math.max(1, Math.floor(PIECE_BYTES / this.#core.chunkBytes));
  }

  /** How many from this one on go together. */
  #neighbours(first: number): number {
    const end = Math.min(first + this.#mostChunks, this.stale.chunks);
    let after = first + 1;
    while (after < end && this.stale.has(after)) after += 1;
    return after - first;
  }

  #copy(chunk: number, chunks: number): void {
    const { writes, chunkBytes } = this.#core;
    const run = this.#run;
    const id = this.#nextId++;
    const range = writes.range(() => this.#read(piece, run));
    range.begin = chunk * chunkBytes;
    range.end = (chunk + chunks - 1) * chunkBytes + this.#core.chunkLength(chunk + chunks - 1);
    const piece: Piece = { id, chunk, chunks, range, memory: this.#memory.take(chunks * chunkBytes), asked: false, owed: 0 };
    this.#pieces.set(id, piece);
    if (writes.lock(range)) this.#read(piece, run);
  }

  #read(piece: Piece, run: number): void {
    const { ports, writes } = this.#core;
    const { range } = piece;
    if (run !== this.#run) return writes.unlock(range);
    const bytes = piece.memory.subarray(0, range.end - range.begin);
    return ports.data.read(bytes, range.begin, (error) => {
      if (run !== this.#run) return;
      if (error !== null) return this.#core.fail(`the disk cannot read at ${range.begin}: ${error.message}`);
      if (!this.#compares) return this.#send(piece);
      return ports.hash(bytes, (hash) => {
        if (run !== this.#run) return;
        piece.asked = true;
        ports.send({ t: 'hash', epoch: this.#core.session.epoch, id: piece.id, offset: range.begin, length: bytes.length, hash });
      });
    });
  }

  /** On its way: what is written to it from now on goes behind it. */
  #send(piece: Piece): void {
    const { ports, session, chunkBytes } = this.#core;
    const frames = framesOf(piece, session.epoch, chunkBytes, ports.allZero);
    piece.owed = frames.length;
    for (const frame of frames) ports.send(frame);
    this.#hasNow(piece);
  }

  #hasNow({ chunk, chunks, range }: Piece): void {
    for (let each = chunk; each < chunk + chunks; each++) this.stale.remove(each);
    this.#core.writes.unlock(range);
  }

  #finish(): void {
    const { role, standing, flushes, session } = this.#core;
    this.#step = 'flushing';
    const run = this.#run;
    if (role === 'primary') standing.count();
    flushes.both(() => {
      if (run !== this.#run) return;
      this.#step = 'ending';
      const { current, history } = this.#core.sb;
      standing.share();
      this.#core.ports.send({ t: 'sync-end', epoch: session.epoch, current, history });
    });
  }
}
