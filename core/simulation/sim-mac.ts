// The tag of heartbeat frames in a simulated world: a keyed checksum of the same length in the place of HMAC-SHA-256, which
// would be an eighth of all a seed costs. Modelled: another key, a flipped bit, a cut or longer frame give another tag, as with
// the real one; nobody in these worlds makes tags on purpose. Everything else of a frame is the production code's.
import { type FrameMac, TAG_BYTES } from '../membership/frame-mac.js';

const WORDS = TAG_BYTES / 4;

/** Every step is a bijection of the state, so that one changed byte always changes both sums. */
export const simulatedMac: FrameMac = (key) => {
  const [one, other] = sumsOf(key, key.length, 0x811c9dc5 | 0, 0x9e3779b9 | 0);
  return {
    seal: (frame, end) => {
      let [left, right] = sumsOf(frame, end, one, other);
      for (let word = 0; word < WORDS; word += 1) {
        frame.writeInt32LE(left, end + 4 * word);
        [left, right] = [right, Math.imul(left ^ (left >>> 15), 0x2c1b3c6d)];
      }
    },
    holds: (frame, end) => {
      let [left, right] = sumsOf(frame, end, one, other);
      for (let word = 0; word < WORDS; word += 1) {
        if (frame.readInt32LE(end + 4 * word) !== left) return false;
        [left, right] = [right, Math.imul(left ^ (left >>> 15), 0x2c1b3c6d)];
      }
      return true;
    },
  };
};

/** FNV-1a and a sum that turns, over the bytes, four at a time, and their number. */
const sumsOf = (bytes: Uint8Array, end: number, from: number, other: number): [number, number] => {
  let left = from ^ end;
  let right = other + end;
  const whole = end - (end % 4);
  for (let index = 0; index < whole; index += 4) {
    const word = bytes[index]! | (bytes[index + 1]! << 8) | (bytes[index + 2]! << 16) | (bytes[index + 3]! << 24);
    left = Math.imul(left ^ word, 0x01000193);
    right = (Math.imul(right, 31) + word) | 0;
  }
  for (let index = whole; index < end; index += 1) {
    left = Math.imul(left ^ bytes[index]!, 0x01000193);
    right = (Math.imul(right, 31) + bytes[index]!) | 0;
  }
  return [left, right | 0];
};
