// How witness and client speak: frames of a 4-byte big-endian length, a JSON payload and an HMAC-SHA-256 tag over the
// direction's running number and the payload. The keys are made of the cluster key and both sides' nonces, one for each
// direction, so that a recorded, reordered, dropped or reflected frame fails. Pure but for the socket it is given.
import { type KeyObject, createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto';

/** The longest frame; both sides refuse longer ones before they keep a byte of it. */
export const MAX_FRAME_BYTES = 64 * 1024;
/** The longest value, so that one value always fits an answer. */
export const MAX_VALUE_BYTES = 32 * 1024;
/** The longest frame of somebody not yet authenticated. */
export const MAX_GREETING_BYTES = 1024;
export const MAX_KEYS = 1024;
export const MAX_KEY_LENGTH = 512;
export const NONCE_BYTES = 16;
const TAG_BYTES = 32;
const LENGTH_BYTES = 4;

/** The other side does not speak this protocol, or not with this key. The connection ends; nothing it said counts. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

export type Direction = 'to-witness' | 'to-client';

/** The two keys of one connection. */
export const connectionKeys = (
  clusterKey: Uint8Array,
  witnessNonce: string,
  clientNonce: string,
): Readonly<Record<Direction, KeyObject>> => {
  const key = (direction: Direction) =>
    createSecretKey(
      Buffer.from(hkdfSync('sha256', clusterKey, Buffer.from(witnessNonce + clientNonce, 'hex'), `understudy witness 1 ${direction}`, 32)),
    );
  return { 'to-witness': key('to-witness'), 'to-client': key('to-client') };
};

const tagOf = (key: KeyObject, number: number, payload: Uint8Array): Buffer => {
  const head = Buffer.alloc(8);
  head.writeBigUInt64BE(BigInt(number));
  return createHmac('sha256', key).update(head).update(payload).digest();
};

const framed = (...parts: readonly Uint8Array[]): Buffer => {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 0));
  return Buffer.concat([length, ...parts]);
};

/** A greeting: the one frame of each side that cannot be signed yet, or is signed by itself. */
export const greeting = (value: unknown): Buffer => framed(Buffer.from(JSON.stringify(value)));

/** Signs what goes one way; each frame has the next number. */
export class Sealer {
  readonly #key: KeyObject;
  #number = 0;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  seal(value: unknown): Buffer {
    const payload = Buffer.from(JSON.stringify(value));
    return framed(payload, tagOf(this.#key, this.#number++, payload));
  }
}

/** Verifies what comes one way. */
export class Opener {
  readonly #key: KeyObject;
  #number = 0;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** The payload, or null when the tag is wrong; the number goes on only with a right one. */
  open(frame: Buffer): unknown {
    if (frame.length < TAG_BYTES) return null;
    const payload = frame.subarray(0, frame.length - TAG_BYTES);
    if (!timingSafeEqual(tagOf(this.#key, this.#number, payload), frame.subarray(frame.length - TAG_BYTES))) return null;
    this.#number += 1;
    return parseJson(payload);
  }
}

/** JSON that may be anything; a WireError when it is none. */
export const parseJson = (payload: Buffer): unknown => {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch (error) {
    throw new WireError('the other side sent what is not JSON', { cause: error });
  }
};

/** Cuts a stream into frames. Keeps at most one unfinished frame of at most `limitBytes`. */
export class FrameReader {
  limitBytes: number;
  #kept: Buffer = Buffer.alloc(0);

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** The frames that are whole now, one at a time: the limit may be changed between two. Throws WireError. */
  *push(chunk: Buffer): Generator<Buffer> {
    this.#kept = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    while (this.#kept.length >= LENGTH_BYTES) {
      const length = this.#kept.readUInt32BE(0);
      if (length === 0 || length > this.limitBytes)
        throw new WireError(`the other side announced a frame of ${length} bytes; the limit is ${this.limitBytes}`);
      if (this.#kept.length < LENGTH_BYTES + length) return;
      const frame = this.#kept.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      this.#kept = this.#kept.subarray(LENGTH_BYTES + length);
      yield frame;
    }
  }
}
