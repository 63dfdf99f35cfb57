import test from 'ava';
import { BLOCK_BYTES } from '../../../../plugins/disk-mirror/metadata/block.js';
import { CHUNKS_PER_PAGE, LOG_AT, pageAt, ringAt, SUPERBLOCK_AT } from '../../../../plugins/disk-mirror/metadata/layout.js';
import { CrashDisk } from '../../../support/mirror/crash-disk.js';
import { attachTo, expectedOf, freshDisk, settled } from '../../../support/mirror/metadata-copy.js';
import { attachMetadata } from '../../../../plugins/disk-mirror/metadata/attach.js';
import { superblockState } from '../../../support/mirror/superblock-state.js';

const flip = (disk: CrashDisk, at: number): void => {
  disk.image[at] = (disk.image[at] ?? 0) ^ 0x10;
};
const used = async (): Promise<CrashDisk> => {
  const disk = await freshDisk();
  const { store, attached } = await attachTo(disk);
  for (const epoch of [1, 2, 3]) await new Promise((done) => store.writeSuperblock(superblockState({ maxEpochSeen: epoch }), done));
  await new Promise((done) => store.activate([0, 1], () => false, done));
  attached.bits.set(7, 3);
  await new Promise((done) => store.checkpoint(done));
  return disk;
};

test('fresh metadata: nothing is dirty, nothing was mended', async (t) => {
  const { attached } = await attachTo(await freshDisk());
  t.deepEqual(attached.superblock, superblockState());
  t.deepEqual([attached.bits.count(), attached.chunkBytes, attached.repairs.length], [0, 4096, 0]);
});

for (const [copy, at] of SUPERBLOCK_AT.entries())
  test(`a byte of copy ${copy} of the superblock is flipped: mended, told, and the next attach finds nothing`, async (t) => {
    const disk = await used();
    flip(disk, at + 200);
    const { attached } = await attachTo(disk);
    t.regex(attached.repairs.join(), new RegExp(`^copy ${copy} of the superblock was bad \\(a wrong checksum\\)`));
    t.true(attached.superblock.maxEpochSeen >= 2);
    t.deepEqual((await attachTo(disk)).attached.repairs, []);
  });

test('both copies of the superblock are bad: refused, with what stands where and the next command; nothing is written', async (t) => {
  const disk = await used();
  flip(disk, SUPERBLOCK_AT[0] + 3);
  flip(disk, SUPERBLOCK_AT[1] + 4000);
  const { writes } = disk;
  const before = disk.image.slice();
  const error = await t.throwsAsync(attachTo(disk), { code: 'METADATA' });
  t.is(
    error.message,
    'the metadata: neither copy of the superblock is good (at byte 0: not metadata of a mirror, at byte 1048576: a wrong checksum)',
  );
  t.regex((error as unknown as { hint: string }).hint, /understudy mirror recover/);
  t.is(disk.writes, writes);
  t.deepEqual(disk.image, before);
});

test('an unreadable copy of the superblock: the other counts; both unreadable: refused', async (t) => {
  const disk = await used();
  disk.unreadable.add(SUPERBLOCK_AT[0]);
  // The bad copy is written anew; reading it back fails as it did before, so the device is refused.
  await t.throwsAsync(attachTo(disk), { message: /EIO/ });
  disk.unreadable.add(SUPERBLOCK_AT[1]);
  await t.throwsAsync(attachTo(disk), { code: 'METADATA', message: /neither copy.*EIO/ });
});

test('a byte of a bitmap page is flipped: every chunk of that page is dirty, told, and durably so', async (t) => {
  const disk = await used();
  flip(disk, pageAt(2) + 77);
  const { attached } = await attachTo(disk);
  t.is(attached.bits.count(), CHUNKS_PER_PAGE + 3);
  t.true(attached.bits.has(2 * CHUNKS_PER_PAGE) && attached.bits.has(3 * CHUNKS_PER_PAGE - 1) && !attached.bits.has(3 * CHUNKS_PER_PAGE));
  t.regex(attached.repairs.join(), /^1 pages of the bitmap were bad \(page 2: a wrong checksum\).*31744 chunks/);
  const again = await attachTo(disk);
  t.deepEqual([again.attached.bits.count(), again.attached.repairs.length], [CHUNKS_PER_PAGE + 3, 0]);
});

test('a page that cannot be read: as a bad one, and its neighbours are read', async (t) => {
  const disk = await used();
  disk.unreadable.add(pageAt(1));
  const { attached } = await attachTo(disk);
  t.is(attached.bits.count(), CHUNKS_PER_PAGE + 3);
});

test('a byte of a log block: of an old one no harm, of the newest every chunk is dirty; mended either way', async (t) => {
  const disk = await freshDisk();
  const { store } = await attachTo(disk);
  for (const extent of [3, 4, 5, 6]) await new Promise((done) => store.activate([extent], () => false, done));
  for (const [place, byte, count, told] of [
    [100, 50, 4 * 1024, /^1 blocks of the activity log were damaged \(place 100: a wrong checksum\) and were written anew$/],
    [3, 50, 262_144, /place 3.*every chunk/],
    [3, 700, 4 * 1024, null],
  ] as const) {
    const copy = disk.fork(() => false);
    flip(copy, ringAt(place) + byte);
    const { attached } = await attachTo(copy);
    t.is(attached.bits.count(), count, `${place} ${byte}`);
    if (told === null) t.deepEqual(attached.repairs, []);
    else t.regex(attached.repairs.join(), told);
    const again = await attachTo(copy);
    t.deepEqual([again.attached.bits.count(), again.attached.repairs.length], [count, 0]);
  }
});

test('the whole log overwritten: every chunk is dirty', async (t) => {
  const disk = await used();
  disk.image.fill(0xa5, LOG_AT, LOG_AT + 128 * BLOCK_BYTES);
  t.is((await attachTo(disk)).attached.bits.count(), 262_144);
});

test('a clean end: the bits as they were, the log empty', async (t) => {
  const { attached } = await attachTo(await used());
  t.deepEqual([attached.bits.count(), attached.repairs.length], [3, 0]);
});

for (const [what, expected, message] of [
  ['another cluster', { cluster: 'invoices' }, /cluster orders instead of invoices/],
  ['another volume', { volume: 'log' }, /volume data instead of log/],
  ['another node', { node: 'b' }, /node a instead of b/],
  ['another uuid', { volumeUuid: 'f'.repeat(32) }, /uuid of the volume 0011/],
  ['another size', { sizeBytes: 2 * 1024 ** 3 }, /size of the data in bytes 1073741824 instead of 2147483648/],
] as const)
  test(`metadata of ${what}: refused with both values, nothing is written`, async (t) => {
    const disk = await used();
    const { writes } = disk;
    await t.throwsAsync(attachMetadata(disk, { name: '/m', expected: { ...expectedOf(superblockState()), ...expected } }), {
      code: 'METADATA',
      message,
    });
    t.is(disk.writes, writes);
  });

test('a device that was cut short: refused', async (t) => {
  const disk = await used();
  await t.throwsAsync(attachTo(new CrashDisk(disk.image.slice(0, -BLOCK_BYTES))), { code: 'METADATA', message: /cut short/ });
});

test('a device that forgets what is written: refused', async (t) => {
  const disk = await used();
  disk.answer = (write) => {
    disk.pending.splice(0);
    write.done(null);
  };
  await t.throwsAsync(attachTo(disk), { code: 'METADATA', message: /does not keep what is written/ });
});

test('attaching writes one superblock where nothing was to mend', async (t) => {
  const disk = await used();
  const { writes } = disk;
  await attachTo(disk);
  await settled();
  t.is(disk.writes, writes + 1);
});
