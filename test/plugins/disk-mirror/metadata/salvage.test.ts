import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { BITMAP_AT, LOG_AT, SUPERBLOCK_AT } from '../../../../plugins/disk-mirror/metadata/layout.js';
import { salvage } from '../../../../plugins/disk-mirror/metadata/salvage.js';
import { makeCopies } from '../../../support/new-copies.js';

const UUID = '00112233445566778899aabbccddeeff';

test('which volume it was: from log and bitmap, whatever else is bad; nothing where nothing is left', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'salvage-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'metadata');
  await makeCopies({ cluster: 'c', group: 'g', volume: 'v', sizeBytes: 16 * 1024 * 1024 }, [
    { node: 'a', peer: 'b', backing: join(directory, 'data'), metadata: path },
  ]);
  const good = readFileSync(path);
  const damaged = (...runs: readonly (readonly [from: number, to: number])[]): Promise<Awaited<ReturnType<typeof salvage>>> => {
    const bytes = Buffer.from(good);
    for (const [from, to] of runs) bytes.fill(0x5a, from, to);
    writeFileSync(path, bytes);
    return salvage(path);
  };
  const [sb0, sb1] = SUPERBLOCK_AT.map((at) => [at, at + 4096] as const) as [readonly [number, number], readonly [number, number]];
  t.deepEqual(await damaged(), { there: true, superblocks: 2, volumeUuids: [UUID] });
  t.deepEqual(await damaged(sb1), { there: true, superblocks: 1, volumeUuids: [UUID] });
  t.deepEqual(await damaged(sb0, sb1), { there: true, superblocks: 0, volumeUuids: [UUID] });
  t.deepEqual((await damaged(sb0, sb1, [LOG_AT, SUPERBLOCK_AT[1]])).volumeUuids, [UUID], 'the bitmap tells');
  t.deepEqual((await damaged(sb0, sb1, [BITMAP_AT, good.length])).volumeUuids, [UUID], 'the log tells');
  t.deepEqual(await damaged([0, good.length]), { there: true, superblocks: 0, volumeUuids: [] });
  t.deepEqual(await salvage(`${path}-not`), { there: false, superblocks: 0, volumeUuids: [] });
});
