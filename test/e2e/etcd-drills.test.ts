// Two nodes whose arbiter is an etcd of three members: the loss of etcd's leader moves nothing, the loss of the active node moves
// the group within its time. Oracle: the observer, every 20 ms, never sees two nodes with the address or the application.
import { randomBytes } from 'node:crypto';
import anyTest, { type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';
import { etcdObstacle } from '../support/etcd-cluster.js';

const obstacle = drillObstacle() ?? etcdObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root and etcd (${obstacle})`, (t) => t.pass());

const GROUP = 'web';
/** SAFETY a.5: takeover wait, self-fence deadline and renew period. */
const PROFILES = { lan: { waitMs: 3000, renewMs: 250 }, fast: { waitMs: 8000, renewMs: 1000 } } as const;

/** Whether anything about who holds the group was journalled since then. */
const moves = async (lab: DrillLab, sinceMs: number): Promise<readonly string[]> =>
  (await Promise.all(lab.nodes.map((node) => lab.events(node, 'lease', sinceMs))))
    .flat()
    .filter(({ kind }) => /acquiring|held|lost|released|fencing/.test(kind))
    .map(({ node, kind, because }) => `${node}: ${kind} (${because})`);

for (const [timing, { waitMs, renewMs }] of Object.entries(PROFILES)) {
  const id = `etcd${timing}${randomBytes(2).toString('hex')}`;
  test.after.always(`sweeps ${timing}`, () => DrillLab.sweep(id));

  test(`${timing}: etcd’s leader is killed, then paused: the holder stays; power loss: the other takes over in time`, async (t) => {
    const lab = await DrillLab.start(id, { timing, arbiter: 'etcd' });
    try {
      const before = await lab.settled();
      for (const [fault, repair] of [
        ['kill', 'start'],
        ['pause', 'resume'],
      ] as const) {
        const sinceMs = systemClock.nowMs();
        await lab.fault('etcd', fault, 'leader');
        await systemClock.sleep(4000);
        await lab.fault('etcd', repair, 'all');
        await systemClock.sleep(1000);
        t.deepEqual(await moves(lab, sinceMs), [], `${fault} of etcd’s leader`);
        const view = await lab.group(before.active, GROUP);
        t.deepEqual([view?.state, view?.active, view?.epoch], ['online', before.active, before.epoch]);
      }
      await lab.settled();
      const offMs = systemClock.nowMs();
      await lab.fault('power-off', before.active);
      await lab.until(`${before.standby} online`, waitMs + 10_000, async (last) => {
        const view = await lab.group(before.standby, GROUP);
        last(JSON.stringify(view));
        return view?.state === 'online' && view.active === before.standby && view.epoch > before.epoch;
      });
      const acquiring = (await lab.events(before.standby, 'lease.acquiring', offMs)).find(({ epoch }) => (epoch ?? 0) > before.epoch);
      const afterMs = (acquiring?.monoMs ?? Infinity) - offMs;
      t.log(`acquired ${afterMs.toFixed(0)} ms after the power was lost (W ${waitMs} ms)`);
      t.true(afterMs >= waitMs - renewMs - 100 && afterMs < waitMs + 3000, `${afterMs} ms`);
      t.deepEqual(await lab.overlaps(), []);
    } finally {
      await lab.end();
    }
  });
}
