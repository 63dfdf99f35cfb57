// `fencing: { policy: required, use: ec2 }` whole: two nodes as real processes, the emulator as EC2. A node is lost without a word;
// nothing starts on the other before EC2 shows the instance stopped. Oracle: the emulator's call log, the journal, the observer.
import { randomBytes } from 'node:crypto';
import anyTest, { type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `fp${randomBytes(3).toString('hex')}`;
const GROUP = 'web';
const STOPPING_MS = 6_000;

anyTest.serial.after.always(() => {
  if (obstacle === null) DrillLab.sweep(ID);
});

test('the power of the active node fails: its instance is stopped by EC2, and only then the other starts', async (t) => {
  t.timeout(300_000);
  const instances = { a: 'i-lab-a', b: 'i-lab-b' };
  const lab = await DrillLab.start(ID, { settings: { fencing: { policy: 'required', use: 'ec2', instances } } });
  const before = await lab.settled();
  await lab.fault('ec2', 'stuck', 'StopInstances', `${STOPPING_MS}ms`);
  const beganMs = systemClock.nowMs();
  await lab.fault('power-off', before.active);
  const survivor = before.standby;
  await lab.until(`${survivor} online`, 90_000, async (last) => {
    const view = await lab.group(survivor, GROUP);
    last(JSON.stringify(view));
    return view?.state === 'online' && view.active === survivor;
  });

  const stops = (await lab.calls()).filter(({ action, parameters }) => action === 'StopInstances' && parameters['DryRun'] !== 'true');
  t.true(stops.length >= 1);
  for (const { parameters, principal } of stops) {
    t.like(parameters, { 'InstanceId.1': `i-lab-${before.active}`, Force: 'true', SkipOsShutdown: 'true' });
    t.true(principal?.includes(survivor), String(principal));
  }
  const told = async (kind: string) => (await lab.events(survivor, kind, beganMs)).at(-1);
  const confirmed = await told('fence.confirmed');
  const held = await told('lease.held');
  t.regex(
    confirmed?.because ?? '',
    new RegExp(`i-lab-${before.active}: StopInstances .*DescribeInstances said stopped at .* and stopped at`),
  );
  const firstStopMs = stops[0]!.untilMs!;
  t.true(confirmed!.monoMs - firstStopMs >= STOPPING_MS, `confirmed ${confirmed!.monoMs - firstStopMs} ms after the stop`);
  t.true(held!.monoMs >= confirmed!.monoMs, 'the lease is held only with the proof');
  t.deepEqual((await lab.status()).observer?.overlaps, []);
  t.log(`power loss → confirmed ${Math.round(confirmed!.monoMs - beganMs)} ms → held ${Math.round(held!.monoMs - beganMs)} ms`);
  await lab.end();
});
