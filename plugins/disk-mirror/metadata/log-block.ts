// One block of the activity log: up to 64 changes of slots, and a window of what all slots hold, which rolls on from block to
// block. The changes lie in the first 512 bytes with a checksum of their own. A disk writes 512 bytes whole or not at all, so
// that a block whose writing was cut short still has a good head, old or new, and one whose head is bad was damaged later:
// the two are told apart, and an answered change is not taken for a lost one. The rest of the block repeats the head's checksum:
// a CRC runs to the same value over every text that ends with its own CRC, so the block's alone would not see a new head on an
// old rest.
import { crc32 } from 'node:zlib';
import {
  BLOCK_BYTES,
  DISK_SECTOR_BYTES,
  HEADER_BYTES,
  type BlockProblem,
  openBlock,
  readHead,
  sealBlock,
  viewOf,
  writeHead,
} from './block.js';
import { MAX_SLOTS, RING_BLOCKS } from './layout.js';

export const UPDATES_PER_BLOCK = 64;
/** The head's checksum once more, which ties the rest to it. */
const HEAD_AGAIN_AT = BLOCK_BYTES - 8;
export const CONTEXT_PER_BLOCK = (HEAD_AGAIN_AT - DISK_SECTOR_BYTES) / 4;
/** What a slot holds that holds no extent. */
export const FREE = 0xffff_ffff;
const UPDATES_AT = HEADER_BYTES + 8;
const UPDATE_BYTES = 6;
const HEAD_CHECKSUM_AT = DISK_SECTOR_BYTES - 4;

export interface SlotChange {
  readonly slot: number;
  /** FREE when it is emptied. */
  readonly extent: number;
}

export interface Transaction {
  /** Grows by one with each block; its place in the ring is the rest by RING_BLOCKS. */
  readonly number: number;
  readonly changes: readonly SlotChange[];
  /** What the slots from `first` on hold after the whole commit. */
  readonly context: { readonly first: number; readonly extents: Uint32Array };
}

export const encodeTransaction = (into: Uint8Array, { number, changes, context }: Transaction, volumeUuid: string): Uint8Array => {
  if (changes.length > UPDATES_PER_BLOCK || context.extents.length > CONTEXT_PER_BLOCK) throw new RangeError('too much for one block');
  const head = { type: 'log', blockNo: number % RING_BLOCKS, writeSeq: number, volumeUuid } as const;
  const view = viewOf(into);
  into.fill(0);
  view.setUint16(HEADER_BYTES, changes.length, true);
  view.setUint16(HEADER_BYTES + 2, context.extents.length, true);
  view.setUint32(HEADER_BYTES + 4, context.first, true);
  changes.forEach(({ slot, extent }, index) => {
    view.setUint32(UPDATES_AT + index * UPDATE_BYTES, extent, true);
    view.setUint16(UPDATES_AT + index * UPDATE_BYTES + 4, slot, true);
  });
  for (let index = 0; index < context.extents.length; index++)
    view.setUint32(DISK_SECTOR_BYTES + index * 4, context.extents[index] ?? FREE, true);
  writeHead(into, head);
  const headChecksum = crc32(into.subarray(0, HEAD_CHECKSUM_AT));
  view.setUint32(HEAD_CHECKSUM_AT, headChecksum, true);
  view.setUint32(HEAD_AGAIN_AT, headChecksum, true);
  return sealBlock(into, head);
};

export type ReadTransaction =
  /** All of it is as it was written. */
  | { readonly kind: 'whole'; readonly transaction: Transaction }
  /** The head alone is: its changes may be believed, its window not. */
  | { readonly kind: 'head'; readonly transaction: Transaction }
  | { readonly kind: 'damaged'; readonly problem: BlockProblem };

/** What stands at a place of the ring. */
export const decodeTransaction = (block: Uint8Array, place: number, volumeUuid: string): ReadTransaction => {
  const expected = { type: 'log', blockNo: place, volumeUuid } as const;
  const view = viewOf(block);
  const opened = openBlock(block, expected);
  const headChecksum = view.getUint32(HEAD_CHECKSUM_AT, true);
  if (headChecksum !== crc32(block.subarray(0, HEAD_CHECKSUM_AT)))
    return { kind: 'damaged', problem: opened.ok ? 'a wrong checksum' : opened.problem };
  const whole = opened.ok && view.getUint32(HEAD_AGAIN_AT, true) === headChecksum;
  const head = readHead(block, expected);
  if (!head.ok) return { kind: 'damaged', problem: head.problem };
  const changes = readChanges(block);
  const context = readContext(block);
  const number = head.head.writeSeq;
  if (number % RING_BLOCKS !== place) return { kind: 'damaged', problem: 'misplaced' };
  if (changes === null || context === null) return { kind: 'damaged', problem: 'another format' };
  return whole
    ? { kind: 'whole', transaction: { number, changes, context } }
    : { kind: 'head', transaction: { number, changes, context: { first: 0, extents: new Uint32Array(0) } } };
};

const readChanges = (block: Uint8Array): SlotChange[] | null => {
  const view = viewOf(block);
  const count = view.getUint16(HEADER_BYTES, true);
  if (count > UPDATES_PER_BLOCK) return null;
  const changes: SlotChange[] = [];
  for (let at = UPDATES_AT; changes.length < count; at += UPDATE_BYTES) {
    const slot = view.getUint16(at + 4, true);
    if (slot >= MAX_SLOTS) return null;
    changes.push({ slot, extent: view.getUint32(at, true) });
  }
  return changes;
};

const readContext = (block: Uint8Array): Transaction['context'] | null => {
  const view = viewOf(block);
  const count = view.getUint16(HEADER_BYTES + 2, true);
  const first = view.getUint32(HEADER_BYTES + 4, true);
  if (count > CONTEXT_PER_BLOCK || first + count > MAX_SLOTS) return null;
  const extents = new Uint32Array(count);
  for (let index = 0; index < count; index++) extents[index] = view.getUint32(DISK_SECTOR_BYTES + index * 4, true);
  return { first, extents };
};
