// What a peer's mirror process sends: whatever the bytes, frames that can be written again or a reason, the same in one piece
// and in many, and never more memory taken than the bytes could fill.
import { encodeFrame } from '../../plugins/disk-mirror/link/encode-frame.js';
import { FrameParser } from '../../plugins/disk-mirror/link/frame-parser.js';
import { AT, checksum, HEADER_BYTES, MAGIC, type WireFrame } from '../../plugins/disk-mirror/link/layout.js';
import { MAX_PAYLOAD_BYTES } from '../../plugins/disk-mirror/link/frames.js';
import { packerOf } from '../../plugins/disk-mirror/link/pack.js';
import { SAMPLES } from '../plugins/disk-mirror/link/frame-samples.js';
import { assertStable, assertThat, type Target } from './target.js';

const bytesOf = (frame: WireFrame): Buffer => {
  const { header, payload } = encodeFrame(frame, packerOf(frame));
  return Buffer.concat(payload === null ? [header] : [header, payload]);
};

const read = (pieces: readonly Uint8Array[]): { readonly frames: WireFrame[]; readonly bad: string | null } => {
  const frames: WireFrame[] = [];
  const take = (bytes: number) => {
    assertThat(bytes <= MAX_PAYLOAD_BYTES, `${bytes} bytes were taken`);
    return Buffer.alloc(bytes);
  };
  const parser = new FrameParser((frame) => frames.push(frame), { take });
  let bad: string | null = null;
  for (const piece of pieces) bad = parser.push(piece);
  return { frames, bad };
};

/** Magic and both checksums made right, as far as the lengths allow. */
const repaired = (bytes: Buffer): Buffer => {
  const whole = Buffer.from(bytes);
  for (let at = 0; at + HEADER_BYTES <= whole.length; ) {
    const header = whole.subarray(at, at + HEADER_BYTES);
    const length = header.readUInt32LE(AT.length);
    const payload = whole.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length);
    header.writeUInt32LE(MAGIC, 0);
    header.writeUInt32LE(length === 0 ? 0 : checksum(payload), AT.payloadSum);
    header.writeUInt32LE(checksum(header.subarray(0, AT.headerSum)), AT.headerSum);
    at += HEADER_BYTES + length;
  }
  return whole;
};

const small = SAMPLES.map(bytesOf).filter(({ length }) => length < 4096);

export const mirrorFrame: Target = {
  name: 'mirror-frame',
  seeds: [...small, Buffer.concat(small.slice(0, 8)), Buffer.concat(small.slice(8))],
  repair: repaired,
  judge: (bytes) => {
    const once = read([Buffer.from(bytes)]);
    const pieces: Buffer[] = [];
    for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7) % 61)
      pieces.push(Buffer.from(bytes.subarray(at, at + step)));
    assertStable(once, read(pieces));
    for (const frame of once.frames) assertStable([frame], read([bytesOf(frame)]).frames);
    return once.bad === null ? `${once.frames.length > 0 ? 'frames' : 'nothing'}` : 'refused';
  },
  slowMs: 50,
};
