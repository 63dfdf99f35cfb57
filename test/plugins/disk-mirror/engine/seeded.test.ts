// A copy that was seeded from its peer: it is compared chunk by chunk, and only what differs is sent; also where the first try did
// not end.
import test from 'ava';
import type { Frame } from '../../../../plugins/disk-mirror/link/frames.js';
import { NO_GENERATION } from '../../../../plugins/disk-mirror/words.js';
import { MirrorWorld } from '../../../support/mirror-world/mirror-world.js';

const seeded = (differ: readonly number[]) => {
  const world = new MirrorWorld({ mode: 'sync', order: 'remote-first', async: { maxLagBytes: 1, maxLagMs: 1, full: 'throttle' } }, 1);
  const { a, b } = world.nodes;
  for (let sector = 0; sector < a.disk.sectors; sector++)
    for (const { disk } of [a, b]) disk.cells[sector] = disk.durable[sector] = 1_000_000 + sector;
  for (const sector of differ) b.disk.cells[sector] = b.disk.durable[sector] = 2_000_000 + sector;
  b.metadata.superblock = {
    ...b.metadata.superblock,
    disk: 'Inconsistent',
    current: NO_GENERATION,
    fullSyncNeeded: true,
    resync: { source: 'a', kind: 'checksum' },
  };
  world.record.inSync = world.record.inSync.filter(({ side }) => side === 'a');
  const sent: Frame[] = [];
  const send = world.link.send.bind(world.link);
  world.link.send = (from, frame) => {
    if (from === 'a') sent.push(frame);
    return send(from, frame);
  };
  const dataBytes = () => sent.reduce((sum, frame) => sum + (frame.t === 'sync-data' ? frame.bytes.length : 0), 0);
  const hashes = () => sent.filter(({ t }) => t === 'hash').length;
  const quiet = (turns = 20) => {
    for (let turn = 0; turn < turns; turn++) {
      world.run(10_000);
      world.tick(50);
    }
  };
  a.start();
  world.acquire('a');
  world.promote('a');
  quiet(4);
  b.start();
  world.link.connect();
  return { world, a, b, dataBytes, hashes, quiet };
};

test('two sectors of a seeded copy differ: every chunk is compared, the chunks of the two are sent, both are equal and in the record', (t) => {
  const { world, a, b, dataBytes, hashes, quiet } = seeded([3, 30]);
  quiet();
  const { chunks, chunkBytes } = a.metadata.geometry;
  t.is(hashes(), chunks);
  t.is(dataBytes(), 2 * chunkBytes);
  t.deepEqual(b.disk.durable, a.disk.durable);
  t.true(world.record.hasAlive('b'));
  t.is(b.metadata.superblock.resync, null);
  t.like(b.engine!.view(), { disk: 'UpToDate', dirtyChunks: 0 });
  t.deepEqual(world.violations, []);
});

test('the connection ends in the middle: what is left is compared as well, and not sent whole', (t) => {
  const { world, a, b, dataBytes, hashes, quiet } = seeded([3, 30]);
  for (let step = 0; step < 10_000 && hashes() < 2; step++) {
    world.run(1);
    if (step % 50 === 49) world.tick(1);
  }
  t.true(hashes() >= 2, 'it has begun');
  t.is(b.metadata.superblock.disk, 'Inconsistent');
  world.link.break('cut');
  quiet(2);
  b.cutPower();
  b.start();
  world.link.connect();
  quiet();
  const { chunkBytes } = a.metadata.geometry;
  t.true(dataBytes() <= 4 * chunkBytes, `${dataBytes()} bytes`);
  t.deepEqual(b.disk.durable, a.disk.durable);
  t.true(world.record.hasAlive('b'));
  t.deepEqual(world.violations, []);
});

test('ordered while both are in sync: compared, and nothing is sent', (t) => {
  const { a, dataBytes, hashes, quiet } = seeded([]);
  quiet();
  const before = hashes();
  a.engine!.resync('checksum', (refused) => t.is(refused, null));
  quiet();
  t.is(hashes() - before, a.metadata.geometry.chunks);
  t.is(dataBytes(), 0);
  t.like(a.engine!.view(), { dirtyChunks: 0, resync: null });
});
