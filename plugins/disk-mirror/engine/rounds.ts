// W3: a bit is cleared when both copies have flushed all that was written to its chunk, and nothing newer has begun. Writes are
// counted in rounds. A flush closes the round in which chunks were listed, and when both sides have flushed, those of them that
// nothing touched since are clean. Whatever is under way when a round closes is carried over to the next. Kept are only the chunks
// that a flush under way, or the next, may clean: their number follows what is written between two flushes, not the volume's size.
import { SparseNumbers } from '../sparse-numbers.js';
import type { Core } from './core.js';
import type { Request } from './request.js';

/** A flush under way that covers one closed round. */
export interface Round {
  readonly number: number;
  readonly chunks: Uint32Array;
}

export class Rounds {
  readonly #core: Core;
  /** The round that may clean a chunk: the last in whose list it stands, unless it was touched after that. */
  readonly #listed = new SparseNumbers();
  #number = 1;
  #list = new Uint32Array(256);
  #count = 0;
  readonly #carry = (request: Request): void => {
    if (request.onGranted !== null || request.kind === 'read') return;
    const first = this.#core.chunkOf(request.begin);
    const count = this.#core.chunksIn(request.begin, request.end);
    this.mark(first, count);
    if (request.seq > 0 && request.session === this.#core.stream.session) this.list(first, count);
  };

  constructor(core: Core) {
    this.#core = core;
  }

  /** Something begins to change these chunks: no round closed before cleans them. */
  mark(first: number, count: number): void {
    if (this.#listed.size === 0) return;
    for (let chunk = first; chunk < first + count; chunk++) {
      const listed = this.#listed.get(chunk);
      if (listed !== 0 && listed !== this.#number) this.#listed.delete(chunk);
    }
  }

  /** The peer gets what changed: a flush of both makes them clean. Chunks that it has still to be sent whole are not. */
  list(first: number, count: number): void {
    const { stale } = this.#core.source;
    for (let chunk = first; chunk < first + count; chunk++) {
      if (this.#listed.get(chunk) === this.#number) continue;
      if (stale.has(chunk)) {
        this.#listed.delete(chunk);
        continue;
      }
      this.#listed.set(chunk, this.#number);
      if (this.#count === this.#list.length) this.#grow();
      this.#list[this.#count++] = chunk;
    }
  }

  /** Chunks that the next flush of both may clean. */
  get pending(): number {
    return this.#count;
  }

  close(): Round {
    const round = { number: this.#number, chunks: this.#list.slice(0, this.#count) };
    this.#restart();
    this.#core.writes.forEachUnderWay(this.#carry);
    return round;
  }

  /** Both have flushed. */
  clean({ number, chunks }: Round): void {
    const { bits } = this.#core;
    const { stale } = this.#core.source;
    for (const chunk of chunks) {
      if (this.#listed.get(chunk) !== number) continue;
      this.#listed.delete(chunk);
      if (!stale.has(chunk)) bits.clear(chunk);
    }
  }

  /** The peer is gone: what it did not flush stays dirty. */
  forget(): void {
    this.#listed.clear();
    this.#restart();
  }

  #restart(): void {
    this.#count = 0;
    this.#number += 1;
    // A round in which a whole volume was copied needs more than those after it.
    if (this.#list.length > MOST_KEPT) this.#list = new Uint32Array(MOST_KEPT);
  }

  #grow(): void {
    const list = new Uint32Array(this.#list.length * 2);
    list.set(this.#list);
    this.#list = list;
  }
}

const MOST_KEPT = 16_384;
