// Frames of every kind, for the codec's tests and the fuzz target.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import type { WireFrame } from '../../../../plugins/disk-mirror/link/layout.js';
import type { CopyState } from '../../../../plugins/disk-mirror/words.js';

const generation = { epoch: 7, counter: 3, random: 0xffff_fffe };

export const COPY: CopyState = {
  identity: { cluster: 'c', group: 'db', volume: 'data', volumeUuid: '00112233445566778899aabbccddeeff', sizeBytes: 1 << 30 },
  node: 'a',
  bootId: 'boot-a',
  role: 'secondary',
  disk: 'UpToDate',
  primaryIndicator: false,
  primaryEpoch: 0,
  maxEpochSeen: 7,
  current: generation,
  bitmapBase: { epoch: 0, counter: 0, random: 0 },
  history: [generation, generation],
  dirtyChunks: 12,
  forced: false,
  mode: 'sync',
  peerBootId: '',
  seeded: false,
  victim: false,
};

/** One of each kind. */
export const SAMPLES: readonly WireFrame[] = [
  { t: 'greet', epoch: 0, protocol: 1, from: { cluster: 'c', group: 'db', volume: 'data', node: 'a' }, instance: '0123456789abcdef' },
  { t: 'chosen', epoch: 0 },
  { t: 'ping', epoch: 0, sent: 12 },
  { t: 'pong', epoch: 0, sent: 12 },
  { t: 'hello', epoch: 7, protocol: 1, features: ['zstd'], session: 1, answers: 0, copy: COPY },
  { t: 'refuse-stale', epoch: 7, maxEpochSeen: 9 },
  { t: 'decision', epoch: 7, rule: 'bitmap', because: 'übereinstimmend' },
  { t: 'bitmap', epoch: 7, chunkBytes: 65_536, first: 64, bits: Uint8Array.of(1, 2, 3), last: true },
  { t: 'write', epoch: 7, seq: 1, offset: 4096, bytes: new Uint8Array(512).fill(3) },
  { t: 'write', epoch: 7, seq: 2, offset: 8192, bytes: new Uint8Array(randomBytes(70_000)) },
  { t: 'trim', epoch: 7, seq: 3, offset: 0, length: 2 ** 40 },
  { t: 'zero', epoch: 7, seq: 4, offset: 0, length: 4096, mayPunch: true },
  { t: 'flush', epoch: 7, seq: 5 },
  { t: 'received', epoch: 7, seq: 5 },
  { t: 'applied', epoch: 7, seq: Number.MAX_SAFE_INTEGER },
  { t: 'flushed', epoch: 7, seq: 5 },
  { t: 'failed', epoch: 7, because: 'EIO' },
  { t: 'sync-begin', epoch: 7, kind: 'bitmap', chunks: 3, current: generation },
  { t: 'sync-ready', epoch: 7 },
  { t: 'sync-data', epoch: 7, id: 1, offset: 0, bytes: new Uint8Array(8192) },
  { t: 'sync-zero', epoch: 7, id: 2, offset: 0, length: 65_536 },
  { t: 'sync-done', epoch: 7, id: 2 },
  { t: 'hash', epoch: 7, id: 3, offset: 0, length: 65_536, hash: new Uint8Array(32).fill(9) },
  { t: 'hash-answer', epoch: 7, id: 3, same: false },
  { t: 'read', epoch: 7, id: 4, offset: 0, length: 512 },
  { t: 'read-data', epoch: 7, id: 4, bytes: new Uint8Array(512) },
  { t: 'sync-end', epoch: 7, current: generation, history: [generation] },
  { t: 'sync-ended', epoch: 7 },
  { t: 'outdate', epoch: 7, id: 5 },
  { t: 'outdated', epoch: 7, id: 5 },
];

const number = fc.oneof(fc.maxSafeNat(), fc.nat(100), fc.constant(Number.MAX_SAFE_INTEGER), fc.constant(2 ** 32));

/** A frame of any kind with any numbers and bytes. */
export const anyFrame: fc.Arbitrary<WireFrame> = fc
  .tuple(fc.constantFrom(...SAMPLES), fc.array(number, { minLength: 4, maxLength: 4 }), fc.uint8Array({ maxLength: 300 }), fc.boolean())
  .map(([sample, numbers, bytes, flag]) => {
    let next = 0;
    return Object.fromEntries(
      Object.entries(sample).map(([key, value]: [string, unknown]) => {
        if (typeof value === 'number' && !(key === 'epoch' && (sample.t === 'greet' || sample.t === 'chosen')))
          return [key, numbers[next++ % 4]];
        if (value instanceof Uint8Array) return [key, bytes];
        return [key, typeof value === 'boolean' ? flag : value];
      }),
    ) as unknown as WireFrame;
  });
