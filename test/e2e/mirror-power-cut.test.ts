// The standby loses power and with it what its disk had not been told to keep (SAFETY e, row 31; b.3 row 8). Its copy lies on a file
// system of its own in an image file: what was written and not synced is in the page cache above the image alone, so the image
// as it is at the moment of the cut is what such a disk has kept. MIRROR_CUTS (3) is the number of cuts.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { drillObstacle } from '../support/drill-lab.js';
import { MirrorPair } from '../support/mirror-pair/mirror-pair.js';
import { spreadSlots, StampLoad } from '../support/mirror-pair/stamp-load.js';
import { BLOCK_BYTES, lostOf } from '../support/stamps.js';
import { until } from '../support/until.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
const CUTS = Number(process.env['MIRROR_CUTS'] ?? 3);
const SIZE = 16 * 1024 * 1024;
/** With room for the journal and the metadata. */
const DISK_BYTES = 64 * 1024 * 1024;

/** A disk that can be cut off: nothing commits by itself meanwhile, and no cut is clean. */
class LossyDisk {
  readonly mount: string;
  readonly #directory: string;
  #generation = 0;

  constructor(t: ExecutionContext, directory: string) {
    this.#directory = directory;
    this.mount = join(directory, 'b', 'disk');
    mkdirSync(this.mount, { recursive: true });
    writeFileSync(this.#image, '');
    truncateSync(this.#image, DISK_BYTES);
    execFileSync('mkfs.ext4', ['-q', '-F', this.#image]);
    this.#attach();
    t.teardown(() => void execFileSync('umount', ['-l', this.mount]));
  }

  /** Its users have ended. What was not synced is gone. */
  cut(): void {
    const kept = this.#image;
    this.#generation += 1;
    copyFileSync(kept, this.#image);
    execFileSync('umount', ['-l', this.mount]);
    this.#attach();
  }

  get #image(): string {
    return join(this.#directory, `disk-${this.#generation}.img`);
  }

  #attach(): void {
    execFileSync('mount', ['-o', 'loop,commit=300', this.#image, this.mount]);
  }
}

const blocksThatDiffer = (one: Buffer, other: Buffer): number => {
  let count = 0;
  for (let at = 0; at < one.length; at += BLOCK_BYTES)
    if (!one.subarray(at, at + BLOCK_BYTES).equals(other.subarray(at, at + BLOCK_BYTES))) count += 1;
  return count;
};

test(`row 31, the standby loses power and all that it had not flushed, ${CUTS} times, under writes: it gets again what it lost, and the copies end equal`, async (t) => {
  t.timeout(60_000 + CUTS * 20_000);
  const box: { disk: LossyDisk | null } = { disk: null };
  const places = {
    get b() {
      const mount = box.disk?.mount ?? '';
      return { backing: join(mount, 'data.img'), metadata: join(mount, 'data.metadata') };
    },
  };
  const pair = await MirrorPair.start(t, {
    sizeBytes: SIZE,
    places,
    options: { flushEvery: '600s' },
    prepare: (directory) => (box.disk = new LossyDisk(t, directory)),
  });
  execFileSync('sync', ['-f', pair.place('b').backing]);
  const load = new StampLoad(spreadSlots(64, SIZE), () => undefined, 200);
  await load.begin(await pair.client('a'));
  const lost: number[] = [];
  for (let cut = 0; cut < CUTS; cut += 1) {
    const flushes = load.flushed.size;
    const enough = load.answers + 2_000;
    await until('answers, and flushes among them', () => load.answers >= enough && load.flushed.size >= Math.max(1, flushes), 20_000);
    const flushed = new Map(load.flushed);
    await pair.kill('b');
    const before = readFileSync(pair.place('b').backing);
    box.disk?.cut();
    lost.push(blocksThatDiffer(before, readFileSync(pair.place('b').backing)));
    t.deepEqual(lostOf(pair.place('b').backing, flushed), [], 'what was flushed is kept');
    await pair.boot('b', true);
    await pair.whole('a');
  }
  t.true(
    lost.some((blocks) => blocks > 0),
    'a cut that loses nothing shows nothing',
  );
  await load.stop();
  await pair.equalAtRest('a');
  for (const node of ['a', 'b'] as const) t.deepEqual(lostOf(pair.place(node).backing, load.written), [], node);
  t.log(`${CUTS} cuts, blocks lost in each: ${lost.join(', ')}; ${load.answers} answers`);
});
