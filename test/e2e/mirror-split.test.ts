// The link is cut, the active node goes on alone and dies, the other one is asked to go on with what it has (SAFETY e, row 33; b.3
// rows 12 and 21): refused with the reason, then by an operator's word, typed in full. The first one comes back: SPLIT, nothing is
// merged, until an operator says whose changes are given up.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { systemLocalSockets } from '../../core/system/framed-socket.js';
import { viewVolume } from '../../plugins/disk-mirror/process/control-client.js';
import { controlSocket, resourceRunDir } from '../../plugins/disk-mirror/process/places.js';
import type { VolumeView } from '../../plugins/disk-mirror/process/protocol.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';
import { makeCopies } from '../support/new-copies.js';
import { answered, lostOf } from '../support/stamps.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `ms${randomBytes(3).toString('hex')}`;
const GROUP = 'db';
const STAMPER = fileURLToPath(new URL('../support/lab/app/nbd-stamper.js', import.meta.url));
const SIZE_BYTES = 16 * 1024 * 1024;

const directory = obstacle === null ? mkdtempSync(join(tmpdir(), 'understudy-mirror-')) : '';
const answers = join(directory, 'answers');
const backing = (node: string) => join(directory, node, 'data.img');
const place = (node: string) => ({
  backing: backing(node),
  metadata: join(directory, node, 'data.metadata'),
  device: join(directory, node, 'device'),
});

anyTest.serial.after.always(() => {
  if (obstacle !== null) return;
  DrillLab.sweep(ID);
  rmSync(directory, { recursive: true, force: true });
});

const hooked = join(directory, 'hooked');
const script = ['/bin/sh', '-c', `echo "$UNDERSTUDY_POINT $UNDERSTUDY_NODE $UNDERSTUDY_HOOK_RESOURCE" >>${hooked}`];
const onBoth = [{ run: script, on: 'all' }];

const groups = {
  [GROUP]: {
    hooks: { onSplitBrain: onBoth, onResyncStart: onBoth, onResyncEnd: onBoth },
    prefer: ['a', 'b'],
    failover: { max: 1000, within: '1h' },
    resources: {
      data: { use: 'disk-mirror', attach: 'none', sparse: true, peerTimeout: '1s', ...place('a'), on: { b: place('b') } },
      app: {
        use: 'app-script',
        mode: 'foreground',
        start: [process.execPath, STAMPER, '${data.device}', answers, '16'],
        every: '1s',
        restart: { max: 1000, within: '1h' },
      },
    },
  },
};

const view = (lab: DrillLab, node: string): Promise<VolumeView> =>
  viewVolume(
    {
      sockets: systemLocalSockets,
      clock: systemClock,
      path: controlSocket(resourceRunDir(lab.paths(node).run, GROUP, 'data')),
      volume: `${GROUP}/data`,
    },
    2_000,
  );

test('row 33, alone, dead, forced elsewhere, back again: refused with the reason, then split on both, and one again by an operator’s word', async (t) => {
  t.timeout(300_000);
  writeFileSync(answers, '');
  await makeCopies({ cluster: `lab-${ID}`, group: GROUP, volume: 'data', sizeBytes: SIZE_BYTES }, [
    { node: 'a', peer: 'b', ...place('a') },
    { node: 'b', peer: 'a', ...place('b') },
  ]);
  const lab = await DrillLab.start(ID, { groups, timing: 'fast' });
  const { active, standby } = await lab.settled(60_000);
  const writes = async (what: string) => {
    const before = statSync(answers).size;
    await lab.until(what, 30_000, () => statSync(answers).size > before + 1_000);
  };
  const seen = async (what: string, node: string, wish: (found: VolumeView) => boolean) =>
    lab.until(what, 60_000, async (last) => {
      const found = await view(lab, node).catch((error: unknown) => (last(String(error)), null));
      if (found !== null) last(JSON.stringify(found));
      return found !== null && wish(found) && found;
    });
  await writes('answers by both copies');

  for (const network of ['mirror', 'heartbeat-1', 'heartbeat-2']) await lab.fault('cut', standby, network);
  await seen(
    'the active node goes on alone',
    active,
    ({ serving, connection, suspended, dirtyChunks }) => serving && connection === 'down' && suspended === null && dirtyChunks > 0,
  );
  await writes('answers by one copy alone');
  await lab.fault('power-off', active);
  for (const network of ['mirror', 'heartbeat-1', 'heartbeat-2']) await lab.fault('heal', standby, network);
  const promised = answered(answers).written;

  const refused = await lab.until('the standby says why it does not take over', 60_000, async (last) => {
    const group = await lab.group(standby);
    const blockers = group?.standbys.find(({ node }) => node === standby)?.blockers ?? [];
    last(`${group?.state}, ${group?.because}, ${JSON.stringify(group?.standbys)}`);
    return /sync/.test(JSON.stringify(blockers)) && JSON.stringify([group?.because, blockers]);
  });
  t.log(refused);
  t.not((await lab.group(standby))?.state, 'online');
  t.true(lostOf(backing(standby), promised).length > 0, 'what the dead node wrote alone is not here');
  const wrong = await lab.understudy(standby, 'start', GROUP, '--force', '--accept-data-loss', 'other', '--why', 'drill');
  t.is(wrong.exitCode, 2, wrong.stderr);
  await lab.done(standby, 'start', GROUP, '--force', '--accept-data-loss', GROUP, '--why', 'drill');
  await lab.until(`${standby} serves what it has`, 60_000, async (last) => {
    const group = await lab.group(standby);
    last(`${group?.state}, ${group?.because}`);
    return group?.state === 'online' && group.active === standby;
  });
  await writes('answers by the forced copy');

  await lab.fault('power-on', active);
  const [theirs] = [await seen('the one that came back is split', active, ({ connection }) => connection === 'split')];
  t.regex(theirs.alarms.join(' '), /resolve/);
  t.like(await seen('the serving one is split', standby, ({ connection }) => connection === 'split'), { serving: true });
  t.deepEqual(lostOf(backing(active), promised), [], 'nothing was merged: what was written alone is still there');

  const name = `${GROUP}.data`;
  const whatIf = await lab.understudy(active, 'mirror', 'connect', '--what-if', name);
  t.is(whatIf.exitCode, 4, whatIf.stdout);
  t.regex(whatIf.stdout, /SPLIT/);
  const untyped = await lab.understudy(active, 'mirror', 'resolve', name, '--victim', active);
  t.is(untyped.exitCode, 2, untyped.stderr);
  await lab.done(active, 'mirror', 'resolve', name, '--victim', active, '--export', join(directory, 'kept'), '--accept-data-loss', name);
  t.true(statSync(join(directory, 'kept')).size > 0, 'what was given up was kept');
  await seen(
    'both are one',
    standby,
    ({ connection, peerDisk, resync }) => connection === 'connected' && peerDisk !== 'Inconsistent' && resync === null,
  );
  await lab.settled(60_000);
  await writes('answers by both copies again');
  const lines = readFileSync(hooked, 'utf8').trim().split('\n');
  for (const node of [active, standby]) {
    t.is(lines.filter((line) => line === `onSplitBrain ${node} data`).length, 1, lines.join('; '));
    const own = lines.filter((line) => line.includes(` ${node} `));
    t.true(own.indexOf(`onSplitBrain ${node} data`) < own.lastIndexOf(`onResyncStart ${node} data`), own.join('; '));
    t.is(own.at(-1), `onResyncEnd ${node} data`, own.join('; '));
  }
  await lab.done(standby, 'stop', GROUP, '--why', 'the end of the drill');
  t.true(readFileSync(backing('a')).equals(readFileSync(backing('b'))), 'both copies are equal');
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
