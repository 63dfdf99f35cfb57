import test from 'ava';
import { chunksOfExtent, layoutOf, pageOfExtent, CHUNKS_PER_PAGE } from '../../../../plugins/disk-mirror/metadata/layout.js';

const GIB = 1024 ** 3;
const TIB = 1024 * GIB;
const KIB = 1024;

// size, KiB of a chunk, MiB of bits in memory, bytes of metadata
const cases: readonly (readonly [string, number, number, number, number])[] = [
  ['4 KiB', 4 * KIB, 4, 0.004, 1024 * KIB + 2 * 4 * KIB],
  ['1 GiB', GIB, 4, 0.04, 1_089_536],
  ['64 GiB', 64 * GIB, 4, 2.01, 3_219_456],
  ['64 GiB and a block', 64 * GIB + 4096, 8, 1.01, 2_138_112],
  ['256 GiB', 256 * GIB, 8, 4.01, 5_386_240],
  ['1 TiB', TIB, 16, 8.01, 9_715_712],
  ['4 TiB', 4 * TIB, 32, 16.02, 18_374_656],
  ['16 TiB', 16 * TIB, 64, 32.03, 35_692_544],
  ['64 TiB', 64 * TIB, 64, 128.1, 139_603_968],
];
for (const [title, sizeBytes, chunkKib, , metadataBytes] of cases)
  test(`a volume of ${title}: chunks of ${chunkKib} KiB`, (t) => {
    const layout = layoutOf(sizeBytes);
    t.is(layout.chunkBytes, chunkKib * KIB);
    t.is(layout.metadataBytes, metadataBytes);
    t.true(layout.chunks * layout.chunkBytes >= sizeBytes && (layout.chunks - 1) * layout.chunkBytes < sizeBytes);
  });

test('an extent lies on one page of the bitmap, for every size of chunk', (t) => {
  for (const chunkBytes of [4096, 8192, 16_384, 32_768, 65_536]) {
    const layout = layoutOf(512 * GIB, { chunkBytes });
    for (let extent = 0; extent < layout.extents; extent += 13) {
      const { first, count } = chunksOfExtent(layout, extent);
      if (Math.floor(first / CHUNKS_PER_PAGE) !== pageOfExtent(layout, extent)) t.fail(`begin of ${extent}`);
      if (Math.floor((first + count - 1) / CHUNKS_PER_PAGE) !== pageOfExtent(layout, extent)) t.fail(`end of ${extent}`);
    }
  }
  t.pass();
});

test('a volume that ends inside an extent: its last extent is short', (t) => {
  const layout = layoutOf(GIB + 8192);
  t.is(layout.extents, 257);
  t.deepEqual(chunksOfExtent(layout, 256), { first: 262_144, count: 2 });
});

for (const [title, size, options, message] of [
  ['no whole blocks', 4097, {}, /multiple of 4096/],
  ['nothing', 0, {}, /multiple of 4096/],
  ['more than 64 TiB', 65 * TIB, {}, /at most/],
  ['too few slots', GIB, { slots: 15 }, /slots/],
  ['too many slots', GIB, { slots: 16_385 }, /slots/],
  ['a chunk that is no power of two', GIB, { chunkBytes: 12_288 }, /power of two/],
  ['a chunk of a megabyte', GIB, { chunkBytes: 1024 ** 2 }, /power of two/],
] as const)
  test(`${title}: refused`, (t) => {
    t.throws(() => layoutOf(size, options), { instanceOf: RangeError, message });
  });
