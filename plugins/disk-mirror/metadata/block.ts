// One block of metadata: 4096 bytes, little-endian, header, payload, CRC-32 over all before it (docs/adr/0011). Every kind of
// block has this shape. Invariant: a block whose bits are not all as they were written is never taken for one that they are.
import { crc32 } from 'node:zlib';

export const BLOCK_BYTES = 4096;
export const HEADER_BYTES = 40;
const CHECKSUM_AT = BLOCK_BYTES - 4;
/** What a kind of block may fill. */
export const PAYLOAD_BYTES = CHECKSUM_AT - HEADER_BYTES;
/** What a disk writes whole or not at all; a block is eight of them. */
export const DISK_SECTOR_BYTES = 512;

/** The first bytes of every block. */
export const MAGIC = Buffer.from('USM1');
export const BLOCK_FORMAT = 1;
const TYPES = { superblock: 1, bitmap: 2, log: 3 } as const;
export type BlockType = keyof typeof TYPES;

export interface BlockHead {
  readonly type: BlockType;
  /** Its place in its region: copy of the superblock, page of the bitmap, place in the ring. */
  readonly blockNo: number;
  readonly writeSeq: number;
  /** 32 hex digits. */
  readonly volumeUuid: string;
}

export type BlockProblem =
  | 'not metadata of a mirror'
  | 'another format'
  | 'a wrong checksum'
  | 'another kind of block'
  | 'misplaced'
  | 'of another volume';
export type OpenedBlock = { readonly ok: true; readonly head: BlockHead } | { readonly ok: false; readonly problem: BlockProblem };

/** The fields that a reader knows beforehand; what is left out may be anything. */
export interface Expected {
  readonly type: BlockType;
  readonly blockNo: number;
  readonly volumeUuid?: string;
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A safe integer as u64. */
export const putU64 = (view: DataView, at: number, value: number): void => {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`no u64 that a number holds: ${value}`);
  view.setUint32(at, value % 0x1_0000_0000, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
};

/** A u64 beyond the safe integers becomes NaN, which no check lets pass. */
export const getU64 = (view: DataView, at: number): number => {
  const value = view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
  return Number.isSafeInteger(value) ? value : Number.NaN;
};

/** Writes header and checksum around a payload that is in place. `block` is 4096 bytes. */
export const sealBlock = (block: Uint8Array, head: BlockHead): Uint8Array => {
  writeHead(block, head);
  viewOf(block).setUint32(CHECKSUM_AT, crc32(block.subarray(0, CHECKSUM_AT)), true);
  return block;
};

export const writeHead = (block: Uint8Array, { type, blockNo, writeSeq, volumeUuid }: BlockHead): void => {
  if (block.length !== BLOCK_BYTES) throw new RangeError(`a block of ${block.length} bytes`);
  if (!/^[0-9a-f]{32}$/.test(volumeUuid)) throw new RangeError(`no uuid of a volume: ${volumeUuid}`);
  const view = viewOf(block);
  block.set(MAGIC, 0);
  view.setUint16(4, TYPES[type], true);
  view.setUint16(6, BLOCK_FORMAT, true);
  view.setUint32(8, blockNo, true);
  view.setUint32(12, 0, true);
  putU64(view, 16, writeSeq);
  block.set(Buffer.from(volumeUuid, 'hex'), 24);
};

/** Checks magic, checksum, and that it is the block that was looked for; the payload then stands at 40. */
export const openBlock = (block: Uint8Array, expected: Expected): OpenedBlock => {
  if (!hasMagic(block)) return { ok: false, problem: 'not metadata of a mirror' };
  if (viewOf(block).getUint32(CHECKSUM_AT, true) !== crc32(block.subarray(0, CHECKSUM_AT)))
    return { ok: false, problem: 'a wrong checksum' };
  return readHead(block, expected);
};

export const hasMagic = (block: Uint8Array): boolean => MAGIC.every((byte, index) => block[index] === byte);

/** The header alone, for who has checked it by other means. */
export const readHead = (block: Uint8Array, expected: Expected): OpenedBlock => {
  const view = viewOf(block);
  if (!hasMagic(block)) return { ok: false, problem: 'not metadata of a mirror' };
  if (view.getUint16(6, true) !== BLOCK_FORMAT || view.getUint32(12, true) !== 0) return { ok: false, problem: 'another format' };
  if (view.getUint16(4, true) !== TYPES[expected.type]) return { ok: false, problem: 'another kind of block' };
  if (view.getUint32(8, true) !== expected.blockNo) return { ok: false, problem: 'misplaced' };
  const volumeUuid = Buffer.from(block.subarray(24, 40)).toString('hex');
  if (expected.volumeUuid !== undefined && volumeUuid !== expected.volumeUuid) return { ok: false, problem: 'of another volume' };
  const writeSeq = getU64(view, 16);
  if (Number.isNaN(writeSeq)) return { ok: false, problem: 'another format' };
  return { ok: true, head: { type: expected.type, blockNo: expected.blockNo, writeSeq, volumeUuid } };
};
