// A group with a mirrored volume, through planned moves and power losses, with real processes and packets: an application writes
// stamps through the volume all the time, and whatever was answered must be on the copy that serves next. What both copies hold
// is looked at in their files. Timing `fast`: the machine may stand still for a second.
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

const ID = `mm${randomBytes(3).toString('hex')}`;
const GROUP = 'db';
const STAMPER = fileURLToPath(new URL('../support/lab/app/nbd-stamper.js', import.meta.url));
const SIZE_BYTES = 64 * 1024 * 1024;
const SLOTS = 64;
const EVENTS = Number(process.env['MIRROR_EVENTS'] ?? 4);

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

const groups = {
  [GROUP]: {
    prefer: ['a', 'b'],
    failover: { max: 1000, within: '1h' },
    resources: {
      data: { use: 'disk-mirror', attach: 'none', sparse: true, ...place('a'), on: { b: place('b') } },
      app: {
        use: 'app-script',
        mode: 'foreground',
        start: [process.execPath, STAMPER, '${data.device}', answers, String(SLOTS)],
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

/** The application goes on: it has had answers since. */
const writing = async (lab: DrillLab): Promise<void> => {
  const before = statSync(answers).size;
  await lab.until('new answers to the application', 20_000, () => statSync(answers).size > before + 1_000);
};

test('planned moves and power losses under write load: what was answered is on the copy that serves next, and the copies end equal', async (t) => {
  t.timeout(400_000);
  writeFileSync(answers, '');
  await makeCopies({ cluster: `lab-${ID}`, group: GROUP, volume: 'data', sizeBytes: SIZE_BYTES }, [
    { node: 'a', peer: 'b', ...place('a') },
    { node: 'b', peer: 'a', ...place('b') },
  ]);
  const lab = await DrillLab.start(ID, { groups, timing: 'fast' });
  let before = await lab.settled();
  for (const round of Array.from({ length: EVENTS }, (_, index) => index)) {
    await writing(lab);
    const loses = round % 2 === 1;
    const { active, standby } = before;
    if (loses) await lab.fault('power-off', active);
    else await lab.done(active, 'switchover', GROUP, '--to', standby, '--why', 'drill');
    await lab.until(`${standby} serves`, 60_000, async (last) => {
      const group = await lab.group(standby);
      last(`${group?.state}, ${group?.because}`);
      return group?.state === 'online' && group.active === standby;
    });
    // Every answer so far is there; those that come while it is looked at are newer than what is looked for.
    const promised = answered(answers).written;
    t.deepEqual(lostOf(backing(standby), promised), [], `after ${loses ? 'a power loss' : 'a move'} to ${standby}`);
    if (loses) await lab.fault('power-on', active);
    before = await lab.settled(90_000);
    t.is(before.active, standby);
    t.like(await view(lab, active), { role: 'secondary', disk: 'UpToDate', connection: 'connected' });
  }
  await lab.done(before.active, 'stop', GROUP, '--why', 'the end of the drill');
  for (const node of lab.nodes) t.like(await view(lab, node), { role: 'secondary', serving: false, dirtyChunks: 0 }, node);
  t.true(readFileSync(backing('a')).equals(readFileSync(backing('b'))), 'both copies are equal');
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
