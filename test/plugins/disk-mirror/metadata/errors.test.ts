// A disk that fails at any one write (EIO, ENOSPC): the caller is told, nothing is written afterwards, and what is on the disk
// still attaches with all that was promised (SAFETY b.3 row 19).
import test from 'ava';
import { DeviceMetadataStore } from '../../../../plugins/disk-mirror/metadata/store.js';
import { attachTo, freshDisk, partsOf, settled } from '../../../support/mirror/metadata-copy.js';
import { superblockState } from '../../../support/mirror/superblock-state.js';

const life = async (failFrom: number, error: Error) => {
  const disk = await freshDisk();
  const { parts } = await partsOf(disk);
  const store = new DeviceMetadataStore(parts);
  const began = disk.writes;
  disk.failFrom = began + failFrom;
  disk.error = error;
  const promised: number[] = [];
  let epoch = 0;
  let failed = 0;
  const ask = (call: (done: (failure: Error | null) => void) => void, then: () => void = () => {}): Promise<void> =>
    new Promise((resolve) =>
      call((failure) => {
        if (failure === null && failed === 0) then();
        if (failure !== null && failure !== error) throw failure;
        if (failure !== null) failed++;
        resolve();
      }),
    );
  for (let round = 0; round < 6; round++) {
    for (let extent = round * 9; extent < round * 9 + 9; extent += 3)
      await ask(
        (done) => store.activate([extent, extent + 1, extent + 2], () => true, done),
        () => {
          parts.bits.set(extent * 1024 + 5, 1);
          promised.push(extent * 1024 + 5);
        },
      );
    await ask(
      (done) => store.writeSuperblock(superblockState({ maxEpochSeen: round + 1 }), done),
      () => {
        epoch = round + 1;
      },
    );
    if (round === 3) await ask((done) => store.checkpoint(done));
  }
  await store.close();
  return { disk, writes: disk.writes - began, promised, epoch, failed };
};

for (const code of ['EIO: i/o error, write', 'ENOSPC: no space left on device, write'])
  test(`${code} at each write of a life: told once to each caller, nothing is written after it, nothing promised is lost`, async (t) => {
    const error = new Error(code);
    const whole = await life(Number.POSITIVE_INFINITY, error);
    t.is(whole.failed, 0);
    t.true(whole.writes > 30, `${whole.writes}`);
    for (let at = 0; at < whole.writes; at++) {
      const { disk, writes, promised, epoch, failed } = await life(at, error);
      t.true(failed > 0, `write ${at}`);
      t.is(writes, at + 1, 'none after the failed one');
      const { attached } = await attachTo(disk.fork(() => false));
      const lost = promised.find((chunk) => !attached.bits.has(chunk));
      t.is(lost, undefined, `write ${at}`);
      t.true(attached.superblock.maxEpochSeen >= epoch);
    }
  });

test('a write that fails while attaching: attaching fails, and the next one finds the same', async (t) => {
  const disk = await freshDisk();
  const { store } = await attachTo(disk);
  await new Promise((done) => store.activate([3, 200], () => false, done));
  const { writes } = disk;
  const sound = disk.fork(() => false);
  await attachTo(sound);
  t.true(sound.writes >= 3, `${sound.writes}`);
  for (let at = 0; at < sound.writes; at++) {
    const broken = disk.fork(() => false);
    broken.failFrom = at;
    await t.throwsAsync(attachTo(broken), { message: /EIO/ });
    t.is((await attachTo(broken.fork(() => false))).attached.bits.count(), 2048);
  }
  await settled();
  t.is(disk.writes, writes);
});
