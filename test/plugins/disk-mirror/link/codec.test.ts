// Frames as bytes and back: whatever the pieces in which they come, and whatever happens to them on the way.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import test from 'ava';
import { encodeFrame } from '../../../../plugins/disk-mirror/link/encode-frame.js';
import { FrameParser } from '../../../../plugins/disk-mirror/link/frame-parser.js';
import { MAX_PAYLOAD_BYTES } from '../../../../plugins/disk-mirror/link/frames.js';
import { bodyOf } from '../../../../plugins/disk-mirror/link/json-body.js';
import { AT, checksum, HEADER_BYTES, KINDS, LAYOUTS, MAX_JSON_BYTES, type WireFrame } from '../../../../plugins/disk-mirror/link/layout.js';
import { packerOf } from '../../../../plugins/disk-mirror/link/pack.js';
import { anyFrame, COPY, SAMPLES } from './frame-samples.js';

const runs = { numRuns: Number(process.env['FC_RUNS'] ?? 200), seed: 7 };

const bytesOf = (frame: WireFrame, packed = false): Buffer => {
  const { header, payload } = encodeFrame(frame, packed ? packerOf(frame) : undefined);
  return Buffer.concat(payload === null ? [header] : [header, payload]);
};

/** With plain arrays for payloads, so that only content counts. */
const plain = (frame: WireFrame): unknown =>
  Object.fromEntries(
    Object.entries(frame).map(([key, value]: [string, unknown]) => [key, value instanceof Uint8Array ? [...value] : value]),
  );

const read = (pieces: readonly Uint8Array[]): { frames: WireFrame[]; bad: string | null } => {
  const frames: WireFrame[] = [];
  const parser = new FrameParser((frame) => frames.push(frame));
  let bad: string | null = null;
  for (const piece of pieces) bad = parser.push(piece);
  return { frames, bad };
};

/** A header with something changed and its checksum right again. */
const forged = (frame: WireFrame, change: (header: Buffer) => void): Buffer => {
  const bytes = bytesOf(frame);
  change(bytes);
  bytes.writeUInt32LE(checksum(bytes.subarray(0, AT.headerSum)), AT.headerSum);
  return bytes;
};

test('every kind: read as it was sent', (t) => {
  t.deepEqual(new Set(SAMPLES.map((frame) => frame.t)), new Set(Object.keys(LAYOUTS)), 'a sample of each');
  for (const frame of SAMPLES) {
    const { frames, bad } = read([bytesOf(frame)]);
    t.is(bad, null);
    t.deepEqual(frames.map(plain), [plain(frame)]);
  }
});

test('codes: each belongs to one kind', (t) => {
  t.is(KINDS.filter((kind) => kind !== undefined).length, Object.keys(LAYOUTS).length);
});

test('any frames in pieces of any length: the same frames', (t) => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 40 }), (frames, cuts) => {
      const all = Buffer.concat(frames.map((frame) => bytesOf(frame)));
      const pieces: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        pieces.push(all.subarray(at, at + cut));
        at += cut;
      }
      pieces.push(all.subarray(at));
      const { frames: got, bad } = read(pieces);
      t.is(bad, null);
      t.deepEqual(got.map(plain), frames.map(plain));
    }),
    runs,
  );
});

test('one bit turned anywhere: no frame that was not sent, and a reason', (t) => {
  fc.assert(
    fc.property(anyFrame, fc.nat(), fc.nat(7), (frame, place, bit) => {
      const bytes = bytesOf(frame);
      const at = place % bytes.length;
      bytes[at]! ^= 1 << bit;
      const { frames, bad } = read([bytes, bytesOf({ t: 'chosen', epoch: 0 })]);
      t.deepEqual(frames, []);
      t.is(typeof bad, 'string');
    }),
    runs,
  );
});

test('cut anywhere: nothing, and no reason yet', (t) => {
  fc.assert(
    fc.property(anyFrame, fc.nat(), (frame, place) => {
      const bytes = bytesOf(frame);
      t.deepEqual(read([bytes.subarray(0, place % bytes.length)]), { frames: [], bad: null });
    }),
    runs,
  );
});

test('a payload in one piece is handed on where it lies; one in two pieces is gathered', (t) => {
  const frame: WireFrame = { t: 'write', epoch: 1, seq: 1, offset: 0, bytes: randomBytes(4096) };
  const bytes = bytesOf(frame);
  const payloads = (pieces: Uint8Array[]) => read(pieces).frames.map((one) => (one as typeof frame).bytes);
  t.is(payloads([bytes])[0]?.buffer, bytes.buffer);
  const [gathered] = payloads([bytes.subarray(0, 100), bytes.subarray(100)]);
  t.not(gathered?.buffer, bytes.buffer);
  t.deepEqual(gathered && [...gathered], [...frame.bytes]);
});

test('a socket that reads into the target: the same payload, no copy', (t) => {
  const frame: WireFrame = { t: 'write', epoch: 1, seq: 1, offset: 0, bytes: randomBytes(100_000) };
  const bytes = bytesOf(frame);
  const frames: WireFrame[] = [];
  const parser = new FrameParser((one) => frames.push(one));
  t.is(parser.push(bytes.subarray(0, 1000)), null);
  for (let at = 1000; at < bytes.length; ) {
    const target = parser.target();
    t.is(target?.length, bytes.length - at);
    const used = Math.min(30_000, bytes.length - at);
    target?.set(bytes.subarray(at, at + used));
    t.is(parser.filled(used), null);
    at += used;
  }
  t.is(parser.target(), null);
  t.deepEqual(frames.map(plain), [plain(frame)]);
});

test('a header that lies under a right checksum: refused before any memory is taken', (t) => {
  const taken: number[] = [];
  const reasonFor = (bytes: Uint8Array) => {
    const parser = new FrameParser(() => t.fail('a frame came out'), {
      take: (wanted) => {
        taken.push(wanted);
        return new Uint8Array(wanted);
      },
    });
    return parser.push(bytes) ?? parser.push(new Uint8Array(1));
  };
  const write: WireFrame = { t: 'write', epoch: 1, seq: 1, offset: 0, bytes: new Uint8Array(16) };
  const cases: [reason: RegExp, bytes: Uint8Array][] = [
    [/no frame of the mirror/, Buffer.alloc(HEADER_BYTES)],
    [/wants to carry 33554433 bytes/, forged(write, (header) => header.writeUInt32LE(MAX_PAYLOAD_BYTES + 1, AT.length))],
    [/wants to carry 4294967295 bytes/, forged(write, (header) => header.writeUInt32LE(0xffff_ffff, AT.plain))],
    [/wants to carry 1 bytes/, forged({ t: 'chosen', epoch: 0 }, (header) => header.writeUInt32LE(1, AT.length))],
    [
      /wants to carry 65537/,
      forged({ t: 'failed', epoch: 1, because: '' }, (header) => header.writeUInt32LE(MAX_JSON_BYTES + 1, AT.length)),
    ],
    [/kind 0 are not known/, forged(write, (header) => header.writeUInt8(0, AT.kind))],
    [/kind 255 are not known/, forged(write, (header) => header.writeUInt8(255, AT.kind))],
    [/flags/, forged(write, (header) => header.writeUInt8(1, AT.flags))],
    [/flags/, forged(write, (header) => header.writeUInt16LE(1, AT.zero))],
    [/above 2\^53/, forged(write, (header) => header.writeUInt32LE(0x20_0000, AT.epoch + 4))],
    [/number too many/, forged(write, (header) => header.writeUInt32LE(1, AT.numbers + 16))],
    [
      /says that it is compressed/,
      forged({ t: 'read-data', epoch: 1, id: 1, bytes: new Uint8Array(9) }, (header) => header.writeUInt32LE(1, AT.plain)),
    ],
  ];
  for (const [reason, bytes] of cases) t.regex(reasonFor(bytes) ?? '', reason);
  t.deepEqual(taken, []);
});

test('bodies: the first member that is wrong is named', (t) => {
  const reasonFor = (kind: WireFrame['t'], body: unknown): string | null => {
    const payload = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const bytes = Buffer.concat([bytesOf({ t: 'failed', epoch: 1, because: '' }).subarray(0, HEADER_BYTES), payload]);
    bytes.writeUInt8(LAYOUTS[kind].code, AT.kind);
    bytes.writeUInt32LE(payload.length, AT.length);
    bytes.writeUInt32LE(payload.length === 0 ? 0 : checksum(payload), AT.payloadSum);
    bytes.writeUInt32LE(checksum(bytes.subarray(0, AT.headerSum)), AT.headerSum);
    return read([bytes]).bad;
  };
  const hello = { protocol: 1, features: [], session: 1, answers: 0, copy: COPY };
  t.is(reasonFor('hello', hello), null);
  t.is(reasonFor('hello', { ...hello, news: 1 }), null, 'a newer peer may say more');
  const cases: [kind: WireFrame['t'], body: unknown, reason: RegExp][] = [
    ['hello', '', /not JSON/],
    ['hello', '{', /not JSON/],
    ['hello', '[]', /hello is not an object/],
    ['hello', { ...hello, session: -1 }, /hello\.session is not a whole number/],
    ['hello', { ...hello, features: 'zstd' }, /hello\.features is not a list/],
    ['hello', { ...hello, features: Array.from({ length: 33 }, () => '') }, /at most 32/],
    ['hello', { ...hello, copy: { ...COPY, disk: 'Fine' } }, /hello\.copy\.disk is not one of/],
    ['hello', { ...hello, copy: { ...COPY, history: [{ epoch: 1, counter: 1, random: 2 ** 32 }] } }, /hello\.copy\.history\[0\]\.random/],
    ['hello', { ...hello, copy: { ...COPY, identity: { ...COPY.identity, volumeUuid: 'x' } } }, /volumeUuid is not 32 hex digits/],
    [
      'hello',
      `{"protocol":1,"features":[],"session":1,"answers":0,"copy":{"__proto__":${JSON.stringify(COPY)}}}`,
      /copy\.identity is not an object/,
    ],
    ['decision', { rule: 'x' }, /decision\.because/],
    ['sync-begin', { kind: 'all', chunks: 0, current: COPY.current }, /sync-begin\.kind/],
    ['sync-end', { current: COPY.current, history: Array.from({ length: 17 }, () => COPY.current) }, /at most 16/],
    ['greet', { protocol: 1, from: { cluster: 'c', group: 'g', volume: 'v' }, instance: '0123456789abcdef' }, /greet\.from\.node/],
  ];
  for (const [kind, body, reason] of cases) t.regex(reasonFor(kind, body) ?? '', reason);
});

test('a sentence longer than the other side reads: cut, not refused', (t) => {
  const { frames, bad } = read([bytesOf({ t: 'failed', epoch: 1, because: 'x'.repeat(100_000) })]);
  t.is(bad, null);
  t.is((frames[0] as { because: string }).because.length, 4096);
  t.true(bodyOf({ t: 'failed', epoch: 1, because: 'x'.repeat(100_000) }).length < 5000);
});

test('compressed: the same bytes after it, and never more than it said', (t) => {
  const text: WireFrame = { t: 'write', epoch: 1, seq: 1, offset: 0, bytes: Buffer.alloc(65_536, 'a line of a log\n') };
  const packed = bytesOf(text, true);
  t.true(packed.length < 4096, 'smaller');
  t.deepEqual(read([packed]).frames.map(plain), [plain(text)]);
  const noise: WireFrame = { t: 'write', epoch: 1, seq: 1, offset: 0, bytes: randomBytes(65_536) };
  t.is(bytesOf(noise, true).length, HEADER_BYTES + 65_536, 'what does not shrink goes as it is');
  for (const small of [
    { ...text, bytes: text.bytes.subarray(0, 4095) },
    { t: 'read-data', epoch: 1, id: 1, bytes: text.bytes },
  ] as const)
    t.is(bytesOf(small, true).length, HEADER_BYTES + small.bytes.length);

  const lie = Buffer.from(packed);
  lie.writeUInt32LE(1000, AT.plain);
  lie.writeUInt32LE(checksum(lie.subarray(0, AT.headerSum)), AT.headerSum);
  t.regex(read([lie]).bad ?? '', /cannot be decompressed to 1000 bytes/);
});

test('what the program must not send: an assertion, not a frame', (t) => {
  t.throws(() => encodeFrame({ t: 'flush', epoch: 1, seq: -1 }), { message: /flush.seq is -1/ });
  t.throws(() => encodeFrame({ t: 'flush', epoch: 1.5, seq: 1 }), { message: /flush.epoch/ });
  t.throws(() => encodeFrame({ t: 'write', epoch: 1, seq: 1, offset: 0, bytes: new Uint8Array(MAX_PAYLOAD_BYTES + 1) }), {
    message: /at most/,
  });
});
