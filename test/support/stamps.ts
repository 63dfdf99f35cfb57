// Blocks that say which slot they belong to and how often it was written, and what a copy of them must at least hold.
import { openSync, readFileSync, readSync, closeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

export const BLOCK_BYTES = 4096;
const MAGIC = 0x53544d50;

/** Filled with what its slot and counter make of it, so that a torn block is seen. */
export const stampedBlock = (slot: number, counter: number): Buffer => {
  const block = Buffer.alloc(BLOCK_BYTES, (slot * 31 + counter) & 0xff);
  block.writeUInt32LE(MAGIC, 0);
  block.writeUInt32LE(slot, 4);
  block.writeUInt32LE(counter, 8);
  block.writeUInt32LE(crc32(block.subarray(16), counter), 12);
  return block;
};

/** 0 = never written. Throws when it is neither empty nor whole. */
export const counterOf = (block: Uint8Array, slot?: number): number => {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.length);
  if (bytes.every((byte) => byte === 0)) return 0;
  const counter = bytes.readUInt32LE(8);
  const wrong = bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(12) !== crc32(bytes.subarray(16), counter);
  if (wrong || (slot !== undefined && bytes.readUInt32LE(4) !== slot))
    throw new Error(`the block of slot ${slot ?? '?'} is torn or another's`);
  return counter;
};

/** The highest counter of each slot that was answered, from a file of answers; `flushed`: that was covered by an answered flush. */
export const answered = (
  file: string,
): { readonly written: ReadonlyMap<number, number>; readonly flushed: ReadonlyMap<number, number> } => {
  const [written, flushed] = [new Map<number, number>(), new Map<number, number>()];
  for (const line of readFileSync(file, 'utf8').split('\n').slice(0, -1)) {
    const [slot = '', counter = '', kind = ''] = line.split(' ');
    const into = kind === 'f' ? flushed : written;
    into.set(Number(slot), Math.max(into.get(Number(slot)) ?? 0, Number(counter)));
  }
  return { written, flushed };
};

/** What a copy lacks of what was answered, as sentences. */
export const lostOf = (image: string, answers: ReadonlyMap<number, number>): readonly string[] => {
  const fd = openSync(image, 'r');
  const block = Buffer.alloc(BLOCK_BYTES);
  try {
    return [...answers].flatMap(([slot, counter]) => {
      readSync(fd, block, 0, BLOCK_BYTES, slot * BLOCK_BYTES);
      const found = counterOf(block, slot);
      return found >= counter ? [] : [`slot ${slot}: ${counter} was answered, ${found} is there`];
    });
  } finally {
    closeSync(fd);
  }
};
