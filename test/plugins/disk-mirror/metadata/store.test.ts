import test from 'ava';
import { BLOCK_BYTES } from '../../../../plugins/disk-mirror/metadata/block.js';
import { MetadataBusy } from '../../../../plugins/disk-mirror/metadata/contract.js';
import { BITMAP_AT, LOG_AT, SUPERBLOCK_AT } from '../../../../plugins/disk-mirror/metadata/layout.js';
import { attachTo, freshDisk, settled } from '../../../support/mirror/metadata-copy.js';
import { superblockState } from '../../../support/mirror/superblock-state.js';

const always = () => true;
const never = () => false;
const range = (first: number, count: number): number[] => Array.from({ length: count }, (_, index) => first + index);

/** A store on a disk that answers only when told. */
const begin = async (slots = 16) => {
  const disk = await freshDisk({ slots });
  const { store, attached } = await attachTo(disk);
  disk.automatic = false;
  const answers: string[] = [];
  const told = (name: string) => (error: Error | null) => void answers.push(`${name}: ${error?.message ?? 'ok'}`);
  const answerAll = async () => {
    for (await settled(); disk.pending.length > 0; await settled()) disk.answerAll();
  };
  return { disk, store, bits: attached.bits, answers, told, answerAll };
};

test('activate: active when the disk has answered, not before', async (t) => {
  const { disk, store, answers, told } = await begin();
  store.activate([3, 5], never, told('one'));
  t.deepEqual([disk.pending.length, answers.length, store.isActive(3)], [0, 0, false]);
  await settled();
  t.deepEqual(
    disk.pending.map(({ offset, bytes }) => [Math.floor((offset - LOG_AT) / BLOCK_BYTES) < 128, bytes.length]),
    [[true, BLOCK_BYTES]],
  );
  t.false(store.isActive(3));
  disk.answerAll();
  t.deepEqual(answers, ['one: ok']);
  t.deepEqual(
    [3, 4, 5].map((extent) => store.isActive(extent)),
    [true, false, true],
  );
});

test('what one turn asks for shares a transaction, what is asked meanwhile the next', async (t) => {
  const { disk, store, answers, told } = await begin();
  for (const extent of [1, 2, 3]) store.activate([extent], never, told(`turn ${extent}`));
  await settled();
  t.is(disk.pending.length, 1);
  for (const extent of [4, 5, 1]) store.activate([extent], never, told(`meanwhile ${extent}`));
  await settled();
  t.is(disk.pending.length, 1, 'one at a time');
  disk.answerAll();
  t.deepEqual(answers, ['turn 1: ok', 'turn 2: ok', 'turn 3: ok']);
  await settled();
  t.is(disk.pending.length, 1);
  disk.answerAll();
  t.is(answers.length, 6);
});

test('more than 64 extents: several blocks in one write', async (t) => {
  const { disk, store } = await begin(256);
  store.activate(range(0, 200), never, t.falsy);
  await settled();
  t.is(
    disk.pending.reduce((sum, { bytes }) => sum + bytes.length, 0),
    4 * BLOCK_BYTES,
  );
  t.throws(() => store.activate(range(0, 257), never, t.falsy), { instanceOf: RangeError });
  t.throws(() => store.activate([256], never, t.falsy), { instanceOf: RangeError, message: /extent 256/ });
});

test('extents that are active already: answered without a write, after the call', async (t) => {
  const { disk, store, answers, told, answerAll } = await begin();
  store.activate([3], never, told('first'));
  await answerAll();
  const { writes } = disk;
  store.activate([3, 3], never, told('again'));
  t.is(answers.length, 1);
  await settled();
  t.deepEqual([answers, disk.writes], [['first: ok', 'again: ok'], writes]);
});

test('no room: the longest unused that may go is written to its page first, and is not active from then on', async (t) => {
  const { disk, store, bits, answers, told, answerAll } = await begin(16);
  store.activate(range(0, 16), never, told('fill'));
  await answerAll();
  for (const extent of range(0, 16)) bits.set(extent * 1024, 1);
  store.isActive(0);
  store.activate([40], (extent) => extent !== 1, told('more'));
  await settled();
  t.deepEqual(
    disk.pending.map(({ offset }) => offset),
    [BITMAP_AT],
    'the page, and nothing else before it is durable',
  );
  t.deepEqual(
    [0, 1, 2, 3, 40].map((extent) => store.isActive(extent)),
    [true, true, false, true, false],
  );
  await answerAll();
  t.true(store.isActive(40));
  t.deepEqual(answers, ['fill: ok', 'more: ok']);
});

test('what an earlier call of the same transaction names does not go for a later one', async (t) => {
  const { store, answers, told, answerAll } = await begin(16);
  store.activate(range(0, 16), never, told('fill'));
  await answerAll();
  store.activate(range(0, 15), always, told('all but 15'));
  store.activate([60], always, told('60'));
  store.activate([61], always, told('61'));
  await answerAll();
  t.deepEqual(answers, ['fill: ok', 'all but 15: ok', '60: ok', '61: ok']);
  t.deepEqual(
    [15, 60, 61].map((extent) => store.isActive(extent)),
    [false, true, true],
  );
});

test('nothing may go: MetadataBusy, and the store lives', async (t) => {
  const { store, answers, told, answerAll } = await begin(16);
  store.activate(range(0, 16), never, told('fill'));
  await answerAll();
  let busy: Error | null = null;
  store.activate([50], never, (error) => void (busy = error));
  store.activate([3], never, told('active'));
  await answerAll();
  t.true((busy as unknown) instanceof MetadataBusy);
  store.activate([50], always, told('later'));
  await answerAll();
  t.deepEqual(answers, ['fill: ok', 'active: ok', 'later: ok']);
});

test('checkpoint: pages that differ, then an empty log; nothing is active from its beginning', async (t) => {
  const { disk, store, bits, answers, told, answerAll } = await begin();
  store.activate([0, 100], never, told('activate'));
  await answerAll();
  bits.set(5, 2);
  bits.set(100 * 1024, 1);
  store.checkpoint(told('checkpoint'));
  store.activate([7], never, told('after'));
  await settled();
  t.false(store.isActive(0));
  t.is(disk.pending[0]?.offset, BITMAP_AT);
  await answerAll();
  t.deepEqual(answers, ['activate: ok', 'checkpoint: ok', 'after: ok']);
  await store.close();
  const again = await attachTo(disk.fork(() => false));
  t.is(again.attached.bits.count(), 3 + 1024, 'the three bits, and the extent that was activated after it');
});

test('checkpoint with nothing to write: answered, after the call', async (t) => {
  const { disk, store, answers, told } = await begin();
  const { writes } = disk;
  store.checkpoint(told('nothing'));
  t.is(answers.length, 0);
  await settled();
  await settled();
  t.deepEqual([answers, disk.writes], [['nothing: ok'], writes]);
});

test('superblocks: one after the other, each into the other copy; of what waits the last value is written', async (t) => {
  const { disk, store, answers, told } = await begin();
  for (const epoch of [1, 2, 3, 4]) store.writeSuperblock(superblockState({ maxEpochSeen: epoch }), told(`epoch ${epoch}`));
  const places: number[] = [];
  while (disk.pending.length > 0) {
    places.push(...disk.pending.map(({ offset }) => offset));
    disk.answerAll();
    await settled();
  }
  t.is(places.length, 2);
  t.deepEqual(
    places.toSorted((one, other) => one - other),
    [...SUPERBLOCK_AT],
  );
  t.deepEqual(answers, ['epoch 1: ok', 'epoch 2: ok', 'epoch 3: ok', 'epoch 4: ok']);
  t.is((await attachTo(disk.fork(() => false))).attached.superblock.maxEpochSeen, 4);
});

test('a state that no superblock can hold: a RangeError at once, and nothing is written', async (t) => {
  const { disk, store } = await begin();
  const { writes } = disk;
  t.throws(() => store.writeSuperblock(superblockState({ node: 'x'.repeat(256) }), t.falsy), { instanceOf: RangeError });
  t.throws(() => store.writeSuperblock(superblockState({ maxEpochSeen: -1 }), t.falsy), { instanceOf: RangeError });
  t.is(disk.writes, writes);
});

test('the first error: dead, everything that waits or comes gets it, nothing is written any more', async (t) => {
  const { disk, store, answers, told } = await begin();
  store.activate([1], never, told('good'));
  await settled();
  disk.answerAll();
  disk.failFrom = disk.writes;
  store.activate([2], never, told('first'));
  await Promise.resolve();
  store.activate([3], never, told('waiting'));
  store.checkpoint(told('checkpoint'));
  await settled();
  const { writes } = disk;
  store.activate([4], never, told('later'));
  store.writeSuperblock(superblockState(), told('superblock'));
  store.checkpoint(told('another'));
  await settled();
  const failed = 'EIO: i/o error, write';
  t.deepEqual(
    new Set(answers.slice(1)),
    new Set(['first', 'waiting', 'checkpoint', 'later', 'superblock', 'another'].map((name) => `${name}: ${failed}`)),
  );
  t.is(answers.length, 7);
  t.is(disk.writes, writes);
  t.false(store.isActive(1));
  await store.close();
});

test('an error of a superblock: what is under way in the log gets it too', async (t) => {
  const { disk, store, answers, told } = await begin();
  store.activate([1], never, told('log'));
  await settled();
  disk.failFrom = disk.writes;
  store.writeSuperblock(superblockState(), told('superblock'));
  await settled();
  disk.answerAll();
  await settled();
  t.deepEqual(answers, ['superblock: EIO: i/o error, write', 'log: EIO: i/o error, write']);
});

test('close: waits for what is under way, and answers errors afterwards', async (t) => {
  const { disk, store, answers, told, answerAll } = await begin();
  store.activate([1], never, told('activate'));
  store.writeSuperblock(superblockState(), told('one'));
  store.writeSuperblock(superblockState(), told('two'));
  let closed = false;
  const closing = store.close().then(() => void (closed = true));
  await settled();
  t.false(closed);
  await answerAll();
  await closing;
  t.is(disk.pending.length, 0);
  store.activate([2], never, told('late'));
  await settled();
  t.deepEqual(answers.toSorted(), ['activate: ok', 'late: the metadata is closed', 'one: ok', 'two: ok']);
});
