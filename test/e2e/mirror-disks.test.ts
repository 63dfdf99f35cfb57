// Disks that are full and metadata that was damaged, under a real mirror process (SAFETY e, rows 34 and 35).
import { execFileSync } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, readSync, closeSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { drillObstacle } from '../support/drill-lab.js';
import { BITMAP_AT, SUPERBLOCK_AT } from '../../plugins/disk-mirror/metadata/layout.js';
import { MirrorPair } from '../support/mirror-pair/mirror-pair.js';
import { spreadSlots, StampLoad } from '../support/mirror-pair/stamp-load.js';
import { lostOf } from '../support/stamps.js';
import { until } from '../support/until.js';

const obstacle = drillObstacle();
const test = anyTest.serial as unknown as TestFn;
const rootTest = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
const SIZE = 16 * 1024 * 1024;

const flip = (file: string, at: number): void => {
  const fd = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  writeSync(fd, byte, 0, 1, at);
  closeSync(fd);
};

/** A pair with stamps on it, its application stopped, `b` killed. */
const withStamps = async (t: ExecutionContext, options: Readonly<Record<string, unknown>> = {}) => {
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE, options });
  const load = new StampLoad(spreadSlots(32, SIZE));
  await load.begin(await pair.client('a'));
  await until('answers', () => load.answers > 500, 20_000);
  await pair.kill('b');
  return { pair, load };
};

test('row 34, one superblock damaged: repaired, said, and the copy is used', async (t) => {
  for (const [index, at] of SUPERBLOCK_AT.entries()) {
    const { pair, load } = await withStamps(t);
    flip(pair.place('b').metadata, at + 100);
    await pair.boot('b');
    await pair.whole('a');
    t.true(
      pair.journal.some(({ node, kind }) => node === 'b' && kind === 'mirror.metadata-repaired'),
      `superblock ${index}`,
    );
    await load.stop();
    await pair.equalAtRest('a');
  }
});

test('row 34, both superblocks damaged: the copy is Diskless and says why, is not promoted, and nothing is made anew', async (t) => {
  const { pair, load } = await withStamps(t);
  for (const at of SUPERBLOCK_AT) flip(pair.place('b').metadata, at + 100);
  const damaged = readFileSync(pair.place('b').metadata);
  await pair.boot('b');
  const { because, alarms } = await pair.until('it says what is wrong', 'b', ({ disk }) => disk === 'Diskless');
  t.regex(because, /superblock/);
  t.true(alarms.length > 0);
  pair.record.lie('b', pair.record.epoch + 1);
  for (const force of [false, true]) await t.throwsAsync(pair.promote('b', pair.record.epoch + 1, force), { message: /cannot be used/ });
  t.true(readFileSync(pair.place('b').metadata).equals(damaged));
  const more = load.answers + 50;
  await until('the other copy goes on alone', () => load.answers > more, 20_000);
  t.false(pair.record.isInSync('b'));
});

test('row 34, a page of the bitmap damaged: all of it counts as dirty, and is copied', async (t) => {
  const { pair, load } = await withStamps(t, { resyncMin: '16MiB', resyncMax: '16MiB' });
  flip(pair.place('b').metadata, BITMAP_AT + 100);
  await pair.boot('b');
  await pair.until('all of it is copied', 'a', ({ resync }) => resync?.ofBytes === SIZE);
  await pair.whole('a');
  const resync = pair.journal.filter(({ node, kind }) => node === 'a' && kind === 'mirror.resync-start');
  t.is(resync.length, 1);
  t.true(pair.journal.some(({ node, kind }) => node === 'b' && kind === 'mirror.metadata-repaired'));
  await load.stop();
  await pair.equalAtRest('a');
});

/** A tmpfs of so many bytes in the directory of `a`. */
const small = (t: ExecutionContext, name: string, bytes: number) => (directory: string) => {
  const at = join(directory, 'a', name);
  mkdirSync(at, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', at]);
  t.teardown(() => void execFileSync('umount', ['-l', at]));
};

rootTest(
  'row 35, the disk of the serving copy is full: an error to the application, nothing answered is missing on the other copy, which takes over',
  async (t) => {
    const box: { directory: string } = { directory: '' };
    const mount = small(t, 'disk', 4 * 1024 * 1024);
    const places = {
      get a() {
        return { backing: join(box.directory, 'a', 'disk', 'data.img'), metadata: join(box.directory, 'a', 'data.metadata') };
      },
    };
    const pair = await MirrorPair.start(t, {
      sizeBytes: SIZE,
      places,
      prepare: (directory) => {
        box.directory = directory;
        mount(directory);
      },
    });
    const load = new StampLoad(spreadSlots(2048, SIZE));
    await load.begin(await pair.client('a'));
    const { because } = await pair.until('its disk has failed', 'a', ({ disk }) => disk === 'Failed');
    t.regex(because, /ENOSPC|no space/i);
    t.true((await pair.view('a')).alarms.some((alarm) => alarm.includes('Failed')));
    await load.stop();
    pair.record.release();
    t.deepEqual(lostOf(pair.place('b').backing, load.written), []);
    await pair.takeOver('b');
    await load.begin(await pair.client('b'));
    const more = load.answers + 100;
    await until('the application is served by the other copy', () => load.answers > more, 20_000);
    await load.stop();
    t.deepEqual(lostOf(pair.place('b').backing, load.written), []);
  },
);
