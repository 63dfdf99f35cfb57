// The bitmap in memory: one bit a chunk, the count of each page kept, so that counting costs nothing and looking for the next
// set bit steps over empty pages. It also knows which pages differ from the disk. Nothing is read or written here.
import { endianness } from 'node:os';
import type { DirtyBits } from './contract.js';
import { CHUNKS_PER_PAGE, type Layout, PAGE_BITMAP_BYTES } from './layout.js';

const WORDS_PER_PAGE = PAGE_BITMAP_BYTES / 4;
const ALL_ONES = 0xffff_ffff;

const onesIn = (word: number): number => {
  let v = word - ((word >>> 1) & 0x5555_5555);
  v = (v & 0x3333_3333) + ((v >>> 2) & 0x3333_3333);
  return (((v + (v >>> 4)) & 0x0f0f_0f0f) * 0x0101_0101) >>> 24;
};

export class ChunkBits implements DirtyBits {
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #perPage: Uint16Array;
  readonly #differs: Uint8Array;
  #count = 0;

  constructor({ chunks, chunkBytes, pages }: Pick<Layout, 'chunks' | 'chunkBytes' | 'pages'>) {
    // The words are the bytes of the pages as they lie on disk; a big-endian host would have to turn each.
    if (endianness() !== 'LE') throw new Error('the mirror runs on little-endian hosts only');
    this.chunks = chunks;
    this.chunkBytes = chunkBytes;
    this.#words = new Uint32Array(pages * WORDS_PER_PAGE);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#perPage = new Uint16Array(pages);
    this.#differs = new Uint8Array(pages);
  }

  count(): number {
    return this.#count;
  }

  has(chunk: number): boolean {
    this.#check(chunk, 1);
    return ((this.#words[chunk >>> 5] ?? 0) & (1 << (chunk & 31))) !== 0;
  }

  set(first: number, count: number): void {
    this.#check(first, count);
    const end = first + count;
    for (let at = first; at < end; ) {
      const bit = at & 31;
      const take = Math.min(32 - bit, end - at);
      this.#change(at >>> 5, take === 32 ? ALL_ONES : ((1 << take) - 1) << bit);
      at += take;
    }
  }

  clear(chunk: number): void {
    this.#check(chunk, 1);
    const word = chunk >>> 5;
    const before = this.#words[word] ?? 0;
    const after = (before & ~(1 << (chunk & 31))) >>> 0;
    if (after === before) return;
    this.#words[word] = after;
    this.#counted(word, -1);
  }

  next(from: number): number {
    if (from >= this.chunks) return -1;
    this.#check(from, 1);
    const start = from >>> 5;
    for (let page = Math.floor(start / WORDS_PER_PAGE); page < this.#perPage.length; page++) {
      if (this.#perPage[page] === 0) continue;
      const end = (page + 1) * WORDS_PER_PAGE;
      for (let word = Math.max(start, page * WORDS_PER_PAGE); word < end; word++) {
        const bits = (this.#words[word] ?? 0) & (word === start ? ALL_ONES << (from & 31) : ALL_ONES);
        if (bits !== 0) return word * 32 + (31 - Math.clz32(bits & -bits));
      }
    }
    return -1;
  }

  slice(firstChunk: number, count: number): Uint8Array {
    this.#checkRun(firstChunk, count);
    const bytes = this.#bytes.slice(firstChunk / 8, Math.ceil((firstChunk + count) / 8));
    const behind = count % 8;
    if (behind !== 0) bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) & ((1 << behind) - 1);
    return bytes;
  }

  merge(firstChunk: number, bits: Uint8Array): void {
    const count = Math.min(bits.length * 8, this.chunks - firstChunk);
    this.#checkRun(firstChunk, count);
    for (let index = 0; index * 8 < count; index++) {
      const inside = count - index * 8;
      const byte = (bits[index] ?? 0) & (inside >= 8 ? 0xff : (1 << inside) - 1);
      if (byte === 0) continue;
      const chunk = firstChunk + index * 8;
      this.#change(chunk >>> 5, (byte << (chunk & 31)) >>> 0);
    }
  }

  /** The bits of a page, as they are now and as they will be: a view, not a copy. */
  page(page: number): Uint8Array {
    return this.#bytes.subarray(page * PAGE_BITMAP_BYTES, (page + 1) * PAGE_BITMAP_BYTES);
  }

  /** Puts a page as it was read from disk in place; before any other change of it. */
  load(page: number, bits: Uint8Array): void {
    if (this.#perPage[page] !== 0) throw new Error(`page ${page} of the bitmap is not empty`);
    this.merge(page * CHUNKS_PER_PAGE, bits);
    this.written(page);
  }

  /** Whether the page was changed since `written`. */
  differs(page: number): boolean {
    return this.#differs[page] !== 0;
  }

  /** The page's bits of this moment are on their way to the disk. */
  written(page: number): void {
    this.#differs[page] = 0;
  }

  #change(word: number, mask: number): void {
    const before = this.#words[word] ?? 0;
    const after = (before | mask) >>> 0;
    if (after === before) return;
    this.#words[word] = after;
    this.#counted(word, onesIn(after ^ before));
  }

  #counted(word: number, ones: number): void {
    const page = Math.floor(word / WORDS_PER_PAGE);
    this.#count += ones;
    this.#perPage[page] = (this.#perPage[page] ?? 0) + ones;
    this.#differs[page] = 1;
  }

  #check(first: number, count: number): void {
    if (!Number.isInteger(first) || !Number.isInteger(count) || first < 0 || count < 0 || first + count > this.chunks)
      throw new RangeError(`chunks ${first}+${count} of a volume of ${this.chunks}`);
  }

  #checkRun(first: number, count: number): void {
    this.#check(first, count);
    if (first % 8 !== 0) throw new RangeError(`a run of the bitmap begins at a multiple of 8, not at ${first}`);
  }
}
