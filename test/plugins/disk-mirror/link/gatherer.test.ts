// Memory of what is sent: the bytes are those that were said, and stay so until the socket has taken them.
import fc from 'fast-check';
import test from 'ava';
import { type Gathered, Gatherer } from '../../../../plugins/disk-mirror/link/gatherer.js';

const bytesOf = (gathered: Gathered): Buffer => Buffer.concat(gathered.pieces);

test('what was said in one turn: one piece, and large payloads by reference between', (t) => {
  const gatherer = new Gatherer();
  const large = new Uint8Array(100_000).fill(3);
  const { pieces } = gatherer.gather([Uint8Array.of(1), Uint8Array.of(2, 2), large, Uint8Array.of(4)]);
  t.deepEqual(
    pieces.map(({ length }) => length),
    [3, 100_000, 1],
  );
  t.is(pieces[1], large);
});

test('given back: the same memory again, and no more of it than is out', (t) => {
  const gatherer = new Gatherer();
  const memories = new Set<ArrayBufferLike>();
  for (let turn = 0; turn < 1_000; turn += 1) {
    const gathered = gatherer.gather([new Uint8Array(4_152)]);
    for (const { buffer } of gathered.pieces) memories.add(buffer);
    gatherer.back(gathered.rooms);
  }
  t.is(memories.size, 1);
  for (let turn = 0; turn < 1_000; turn += 1) for (const { buffer } of gatherer.gather([new Uint8Array(56)]).pieces) memories.add(buffer);
  t.is(memories.size, 1, 'a thousand turns that the socket did not take yet lie behind each other');
});

test('any turns, taken by the socket in their order and late: no byte of one that is out is ever written to', (t) => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 10_000, max: 40_000 })), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(sizes, fc.nat(3)), { maxLength: 60 }), (turns) => {
      const gatherer = new Gatherer();
      const out: { readonly gathered: Gathered; readonly said: Buffer }[] = [];
      let mark = 0;
      for (const [lengths, taken] of turns) {
        const said = lengths.map((length) => new Uint8Array(length).fill((mark = (mark % 255) + 1)));
        out.push({ gathered: gatherer.gather(said), said: Buffer.concat(said) });
        for (const one of out) if (!bytesOf(one.gathered).equals(one.said)) throw new Error('written over');
        for (const one of out.splice(0, taken)) gatherer.back(one.gathered.rooms);
      }
    }),
    { seed: 5, numRuns: Number(process.env['FC_RUNS'] ?? 100) },
  );
  t.pass();
});
