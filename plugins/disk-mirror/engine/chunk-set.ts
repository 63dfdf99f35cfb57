// A set of chunks in memory only: what a resync has still to send, what a target has received. One bit a chunk; the durable
// sibling is `DirtyBits` (metadata/contract.ts).

export class ChunkSet {
  readonly chunks: number;
  readonly #words: Uint8Array;
  #count = 0;

  constructor(chunks: number) {
    this.chunks = chunks;
    this.#words = new Uint8Array(Math.ceil(chunks / 8));
  }

  get count(): number {
    return this.#count;
  }

  has(chunk: number): boolean {
    return (this.#words[chunk >>> 3]! & (1 << (chunk & 7))) !== 0;
  }

  add(chunk: number): void {
    const mask = 1 << (chunk & 7);
    const at = chunk >>> 3;
    if ((this.#words[at]! & mask) !== 0) return;
    this.#words[at]! |= mask;
    this.#count += 1;
  }

  remove(chunk: number): void {
    const mask = 1 << (chunk & 7);
    const at = chunk >>> 3;
    if ((this.#words[at]! & mask) === 0) return;
    this.#words[at]! &= ~mask;
    this.#count -= 1;
  }

  /** Whether every chunk of the range is in it. */
  hasAll(first: number, count: number): boolean {
    if (this.#count === 0) return false;
    for (let chunk = first; chunk < first + count; chunk++) if (!this.has(chunk)) return false;
    return true;
  }

  /** The first member at or after `from`, -1 when there is none. */
  next(from: number): number {
    if (this.#count === 0) return -1;
    for (let at = from >>> 3; at < this.#words.length; at++) {
      const word = this.#words[at]!;
      if (word === 0) continue;
      for (let chunk = Math.max(from, at * 8); chunk < at * 8 + 8; chunk++) if ((word & (1 << (chunk & 7))) !== 0) return chunk;
    }
    return -1;
  }

  clear(): void {
    this.#words.fill(0);
    this.#count = 0;
  }
}
