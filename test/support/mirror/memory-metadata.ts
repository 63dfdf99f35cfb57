// The metadata of a copy in memory, for tests of what asks it: a MetadataStore with the rules of its contract (slots, eviction,
// answers never before the call returns) whose writes end when the test lets them. `restart` is what a crash leaves: every bit
// of the bitmap as last written out, and every chunk of every active extent.
import { ChunkBits } from '../../../plugins/disk-mirror/metadata/chunk-bits.js';
import { type Attached, MetadataBusy, type MetadataStore, type SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';
import { chunksOfExtent, layoutOf, type Layout } from '../../../plugins/disk-mirror/metadata/layout.js';

type Done = (error: Error | null) => void;

export interface MemoryMetadataOptions {
  readonly slots?: number;
  readonly chunkBytes?: number;
  /** Runs a durable write's answer later. Default: a microtask. A test hands in a queue that it empties when it wants. */
  readonly later?: (task: () => void) => void;
}

export class MemoryMetadata implements MetadataStore {
  readonly layout: Layout;
  readonly bits: ChunkBits;
  readonly maxExtents: number;
  /** The superblock as it would be read after a crash. */
  superblock: SuperblockState;
  /** Every superblock that was made durable, in order. */
  readonly superblocks: SuperblockState[] = [];
  #durableBits: Uint8Array;
  readonly #active = new Set<number>();
  readonly #options: MemoryMetadataOptions;
  #dead: Error | null = null;

  constructor(superblock: SuperblockState, options: MemoryMetadataOptions = {}) {
    const { sizeBytes } = superblock.identity;
    this.layout = layoutOf(sizeBytes, options);
    this.bits = new ChunkBits(this.layout);
    this.maxExtents = this.layout.slots;
    this.superblock = superblock;
    this.#options = options;
    this.#durableBits = this.#snapshot();
  }

  attached(): Attached {
    return { superblock: this.superblock, chunkBytes: this.layout.chunkBytes, bits: this.bits, repairs: [] };
  }

  /** From now on every call is answered with this error, also those under way. */
  fail(error: Error): void {
    this.#dead = error;
  }

  /** The copy after a crash: what was under way is lost, its callers are never answered. */
  restart(): MemoryMetadata {
    const next = new MemoryMetadata(this.superblock, this.#options);
    next.bits.merge(0, this.#durableBits);
    for (const extent of this.#active) {
      const { first, count } = chunksOfExtent(this.layout, extent);
      next.bits.set(first, count);
    }
    next.#durableBits = next.#snapshot();
    this.#dead = new Error('this store crashed');
    return next;
  }

  writeSuperblock(state: SuperblockState, done: Done): void {
    this.#later(done, () => {
      this.superblock = state;
      this.superblocks.push(state);
    });
  }

  activate(extents: readonly number[], mayEvict: (extent: number) => boolean, done: Done): void {
    if (extents.length > this.maxExtents) throw new RangeError(`${extents.length} extents in one call`);
    const wanted = new Set(extents);
    this.#later(
      (error) => done(error ?? this.#full(wanted)),
      () => {
        const fresh = [...wanted].filter((extent) => !this.#active.has(extent)).length;
        const going = [...this.#active].filter((extent) => !wanted.has(extent) && mayEvict(extent));
        const short = this.#active.size + fresh - this.layout.slots;
        if (going.length < short) return;
        for (const extent of going.slice(0, Math.max(0, short))) this.#active.delete(extent);
        if (short > 0) this.#durableBits = this.#snapshot();
        for (const extent of wanted) this.#active.add(extent);
      },
    );
  }

  isActive(extent: number): boolean {
    return this.#dead === null && this.#active.has(extent);
  }

  checkpoint(done: Done): void {
    this.#later(done, () => {
      this.#active.clear();
      this.#durableBits = this.#snapshot();
    });
  }

  close(): Promise<void> {
    this.#dead ??= new Error('the metadata is closed');
    return Promise.resolve();
  }

  #full(wanted: ReadonlySet<number>): Error | null {
    return [...wanted].every((extent) => this.#active.has(extent)) ? null : new MetadataBusy('every slot is in use');
  }

  #snapshot(): Uint8Array {
    return this.bits.slice(0, this.layout.chunks);
  }

  #later(done: Done, take: () => void): void {
    (this.#options.later ?? queueMicrotask)(() => {
      if (this.#dead === null) take();
      done(this.#dead);
    });
  }
}
