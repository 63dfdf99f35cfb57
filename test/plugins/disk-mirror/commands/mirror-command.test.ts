import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { diskMirrorOptions } from '../../../../plugins/disk-mirror/agent/definition.js';
import { linesOf } from '../../../../plugins/disk-mirror/commands/orders.js';
import { mirrorCommand, type Volume } from '../../../../plugins/disk-mirror/commands/mirror-command.js';
import { closedView } from '../../../../plugins/disk-mirror/process/volume-view.js';

const volumeIn = (t: ExecutionContext): Volume => {
  const directory = mkdtempSync(join(tmpdir(), 'mirror-command-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return {
    cluster: 't',
    node: 'a',
    bootId: 'boot-1',
    group: 'db',
    resource: 'data',
    use: 'disk-mirror',
    options: diskMirrorOptions.parse({ backing: join(directory, 'a.img'), metadata: join(directory, 'a.metadata'), attach: 'none' }),
    peers: ['b'],
    paths: { run: join(directory, 'run'), state: join(directory, 'state'), log: join(directory, 'log') },
  };
};

const refusals: [title: string, verb: string, flags: Readonly<Record<string, unknown>>, message: RegExp][] = [
  ['an unknown verb: what there is', 'shrink', {}, /there is no "mirror shrink"; there are: create, status/],
  ['create without a word on what the copy is worth', 'create', {}, /one of --first, --second, --both-zero, --seeded/],
  ['create with two', 'create', { first: true, second: true }, /one of --first/],
  ['a uuid that is none', 'create', { second: true, uuid: 'xyz' }, /--uuid xyz is not 32 hex digits/],
  ['a size without a unit', 'create', { first: true, size: '64' }, /--size 64 is not a size/],
  ['something else to overwrite', 'create', { first: true, overwrite: 'everything' }, /not "everything"/],
  ['resolve without the victim', 'resolve', {}, /say --victim a there/],
  ['resolve of the other node’s copy here', 'resolve', { victim: 'b' }, /given on the node whose copy gives up/],
  ['status without a process', 'status', {}, /the mirror process of db\/data does not answer/],
];
for (const [title, verb, flags, message] of refusals)
  test(`${title}: refused in words`, async (t) => {
    await t.throwsAsync(async () => mirrorCommand.run(flags, [verb, 'db.data'], volumeIn(t)), { message });
  });

test('create --first of a file that is not there: made, and never again by mistake', async (t) => {
  const volume = volumeIn(t);
  t.is(await mirrorCommand.run({ first: true, size: '1MiB', dryRun: true }, ['create', 'db.data'], volume), 0);
  t.false(existsSync(volume.options.backing), 'a dry run makes nothing');
  t.is(await mirrorCommand.run({ first: true, size: '1MiB' }, ['create', 'db.data'], volume), 0);
  await t.throwsAsync(async () => mirrorCommand.run({ first: true }, ['create', 'db.data'], volume), {
    message: /overwritten only when that is said/,
  });
  t.is(await mirrorCommand.run({ first: true, overwrite: 'metadata' }, ['create', 'db.data'], volume), 0);
});

test('status in words: roles, worth, what waits, how far a resync is', (t) => {
  const view = closedView({ node: 'a', peer: 'b', mode: 'async', pid: 1 }, 'its disk is away');
  t.deepEqual(linesOf(volumeIn(t), view), [
    'db.data on a: secondary, Diskless, async',
    '  b: unknown, down: its disk is away',
    '  may differ: 0 B; the standby lags by 0 B, 0.0 s',
    '  alarm: its disk is away',
  ]);
  t.deepEqual(
    linesOf(volumeIn(t), {
      ...view,
      role: 'primary',
      disk: 'UpToDate',
      mode: 'sync',
      epoch: 4,
      serving: true,
      peerDisk: 'Inconsistent',
      connection: 'connected',
      path: 'mirror-1',
      because: 'it copies',
      suspended: 'the record is being changed',
      dirtyBytes: 3 * 1024 * 1024,
      kernelDevice: '/dev/nbd0',
      sizeBytes: 1024 * 1024,
      chunkBytes: 4096,
      volumeUuid: '00112233445566778899aabbccddeeff',
      resync: { kind: 'bitmap', direction: 'source', doneBytes: 1024, ofBytes: 4096, etaMs: 1500, paused: false },
      alarms: [],
    }),
    [
      'db.data on a: primary, UpToDate, sync, epoch 4, serving',
      '  b: Inconsistent, connected over mirror-1: it copies',
      '  writes wait: the record is being changed',
      '  resync (bitmap) as source: 25 % of 4.0 KiB, 2 s left',
      '  may differ: 3.0 MiB',
      '  device: /dev/nbd0',
      '  uuid: 00112233445566778899aabbccddeeff, 1048576 bytes, chunks of 4.0 KiB',
    ],
  );
});
