// A cloud that refuses and one that never finishes (acceptance rows 22 and 25), with real processes and the emulator as EC2.
// Oracles: the emulator's call log, the observer, the journal. $THROTTLED_S says how long EC2 refuses everything (60).
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { DEFAULT_FLOATING } from '../../core/lab/topology.js';
import { systemClock } from '../../core/system/clock.js';
import { type CloudCall, DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const THROTTLED_S = Number(process.env['THROTTLED_S'] ?? 60);
/** What a node may ask for in the first moments: every table once or twice, and the fence. */
const BURST_S = 15;
const RATE_PER_S = 0.5;
/** The fast profile. */
const W_MS = 8000;
const COUNTER = fileURLToPath(new URL('../../core/lab/app/counter.js', import.meta.url));
const TABLES = ['rtb-lab-1', 'rtb-lab-2', 'rtb-lab-3'] as const;
/** Answers of the instance itself, which no account's bucket counts. */
const LOCAL = /^IMDS$/;

const ids: string[] = [];
const start = async (options: Parameters<typeof DrillLab.start>[1]): Promise<DrillLab> => {
  const id = `bc${randomBytes(3).toString('hex')}`;
  ids.push(id);
  return DrillLab.start(id, { timing: 'fast', ...options });
};
anyTest.after.always(() => {
  for (const id of ids) DrillLab.sweep(id);
});

const counted = (calls: readonly CloudCall[]): Readonly<Record<string, number>> => {
  const found: Record<string, number> = {};
  for (const { action, outcome } of calls) found[`${action} ${outcome}`] = (found[`${action} ${outcome}`] ?? 0) + 1;
  return found;
};
const often = { prefer: ['a', 'b'], failover: { max: 1000, within: '1h' } };
const counter = (at: string) => ({ use: 'app-script', mode: 'foreground', start: [process.execPath, COUNTER, at], every: '1s' });

test(`row 22: EC2 refuses everything for ${THROTTLED_S} s during a takeover: at most ${RATE_PER_S} requests a second after the first burst, what needs no route starts, the routes converge when it ends`, async (t) => {
  t.timeout(THROTTLED_S * 1000 + 180_000);
  const lab = await start({
    settings: { fencing: { policy: 'watchdog', use: 'ec2', instances: { a: 'i-lab-a', b: 'i-lab-b' } } },
    groups: {
      // The address needs EC2, and the application the address.
      web: {
        ...often,
        resources: {
          vip: {
            use: 'overlay-ip',
            address: DEFAULT_FLOATING,
            routeTables: TABLES,
            interface: 'lo',
            on: { a: { eni: 'eni-lab-a' }, b: { eni: 'eni-lab-b' } },
          },
          app: counter(`${DEFAULT_FLOATING}:8080`),
        },
      },
      // Nothing here asks EC2.
      plain: { ...often, resources: { app: counter('127.0.0.1:8081') } },
    },
  });
  const before = await lab.settled(40_000, 'web');
  t.is((await lab.settled(40_000, 'plain')).active, before.active);
  const survivor = before.standby;
  await lab.fault('ec2', 'throttle');
  const beganMs = systemClock.nowMs();
  await lab.fault('power-off', before.active);
  await lab.until(`plain on ${survivor}, in spite of EC2`, W_MS + 12_000, async (last) => {
    const view = await lab.group(survivor, 'plain');
    last(JSON.stringify(view));
    return view?.state === 'online' && view.active === survivor;
  });
  t.log(`what needs no route is online after ${((systemClock.nowMs() - beganMs) / 1000).toFixed(1)} s`);
  await systemClock.sleep(Math.max(0, beganMs + THROTTLED_S * 1000 - systemClock.nowMs()));

  const of = ({ principal, action }: CloudCall) => principal?.includes(survivor) === true && !LOCAL.test(action);
  const calls = (await lab.calls(beganMs)).filter(of);
  const endMs = systemClock.nowMs();
  const web = await lab.group(survivor, 'web');
  t.log(`web meanwhile: ${web?.state}: ${web?.because}`);
  const firstMs = calls.find(({ outcome }) => outcome === 'RequestLimitExceeded')?.fromMs ?? Infinity;
  const later = calls.filter(({ fromMs }) => fromMs > firstMs + BURST_S * 1000);
  const perS = later.length / ((endMs - firstMs) / 1000 - BURST_S);
  t.log(`${calls.length} requests: ${JSON.stringify(counted(calls))}; ${perS.toFixed(2)} a second after the first ${BURST_S} s`);
  t.true(calls.length > 0 && perS <= RATE_PER_S, `${perS} requests a second`);

  await lab.fault('ec2', 'clear');
  const clearedMs = systemClock.nowMs();
  await lab.until('every table leads to the survivor and the group is online', 60_000, async (last) => {
    const led = await Promise.all(TABLES.map(async (table) => (await lab.routes(table))[`${DEFAULT_FLOATING}/32`]));
    const view = await lab.group(survivor, 'web');
    last(`${led.join(', ')}; ${JSON.stringify(view)}`);
    return led.every((eni) => eni === `eni-lab-${survivor}`) && view?.state === 'online' && view.active === survivor;
  });
  t.log(`converged ${((systemClock.nowMs() - clearedMs) / 1000).toFixed(1)} s after EC2 answered again`);
  const probe = await lab.probe();
  t.is(probe.report?.lastNode, survivor);
  await probe.stop();
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});

test('row 25: an instance that stays “stopping” for ever blocks the start where proof is required, and status says so; “terminated” is the proof', async (t) => {
  t.timeout(240_000);
  const lab = await start({
    settings: { fencing: { policy: 'required', use: 'ec2', instances: { a: 'i-lab-a', b: 'i-lab-b' } } },
  });
  const before = await lab.settled();
  const survivor = before.standby;
  await lab.fault('ec2', 'stuck', 'StopInstances');
  const beganMs = systemClock.nowMs();
  await lab.fault('power-off', before.active);
  const stopped = await lab.until('EC2 is told to stop it', W_MS + 20_000, async () =>
    (await lab.calls(beganMs)).find(({ action, parameters }) => action === 'StopInstances' && parameters['DryRun'] !== 'true'),
  );
  t.is(stopped.parameters['InstanceId.1'], `i-lab-${before.active}`);
  const waiting = await lab.until('status says what it waits for', 20_000, async (last) => {
    const view = await lab.view(survivor);
    const told = [...(view?.groups ?? []).map(({ state, because }) => `${state}: ${because}`), ...(view?.alarms ?? [])].join('; ');
    last(told);
    return /stopping/.test(told) && told;
  });
  t.log(waiting);
  await systemClock.sleep(15_000);
  t.like(await lab.group(survivor), { active: null });
  t.deepEqual(
    (await lab.status()).hosts.flatMap(({ addresses }) => addresses),
    [],
  );
  t.deepEqual(
    (await lab.status()).observer?.intervals.filter(({ toMs }) => toMs === null),
    [],
  );
  t.deepEqual(
    (await lab.events(survivor, 'action.begin', beganMs)).filter(({ data }) => data?.['kind'] === 'start'),
    [],
  );

  await lab.fault('ec2', 'end', before.active, 'terminated');
  await lab.until(`${survivor} online`, 40_000, async (last) => {
    const view = await lab.group(survivor);
    last(JSON.stringify(view));
    return view?.state === 'online' && view.active === survivor;
  });
  const confirmed = (await lab.events(survivor, 'fence.confirmed', beganMs)).at(-1);
  t.regex(confirmed?.because ?? '', /terminated/);
  t.log(confirmed?.because ?? '');
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
