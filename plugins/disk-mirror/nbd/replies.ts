// Replies put into the outbox: where each lies, and of which pieces the answer to a read is made. Holes cost no copying: the
// headers that stand between two pieces of data are written into the hole that is between them.
import type { ReadHole, StatusRun } from './export.js';
import type { Refusal } from './judge.js';
import type { Outbox } from './outbox.js';
import type { Pending } from './pending.js';
import { DATA_CHUNK_BYTES, FLAG, HOLE_CHUNK_BYTES, SIMPLE_REPLY_BYTES } from './protocol.js';
import {
  type Cookie,
  errorChunkBytes,
  statusChunkBytes,
  writeDataHead,
  writeError,
  writeHole,
  writeSimple,
  writeStatus,
} from './reply-codec.js';
import type { Slab } from './slabs.js';

export const replySimple = (outbox: Outbox, to: Cookie, error: number, countedBytes: number): void => {
  outbox.place(SIMPLE_REPLY_BYTES);
  const { placeSlab: slab, placeAt: at } = outbox;
  outbox.piece(slab, at, writeSimple(slab.buffer, at, to, error));
  outbox.reply(slab, countedBytes);
};

export const replyError = (outbox: Outbox, to: Cookie, { error, because }: Refusal, countedBytes: number): void => {
  outbox.place(errorChunkBytes(because));
  const { placeSlab: slab, placeAt: at } = outbox;
  outbox.piece(slab, at, writeError(slab.buffer, at, to, error, because));
  outbox.reply(slab, countedBytes);
};

/** One chunk for each context, in their order. */
export const replyStatus = (outbox: Outbox, to: Cookie, contexts: readonly (readonly StatusRun[])[], countedBytes: number): void => {
  outbox.place(contexts.reduce((bytes, runs) => bytes + statusChunkBytes(runs.length), 0));
  const { placeSlab: slab, placeAt: at } = outbox;
  let end = at;
  contexts.forEach((runs, id) => (end = writeStatus(slab.buffer, end, to, id === contexts.length - 1, id, runs)));
  outbox.piece(slab, at, end);
  outbox.reply(slab, countedBytes);
};

/** A shorter hole is sent as zeroes: its headers would not fit into it, and cost as much. */
export const MIN_HOLE_BYTES = 512;
/** What the chunk of a hole takes more than the place of a first header. */
const ROOM_BEFORE = HOLE_CHUNK_BYTES - DATA_CHUNK_BYTES;

/** The data lies in the slab behind the place of the first header. */
export const readPieces = (outbox: Outbox, pending: Pending, slab: Slab, structured: boolean, holes: readonly ReadHole[]): void => {
  const { at, length, offset } = pending;
  const { buffer } = slab;
  const data = at + (structured ? DATA_CHUNK_BYTES : SIMPLE_REPLY_BYTES);
  if (!structured) {
    for (const hole of holes) buffer.fill(0, data + hole.at, data + hole.at + hole.length);
    writeSimple(buffer, at, pending, 0);
    outbox.piece(slab, at, data + length);
    return;
  }
  const df = (pending.flags & FLAG.df) !== 0;
  const told = holes.filter((hole) => (hole.length >= MIN_HOLE_BYTES && !df) || (hole.length === length && length >= ROOM_BEFORE));
  for (const hole of holes) if (!told.includes(hole)) buffer.fill(0, data + hole.at, data + hole.at + hole.length);
  let from = 0;
  for (const hole of told) {
    const last = hole.at + hole.length === length;
    // In front of the data at `from` there is the first header's place or the end of a hole.
    if (hole.at > from) dataPiece(outbox, pending, slab, data, from, hole.at, false);
    // Of a hole that is the whole read the place before it is free; else its chunk lies at its own begin.
    const chunk = hole.length === length ? at : data + hole.at;
    outbox.piece(slab, chunk, writeHole(buffer, chunk, pending, last, offset + hole.at, hole.length));
    from = hole.at + hole.length;
  }
  if (from < length) dataPiece(outbox, pending, slab, data, from, length, true);
};

const dataPiece = (
  outbox: Outbox,
  { offset, cookieHigh, cookieLow }: Pending,
  slab: Slab,
  data: number,
  from: number,
  to: number,
  last: boolean,
): void => {
  const head = data + from - DATA_CHUNK_BYTES;
  writeDataHead(slab.buffer, head, { cookieHigh, cookieLow }, last, offset + from, to - from);
  outbox.piece(slab, head, data + to);
};

// A hole that is told has room for its own chunk and for the header of the data behind it.
if (MIN_HOLE_BYTES < HOLE_CHUNK_BYTES + DATA_CHUNK_BYTES) throw new Error('a hole must have room for two headers');
