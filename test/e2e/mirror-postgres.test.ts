// PostgreSQL on ext4 on a mirrored volume (nbdfuse and a loop device), whose active node loses its power under a client that
// commits all the time. Whatever the client saw committed is there afterwards; with `mode: async` no more is missing than the
// lag that was shown before. PG_RUNS: power losses in sync mode; DRILL_KEEP as in all drills.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { systemLocalSockets } from '../../core/system/framed-socket.js';
import { viewVolume } from '../../plugins/disk-mirror/process/control-client.js';
import { controlSocket, resourceRunDir } from '../../plugins/disk-mirror/process/places.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';
import { makeCopies } from '../support/new-copies.js';
import { Committer, fillCopies, placesOf, postgresGroup, postgresObstacle, query } from '../support/postgres-on-mirror.js';

const obstacle = drillObstacle() ?? postgresObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: ${obstacle}`, (t) => t.pass());

const GROUP = 'db';
const SIZE_BYTES = 256 * 1024 * 1024;
const RUNS = Number(process.env['PG_RUNS'] ?? 2);
const ASYNC_RUNS = Number(process.env['PG_ASYNC_RUNS'] ?? 1);
const LOAD_MS = 2_000;
const HELD_MS = 1_000;
/** WAL is written in whole pages of this, at least one for each commit of a single client. */
const WAL_PAGE_BYTES = 8_192;

const scene = async (t: ExecutionContext, mode: 'sync' | 'async') => {
  const id = `pg${randomBytes(3).toString('hex')}`;
  const directory = mkdtempSync(join(tmpdir(), 'understudy-postgres-'));
  t.teardown(() => {
    DrillLab.sweep(id);
    rmSync(directory, { recursive: true, force: true });
  });
  fillCopies(directory, ['a', 'b'], SIZE_BYTES);
  const copies = [
    { node: 'a', peer: 'b', ...placesOf(directory, 'a') },
    { node: 'b', peer: 'a', ...placesOf(directory, 'b') },
  ];
  await makeCopies({ cluster: `lab-${id}`, group: GROUP, volume: 'data', sizeBytes: SIZE_BYTES }, copies, { mode, keepData: true });
  const lab = await DrillLab.start(id, { groups: { [GROUP]: postgresGroup(directory, mode) }, timing: 'fast' });
  return { directory, lab, client: new Committer(directory) };
};

const serves = (lab: DrillLab, node: string): Promise<unknown> =>
  lab.until(`${node} serves`, 90_000, async (last) => {
    const group = await lab.group(node);
    last(`${group?.state}, ${group?.because}`);
    return group?.state === 'online' && group.active === node;
  });

test(`${RUNS} power losses under commits, sync: every transaction that was seen committed is there`, async (t) => {
  t.timeout(120_000 + RUNS * 120_000);
  const { directory, lab, client } = await scene(t, 'sync');
  let now = await lab.settled(90_000);
  query(directory, now.active, 'CREATE TABLE numbered (number bigint PRIMARY KEY)');
  for (let round = 1; round <= RUNS; round += 1) {
    const { active, standby } = now;
    const before = client.committed.length;
    client.start(active);
    await systemClock.sleep(LOAD_MS);
    await lab.fault('power-off', active);
    client.end();
    const during = client.committed.length - before;
    t.true(during > 10, `round ${round}: ${during} commits`);
    await serves(lab, standby);
    t.deepEqual(client.missing(standby), [], `round ${round}`);
    t.log(`round ${round}: ${active} lost its power after ${during} commits, ${standby} has all ${client.committed.length}`);
    await lab.fault('power-on', active);
    now = await lab.settled(90_000);
  }
  await lab.done(now.active, 'stop', GROUP, '--why', 'the end of the drill');
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});

test('a power loss under commits, async, the standby held: no more is missing than the lag that was shown', async (t) => {
  t.timeout(120_000 + ASYNC_RUNS * 120_000);
  const { directory, lab, client } = await scene(t, 'async');
  const view = (node: string) =>
    viewVolume(
      {
        sockets: systemLocalSockets,
        clock: systemClock,
        path: controlSocket(resourceRunDir(lab.paths(node).run, GROUP, 'data')),
        volume: `${GROUP}/data`,
      },
      2_000,
    );
  let now = await lab.settled(90_000);
  query(directory, now.active, 'CREATE TABLE numbered (number bigint PRIMARY KEY)');
  for (let round = 1; round <= ASYNC_RUNS; round += 1) {
    const { active, standby } = now;
    client.start(active);
    await systemClock.sleep(LOAD_MS);
    const { pid: held } = await view(standby);
    process.kill(held, 'SIGSTOP');
    await systemClock.sleep(HELD_MS);
    const beforeMs = systemClock.nowMs();
    const { lagBytes, lagMs } = await view(active);
    await lab.fault('power-off', active);
    client.end();
    process.kill(held, 'SIGCONT');
    await serves(lab, standby);
    const missing = client.missing(standby).filter(({ atMs }) => atMs <= beforeMs);
    const oldestMs = missing.length === 0 ? 0 : beforeMs - Math.min(...missing.map(({ atMs }) => atMs));
    t.log(
      `shown: ${lagBytes} bytes, ${Math.round(lagMs)} ms; missing of before: ${missing.length}, the oldest ${Math.round(oldestMs)} ms old`,
    );
    t.true(lagBytes > 0, 'the standby lagged');
    t.true(missing.length * WAL_PAGE_BYTES <= lagBytes, `${missing.length} commits`);
    // The view was asked for after `beforeMs`, and the commit was seen after its write.
    t.true(oldestMs <= lagMs + 100, `${oldestMs} ms`);
    await lab.fault('power-on', active);
    now = await lab.settled(90_000);
  }
  await lab.end();
});
