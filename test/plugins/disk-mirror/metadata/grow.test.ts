// A copy's metadata grows: the power cut at every step, in every way a write under way may have reached the disk, and again while it is
// tried anew (as crash.test.ts does for the life of a store).
import test from 'ava';
import { attachMetadata } from '../../../../plugins/disk-mirror/metadata/attach.js';
import { growMetadata, growthOf } from '../../../../plugins/disk-mirror/metadata/grow.js';
import { CHUNKS_PER_PAGE, layoutOf, SUPERBLOCK_AT } from '../../../../plugins/disk-mirror/metadata/layout.js';
import { readSuperblocks } from '../../../../plugins/disk-mirror/metadata/read-superblocks.js';
import { CrashDisk } from '../../../support/mirror/crash-disk.js';
import { expectedOf, freshDisk, settled } from '../../../support/mirror/metadata-copy.js';
import { superblockState } from '../../../support/mirror/superblock-state.js';

const MIB = 1024 * 1024;
const SMALL = 100 * MIB + 4096;
const LARGE = 900 * MIB;
const DIRTY = [0, 17, 25_000, SMALL / 4096 - 1];
const ACTIVE = 3;
const small = superblockState({ sizeBytes: SMALL, current: { epoch: 4, counter: 2, random: 9 } });
const expected = (sizeBytes: number) => expectedOf(superblockState({ sizeBytes }));

/** Used, not ended cleanly, on a disk with room for the large volume's metadata. */
const used = async (): Promise<CrashDisk> => {
  const fresh = await freshDisk({ state: small });
  const image = new Uint8Array(layoutOf(LARGE, { slots: 16 }).metadataBytes).fill(0xa5);
  image.set(fresh.image);
  const disk = new CrashDisk(image);
  disk.automatic = true;
  const { attached, store } = await attachMetadata(disk, { name: 'm', expected: expected(SMALL) });
  for (const chunk of DIRTY) attached.bits.set(chunk, 1);
  await new Promise<void>((resolve) => store.checkpoint(() => resolve()));
  await new Promise<void>((resolve) =>
    store.activate(
      [ACTIVE],
      () => false,
      () => resolve(),
    ),
  );
  return new CrashDisk(disk.image);
};

const grow = async (disk: CrashDisk, sizeBytes = LARGE): Promise<void> => {
  const { newest } = await readSuperblocks(disk, 'm');
  await growMetadata(disk, growthOf(newest, sizeBytes));
};

/** What attaching finds: the size, or what is wrong. */
const look = async (disk: CrashDisk): Promise<number | string> => {
  const copy = new CrashDisk(disk.image.slice());
  copy.automatic = true;
  const { sizeBytes } = (await readSuperblocks(copy, 'm')).newest.layout;
  const { attached } = await attachMetadata(copy, { name: 'm', expected: expected(sizeBytes) });
  const { bits, superblock, repairs } = attached;
  const pages = repairs.find((repair) => repair.includes('bitmap') || repair.includes('log'));
  if (pages !== undefined) return pages;
  const clean = DIRTY.find((chunk) => !bits.has(chunk));
  if (clean !== undefined) return `chunk ${clean} was dirty and is clean`;
  if (!bits.has(ACTIVE * 1024) || !bits.has(ACTIVE * 1024 + 1023)) return 'the active extent is clean';
  if (bits.next(SMALL / 4096) !== -1) return `chunk ${bits.next(SMALL / 4096)} of what is new is dirty`;
  return superblock.current.random === 9 ? sizeBytes : 'another generation';
};

const WAYS: readonly ((write: number, sector: number) => boolean)[] = [
  () => false,
  () => true,
  (_, sector) => sector % 8 < 4,
  (_, sector) => sector % 8 >= 4,
  (_, sector) => sector % 8 === 0,
  (_, sector) => Math.floor(sector / 8) % 2 === 0,
];

test('the power cut at every write of it, in six ways: the old volume whole or the new one, and growing again ends with the new one', async (t) => {
  const disk = await used();
  const growing = grow(disk);
  let [steps, ended, crashes] = [0, false, 0];
  const end = growing.then(() => (ended = true));
  const sizes = new Set<number | string>();
  while (!ended) {
    for (let wait = 0; wait < 50 && disk.pending.length === 0 && !ended; wait += 1) await settled();
    for (const keeps of WAYS) {
      const fork = disk.fork(keeps);
      const found = await look(fork);
      sizes.add(found);
      t.true(found === SMALL || found === LARGE, `step ${steps}: ${found}`);
      await grow(fork);
      t.is(await look(fork), LARGE, `step ${steps}, again`);
      crashes += 1;
    }
    disk.answerAll();
    steps += 1;
  }
  await end;
  t.deepEqual(sizes, new Set([SMALL, LARGE]));
  t.is(await look(disk), LARGE);
  t.true(steps >= 4 && crashes >= 24, `${steps} steps`);
  t.is(layoutOf(LARGE).pages, Math.ceil(LARGE / 4096 / CHUNKS_PER_PAGE));
});

test('either copy of the superblock may go bad afterwards: the volume stays large', async (t) => {
  for (const at of SUPERBLOCK_AT) {
    const disk = await used();
    disk.automatic = true;
    await grow(disk);
    disk.image[at + 100] = (disk.image[at + 100] ?? 0) ^ 1;
    t.is(await look(disk), LARGE);
  }
});

test('mutant, the superblock before the pages: found', async (t) => {
  const disk = await used();
  disk.automatic = true;
  const { newest } = await readSuperblocks(disk, 'm');
  const growth = growthOf(newest, LARGE);
  const without = { ...growth, from: { ...newest, layout: growth.to } };
  await growMetadata(disk, without);
  t.regex(String(await look(disk)), /pages of the bitmap were bad/);
});

test('smaller, or larger than a volume can be: refused in words', async (t) => {
  const disk = await used();
  const { newest } = await readSuperblocks(disk, 'm');
  t.throws(() => growthOf(newest, SMALL - 4096), { message: /is not made smaller/ });
  t.throws(() => growthOf(newest, LARGE + 1), { instanceOf: RangeError, message: /multiple of 4096/ });
});
