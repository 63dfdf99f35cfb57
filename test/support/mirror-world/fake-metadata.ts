// Metadata in memory that obeys its contract (plugins/disk-mirror/metadata/contract.ts): a superblock in two copies, bitmap pages,
// a small activity log with eviction. What was being written when the process ended is there or not.
import {
  type Attached,
  type DirtyBits,
  MetadataBusy,
  type MetadataStore,
  type SuperblockState,
} from '../../../plugins/disk-mirror/metadata/contract.js';
import type { Events, Life } from './events.js';

export class FakeBits implements DirtyBits {
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly #set: Uint8Array;
  #count = 0;

  constructor(chunks: number, chunkBytes: number) {
    this.chunks = chunks;
    this.chunkBytes = chunkBytes;
    this.#set = new Uint8Array(chunks);
  }

  count(): number {
    return this.#count;
  }

  has(chunk: number): boolean {
    return this.#set[chunk] === 1;
  }

  set(first: number, count: number): void {
    for (let chunk = first; chunk < Math.min(first + count, this.chunks); chunk++) {
      this.#count += 1 - this.#set[chunk]!;
      this.#set[chunk] = 1;
    }
  }

  clear(chunk: number): void {
    this.#count -= this.#set[chunk]!;
    this.#set[chunk] = 0;
  }

  next(from: number): number {
    return this.#set.indexOf(1, from);
  }

  slice(firstChunk: number, count: number): Uint8Array {
    const bytes = new Uint8Array(Math.ceil(count / 8));
    for (let at = 0; at < count; at++) if (this.has(firstChunk + at)) bytes[at >>> 3]! |= 1 << (at & 7);
    return bytes;
  }

  merge(firstChunk: number, bits: Uint8Array): void {
    for (let at = 0; at < bits.length * 8; at++) if ((bits[at >>> 3]! & (1 << (at & 7))) !== 0) this.set(firstChunk + at, 1);
  }
}

export interface Geometry {
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly chunksPerExtent: number;
  /** Extents that the log holds. */
  readonly slots: number;
}

export class FakeMetadata {
  readonly #events: Events;
  readonly geometry: Geometry;
  superblock: SuperblockState;
  readonly pages: Uint8Array;
  readonly log = new Set<number>();
  #writing: SuperblockState[] = [];

  constructor(superblock: SuperblockState, geometry: Geometry, events: Events) {
    this.superblock = superblock;
    this.geometry = geometry;
    this.#events = events;
    this.pages = new Uint8Array(geometry.chunks);
  }

  /** What an attach would find dirty. */
  dirty(chunk: number): boolean {
    return this.pages[chunk] === 1 || this.log.has(Math.floor(chunk / this.geometry.chunksPerExtent));
  }

  /** The process is gone, or the power: of the superblocks under way, in their order, some were written. */
  settle(): void {
    for (const state of this.#writing) {
      if (this.#events.chance.next() < 0.5) break;
      this.superblock = state;
    }
    this.#writing = [];
  }

  attach(life: Life): { readonly attached: Attached; readonly store: MetadataStore } {
    const { chunks, chunkBytes } = this.geometry;
    const bits = new FakeBits(chunks, chunkBytes);
    for (let chunk = 0; chunk < chunks; chunk++) if (this.dirty(chunk)) bits.set(chunk, 1);
    const attached = { superblock: this.superblock, chunkBytes, bits, repairs: [] };
    return { attached, store: this.#store(life, bits) };
  }

  #store(life: Life, bits: FakeBits): MetadataStore {
    const { log, pages } = this;
    const { chunksPerExtent, slots, chunks } = this.geometry;
    const evicting = new Set<number>();
    const writeOut = (extent: number) => {
      for (let chunk = extent * chunksPerExtent; chunk < Math.min((extent + 1) * chunksPerExtent, chunks); chunk++)
        pages[chunk] = bits.has(chunk) ? 1 : 0;
    };
    return {
      maxExtents: slots,
      writeSuperblock: (state, done) => {
        if (!life.alive) return;
        this.#writing.push(state);
        this.#events.later(life, () => {
          // In order: one that is done has all before it behind it.
          const at = this.#writing.indexOf(state);
          if (at >= 0) {
            this.#writing.splice(0, at + 1);
            this.superblock = state;
          }
          this.#events.later(life, () => done(null));
        });
      },
      activate: (extents, mayEvict, done) => {
        if (!life.alive) return;
        const wanted = extents.filter((extent) => !log.has(extent) || evicting.has(extent));
        const victims = [...log].filter((extent) => !wanted.includes(extent) && !evicting.has(extent) && mayEvict(extent));
        const needed = Math.max(0, log.size - evicting.size + wanted.length - slots);
        if (needed > victims.length) return this.#events.later(life, () => done(new MetadataBusy('every slot is in use')));
        const out = victims.slice(0, needed);
        for (const extent of out) evicting.add(extent);
        this.#events.later(life, () => {
          for (const extent of out) {
            writeOut(extent);
            log.delete(extent);
            evicting.delete(extent);
          }
          for (const extent of extents) log.add(extent);
          this.#events.later(life, () => done(null));
        });
      },
      isActive: (extent) => log.has(extent) && !evicting.has(extent),
      checkpoint: (done) => {
        if (!life.alive) return;
        this.#events.later(life, () => {
          for (let chunk = 0; chunk < chunks; chunk++) pages[chunk] = bits.has(chunk) ? 1 : 0;
          log.clear();
          this.#events.later(life, () => done(null));
        });
      },
      close: () => Promise.resolve(),
    };
  }
}
