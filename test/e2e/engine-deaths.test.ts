// The engine dies, hangs and comes back, and the application does not notice: same process, same epoch, no request lost. Where
// the engine does not come back, the leash or the watchdog ends the group and the peer serves after W, never two at once.
// Timing `fast`: a busy machine may stand still for a second, which `lan` (D = 1.25 s) rightly answers with a self-fence.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { signalPid } from '../../core/lab/host-processes.js';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle, type Settled } from '../support/drill-lab.js';
import { LeaseWatch } from '../support/lease-watch.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `dr${randomBytes(3).toString('hex')}`;
const BARE_ID = `dr${randomBytes(3).toString('hex')}`;
const GROUP = 'web';
/** The fast profile. */
const [W_MS, D_MS, S_MS, WATCHDOG_MS] = [8000, 4000, 2000, 6000];
const HUNG_S = 60;
type Engine = 'guard' | 'controller' | 'leash';

let lab: DrillLab;
anyTest.serial.before(async () => {
  if (obstacle !== null) return;
  lab = await DrillLab.start(ID, { timing: 'fast' });
  await lab.settled();
});
anyTest.after.always(() => {
  if (obstacle !== null) return;
  for (const id of [ID, BARE_ID]) DrillLab.sweep(id);
});

/** Does it under a probe, waits until the engine is whole again, and checks that nobody outside could tell. */
const unnoticed = async (t: ExecutionContext, what: string, act: (active: string) => Promise<void>): Promise<void> => {
  const before = await lab.settled();
  const app = await lab.pid(before.active, 'app');
  const engine = async (): Promise<Record<Engine, readonly number[]>> => ({
    guard: await lab.pids(before.active, 'guard'),
    controller: await lab.pids(before.active, 'controller'),
    leash: await lab.pids(before.active, 'leash'),
  });
  const probe = await lab.probe();
  const beganMs = systemClock.nowMs();
  await act(before.active);
  const after = await lab.settled();
  t.deepEqual(after, before, `${what}: same node, same epoch`);
  t.is(await lab.pid(before.active, 'app'), app, `${what}: the application is the same process`);
  t.is(await probe.lost(), 0, `${what}: lost requests`);
  const { longestGapMs, sent } = await probe.stop();
  for (const [role, pids] of Object.entries(await engine())) t.is(pids.length, 1, `${what}: one ${role}`);
  const done = (await lab.events(before.active, 'action', beganMs)).filter(
    ({ kind, data }) => kind === 'action.begin' && ['start', 'stop'].includes(String(data?.['kind'])),
  );
  t.deepEqual(
    done.map(({ resource, because }) => `${resource}: ${because}`),
    [],
    `${what}: nothing is started or stopped`,
  );
  t.deepEqual(await lab.overlaps(), []);
  t.log(`${what}: ${sent} requests, longest gap ${longestGapMs.toFixed(0)} ms`);
};

/** Kills processes of roles at one moment, and waits until others have their place. */
const killed =
  (...roles: readonly Engine[]) =>
  async (active: string): Promise<void> => {
    const old = await Promise.all(roles.map((role) => lab.pid(active, role)));
    await lab.fault('kill', active, ...roles);
    await lab.until(`another ${roles.join(' and ')}`, 10_000, async () => {
      const now = await Promise.all(roles.map((role) => lab.pids(active, role)));
      return now.every((pids, at) => pids.length === 1 && pids[0] !== old[at]);
    });
  };

test('row 2: kill -9 of the controller: adopted, nobody notices', async (t) => {
  await unnoticed(t, 'controller', killed('controller'));
});

test('row 3: kill -9 of the guard: it re-reads the page, renews and goes on, nobody notices', async (t) => {
  await unnoticed(t, 'guard', killed('guard'));
});

test('kill -9 of the leash: another watches, nobody notices', async (t) => {
  await unnoticed(t, 'leash', killed('leash'));
});

test('kill -9 of guard, controller and leash at one moment, restarted by run: nobody notices', async (t) => {
  await unnoticed(t, 'all three', killed('guard', 'controller', 'leash'));
});

/** `understudy run` as a host begins it. */
const startRun = (on: DrillLab, node: string) =>
  on.exec(node, 'sh', '-c', 'setsid understudy run >>"$UNDERSTUDY_LOG_DIR/run.log" 2>&1 </dev/null &');

test('kill -9 of run, and another run: it replaces the three, nobody notices', async (t) => {
  await unnoticed(t, 'run', async (active) => {
    const [run, guard] = [await lab.pid(active, 'run'), await lab.pid(active, 'guard')];
    await lab.fault('kill', active, 'run');
    await startRun(lab, active);
    await lab.until('another run and another guard', 10_000, async () => {
      const [runs, guards] = [await lab.pids(active, 'run'), await lab.pids(active, 'guard')];
      return runs.length === 1 && runs[0] !== run && guards.length === 1 && guards[0] !== guard;
    });
  });
});

test(`row 5: SIGSTOP of the controller for ${HUNG_S} s: the guard ends it, run starts another, nobody notices`, async (t) => {
  t.timeout(HUNG_S * 1000 + 60_000);
  await unnoticed(t, 'hung controller', async (active) => {
    const hung = await lab.pid(active, 'controller');
    const beganMs = systemClock.nowMs();
    signalPid(hung, 'SIGSTOP');
    await lab.until('another controller', 10_000, async () => {
      const now = await lab.pids(active, 'controller');
      return now.length === 1 && now[0] !== hung;
    });
    t.log(`replaced after ${((systemClock.nowMs() - beganMs) / 1000).toFixed(1)} s`);
    // Nothing comes later either: what hung was ended, and wakes up no more.
    await systemClock.sleep(beganMs + HUNG_S * 1000 - systemClock.nowMs());
    t.false((await lab.pids(active, 'controller')).includes(hung));
  });
});

/** The peer serves, with the next epoch and not before W after the last renewal. */
const takenOver = async (t: ExecutionContext, on: DrillLab, leases: LeaseWatch, before: Settled, beganMs: number): Promise<void> => {
  await on.until(`${before.standby} online`, 20_000, async (last) => {
    const view = await on.group(before.standby, GROUP);
    last(JSON.stringify(view));
    return view?.state === 'online' && view.active === before.standby;
  });
  const acquiring = (await on.events(before.standby, 'lease.acquiring', beganMs)).at(-1);
  const waitedMs = (acquiring?.monoMs ?? 0) - (leases.lastOf(before.epoch)?.notBeforeMs ?? Infinity);
  t.true(waitedMs >= W_MS && waitedMs < W_MS + 3000, `taken over ${waitedMs} ms after the last renewal`);
  t.deepEqual(await on.overlaps(), []);
};

const appEndedAfter = async (on: DrillLab, node: string, beganMs: number): Promise<number> => {
  const interval = (await on.status()).observer?.intervals.findLast((each) => each.thing.startsWith('application') && each.node === node);
  return (interval?.toMs ?? Infinity) - beganMs;
};

test('row 7: kill -9 of all of understudy and the leash: the watchdog resets the host, the peer serves after W, never two', async (t) => {
  const before = await lab.settled();
  const leases = new LeaseWatch(lab, GROUP);
  await lab.until('a renewal', 3000, () => Number.isFinite(leases.lastOf(before.epoch)?.notBeforeMs));
  const bites = (await lab.status()).bites.length;
  const beganMs = systemClock.nowMs();
  await lab.fault('kill', before.active, 'run', 'guard', 'controller', 'leash');
  await takenOver(t, lab, leases, before, beganMs);
  leases.stop();
  t.is((await lab.status()).bites.length, bites + 1);
  t.true((await appEndedAfter(lab, before.active, beganMs)) <= WATCHDOG_MS + 200, 'ended by the watchdog');
  await lab.fault('power-on', before.active);
  t.is((await lab.settled()).active, before.standby);
});

test('the first lab goes down and leaves nothing', async (t) => {
  await lab.end();
  t.pass();
});

test('without a watchdog, kill -9 of all but the leash: the leash stops the group, the peer serves after W, never two; the next run comes back as the standby', async (t) => {
  lab = await DrillLab.start(BARE_ID, { timing: 'fast', settings: { watchdog: 'none', fencing: { policy: 'none', unsafe: true } } });
  const before = await lab.settled();
  const leases = new LeaseWatch(lab, GROUP);
  await lab.until('a renewal', 3000, () => Number.isFinite(leases.lastOf(before.epoch)?.notBeforeMs));
  const beganMs = systemClock.nowMs();
  await lab.fault('kill', before.active, 'run', 'guard', 'controller');
  await takenOver(t, lab, leases, before, beganMs);
  leases.stop();
  const endedMs = await appEndedAfter(lab, before.active, beganMs);
  // D, the leash's margin, and S as the bound of the stop itself.
  t.true(endedMs <= D_MS + 100 + S_MS, `the application ended after ${endedMs} ms`);
  t.regex(
    readFileSync(join(lab.paths(before.active).log, 'leash.out'), 'utf8'),
    new RegExp(`everything of epoch ${before.epoch} is verified gone`),
  );
  const facts = (await lab.status()).hosts.find(({ node }) => node === before.active);
  t.true(facts?.power, 'nothing resets this host');
  t.deepEqual(facts?.addresses, []);
  await startRun(lab, before.active);
  const after = await lab.settled();
  t.is(after.active, before.standby);
  t.is(after.epoch, before.epoch + 1);
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
