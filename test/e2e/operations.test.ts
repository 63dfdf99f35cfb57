// An operator's day on a real cluster, by the commands that are typed: freeze, maintenance, standby, stop and start, give-up
// and clear, plan, hooks, events, explain, replay. What a command must not do is read from the emulator's call log.
// Timing `fast`: a busy machine may stand still for a second, which `lan` (D = 1.25 s) rightly answers with a self-fence.
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import type { OrderAnswer, PlanView } from '../../core/api/views.js';
import { signalPid } from '../../core/lab/host-processes.js';
import type { JournalEvent } from '../../core/model/event.js';
import { systemClock } from '../../core/system/clock.js';
import { captureDir } from '../../core/system/paths.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `dr${randomBytes(3).toString('hex')}`;
const COUNTER = fileURLToPath(new URL('../../core/lab/app/counter.js', import.meta.url));
const [VIP, FRAIL_VIP] = ['192.168.0.10', '192.168.0.11'] as const;
const READS = /^Describe|^IMDS$|^AssumeRole$/;

const overlay = (address: string) => ({
  use: 'overlay-ip',
  address,
  routeTables: ['rtb-lab-1'],
  interface: 'lo',
  on: { a: { eni: 'eni-lab-a' }, b: { eni: 'eni-lab-b' } },
  every: '1s',
  routeCheckEvery: '2s',
});
const app = (address: string, restart: object) => ({
  use: 'app-script',
  mode: 'foreground',
  start: [process.execPath, COUNTER, `${address}:8080`],
  every: '1s',
  restart,
});
const GROUPS = {
  web: {
    prefer: ['a', 'b'],
    failover: { max: 1000, within: '1h' },
    resources: { vip: overlay(VIP), app: app(VIP, { max: 1000, within: '1h' }) },
  },
  // One restart in three seconds, one failover in an hour, then it is given up.
  frail: {
    prefer: ['b', 'a'],
    failover: { max: 1, within: '1h' },
    resources: { vip: overlay(FRAIL_VIP), app: app(FRAIL_VIP, { max: 1, within: '3s' }) },
  },
};

let lab: DrillLab;
anyTest.serial.before(async () => {
  if (obstacle !== null) return;
  lab = await DrillLab.start(ID, { groups: GROUPS, timing: 'fast' }, { floating: [VIP, FRAIL_VIP] });
  for (const group of ['web', 'frail']) await lab.settled(40_000, group);
});
anyTest.after.always(() => {
  if (obstacle === null) DrillLab.sweep(ID);
});

const view = async (node: string, group: string) => {
  const found = await lab.group(node, group);
  if (found === null) throw new Error(`${node} does not answer`);
  return found;
};
const shows = (
  node: string,
  group: string,
  what: string,
  is: (seen: NonNullable<Awaited<ReturnType<DrillLab['group']>>>) => boolean,
  limitMs = 20_000,
) =>
  lab.until(`${group} on ${node}: ${what}`, limitMs, async (last) => {
    const seen = await lab.group(node, group);
    last(JSON.stringify(seen));
    return seen !== null && is(seen);
  });
const writesSince = async (ms: number) =>
  (await lab.calls(ms)).filter(({ action, principal }) => !READS.test(action) && principal !== 'drill').map(({ action }) => action);
const appPid = async (node: string, address: string): Promise<number | undefined> => {
  const listed = await lab.exec(
    node,
    'sh',
    '-c',
    `for pid in $(grep -lz '^${address}:8080$' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3); do [ "$(readlink /proc/$pid/ns/net)" = "$(readlink /proc/self/ns/net)" ] && echo $pid; done`,
  );
  const [pid] = listed.stdout.split('\n').filter(Boolean).map(Number);
  return pid;
};

test('plan touches nothing: every step with its calls, and the emulator hears nothing but reads', async (t) => {
  const { active, standby, epoch } = await lab.settled(20_000, 'web');
  const beganMs = systemClock.nowMs();
  const plan = JSON.parse(await lab.done(active, 'plan', 'switchover', 'web', '--to', standby, '--json')) as PlanView;
  const effects = plan.steps.flatMap((step) => step.effects.map(({ what, on }) => `${step.node}: ${what} ${on ?? ''}`));
  t.true(
    effects.some((each) => each.startsWith(`${standby}: `) && /ReplaceRoute|replace-route/.test(each)),
    JSON.stringify(plan),
  );
  t.true(plan.steps.some(({ node, what }) => node === active && /stop app/.test(what)));
  for (const operation of ['failover', 'stop']) await lab.done(active, 'plan', operation, 'web');
  t.deepEqual(await writesSince(beganMs), []);
  t.deepEqual(await lab.settled(20_000, 'web'), { active, standby, epoch });
});

test('freeze: what ends is not restarted, a move is refused; unfreeze goes on', async (t) => {
  const { active } = await lab.settled(20_000, 'web');
  await lab.done(active, 'freeze', 'web', '--why', 'a drill');
  await shows(active, 'web', 'frozen', (seen) => seen.frozen);
  const pid = await appPid(active, VIP);
  if (pid === undefined) return t.fail('the application has no process');
  const beganMs = systemClock.nowMs();
  signalPid(pid, 'SIGKILL');
  await shows(active, 'web', 'the application is gone', (seen) => seen.resources.find(({ id }) => id === 'app')?.state !== 'online');
  await systemClock.sleep(2500);
  t.is(await appPid(active, VIP), undefined, 'not restarted');
  const began = (await lab.events(active, 'action.begin', beganMs)).filter(({ group }) => group === 'web');
  t.deepEqual(
    began.map(({ because }) => because),
    [],
  );
  const refused = await lab.understudy(active, 'switchover', 'web');
  t.is(refused.exitCode, 4);
  t.regex(refused.stderr, /frozen[\s\S]*understudy unfreeze web/);
  await lab.done(active, 'unfreeze', 'web');
  t.is((await lab.settled(20_000, 'web')).active, active);
  t.not(await appPid(active, VIP), undefined);
});

test('maintenance: no agent writes, not even to put its address back; the lease is kept; off puts everything right', async (t) => {
  const before = await lab.settled(20_000, 'web');
  const { active, standby, epoch } = before;
  await lab.done(active, 'maintenance', 'on', 'web', '--why', 'a drill');
  await shows(active, 'web', 'in maintenance', (seen) => seen.maintenance && seen.state === 'maintenance');
  const beganMs = systemClock.nowMs();
  await lab.fault('delete-address', active, VIP);
  await lab.editRoute('rtb-lab-1', VIP, `eni-lab-${standby}`);
  await shows(active, 'web', 'the address is seen missing', (seen) => seen.resources.find(({ id }) => id === 'vip')?.state !== 'online');
  // Longer than a period of the routes and of the monitors.
  await systemClock.sleep(3500);
  t.false((await lab.status()).hosts.find(({ node }) => node === active)?.addresses.includes(VIP));
  t.is((await lab.routes('rtb-lab-1'))[`${VIP}/32`], `eni-lab-${standby}`);
  t.deepEqual(await writesSince(beganMs), []);
  t.like(await view(active, 'web'), { active, epoch });
  t.true((await view(active, 'web')).leaseRemainingMs > 0);
  await lab.done(active, 'maintenance', 'off', 'web');
  await lab.until(
    'address and route back',
    10_000,
    async () =>
      (await lab.status()).hosts.find(({ node }) => node === active)?.addresses.includes(VIP) &&
      (await lab.routes('rtb-lab-1'))[`${VIP}/32`] === `eni-lab-${active}`,
  );
  t.deepEqual(await lab.settled(20_000, 'web'), before);
});

test('stop and start: offline everywhere by order, nobody takes it over; start brings it back', async (t) => {
  const { active, standby, epoch } = await lab.settled(20_000, 'web');
  await lab.done(standby, 'stop', 'web', '--why', 'a drill');
  for (const node of lab.nodes) await shows(node, 'web', 'offline', (seen) => seen.state === 'offline' && seen.active === null);
  t.deepEqual(
    (await lab.status()).hosts.filter(({ addresses }) => addresses.includes(VIP)),
    [],
  );
  t.is(await appPid(active, VIP), undefined);
  await lab.done(standby, 'start', 'web');
  const after = await lab.settled(20_000, 'web');
  t.true(after.epoch > epoch);
});

test('standby moves everything off a node and keeps it off; unstandby makes it a candidate again', async (t) => {
  const { active, standby } = await lab.settled(20_000, 'web');
  await lab.done(active, 'standby', active, '--why', 'a drill');
  for (const group of ['web', 'frail'])
    await shows(standby, group, `online on ${standby}`, (seen) => seen.active === standby && seen.state === 'online');
  const refused = await lab.understudy(standby, 'switchover', 'web', '--to', active);
  t.is(refused.exitCode, 4);
  t.regex(refused.stderr, /standby/);
  await lab.done(standby, 'unstandby', active);
  await lab.settled(20_000, 'web');
  await lab.done(standby, 'clear', 'frail');
});

test('the ladder: restart, failover, give up; clear begins anew', async (t) => {
  const before = await lab.settled(20_000, 'frail');
  const kill = async (node: string): Promise<void> => {
    const pid = await lab.until('the application', 10_000, () => appPid(node, FRAIL_VIP));
    signalPid(pid, 'SIGKILL');
  };
  const beganMs = systemClock.nowMs();
  await kill(before.active);
  await lab.until('restarted', 10_000, async () =>
    (await lab.events(before.active, 'action.done', beganMs)).some(
      ({ group, resource, data }) => group === 'frail' && resource === 'app' && data?.['kind'] === 'start',
    ),
  );
  t.is((await lab.settled(20_000, 'frail')).active, before.active, 'first: restarted in place');
  await kill(before.active);
  await shows(before.standby, 'frail', 'second: failed over', (seen) => seen.active === before.standby && seen.state === 'online');
  // The window of the restarts passes, and the first node may be a candidate again; the failover still counts.
  t.is((await lab.settled(20_000, 'frail')).active, before.standby);
  const first = await lab.until('the application', 10_000, () => appPid(before.standby, FRAIL_VIP));
  signalPid(first, 'SIGKILL');
  const second = await lab.until('third: restarted there', 10_000, async () => {
    const pid = await appPid(before.standby, FRAIL_VIP);
    return pid !== first && pid;
  });
  signalPid(second, 'SIGKILL');
  await shows(before.standby, 'frail', 'fourth: given up', (seen) => seen.state === 'faulted');
  await lab.until('stopped everywhere', 10_000, async (last) => {
    const hosts = (await lab.status()).hosts.filter(({ addresses }) => addresses.includes(FRAIL_VIP)).map(({ node }) => node);
    last(`${hosts.join()} has the address; ${JSON.stringify(await lab.group(before.standby, 'frail'))}`);
    return hosts.length === 0;
  });
  const given = await view(before.standby, 'frail');
  t.regex(given.nextCommand ?? '', /understudy clear frail/);
  t.log(given.because);
  t.is((await view(before.active, 'web')).state, 'online', 'the other group is not touched');
  await lab.done(before.active, 'clear', 'frail', '--why', 'mended');
  const after = await lab.settled(30_000, 'frail');
  t.true(after.epoch > before.epoch);
});

test('after a power loss: events, explain and replay tell it on the survivor', async (t) => {
  const { active, standby, epoch } = await lab.settled(20_000, 'web');
  await lab.fault('power-off', active);
  await shows(standby, 'web', 'taken over', (seen) => seen.active === standby && seen.state === 'online');
  const incident = await lab.until(
    'the end of the story in the journal',
    10_000,
    async () =>
      (await lab.events(standby, 'incident.end')).findLast((event) => event.group === 'web' && (event.epoch ?? 0) > epoch)?.incident,
  );
  const told = await lab.done(standby, 'explain', incident);
  for (const word of [active, standby, 'W = 8000 ms', 'vip', 'app']) t.true(told.includes(word), `${word} in:\n${told}`);
  t.truthy(JSON.parse(await lab.done(standby, 'explain', incident, '--json')));
  const events = (await lab.done(standby, 'events', '--group', 'web', '--kind', 'lease', '--json'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as JournalEvent);
  t.true(events.some(({ kind, epoch: at }) => kind === 'lease.held' && (at ?? 0) > epoch));
  const captures = readdirSync(captureDir(lab.paths(standby)))
    .filter((name) => name.endsWith('.json'))
    .toSorted();
  t.true(captures.length > 0);
  for (const name of captures.slice(-3))
    t.regex(await lab.done(standby, 'replay', join(captureDir(lab.paths(standby)), name)), /the same plan as when it was captured/);
  const probe = await lab.probe();
  await probe.stop();
  await lab.fault('power-on', active);
  await lab.settled(30_000, 'web');
});

test('a planned move by command: answers when it is done, in the peer’s journal as well; never two nodes all day', async (t) => {
  const { active, standby, epoch } = await lab.settled(20_000, 'web');
  const answer = JSON.parse(await lab.done(standby, 'switchover', 'web', '--json')) as OrderAnswer;
  t.regex(answer.message, new RegExp(`web is on ${standby}`));
  t.like(await lab.settled(20_000, 'web'), { active: standby, standby: active, epoch: epoch + 1 });
  t.is(JSON.parse(await lab.done(standby, 'hooks', 'list', 'web', '--json')).length, 0);
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
