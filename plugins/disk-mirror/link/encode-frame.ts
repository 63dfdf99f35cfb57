// A frame as bytes: its header, written where the caller wants it, and its payload by reference, so that a write of a megabyte is
// not copied to be sent. Pure.
import assert from 'node:assert';
import { MAX_PAYLOAD_BYTES } from './frames.js';
import { bodyOf } from './json-body.js';
import { AT, checksum, HEADER_BYTES, LAYOUTS, MAGIC, MAX_JSON_BYTES, type WireFrame, writeNumber } from './layout.js';

export interface Encoded {
  readonly header: Uint8Array;
  /** Must stay as it is until it is sent; null = there is none. */
  readonly payload: Uint8Array | null;
}

const EMPTY = new Uint8Array(0);

export type Pack = (bytes: Uint8Array) => Uint8Array | null;

/** In memory of its own. */
export const encodeFrame = (frame: WireFrame, pack?: Pack): Encoded => {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  const payload = encodeInto(header, new DataView(header.buffer, header.byteOffset, HEADER_BYTES), 0, frame, pack);
  return { header, payload: payload.length === 0 ? null : payload };
};

/**
 * Writes the header at `from` of `into`, of which `view` is a view, and returns the payload. `pack`: the payload smaller, or null when
 * it is not worth it. Asserts what the program itself must keep: a payload within its bound.
 */
export const encodeInto = (into: Uint8Array, view: DataView, from: number, frame: WireFrame, pack?: Pack): Uint8Array => {
  const layout = LAYOUTS[frame.t];
  const members = frame as unknown as Record<string, unknown>;
  const plain =
    layout.payload === undefined ? EMPTY : layout.payload === 'json' ? bodyOf(members) : (members[layout.payload] as Uint8Array);
  const bound = layout.payload === 'json' ? MAX_JSON_BYTES : MAX_PAYLOAD_BYTES;
  // The words are made only when they are needed: this is the way of every write.
  if (plain.length > bound) assert.fail(`${frame.t} carries ${plain.length} bytes, at most ${bound} may be`);
  const packed = pack?.(plain) ?? null;
  const payload = packed ?? plain;

  view.setUint32(from, MAGIC, true);
  view.setUint8(from + AT.kind, layout.code);
  view.setUint8(from + AT.flags, layout.flag !== undefined && members[layout.flag] === true ? 1 : 0);
  view.setUint16(from + AT.zero, 0, true);
  writeNumber(view, from + AT.epoch, whole(frame.t, 'epoch', frame.epoch));
  for (let at = 0; at < 3; at += 1) {
    const name = layout.numbers[at];
    writeNumber(view, from + AT.numbers + 8 * at, name === undefined ? 0 : whole(frame.t, name, members[name]));
  }
  view.setUint32(from + AT.length, payload.length, true);
  view.setUint32(from + AT.plain, packed === null ? 0 : plain.length, true);
  view.setUint32(from + AT.payloadSum, payload.length === 0 ? 0 : checksum(payload), true);
  view.setUint32(from + AT.headerSum, checksum(into.subarray(from, from + AT.headerSum)), true);
  return payload;
};

const whole = (kind: string, name: string, value: unknown): number => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) assert.fail(`${kind}.${name} is ${String(value)}, not a whole number`);
  return value as number;
};
