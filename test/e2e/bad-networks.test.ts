// Bad networks, with real processes and packets (acceptance rows 14 and 15): a cable that comes and goes, and networks that
// lose, double, delay and reorder. Oracle: the observer never sees two nodes, and nothing moves that need not. $BAD_NETWORK_S
// says how long each lasts (60; the table asks for 300).
import { randomBytes } from 'node:crypto';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { startChaos } from '../support/chaos.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const FOR_S = Number(process.env['BAD_NETWORK_S'] ?? 60);
const SEED = Number(process.env['SEED'] ?? randomBytes(4).readUInt32BE());
const GROUP = 'web';
const ids: string[] = [];

const inLab = async (timing: string, drill: (lab: DrillLab) => Promise<void>): Promise<void> => {
  const id = `bn${randomBytes(3).toString('hex')}`;
  ids.push(id);
  const lab = await DrillLab.start(id, { timing });
  await drill(lab);
  await lab.end();
};
anyTest.after.always(() => {
  for (const id of ids) DrillLab.sweep(id);
});

/** Acquisitions of any node since a moment. */
const takeovers = async (lab: DrillLab, sinceMs: number): Promise<number> =>
  (await Promise.all(lab.nodes.map((node) => lab.events(node, 'lease.held', sinceMs)))).flat().length;

const safeAndWhole = async (t: ExecutionContext, lab: DrillLab) => {
  t.deepEqual(await lab.overlaps(), [], 'two nodes at once');
  return lab.settled(60_000, GROUP);
};

test(`row 14: the active node's cables come and go, 2 s there and 3 s away, for ${FOR_S} s: one takeover at most, never two nodes`, async (t) => {
  await inLab('lan', async (lab) => {
    const before = await lab.settled(60_000, GROUP);
    const beganMs = systemClock.nowMs();
    while (systemClock.nowMs() - beganMs < FOR_S * 1000) {
      await lab.fault('cut', before.active, 'all');
      await systemClock.sleep(3000);
      await lab.fault('heal');
      await systemClock.sleep(2000);
    }
    const after = await safeAndWhole(t, lab);
    const moves = await takeovers(lab, beganMs);
    t.true(moves <= 1, `${moves} takeovers`);
    t.is(after.epoch, before.epoch + moves);
  });
});

test(`row 15: 30 % lost, 5 % twice, up to 800 ms late and so out of order, on all networks, for ${FOR_S} s: nothing moves`, async (t) => {
  await inLab('standard', async (lab) => {
    const before = await lab.settled(60_000, GROUP);
    const beganMs = systemClock.nowMs();
    const chaos = await startChaos(lab.topology, { lose: 0.3, twice: 0.05, delayMs: 800, seed: SEED, forS: FOR_S + 60 });
    await systemClock.sleep(FOR_S * 1000);
    const counts = await chaos.end();
    t.log(`seed ${SEED}: ${JSON.stringify(counts)}`);
    t.true(counts.frames > 10 * FOR_S && counts.lost > 0.2 * counts.frames && counts.overflow === 0, 'the relay did its part');
    t.is(await takeovers(lab, beganMs), 0, 'takeovers');
    t.deepEqual(await safeAndWhole(t, lab), before, 'same node, same epoch');
  });
});
