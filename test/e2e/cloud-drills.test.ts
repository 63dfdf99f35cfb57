// Two nodes whose arbiter is a DynamoDB table: a busy store moves nothing, the loss of the active node moves the group within
// its time. Oracle: the observer, every 20 ms, never sees two nodes with the address or the application.
import { randomBytes } from 'node:crypto';
import anyTest, { type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const GROUP = 'web';
/** SAFETY a.5, `fast`: takeover wait and renew period. */
const [WAIT_MS, RENEW_MS] = [8000, 1000];
const id = `cloud${randomBytes(2).toString('hex')}`;
test.after.always('sweeps', () => DrillLab.sweep(id));

test('fast on DynamoDB: throttled and slow, the holder stays; power loss: the other takes over in time', async (t) => {
  const lab = await DrillLab.start(id, { timing: 'fast', arbiter: 'dynamodb' });
  try {
    const before = await lab.settled();
    for (const fault of [['throttle'], ['lost-answer', '3', 'times'], ['latency', '300ms']]) {
      await lab.fault('dynamodb', ...fault);
      await systemClock.sleep(1500);
      await lab.fault('dynamodb', 'clear');
      await systemClock.sleep(1000);
      const view = await lab.group(before.active, GROUP);
      t.deepEqual([view?.state, view?.active, view?.epoch], ['online', before.active, before.epoch], fault.join(' '));
    }
    await lab.settled();
    const offMs = systemClock.nowMs();
    await lab.fault('power-off', before.active);
    await lab.until(`${before.standby} online`, WAIT_MS + 10_000, async (last) => {
      const view = await lab.group(before.standby, GROUP);
      last(JSON.stringify(view));
      return view?.state === 'online' && view.active === before.standby && view.epoch > before.epoch;
    });
    const acquiring = (await lab.events(before.standby, 'lease.acquiring', offMs)).find(({ epoch }) => (epoch ?? 0) > before.epoch);
    const afterMs = (acquiring?.monoMs ?? Infinity) - offMs;
    t.log(`acquired ${afterMs.toFixed(0)} ms after the power was lost (W ${WAIT_MS} ms)`);
    t.true(afterMs >= WAIT_MS - RENEW_MS - 500 && afterMs < WAIT_MS + 3000, `${afterMs} ms`);
    t.deepEqual(await lab.overlaps(), []);
  } finally {
    await lab.end();
  }
});
