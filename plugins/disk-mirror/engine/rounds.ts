// W3: a bit is cleared when both copies have flushed all that was written to its chunk, and nothing newer has begun. Writes are
// counted in rounds. A chunk carries the number of the round in which it was last touched; a flush closes the round, and when both
// sides have flushed, those of its chunks that carry its number still are clean. Whatever is under way when a round closes is
// carried over to the next.
import type { Core } from './core.js';
import type { Request } from './request.js';

/** A flush under way that covers one closed round. */
export interface Round {
  readonly number: number;
  readonly chunks: Uint32Array;
}

export class Rounds {
  readonly #core: Core;
  /** The round in which a chunk was last touched: its version. */
  readonly #touched: Uint32Array;
  /** The round in whose list it stands. */
  readonly #listed: Uint32Array;
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
    this.#touched = new Uint32Array(core.bits.chunks);
    this.#listed = new Uint32Array(core.bits.chunks);
  }

  /** Something begins to change these chunks. */
  mark(first: number, count: number): void {
    for (let chunk = first; chunk < first + count; chunk++) this.#touched[chunk] = this.#number;
  }

  /** The peer gets what changed: a flush of both makes them clean. Chunks that it has still to be sent whole are not. */
  list(first: number, count: number): void {
    const { stale } = this.#core.source;
    for (let chunk = first; chunk < first + count; chunk++) {
      this.#touched[chunk] = this.#number;
      if (this.#listed[chunk] === this.#number || stale.has(chunk)) continue;
      this.#listed[chunk] = this.#number;
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
    this.#count = 0;
    this.#number += 1;
    this.#core.writes.forEachUnderWay(this.#carry);
    return round;
  }

  /** Both have flushed. */
  clean({ number, chunks }: Round): void {
    const { bits } = this.#core;
    const { stale } = this.#core.source;
    for (const chunk of chunks) if (this.#touched[chunk] === number && !stale.has(chunk)) bits.clear(chunk);
  }

  /** The peer is gone: what it did not flush stays dirty. */
  forget(): void {
    this.#count = 0;
    this.#number += 1;
  }

  #grow(): void {
    const list = new Uint32Array(this.#list.length * 2);
    list.set(this.#list);
    this.#list = list;
  }
}
