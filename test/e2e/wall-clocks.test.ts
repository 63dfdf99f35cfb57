// Wall clocks that are far wrong (acceptance row 38): libfaketime gives each host's understudy a wall clock of its own, which jumps
// while it runs; the monotonic clock stays what it is. Oracles: journal, probe, the observer, and the emulator's call log, which
// refuses requests signed with a wrong time as EC2 does. Limit: there is one kernel, so clocks that others keep (an arbiter, files) are right.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { DEFAULT_FLOATING } from '../../core/lab/topology.js';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const LIBRARY = (existsSync('/usr/lib') ? readdirSync('/usr/lib') : [])
  .map((directory) => `/usr/lib/${directory}/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));

/** In CI what is missing is an error, not a reason to skip. */
const missingLibrary = (): string | null => {
  if (LIBRARY !== undefined) return null;
  if (process.env['CI']) throw new Error('this suite cannot run in CI: apt-get install faketime');
  return 'libfaketime is not installed';
};
const obstacle = drillObstacle() ?? missingLibrary();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root and faketime (${obstacle})`, (t) => t.pass());

const ID = `wc${randomBytes(3).toString('hex')}`;
const GROUP = 'web';
/** The fast profile. */
const [W_MS, D_MS] = [8000, 4000];
const TABLES = ['rtb-lab-1', 'rtb-lab-2', 'rtb-lab-3'] as const;
const WRONG_CLOCK = 'signed with a wrong time, set the clock of this host right (NTP)';
const SHIFT = { a: '+1h', b: '-10y' } as const;

anyTest.after.always(() => {
  if (obstacle === null) DrillLab.sweep(ID);
});

const clockFile = (lab: DrillLab, node: string): string => join(lab.topology.directory, `wall-clock-${node}`);

/** `understudy run` with a wall clock that a file shifts. */
const runWithClock = async (lab: DrillLab, node: string): Promise<void> => {
  writeFileSync(clockFile(lab, node), '+0s\n');
  const environment = [
    `LD_PRELOAD=${LIBRARY}`,
    `FAKETIME_TIMESTAMP_FILE=${clockFile(lab, node)}`,
    'FAKETIME_CACHE_DURATION=1',
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
    'DONT_FAKE_MONOTONIC=1',
    'NO_FAKE_STAT=1',
  ].join(' ');
  await lab.exec(node, 'sh', '-c', `setsid env ${environment} understudy run >>"$UNDERSTUDY_LOG_DIR/run.log" 2>&1 </dev/null &`);
};

/** How far a node's wall clock is from the test's, by the journal line of an order given now. */
const shiftMs = async (lab: DrillLab, node: string): Promise<number> => {
  const beganMs = systemClock.nowMs();
  await lab.done(node, 'freeze', GROUP, '--why', 'what time is it');
  await lab.done(node, 'unfreeze', GROUP);
  const event = await lab.until('a journal line of the order', 5000, async () =>
    (await lab.events(node, '', beganMs)).find(({ source }) => source === 'controller'),
  );
  return Date.parse(event.at) - Date.parse(systemClock.wallIso(event.monoMs));
};

test('row 38: the wall clocks jump, +1 h on a and −10 years on b: leases and heartbeats do not notice; EC2 refuses once, says why, and the address moves all the same', async (t) => {
  t.timeout(240_000);
  const lab = await DrillLab.start(ID, { timing: 'fast', bare: true });
  for (const node of lab.nodes) await runWithClock(lab, node);
  const before = await lab.settled();
  const app = await lab.pid(before.active, 'app');
  const probe = await lab.probe();
  const jumpMs = systemClock.nowMs();
  for (const [node, shift] of Object.entries(SHIFT)) writeFileSync(clockFile(lab, node), `${shift}\n`);
  const told = await lab.until(`${before.active} says why a look at its routes failed`, 60_000, async (last) => {
    const reason = (await lab.group(before.active, GROUP))?.resources.find(({ id }) => id === 'vip')?.reason;
    last(String(reason));
    return reason?.includes(WRONG_CLOCK) && reason;
  });
  t.log(`${before.active}: ${told}`);
  await systemClock.sleep(W_MS + D_MS);

  const shifts = { a: await shiftMs(lab, 'a'), b: await shiftMs(lab, 'b') };
  t.log(`a is ${(shifts.a / 3_600_000).toFixed(2)} h ahead, b ${(shifts.b / 86_400_000 / 365).toFixed(2)} years`);
  t.true(Math.abs(shifts.a - 3_600_000) < 60_000 && shifts.b < -9.9 * 365 * 86_400_000, JSON.stringify(shifts));
  t.deepEqual(await lab.settled(), before, 'same node, same epoch');
  t.is(await lab.pid(before.active, 'app'), app);
  t.is(await probe.lost(), 0, 'lost requests');
  await probe.stop();
  for (const node of lab.nodes) {
    const lease = (await lab.events(node, 'lease', jumpMs)).filter(({ kind }) => /acquiring|held|lost|released|fencing/.test(kind));
    t.deepEqual(
      lease.map(({ kind, because }) => `${node}: ${kind} (${because})`),
      [],
    );
    const peers = await lab.events(node, 'peer', jumpMs);
    t.deepEqual(
      peers.map(({ kind, because }) => `${node}: ${kind} (${because})`),
      [],
    );
  }

  // Both ways: each node's first request after the jump is signed with its own time.
  let { active, standby, epoch } = before;
  for (const number of [1, 2]) {
    await lab.done(standby, 'switchover', GROUP, '--to', standby);
    const after = await lab.settled();
    t.deepEqual(after, { active: standby, standby: active, epoch: epoch + 1 }, `move ${number}`);
    for (const table of TABLES) t.is((await lab.routes(table))[`${DEFAULT_FLOATING}/32`], `eni-lab-${after.active}`);
    ({ active, standby, epoch } = after);
  }
  for (const node of lab.nodes) {
    const calls = (await lab.calls(jumpMs)).filter(
      ({ principal, outcome }) => principal?.includes(node) === true && outcome === 'RequestExpired',
    );
    t.true(calls.length >= 1, `EC2 refused ${node} for its time`);
    t.log(`${node}: ${calls.length} requests refused`);
  }
  t.true(readFileSync(join(lab.paths(before.standby).log, 'controller.log'), 'utf8').includes(WRONG_CLOCK), `${before.standby} says why`);

  // And W is W: the active node dies, whatever its clock said.
  const offMs = systemClock.nowMs();
  await lab.fault('power-off', active);
  await lab.until(`${standby} online`, W_MS + 12_000, async (last) => {
    const view = await lab.group(standby, GROUP);
    last(JSON.stringify(view));
    return view?.state === 'online' && view.active === standby;
  });
  const acquiring = (await lab.events(standby, 'lease.acquiring', offMs)).find((event) => (event.epoch ?? 0) > epoch);
  const waitedMs = (acquiring?.monoMs ?? 0) - offMs;
  t.true(waitedMs > W_MS - 2000 && waitedMs < W_MS + 4000, `taken over after ${waitedMs} ms`);
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
