import test from 'ava';
import fc from 'fast-check';
import { ChunkBits } from '../../../../plugins/disk-mirror/metadata/chunk-bits.js';
import { CHUNKS_PER_PAGE, PAGE_BITMAP_BYTES } from '../../../../plugins/disk-mirror/metadata/layout.js';

const CHUNKS = CHUNKS_PER_PAGE * 3 + 77;
const bits = (): ChunkBits => new ChunkBits({ chunks: CHUNKS, chunkBytes: 4096, pages: 4 });
const chunk = fc.oneof(
  fc.integer({ min: 0, max: CHUNKS - 1 }),
  fc.constantFrom(0, 31, 32, CHUNKS_PER_PAGE - 1, CHUNKS_PER_PAGE, 2 * CHUNKS_PER_PAGE, CHUNKS - 1),
);
const step = fc.oneof(
  fc.record({ op: fc.constant('set' as const), at: chunk, count: fc.integer({ min: 0, max: 200 }) }),
  fc.record({ op: fc.constant('clear' as const), at: chunk }),
  fc.record({ op: fc.constant('merge' as const), at: chunk, bytes: fc.uint8Array({ maxLength: 20 }) }),
);

test('as a plain set of numbers has it, after any steps', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), chunk, (steps, from) => {
      const map = bits();
      const model = new Set<number>();
      for (const each of steps) {
        if (each.op === 'clear') {
          map.clear(each.at);
          model.delete(each.at);
        } else if (each.op === 'set') {
          const count = Math.min(each.count, CHUNKS - each.at);
          map.set(each.at, count);
          for (let index = 0; index < count; index++) model.add(each.at + index);
        } else {
          const first = each.at - (each.at % 8);
          map.merge(first, each.bytes);
          for (let index = 0; index < each.bytes.length * 8; index++)
            if (first + index < CHUNKS && ((each.bytes[index >> 3] ?? 0) >> (index & 7)) & 1) model.add(first + index);
        }
      }
      t.is(map.count(), model.size);
      const found: number[] = [];
      for (let next = map.next(0); next !== -1; next = next + 1 < CHUNKS ? map.next(next + 1) : -1) found.push(next);
      t.deepEqual(
        found,
        [...model].sort((one, other) => one - other),
      );
      t.is(map.next(from), found.find((each) => each >= from) ?? -1);
      t.is(map.has(from), model.has(from));
      for (let index = 0; index < 4; index++)
        if (map.differs(index) === false) t.false(found.some((each) => Math.floor(each / CHUNKS_PER_PAGE) === index));
    }),
  );
});

test('slice and merge: one map arrives in another as it is, run by run', (t) => {
  const one = bits();
  for (let at = 3; at < CHUNKS; at += 1013) one.set(at, Math.min(5, CHUNKS - at));
  const other = bits();
  for (let first = 0; first < CHUNKS; first += 4096) other.merge(first, one.slice(first, Math.min(4096, CHUNKS - first)));
  t.deepEqual(other.slice(0, CHUNKS), one.slice(0, CHUNKS));
  t.is(other.count(), one.count());
});

test('slice that ends inside a byte: the bits behind are zero', (t) => {
  const map = bits();
  map.set(0, 64);
  t.deepEqual(map.slice(8, 11), new Uint8Array([0xff, 0x07]));
});

test('a page knows whether it was changed since it was written', (t) => {
  const map = bits();
  t.false(map.differs(1));
  map.set(CHUNKS_PER_PAGE + 5, 1);
  t.deepEqual(
    [0, 1, 2].map((page) => map.differs(page)),
    [false, true, false],
  );
  map.written(1);
  map.set(CHUNKS_PER_PAGE + 5, 1);
  t.false(map.differs(1), 'set again what was set');
  map.clear(CHUNKS_PER_PAGE + 5);
  t.true(map.differs(1));
});

test('load: a page of the disk stands in memory and does not differ; bits behind the volume are left out', (t) => {
  const map = bits();
  map.load(3, new Uint8Array(PAGE_BITMAP_BYTES).fill(0xff));
  t.is(map.count(), 77);
  t.false(map.differs(3));
});

test('outside the volume, or a run that begins inside a byte: a RangeError', (t) => {
  const map = bits();
  for (const call of [
    () => map.set(CHUNKS - 1, 2),
    () => map.set(-1, 1),
    () => map.has(CHUNKS),
    () => map.clear(0.5),
    () => map.slice(4, 8),
    () => map.merge(4, new Uint8Array(1)),
    () => map.slice(CHUNKS, 8),
  ])
    t.throws(call, { instanceOf: RangeError });
  t.is(map.next(CHUNKS), -1);
});
