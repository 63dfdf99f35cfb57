// Memory for what arrives. Small frames are cut out of slabs that nobody writes to twice; large payloads lie in memory of their
// own, which comes back by `recycle` and is used again: fresh pages cost more than the copy that they save. Never giving
// anything back is right too, only slower.

const SLAB_BYTES = 1024 * 1024;
/** A read gets at least this much room. */
const MIN_READ_BYTES = 64 * 1024;
const RECYCLED_FROM_BYTES = 64 * 1024;
const MAX_SPARE_BYTES = 64 * 1024 * 1024;

export class ReceiveMemory {
  #slab = new Uint8Array(0);
  #used = 0;
  /** Memory handed out that may come back. */
  readonly #lent = new WeakSet<ArrayBufferLike>();
  readonly #spare = new Map<number, ArrayBufferLike[]>();
  #spareBytes = 0;

  /** Room for a read; `spent` says how much of it was. */
  room(): Uint8Array {
    if (this.#slab.length - this.#used < MIN_READ_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    return this.#slab.subarray(this.#used);
  }

  spent(bytes: number): void {
    this.#used += bytes;
  }

  take(bytes: number): Uint8Array {
    if (bytes < RECYCLED_FROM_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const spare = this.#spare.get(classOf(bytes))?.pop();
    if (spare !== undefined) this.#spareBytes -= spare.byteLength;
    const memory = spare ?? Buffer.allocUnsafeSlow(classOf(bytes)).buffer;
    this.#lent.add(memory);
    return Buffer.from(memory, 0, bytes);
  }

  /** Nobody refers to the payload any more. What is not ours, or came back before, is left alone. */
  recycle(payload: Uint8Array): void {
    const memory = payload.buffer;
    if (!this.#lent.delete(memory) || this.#spareBytes + memory.byteLength > MAX_SPARE_BYTES) return;
    this.#spareBytes += memory.byteLength;
    const others = this.#spare.get(memory.byteLength);
    if (others === undefined) this.#spare.set(memory.byteLength, [memory]);
    else others.push(memory);
  }
}

/** The next power of two. */
const classOf = (bytes: number): number => 2 ** Math.ceil(Math.log2(bytes));
