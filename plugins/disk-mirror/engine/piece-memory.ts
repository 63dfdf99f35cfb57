// Memory of the pieces of a resync: arrays that are used again and again, for fresh ones cost the collector a third of the time that
// a copy takes. Invariant: an array comes back when its target has answered for all of it, so nobody on the way reads it any more;
// one of which that is not known (the connection ended) is left to the collector.

const MOST_SPARE_BYTES = 8 * 1024 * 1024;

export class PieceMemory {
  /** By length, a power of two. */
  readonly #spare = new Map<number, Uint8Array[]>();
  #spareBytes = 0;
  #outBytes = 0;

  /** Of arrays taken and not back. */
  get outBytes(): number {
    return this.#outBytes;
  }

  /** At least so many bytes. */
  take(bytes: number): Uint8Array {
    const length = 2 ** Math.ceil(Math.log2(bytes));
    this.#outBytes += length;
    const spare = this.#spare.get(length)?.pop();
    if (spare === undefined) return new Uint8Array(length);
    this.#spareBytes -= length;
    return spare;
  }

  back(memory: Uint8Array): void {
    const { length } = memory;
    this.#outBytes -= length;
    if (this.#spareBytes + length > MOST_SPARE_BYTES) return;
    this.#spareBytes += length;
    const others = this.#spare.get(length);
    if (others === undefined) this.#spare.set(length, [memory]);
    else others.push(memory);
  }
}
