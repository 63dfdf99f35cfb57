// Memory for what arrives. What is small is cut out of slabs that are read into one after the other; what is large lies in memory
// of its own. Both come back by `recycle` and are used again, for fresh pages and their collection cost more than the copies that
// they save. A payload that never comes back is right too: its memory is then the collector's. Invariant: memory is used again
// only when every payload that was cut out of it has come back, each once, as the very view that was handed out.

const SLAB_BYTES = 1024 * 1024;
/** A read gets at least this much room. */
const MIN_READ_BYTES = 64 * 1024;
const MAX_SPARE_BYTES = 64 * 1024 * 1024;

/** On a view that is out: what it was cut of. A property, for a WeakSet of 100 000 views a second costs more than the views. */
const CUT_OF = Symbol('what this payload was cut of');
interface Payload extends Uint8Array {
  [CUT_OF]?: Piece | undefined;
}

interface Piece {
  readonly memory: ArrayBufferLike;
  /** Views handed out and not yet back. */
  out: number;
  /** Nothing more is read into it. */
  full: boolean;
}

export class ReceiveMemory {
  #slab: Piece | null = null;
  #used = 0;
  readonly #pieces = new WeakMap<ArrayBufferLike, Piece>();
  readonly #spare = new Map<number, Piece[]>();
  #spareBytes = 0;

  /** Room for a read; `spent` says how much of it was. */
  room(): Uint8Array {
    if (this.#slab === null || SLAB_BYTES - this.#used < MIN_READ_BYTES) {
      const old = this.#slab;
      this.#slab = this.#piece(SLAB_BYTES);
      this.#slab.full = false;
      this.#used = 0;
      if (old !== null) {
        old.full = true;
        this.#keepIfFree(old);
      }
    }
    return Buffer.from(this.#slab.memory as ArrayBuffer, this.#used);
  }

  spent(bytes: number): void {
    this.#used += bytes;
  }

  /** Memory of its own for one payload. */
  take(bytes: number): Uint8Array {
    return Buffer.from(this.#piece(classOf(bytes)).memory as ArrayBuffer, 0, bytes);
  }

  /** A payload is handed out: its memory waits for it. One that lies elsewhere is none of ours. */
  lend(payload: Payload): void {
    const piece = payload.buffer === this.#slab?.memory ? this.#slab : this.#pieces.get(payload.buffer);
    if (piece === undefined) return;
    piece.out += 1;
    payload[CUT_OF] = piece;
  }

  /** Nobody refers to the payload any more. What is not ours, or is back already, is left alone. */
  recycle(payload: Payload): void {
    const piece = payload[CUT_OF];
    if (piece === undefined || !this.#pieces.has(piece.memory)) return;
    payload[CUT_OF] = undefined;
    piece.out -= 1;
    this.#keepIfFree(piece);
  }

  #piece(bytes: number): Piece {
    const spare = this.#spare.get(bytes)?.pop();
    if (spare !== undefined) {
      this.#spareBytes -= bytes;
      return spare;
    }
    const piece: Piece = { memory: Buffer.allocUnsafeSlow(bytes).buffer, out: 0, full: true };
    this.#pieces.set(piece.memory, piece);
    return piece;
  }

  #keepIfFree(piece: Piece): void {
    const bytes = piece.memory.byteLength;
    if (piece.out > 0 || !piece.full || this.#spareBytes + bytes > MAX_SPARE_BYTES) return;
    this.#spareBytes += bytes;
    const others = this.#spare.get(bytes);
    if (others === undefined) this.#spare.set(bytes, [piece]);
    else others.push(piece);
  }
}

/** The next power of two, from a page on. */
const classOf = (bytes: number): number => Math.max(4096, 2 ** Math.ceil(Math.log2(bytes)));
