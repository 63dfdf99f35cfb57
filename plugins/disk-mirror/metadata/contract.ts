// The durable memory of one copy (SAFETY b.1): double superblock, bitmap, activity log, in a file or partition of its own.
// Invariants: a bit is durable, or its extent is in the durable log, before anything that changes either copy (W1); what is
// read after any crash is a superset of what may differ; nothing is initialised anew silently.
import type { CopyState, DiskState, Generation, Mode, Role, VolumeIdentity } from '../words.js';

/** What the superblock holds beside its own bookkeeping. */
export interface SuperblockState {
  readonly identity: VolumeIdentity;
  readonly node: string;
  readonly mode: Mode;
  readonly role: Role;
  readonly primaryIndicator: boolean;
  readonly primaryEpoch: number;
  readonly maxEpochSeen: number;
  readonly disk: DiskState;
  readonly current: Generation;
  readonly history: readonly Generation[];
  readonly peer: {
    readonly node: string;
    readonly bootId: string;
    readonly disk: DiskState;
    readonly bitmapBase: Generation;
  };
  readonly forced: boolean;
  readonly cleanShutdown: boolean;
  readonly fullSyncNeeded: boolean;
  /** An unfinished resync of this copy as the target, null = none. */
  readonly resync: { readonly source: string; readonly kind: 'bitmap' | 'full' | 'checksum' } | null;
}

/** What attaching found. */
export interface Attached {
  readonly superblock: SuperblockState;
  /** Bytes of one chunk, which is one bit. */
  readonly chunkBytes: number;
  /** Dirty bits in memory: on-disk bits, and every chunk of every extent that was in the log. */
  readonly bits: DirtyBits;
  /** What was mended on the way (one superblock copy bad, bitmap pages unreadable), for alarm and journal. */
  readonly repairs: readonly string[];
}

/**
 * The bitmap in memory. One bit a chunk; all ranges are chunk numbers, and one outside the volume is a RangeError. What is set here
 * is durable only by an active extent or a checkpoint: a bit is set while its extent is active, and before the write goes anywhere.
 * A bit set elsewhere (the peer's map, a verify) is lost in a crash unless a checkpoint followed or the superblock says so.
 */
export interface DirtyBits {
  readonly chunks: number;
  readonly chunkBytes: number;
  /** Chunks set. */
  count(): number;
  has(chunk: number): boolean;
  set(first: number, count: number): void;
  clear(chunk: number): void;
  /** The first set chunk at or after `from`, -1 when there is none. */
  next(from: number): number;
  /** A copy of bytes of the map, for the peer: bit 0 of byte 0 is `firstChunk`, a multiple of 8. Bits behind `count` are zero. */
  slice(firstChunk: number, count: number): Uint8Array;
  /** Sets what is set there; `firstChunk` is a multiple of 8, bits behind the last chunk are left out. */
  merge(firstChunk: number, bits: Uint8Array): void;
}

/**
 * No room in the log: every slot holds an extent that may not go. Nothing was written and nothing is wrong: ask again when a write
 * has ended. The only error of a store after which it lives.
 */
export class MetadataBusy extends Error {
  override readonly name = 'MetadataBusy';
  readonly because: string;

  constructor(because: string) {
    super('busy');
    this.because = because;
  }
}

/**
 * Asked by the engine. Each call answers once, not before it returns. Any error but `MetadataBusy` means that the metadata cannot
 * be trusted any more: the store is dead, every later call answers the same error, and nothing is tried again (SAFETY b.1).
 */
export interface MetadataStore {
  /** The most extents that one `activate` may name. Longer ranges are cut by who asks; more is a RangeError. */
  readonly maxExtents: number;
  /** Writes the superblock (the other copy of the two), durable when it answers. Calls are carried out in order, the last value wins. */
  writeSuperblock(state: SuperblockState, done: (error: Error | null) => void): void;
  /**
   * Makes the extents active: durable in the log when it answers. One transaction at a time; what is asked meanwhile shares the
   * next. To make room, extents that `mayEvict` names are written out to the bitmap pages first, the longest unused before others;
   * from the moment one was chosen `isActive` denies it. `mayEvict` is false while a write to the extent is under way.
   * `MetadataBusy` (its message is `busy`) when none can go: the engine asks again once something has ended.
   */
  activate(extents: readonly number[], mayEvict: (extent: number) => boolean, done: (error: Error | null) => void): void;
  /** Whether the extent is active and durable: asked for each write, costs next to nothing, counts as a use. */
  isActive(extent: number): boolean;
  /**
   * Writes every bitmap page that differs from memory and empties the log: a clean end, or a checkpoint. Calls to `activate` that
   * were asked before are answered before; then no extent is active. Writes under way are safe: their bits were set before them.
   */
  checkpoint(done: (error: Error | null) => void): void;
  /** Answers when nothing is under way any more. It does not checkpoint. */
  close(): Promise<void>;
}

/**
 * What a process makes of what it finds. A primary that died is secondary until it is promoted; its indicator stays and tells (b.3
 * row 16). What was UpToDate may have grown old meanwhile.
 */
export const begunAnew = (superblock: SuperblockState, mode: Mode): SuperblockState => ({
  ...superblock,
  role: 'secondary',
  disk: superblock.disk === 'UpToDate' ? 'Consistent' : superblock.disk,
  mode,
});

/** What of a copy's state the peer is told. */
export const copyStateOf = (superblock: SuperblockState, bootId: string, dirtyChunks: number, victim = false): CopyState => ({
  identity: superblock.identity,
  node: superblock.node,
  bootId,
  role: superblock.role,
  disk: superblock.disk,
  primaryIndicator: superblock.primaryIndicator,
  primaryEpoch: superblock.primaryEpoch,
  maxEpochSeen: superblock.maxEpochSeen,
  current: superblock.current,
  bitmapBase: superblock.peer.bitmapBase,
  history: superblock.history,
  dirtyChunks,
  forced: superblock.forced,
  mode: superblock.mode,
  peerBootId: superblock.peer.bootId,
  seeded: superblock.resync?.kind === 'checksum',
  victim,
});
