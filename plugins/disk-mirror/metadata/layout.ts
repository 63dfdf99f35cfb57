// Where everything lies in the metadata of a volume of a given size: a pure function, so that every node comes to the same.
// Superblocks lie a megabyte apart (one bad spot does not take both), the log between them, the bitmap behind.
import { EXTENT_BYTES, SECTOR_BYTES } from '../words.js';
import { BLOCK_BYTES } from './block.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Chunks of one bitmap page: whole extents for every size of chunk, so that an extent never lies on two pages. */
export const CHUNKS_PER_PAGE = 31 * 1024;
export const PAGE_BITMAP_BYTES = CHUNKS_PER_PAGE / 8;
export const SUPERBLOCK_AT = [0, MIB] as const;
export const LOG_AT = BLOCK_BYTES;
export const BITMAP_AT = MIB + BLOCK_BYTES;
/** Blocks of the ring: what one commit may write (16) and what tells all slots (at most 19) fit in it several times. */
export const RING_BLOCKS = 128;
export const DEFAULT_SLOTS = 1024;
export const MIN_SLOTS = 16;
export const MAX_SLOTS = 16_384;
export const MAX_VOLUME_BYTES = 64 * 1024 * GIB;
const MIN_CHUNK_BYTES = 4096;
export const MAX_CHUNK_BYTES = 65_536;

export interface Layout {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunks: number;
  readonly extents: number;
  readonly chunksPerExtent: number;
  readonly slots: number;
  readonly pages: number;
  /** What the metadata needs in all. */
  readonly metadataBytes: number;
}

/**
 * Bytes of one chunk, which is one bit, and the least that a resync sends: 4 KiB while the bitmap of the volume stays small, twice as
 * much for four times the size, 64 KiB at most. A coarse bit is dear: one of 64 KiB sends 16 times a scattered write of 4 KiB.
 */
export const chunkBytesFor = (sizeBytes: number): number => {
  let chunkBytes = MIN_CHUNK_BYTES;
  for (let limit = 64 * GIB; sizeBytes > limit && chunkBytes < MAX_CHUNK_BYTES; limit *= 4) chunkBytes *= 2;
  return chunkBytes;
};

/** Why no layout can be made of these, null = one can. */
export const layoutProblem = (sizeBytes: number, slots: number, chunkBytes: number): string | null => {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < SECTOR_BYTES || sizeBytes > MAX_VOLUME_BYTES || sizeBytes % SECTOR_BYTES !== 0)
    return `a volume of ${sizeBytes} bytes: it must be a multiple of ${SECTOR_BYTES}, at most ${MAX_VOLUME_BYTES}`;
  if (!Number.isInteger(slots) || slots < MIN_SLOTS || slots > MAX_SLOTS)
    return `${slots} slots of the activity log: ${MIN_SLOTS} to ${MAX_SLOTS} are possible`;
  if (!Number.isInteger(Math.log2(chunkBytes)) || chunkBytes < MIN_CHUNK_BYTES || chunkBytes > MAX_CHUNK_BYTES)
    return `chunks of ${chunkBytes} bytes: a power of two from ${MIN_CHUNK_BYTES} to ${MAX_CHUNK_BYTES} is possible`;
  return null;
};

/** The layout of the metadata of a volume. Throws a RangeError where `layoutProblem` names one. */
export const layoutOf = (
  sizeBytes: number,
  { slots = DEFAULT_SLOTS, chunkBytes = chunkBytesFor(sizeBytes) }: { readonly slots?: number; readonly chunkBytes?: number } = {},
): Layout => {
  const problem = layoutProblem(sizeBytes, slots, chunkBytes);
  if (problem !== null) throw new RangeError(problem);
  const chunks = Math.ceil(sizeBytes / chunkBytes);
  const pages = Math.ceil(chunks / CHUNKS_PER_PAGE);
  return {
    sizeBytes,
    chunkBytes,
    chunks,
    extents: Math.ceil(sizeBytes / EXTENT_BYTES),
    chunksPerExtent: EXTENT_BYTES / chunkBytes,
    slots,
    pages,
    metadataBytes: BITMAP_AT + pages * BLOCK_BYTES,
  };
};

export const pageAt = (page: number): number => BITMAP_AT + page * BLOCK_BYTES;
export const ringAt = (place: number): number => LOG_AT + place * BLOCK_BYTES;
export const pageOfExtent = ({ chunksPerExtent }: Layout, extent: number): number =>
  Math.floor((extent * chunksPerExtent) / CHUNKS_PER_PAGE);

/** The chunks of an extent; the last one of a volume may be short. */
export const chunksOfExtent = ({ chunks, chunksPerExtent }: Layout, extent: number): { readonly first: number; readonly count: number } => {
  const first = extent * chunksPerExtent;
  return { first, count: Math.min(chunksPerExtent, chunks - first) };
};
