import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { attachMetadata } from '../../../../plugins/disk-mirror/metadata/attach.js';
import { openFileDevice } from '../../../../plugins/disk-mirror/metadata/file-device.js';
import { inspectMetadata } from '../../../../plugins/disk-mirror/metadata/inspect.js';
import { BITMAP_AT, SUPERBLOCK_AT } from '../../../../plugins/disk-mirror/metadata/layout.js';
import { makeCopies } from '../../../support/new-copies.js';

const SIZE = 64 * 1024 * 1024;
const identity = { cluster: 'c', group: 'g', volume: 'v', sizeBytes: SIZE };

const copyIn = async (t: ExecutionContext): Promise<string> => {
  const directory = mkdtempSync(join(tmpdir(), 'inspect-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const metadata = join(directory, 'metadata');
  await makeCopies(identity, [{ node: 'a', peer: 'b', backing: join(directory, 'data'), metadata }]);
  return metadata;
};

test('metadata of a process that died: the same bits as attaching finds, and not a byte of it is changed', async (t) => {
  const path = await copyIn(t);
  const device = await openFileDevice(path);
  const { attached, store } = await attachMetadata(device, { name: path, expected: { ...identity, node: 'a' } });
  await new Promise<void>((resolve, reject) =>
    store.activate(
      [3, 7],
      () => false,
      (error) => (error === null ? resolve() : reject(error)),
    ),
  );
  t.is(attached.bits.count(), 0);
  await store.close();
  const before = readFileSync(path);
  const { bits, superblock, repairs } = await inspectMetadata(path);
  t.true(readFileSync(path).equals(before));
  t.is(superblock.node, 'a');
  t.deepEqual(repairs, []);
  t.is(bits.count(), (2 * 4 * 1024 * 1024) / bits.chunkBytes, 'both active extents count as changed');

  const again = await openFileDevice(path);
  const found = await attachMetadata(again, { name: path, expected: { ...identity, node: 'a' } });
  t.deepEqual(bits.slice(0, bits.chunks), found.attached.bits.slice(0, bits.chunks));
  await found.store.close();
});

test('damage: a bad page counts whole and is said, one bad superblock is said, two are refused, a short file too', async (t) => {
  const path = await copyIn(t);
  const good = readFileSync(path);
  const damaged = (...places: readonly number[]): void => {
    const bytes = Buffer.from(good);
    for (const at of places) bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  };
  damaged(BITMAP_AT + 50);
  const page = await inspectMetadata(path);
  t.is(page.bits.count(), page.bits.chunks);
  t.regex(page.repairs.join(), /page 0/);
  damaged(SUPERBLOCK_AT[0] + 50);
  t.regex((await inspectMetadata(path)).repairs.join(), /copy 0 of the superblock/);
  damaged(SUPERBLOCK_AT[0] + 50, SUPERBLOCK_AT[1] + 50);
  await t.throwsAsync(inspectMetadata(path), { message: /neither copy of the superblock is good/ });
  damaged();
  truncateSync(path, good.length - 4096);
  await t.throwsAsync(inspectMetadata(path), { message: /cut short/ });
  await t.throwsAsync(inspectMetadata(`${path}-not`), { message: /cannot read the metadata/ });
});
