// Memory of what is sent: the bytes are those that were said, and stay so until the socket has taken them.
import fc from 'fast-check';
import test from 'ava';
import { encodeFrame } from '../../../../plugins/disk-mirror/link/encode-frame.js';
import { FrameParser } from '../../../../plugins/disk-mirror/link/frame-parser.js';
import { type Gathered, Gatherer } from '../../../../plugins/disk-mirror/link/gatherer.js';
import type { WireFrame } from '../../../../plugins/disk-mirror/link/layout.js';

const bytesOf = (gathered: Gathered): Buffer => Buffer.concat(gathered.pieces);
const write = (bytes: Uint8Array): WireFrame => ({ t: 'write', epoch: 1, seq: 1, offset: 0, bytes });
const encoded = (frame: WireFrame): Buffer => {
  const { header, payload } = encodeFrame(frame);
  return Buffer.concat([header, payload ?? new Uint8Array(0)]);
};
const said = (gatherer: Gatherer, frames: readonly WireFrame[]): Gathered => {
  for (const frame of frames) gatherer.say(frame, true);
  return gatherer.take();
};

test('what was said in one turn: one piece, and large payloads by reference between', (t) => {
  const gatherer = new Gatherer();
  const large = new Uint8Array(100_000).fill(3);
  const frames = [write(Uint8Array.of(1)), write(Uint8Array.of(2, 2)), write(large), write(Uint8Array.of(4))];
  const gathered = said(gatherer, frames);
  t.deepEqual(
    gathered.pieces.map(({ length }) => length),
    [57 + 58 + 56, 100_000, 57],
  );
  t.is(gathered.pieces[1], large);
  t.deepEqual(bytesOf(gathered), Buffer.concat(frames.map(encoded)));
  t.is(gatherer.bytes, 0);
});

test('a payload that does not last: copied before it is changed, also where it is longer than any memory', (t) => {
  const gatherer = new Gatherer();
  for (const length of [10, 20_000, 700_000]) {
    const bytes = new Uint8Array(length).fill(7);
    const expected = encoded(write(bytes));
    gatherer.say(write(bytes), false);
    t.is(gatherer.bytes, expected.length);
    bytes.fill(8);
    t.deepEqual(bytesOf(gatherer.take()), expected);
  }
});

test('answers of one kind in a row: the last one covers the others, but not beyond anything else or what was taken', (t) => {
  const applied = (seq: number): WireFrame => ({ t: 'applied', epoch: 1, seq });
  const flushed: WireFrame = { t: 'flushed', epoch: 1, seq: 3 };
  const gatherer = new Gatherer();
  const heard: WireFrame[] = [];
  const parser = new FrameParser((frame) => heard.push(frame));
  for (const frames of [[applied(1), applied(2), applied(3), flushed, applied(4), applied(5)], [applied(6)]])
    for (const piece of said(gatherer, frames).pieces) t.is(parser.push(piece), null);
  t.deepEqual(heard, [applied(3), flushed, applied(5), applied(6)]);
});

test('given back: the same memory again, and no more of it than is out', (t) => {
  const gatherer = new Gatherer();
  const memories = new Set<ArrayBufferLike>();
  for (let turn = 0; turn < 1_000; turn += 1) {
    const gathered = said(gatherer, [write(new Uint8Array(4_096))]);
    for (const { buffer } of gathered.pieces) memories.add(buffer);
    gatherer.back(gathered.rooms);
  }
  t.is(memories.size, 1);
  for (let turn = 0; turn < 1_000; turn += 1)
    for (const { buffer } of said(gatherer, [{ t: 'chosen', epoch: 0 }]).pieces) memories.add(buffer);
  t.is(memories.size, 1, 'a thousand turns that the socket did not take yet lie behind each other');
});

test('any turns, taken by the socket in their order and late: no byte of one that is out is ever written to', (t) => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 10_000, max: 40_000 })), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(sizes, fc.nat(3), fc.boolean()), { maxLength: 60 }), (turns) => {
      const gatherer = new Gatherer();
      const out: { readonly gathered: Gathered; readonly expected: Buffer }[] = [];
      let mark = 0;
      for (const [lengths, taken, lasts] of turns) {
        const frames = lengths.map((length) => write(new Uint8Array(length).fill((mark = (mark % 255) + 1))));
        const expected = Buffer.concat(frames.map(encoded));
        for (const frame of frames) {
          gatherer.say(frame, lasts);
          if (!lasts && 'bytes' in frame) frame.bytes.fill(0);
        }
        out.push({ gathered: gatherer.take(), expected });
        for (const one of out) if (!bytesOf(one.gathered).equals(one.expected)) throw new Error('written over');
        for (const one of out.splice(0, taken)) gatherer.back(one.gathered.rooms);
      }
    }),
    { seed: 5, numRuns: Number(process.env['FC_RUNS'] ?? 100) },
  );
  t.pass();
});
