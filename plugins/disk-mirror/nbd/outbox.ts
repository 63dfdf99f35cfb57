// Replies on their way to one client. Places for them are taken from a slab one behind the other, so that what is answered
// together lies together and goes out as one piece; data of a read is sent from where the export put it. Replies gather
// until `flush`. Invariant: a slab is used again only when all of it was handed to the socket.
import type { Slab, SlabPool } from './slabs.js';

/** The way to the client. */
export interface Wire {
  /** Sends the pieces in order; `sent` is called once, never inside this call, when they may be changed again (or never arrive). */
  send(pieces: readonly Buffer[], sent: () => void): void;
}

const SLAB_BYTES = 256 * 1024;

/** What was sent together and is waited for together. */
interface Batch {
  readonly slabs: Slab[];
  count: number;
  bytes: number;
  readonly sent: () => void;
}

export class Outbox {
  readonly #wire: Wire;
  readonly #pool: SlabPool;
  readonly #sent: (replies: number, countedBytes: number) => void;
  readonly #idle: Batch[] = [];
  #batch: Batch;
  /** Ready pieces: from and to in the slab of the same index. */
  readonly #slabs: Slab[] = [];
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  #slab: Slab;
  #next = 0;
  #readyBytes = 0;
  #closed = false;

  /** `sent` hears how many replies the socket took, and how many bytes had been counted for them. */
  constructor(wire: Wire, pool: SlabPool, sent: (replies: number, countedBytes: number) => void) {
    this.#wire = wire;
    this.#pool = pool;
    this.#sent = sent;
    this.#slab = pool.take(SLAB_BYTES);
    this.#batch = this.#newBatch();
  }

  get readyBytes(): number {
    return this.#readyBytes;
  }

  /** A place of so many bytes; read it from `placeSlab` and `placeAt`. The slab is held for whoever asked. */
  place(bytes: number): void {
    if (bytes > SLAB_BYTES / 4) {
      this.placeSlab = this.#pool.take(bytes);
      this.placeAt = 0;
      return;
    }
    if (this.#slab.alone) this.#next = 0;
    if (this.#next + bytes > this.#slab.buffer.length) {
      this.#slab.release();
      this.#slab = this.#pool.take(SLAB_BYTES);
      this.#next = 0;
    }
    this.placeSlab = this.#slab;
    this.placeAt = this.#next;
    this.#next += bytes;
    this.#slab.hold();
  }
  placeSlab!: Slab;
  placeAt = 0;

  /** These bytes go out with the next flush; a piece that follows the one before it in the same slab is joined to it. */
  piece(slab: Slab, from: number, to: number): void {
    const last = this.#to.length - 1;
    this.#readyBytes += to - from;
    if (last >= 0 && this.#slabs[last] === slab && this.#to[last] === from) {
      this.#to[last] = to;
      return;
    }
    this.#slabs.push(slab);
    this.#from.push(from);
    this.#to.push(to);
  }

  /** A whole reply was made ready: its slab is let go, and `countedBytes` told, when the socket has it. */
  reply(slab: Slab, countedBytes: number): void {
    this.#batch.slabs.push(slab);
    this.#batch.count += 1;
    this.#batch.bytes += countedBytes;
  }

  /** Hands everything that is ready to the socket. */
  flush(): void {
    const count = this.#slabs.length;
    if (count === 0) return;
    const pieces: Buffer[] = [];
    for (let index = 0; index < count; index += 1)
      pieces.push((this.#slabs[index] as Slab).buffer.subarray(this.#from[index], this.#to[index]));
    const batch = this.#batch;
    this.#slabs.length = 0;
    this.#from.length = 0;
    this.#to.length = 0;
    this.#readyBytes = 0;
    this.#batch = this.#idle.pop() ?? this.#newBatch();
    this.#wire.send(pieces, batch.sent);
  }

  /** Nothing is sent any more: what is ready is dropped. What the socket has comes back through `sent` still. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#slabs.length = 0;
    this.#from.length = 0;
    this.#to.length = 0;
    this.#readyBytes = 0;
    this.#batch.sent();
    this.#slab.release();
  }

  #newBatch(): Batch {
    const batch: Batch = {
      slabs: [],
      count: 0,
      bytes: 0,
      sent: () => {
        const { count, bytes, slabs } = batch;
        for (const slab of slabs) slab.release();
        slabs.length = 0;
        batch.count = 0;
        batch.bytes = 0;
        this.#idle.push(batch);
        this.#sent(count, bytes);
      },
    };
    return batch;
  }
}
