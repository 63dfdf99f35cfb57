// Replies of the transmission phase as bytes, written in place. Pure; nothing is made anew.
import type { StatusRun } from './export.js';
import { CHUNK, CHUNK_BYTES, CHUNK_DONE, HOLE_CHUNK_BYTES, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC } from './protocol.js';

/** What a reply repeats of its request. */
export interface Cookie {
  readonly cookieHigh: number;
  readonly cookieLow: number;
}

/** Returns where it ends. */
export const writeSimple = (into: Buffer, at: number, { cookieHigh, cookieLow }: Cookie, error: number): number => {
  writeWord(into, at, SIMPLE_REPLY_MAGIC);
  writeWord(into, at + 4, error);
  writeWord(into, at + 8, cookieHigh);
  return writeWord(into, at + 12, cookieLow);
};

/** The header of a chunk; `length` of what follows. Returns where it ends. */
export const writeChunk = (
  into: Buffer,
  at: number,
  { cookieHigh, cookieLow }: Cookie,
  type: number,
  last: boolean,
  length: number,
): number => {
  writeWord(into, at, STRUCTURED_REPLY_MAGIC);
  writeWord(into, at + 4, ((last ? CHUNK_DONE : 0) << 16) | type);
  writeWord(into, at + 8, cookieHigh);
  writeWord(into, at + 12, cookieLow);
  return writeWord(into, at + 16, length);
};

/** Header and offset of a chunk of data; `length` bytes of data follow. */
export const writeDataHead = (into: Buffer, at: number, cookie: Cookie, last: boolean, offset: number, length: number): number =>
  writeOffset(into, writeChunk(into, at, cookie, CHUNK.data, last, 8 + length), offset);

export const writeHole = (into: Buffer, at: number, cookie: Cookie, last: boolean, offset: number, length: number): number =>
  writeWord(into, writeOffset(into, writeChunk(into, at, cookie, CHUNK.hole, last, HOLE_CHUNK_BYTES - CHUNK_BYTES), offset), length);

export const errorChunkBytes = (because: string): number => CHUNK_BYTES + 6 + Buffer.byteLength(because);

export const writeError = (into: Buffer, at: number, cookie: Cookie, error: number, because: string): number => {
  const message = writeChunk(into, at, cookie, CHUNK.error, true, errorChunkBytes(because) - CHUNK_BYTES) + 6;
  writeWord(into, message - 6, error);
  const length = into.write(because, message);
  into.writeUInt16BE(length, message - 2);
  return message + length;
};

export const statusChunkBytes = (runs: number): number => CHUNK_BYTES + 4 + 8 * runs;

export const writeStatus = (
  into: Buffer,
  at: number,
  cookie: Cookie,
  last: boolean,
  context: number,
  runs: readonly StatusRun[],
): number => {
  let end = writeWord(into, writeChunk(into, at, cookie, CHUNK.blockStatus, last, 4 + 8 * runs.length), context);
  for (const { length, flags } of runs) end = writeWord(into, writeWord(into, end, length), flags);
  return end;
};

const writeOffset = (into: Buffer, at: number, offset: number): number =>
  writeWord(into, writeWord(into, at, Math.floor(offset / 0x1_0000_0000)), offset % 0x1_0000_0000);

/** Four bytes, without the checks of `writeUInt32BE`: every place was taken for them. */
const writeWord = (into: Buffer, at: number, word: number): number => {
  into[at] = word >>> 24;
  into[at + 1] = word >>> 16;
  into[at + 2] = word >>> 8;
  into[at + 3] = word;
  return at + 4;
};
