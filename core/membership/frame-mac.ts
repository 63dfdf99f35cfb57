// The tag of a heartbeat frame: 32 bytes behind everything else, made with a key that only the nodes of the cluster have.
// Everywhere but in a simulated world it is HMAC-SHA-256 of node:crypto. Invariant: the length of the tag and the algorithm
// are constants, never read from a frame; a comparison takes the same time whatever is compared.
import { createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto';

export const TAG_BYTES = 32;

/** The tags of one key. */
export interface FrameSeal {
  /** Writes the tag of everything before `end` at `end`. */
  seal(bytes: Buffer, end: number): void;
  /** Whether the tag at `end` is that of everything before it. */
  holds(bytes: Buffer, end: number): boolean;
}

/** Makes the seal of one cluster key. */
export type FrameMac = (key: Uint8Array) => FrameSeal;

export const hmacSha256: FrameMac = (bytes) => {
  // The cluster key serves other protocols too: a signature made for one must mean nothing in another.
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', bytes, '', 'understudy heartbeat 1', 32)));
  const tagOf = (signed: Uint8Array): Buffer => createHmac('sha256', key).update(signed).digest();
  return {
    seal: (frame, end) => void tagOf(frame.subarray(0, end)).copy(frame, end),
    holds: (frame, end) => timingSafeEqual(tagOf(frame.subarray(0, end)), frame.subarray(end, end + TAG_BYTES)),
  };
};
