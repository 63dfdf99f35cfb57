// Floating addresses in the real world: somebody deletes them, edits their routes, denies or delays the cloud's calls, or
// leaves the source/destination check on. Real packets, and the cloud's real client against the lab's EC2.
// Timing `fast`: a busy machine may stand still for a second, which `lan` (D = 1.25 s) rightly answers with a self-fence.
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `dr${randomBytes(3).toString('hex')}`;
const COUNTER = fileURLToPath(new URL('../../core/lab/app/counter.js', import.meta.url));
const [WEB, SINGLE, SIX] = ['192.168.0.10', '192.168.0.11', 'fd99::10'] as const;
const TABLES = ['rtb-lab-1', 'rtb-lab-2', 'rtb-lab-3'] as const;
const PERIOD_MS = 3000;
const on = { a: { eni: 'eni-lab-a' }, b: { eni: 'eni-lab-b' } };
const eniOf = (node: string): string => `eni-lab-${node}`;
const overlay = (address: string, routeTables: readonly string[], sourceDestCheck: string) => ({
  use: 'overlay-ip',
  address,
  routeTables,
  sourceDestCheck,
  interface: 'lo',
  on,
  every: '1s',
  routeCheckEvery: `${PERIOD_MS}ms`,
});
const often = { failover: { max: 1000, within: '1h' } };
const GROUPS = {
  // Three tables; what it finds wrong with the ENI it puts right.
  web: {
    ...often,
    prefer: ['a', 'b'],
    resources: {
      vip: overlay(WEB, TABLES, 'enforce'),
      app: { use: 'app-script', mode: 'foreground', start: [process.execPath, COUNTER, `${WEB}:8080`], every: '1s' },
    },
  },
  // One table, both families; it only says what it finds.
  single: {
    ...often,
    prefer: ['b', 'a'],
    resources: { vip: overlay(SINGLE, [TABLES[0]], 'verify'), vip6: { ...overlay(SIX, [TABLES[0]], 'verify'), after: [] } },
  },
};

let lab: DrillLab;
anyTest.serial.before(async () => {
  if (obstacle !== null) return;
  lab = await DrillLab.start(ID, { groups: GROUPS, timing: 'fast' }, { floating: [WEB, SINGLE, SIX] });
  await lab.settled(40_000, 'web');
  await lab.settled(40_000, 'single');
});
anyTest.after.always(() => {
  if (obstacle === null) DrillLab.sweep(ID);
});

/** A planned move, and all of it: the standby is ready as well when it resolves. */
const move = async (group: string): Promise<string> => {
  const { active, standby } = await lab.settled(20_000, group);
  await lab.api(active).order({ verb: 'switchover', group, to: standby, why: 'a drill' });
  await lab.until(`${group} on ${standby}`, 30_000, async (last) => {
    const view = await lab.group(standby, group);
    last(JSON.stringify(view));
    return view?.active === standby && view.state === 'online';
  });
  return standby;
};
const resource = async (node: string, group: string, id: string) =>
  (await lab.group(node, group))?.resources.find((each) => each.id === id);
test('somebody deletes the address: it is back within a second, the application and the lease untouched', async (t) => {
  for (const [group, address] of [
    ['web', WEB],
    ['single', SIX],
  ] as const) {
    const before = await lab.settled(20_000, group);
    const app = await lab.pids(before.active, 'app');
    const beganMs = systemClock.nowMs();
    await lab.fault('delete-address', before.active, address);
    // From the journal: it comes back between two looks of the observer.
    const back = await lab.until(`${address} back`, 5000, async () =>
      (await lab.events(before.active, 'resource.reasserted', beganMs)).find(
        (event) => event.group === group && event.because?.includes('missing'),
      ),
    );
    const awayMs = back.monoMs - beganMs;
    t.true(awayMs <= 1000, `${address} was back ${awayMs.toFixed(0)} ms after the order to delete it`);
    t.true((await lab.status()).hosts.find(({ node }) => node === before.active)?.addresses.includes(address));
    t.log(`${address} was back ${awayMs.toFixed(0)} ms after the order to delete it`);
    t.deepEqual(await lab.settled(20_000, group), before);
    t.deepEqual(await lab.pids(before.active, 'app'), app);
  }
});

test('somebody edits the routes: back within one period', async (t) => {
  for (const [group, table, address, destination] of [
    ['web', TABLES[0], WEB, `${WEB}/32`],
    ['web', TABLES[2], WEB, `${WEB}/32`],
    ['single', TABLES[0], SIX, `${SIX}/128`],
  ] as const) {
    const { active, standby } = await lab.settled(20_000, group);
    const beganMs = systemClock.nowMs();
    await lab.editRoute(table, address, eniOf(standby));
    const [edit, put] = await lab.until(`${table} put right`, PERIOD_MS + 5000, async (last) => {
      const replaced = (await lab.calls(beganMs)).filter(
        ({ action, parameters }) => action === 'ReplaceRoute' && parameters['RouteTableId'] === table,
      );
      last(JSON.stringify(replaced));
      const found = [
        replaced.find(({ principal }) => principal === 'drill'),
        replaced.find(({ principal }) => principal?.includes(`lab-${active}`)),
      ] as const;
      return found[0] !== undefined && found[1] !== undefined && ([found[0], found[1]] as const);
    });
    // The period, and the monitor that it waits for.
    const tookMs = put.fromMs - (edit.untilMs ?? Infinity);
    t.true(tookMs > 0 && tookMs <= PERIOD_MS + 1000, `${table}: put right ${tookMs} ms after the edit`);
    t.is((await lab.routes(table))[destination], eniOf(active));
    t.log(`${table} put right after ${tookMs.toFixed(0)} ms`);
  }
});

test('the second table is denied: the others move, the group is online and names it, and it converges when the denial ends', async (t) => {
  const { active } = await lab.settled(20_000, 'web');
  await lab.fault('ec2', 'deny', 'ReplaceRoute', TABLES[1]);
  const to = await move('web');
  const view = await lab.until('online and degraded', 10_000, async (last) => {
    const seen = await resource(to, 'web', 'vip');
    last(JSON.stringify(seen));
    return seen?.degraded !== undefined && (await lab.group(to, 'web'))?.state === 'online' && seen;
  });
  t.regex(view.degraded ?? '', /rtb-lab-2/);
  t.notRegex(view.degraded ?? '', /rtb-lab-[13]/);
  const shown = JSON.parse(await lab.done(to, 'status', '--json')) as { groups: { id: string; because: string }[] };
  t.regex(shown.groups.find(({ id }) => id === 'web')?.because ?? '', /degraded.*rtb-lab-2/);
  const leads = async () =>
    Object.fromEntries(await Promise.all(TABLES.map(async (table) => [table, (await lab.routes(table))[`${WEB}/32`]] as const)));
  t.deepEqual(await leads(), { 'rtb-lab-1': eniOf(to), 'rtb-lab-2': eniOf(active), 'rtb-lab-3': eniOf(to) });
  await lab.fault('ec2', 'clear');
  await lab.until('all three, and no longer degraded', 15_000, async (last) => {
    const seen = await resource(to, 'web', 'vip');
    last(JSON.stringify(seen));
    return seen?.state === 'online' && seen.degraded === undefined;
  });
  t.is((await leads())['rtb-lab-2'], eniOf(to));
});

/** From the first call of the move to the last answer that verified it, by the emulator's call log. */
const moveMs = async (group: string): Promise<number> => {
  const beganMs = systemClock.nowMs();
  const to = await move(group);
  const [begin, done] = await lab.until(`${group}.vip started in the journal of ${to}`, 5000, async () => {
    const events = (await lab.events(to, 'action', beganMs)).filter(
      ({ group: of, resource: id, data }) => of === group && id === 'vip' && data?.['kind'] === 'start',
    );
    const found = [events.find(({ kind }) => kind === 'action.begin'), events.find(({ kind }) => kind === 'action.done')] as const;
    return found[0] !== undefined && found[1] !== undefined && ([found[0], found[1]] as const);
  });
  const address = group === 'web' ? WEB : SINGLE;
  const calls = (await lab.calls(begin.monoMs)).filter(({ fromMs, principal }) => fromMs < done.monoMs && principal?.includes(`lab-${to}`));
  const first = calls.find(({ action, parameters }) => action === 'ReplaceRoute' && parameters['DestinationCidrBlock'] === `${address}/32`);
  const tables = new Set(
    calls
      .filter(({ action, parameters }) => action === 'ReplaceRoute' && parameters['DestinationCidrBlock'] === `${address}/32`)
      .map(({ parameters }) => parameters['RouteTableId']),
  );
  const last = calls.filter(({ action, untilMs }) => action === 'DescribeRouteTables' && untilMs !== null && untilMs <= done.monoMs).at(-1);
  if (first === undefined || last?.untilMs == null || tables.size !== (group === 'web' ? 3 : 1))
    throw new Error(`unexpected calls: ${JSON.stringify(calls)}`);
  return last.untilMs - first.fromMs;
};

test('three tables at 100 ms latency take at most 1.5 times one', async (t) => {
  await lab.fault('ec2', 'latency', '100ms');
  // The best of three each: the machine may be busy with something else for a moment.
  const best = async (group: string) => Math.min(await moveMs(group), await moveMs(group), await moveMs(group));
  const one = await best('single');
  const three = await best('web');
  await lab.fault('ec2', 'clear');
  t.log(`one table ${one.toFixed(0)} ms, three ${three.toFixed(0)} ms`);
  t.true(one >= 200, 'a change and its read-back are two calls');
  t.true(three <= 1.5 * one, `${three.toFixed(0)} ms for three, ${one.toFixed(0)} ms for one`);
});

test('source/destination check on: enforce turns it off, verify says so and does not touch it; packets are dropped meanwhile', async (t) => {
  // Apart, so that only one of the two groups looks at each ENI.
  const web = await lab.settled(20_000, 'web');
  let single = await lab.settled(20_000, 'single');
  if (single.active === web.active) {
    await move('single');
    single = await lab.settled(20_000, 'single');
  }
  const probe = await lab.probe();
  const before = probe.report?.gaps.length ?? 0;
  const beganMs = systemClock.nowMs();
  await lab.fault('ec2', 'source-dest-check', web.active, 'on');
  const gap = await lab.until('packets dropped, and let through again', PERIOD_MS + 8000, () => probe.report?.gaps[before]);
  await probe.stop();
  const off = (await lab.calls(beganMs)).filter(({ action }) => action === 'ModifyNetworkInterfaceAttribute');
  t.is(off.length, 1);
  t.true((off[0]?.fromMs ?? Infinity) - beganMs <= PERIOD_MS + 1500, 'within one period');
  t.log(`enforce: dropped for ${gap.ms.toFixed(0)} ms`);

  await lab.fault('ec2', 'source-dest-check', single.active, 'on');
  const seen = await lab.until('verify says so', PERIOD_MS + 8000, async () => (await resource(single.active, 'single', 'vip'))?.degraded);
  t.regex(seen, new RegExp(`${eniOf(single.active)} has its source/destination check on`));
  t.regex(seen, /modify-network-interface-attribute/);
  t.is((await lab.calls(beganMs)).filter(({ action }) => action === 'ModifyNetworkInterfaceAttribute').length, 1, 'it is not turned off');
  await lab.fault('ec2', 'source-dest-check', single.active, 'off');
  await lab.until('said no more', PERIOD_MS + 8000, async () => (await resource(single.active, 'single', 'vip'))?.degraded === undefined);
});

test('IPv6 moves like IPv4, and neither address was ever on two nodes', async (t) => {
  const to = await move('single');
  const facts = (await lab.status()).hosts;
  t.true(facts.find(({ node }) => node === to)?.addresses.includes(SIX));
  t.false(facts.find(({ node }) => node !== to)?.addresses.includes(SIX));
  t.is((await lab.routes(TABLES[0]))[`${SIX}/128`], eniOf(to));
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
