// overlay-ip on the real SDK against the emulator. The first ten tests are the known defects of ocf:heartbeat:aws-vpc-move-ip,
// one each; the rest are the promises of plugins/aws/README.md.
import ava, { type ExecutionContext } from 'ava';
import { systemClock, type MonitorResult } from 'understudy/plugin';
import { FakeClock } from 'understudy/testkit';
import { createRoute, deleteRoute, replaceRoute, routeState } from '../../../plugins/aws/emulator/routes.js';
import { OverlayIpAgent } from '../../../plugins/aws/overlay-ip-agent.js';
import { OVERLAY_IP_OPTIONS, overlayIp, overlayIpPermissions } from '../../../plugins/aws/overlay-ip.js';
import { until } from '../../support/until.js';
import { type ContextOptions, contextOf, Lease, middle, startWorld } from './agent-world.js';
import { twoZones, VIP, VIP6 } from './vpcs.js';

/** One after the other: they share one event loop, and some bound the time of a call. */
const test = ava.serial;

const TABLES = ['rtb-1', 'rtb-2', 'rtb-3'];
const ROLE = 'arn:aws:iam::444455556666:role/network';

const set = async (t: ExecutionContext, raw: Record<string, unknown> = {}, emulated: Parameters<typeof startWorld>[1] = {}) => {
  const world = await startWorld((end) => t.teardown(end), { vpc: twoZones(), ...emulated });
  /** An agent that remembers nothing, as after a restart of the controller. */
  const anew = () => new OverlayIpAgent(world.ec2, world.imds, world.addresses, systemClock, middle);
  const options = OVERLAY_IP_OPTIONS.parse({
    address: VIP,
    routeTables: TABLES,
    interface: 'eth0',
    eni: 'eni-b',
    routeCheckEvery: '1s',
    ...raw,
  });
  const target = (table: string, destination = `${VIP}/32`) => {
    const found = world.emulator.vpc.routeTables[table]?.routes.find((route) => route.destination === destination);
    return found?.target.kind === 'interface' ? found.target.id : undefined;
  };
  const context = (how: ContextOptions = {}) => contextOf(options, how);
  const writes = () => world.calls().filter((call) => !call.startsWith('Describe'));
  return { ...world, agent: anew(), anew, options, context, target, targets: () => TABLES.map((table) => target(table)), writes };
};
const asResult = (found: MonitorResult | string): MonitorResult =>
  typeof found === 'string' ? { state: found as MonitorResult['state'] } : found;

// ---- the known defects of aws-vpc-move-ip

test('defect 1: stop when the route has already moved: the address leaves the host all the same', async (t) => {
  const { agent, context, addresses, emulator, calls } = await set(t);
  await agent.start(context());
  await emulator.change((vpc) => TABLES.reduce((state, table) => replaceRoute(state, table, `${VIP}/32`, { interface: 'eni-a' }), vpc));
  emulator.fault({ kind: 'hang' });
  const before = calls().length;
  await agent.stop(context({ active: false }));
  t.deepEqual(addresses.all, []);
  t.is(calls().length, before, 'no API call stands between an order to stop and the address going away');
});

test('defect 2: a route edited by hand is seen by the next route check, named, and put right', async (t) => {
  const { agent, anew, context, emulator, targets } = await set(t);
  await agent.start(context());
  await emulator.change((vpc) => replaceRoute(vpc, 'rtb-2', `${VIP}/32`, { interface: 'eni-a' }));
  const adopted = anew();
  const found = asResult(await adopted.monitor(context()));
  t.is(found.state, 'online');
  t.is(found.degraded, `rtb-2: the route to ${VIP}/32 leads to eni-a, not to eni-b`);
  await adopted.reassert(context());
  t.deepEqual(targets(), ['eni-b', 'eni-b', 'eni-b']);
  t.is(asResult(await adopted.monitor(context())).degraded, undefined);
});

test('defect 3: tables move at the same time, and one that is denied stops no other', async (t) => {
  const clock = new FakeClock(); // The emulator's: it answers a late call only when the test says so.
  const { agent, context, emulator, targets } = await set(t, { sourceDestCheck: 'off' }, { clock });
  emulator.fault({ kind: 'latency', action: 'ReplaceRoute', ms: 100 });
  emulator.fault({ kind: 'deny', action: 'ReplaceRoute', resource: 'rtb-2' });
  const starting = agent.start(context());
  await until(
    'the call is seen',
    () => emulator.calls.filter(({ action, outcome }) => action === 'ReplaceRoute' && outcome === null).length === 3,
  );
  clock.advance(100);
  const report = await starting;
  t.deepEqual(targets(), ['eni-b', 'eni-a', 'eni-b']);
  t.regex(report.degraded ?? '', /^rtb-2: ReplaceRoute: not allowed \(UnauthorizedOperation/);
});

test('defect 4: a table without the route: made if allowed, else said what to do', async (t) => {
  const without = (vpc: Parameters<typeof deleteRoute>[0]) => deleteRoute(vpc, 'rtb-3', `${VIP}/32`);
  const allowed = await set(t, { createIfMissing: true });
  await allowed.emulator.change(without);
  t.is((await allowed.agent.start(allowed.context())).degraded, undefined);
  t.deepEqual(allowed.targets(), ['eni-b', 'eni-b', 'eni-b']);
  const not = await set(t);
  await not.emulator.change(without);
  t.regex(
    (await not.agent.start(not.context())).degraded ?? '',
    /rtb-3: .*no route to 192\.168\.0\.10\/32: make it, or set createIfMissing: true/,
  );
});

test('defect 5: an assumed role is really used, and its refusal comes through', async (t) => {
  const { agent, context, emulator, targets } = await set(t, { assumeRole: ROLE });
  await agent.start(context());
  t.deepEqual(targets(), ['eni-b', 'eni-b', 'eni-b']);
  t.deepEqual([...new Set(emulator.calls.filter(({ action }) => action === 'ReplaceRoute').map(({ principal }) => principal))], [ROLE]);
  t.is(emulator.calls.filter(({ action }) => action === 'AssumeRole').length, 1, 'once for all calls');

  const denied = await set(t, { assumeRole: ROLE });
  denied.emulator.fault({ kind: 'error', action: 'AssumeRole', code: 'AccessDenied', message: 'not trusted' });
  await t.throwsAsync(denied.agent.start(denied.context()), { message: /not allowed \(AccessDenied: not trusted\)/ });
  t.deepEqual(denied.targets(), ['eni-a', 'eni-a', 'eni-a']);
});

test('defect 6: an answer that never comes is bounded, not only the connecting', async (t) => {
  const { agent, context, emulator } = await set(t);
  emulator.fault({ kind: 'hang', action: 'ReplaceRoute' });
  const lease = new Lease();
  lease.remainingMs = 300;
  const begun = systemClock.nowMs();
  const error = await t.throwsAsync(agent.start(context({ limitMs: 1_400, signal: AbortSignal.timeout(1_400), lease })));
  t.regex(error.message, /no answer \(TimeoutError: /);
  t.true(systemClock.nowMs() - begun < 1_400, 'before the deadline of the action');
});

test('defect 7: a label that the kernel would cut is refused by the check', (t) => {
  const parse = (label: string) => OVERLAY_IP_OPTIONS.safeParse({ address: VIP, routeTables: ['rtb-1'], interface: 'eth0', label });
  t.true(parse('vip').success);
  t.regex(parse('much-too-long').error?.issues[0]?.message ?? '', /"eth0:much-too-long" is longer than the 15 characters/);
});

test('defect 8: IPv6 moves too, as /128', async (t) => {
  const { agent, context, target, addresses } = await set(t, { address: undefined, addresses: [VIP, 'FD00:FFFF:0::10'] });
  await agent.start(context());
  t.deepEqual(
    TABLES.map((table) => target(table, `${VIP6}/128`)),
    ['eni-b', 'eni-b', 'eni-b'],
  );
  t.deepEqual(addresses.all, [`eth0 ${VIP}/32`, 'eth0 FD00:FFFF:0::10/128']);
});

test('defect 9: the source/destination check: verify refuses, enforce switches it off, off does not look', async (t) => {
  const vpc = twoZones({ check: true });
  const verify = await set(t, {}, { vpc });
  await t.throwsAsync(verify.agent.start(verify.context()), {
    message: /eni-b has its source\/destination check on.*aws ec2 modify-network-interface-attribute/,
  });
  const enforce = await set(t, { sourceDestCheck: 'enforce' }, { vpc });
  t.is((await enforce.agent.start(enforce.context())).degraded, undefined);
  t.false(enforce.emulator.vpc.interfaces['eni-b']!.sourceDestCheck);
  const off = await set(t, { sourceDestCheck: 'off' }, { vpc });
  await off.agent.start(off.context());
  t.false(off.calls().some((call) => call.includes('NetworkInterface')));
});

test('defect 10: one client, one set of credentials for every call of the life of the agent', async (t) => {
  const { agent, context, emulator } = await set(t);
  for (let round = 0; round < 3; round += 1) {
    await agent.start(context());
    await agent.monitor(context());
  }
  const asked = emulator.calls.filter(
    ({ action, parameters }) => action === 'IMDS' && parameters['path']?.includes('security-credentials/understudy'),
  );
  t.is(asked.length, 1);
});

// ---- partial success

test('second table denied: online (degraded) with the table named, and whole again when the denial ends', async (t) => {
  const { agent, context, emulator, targets } = await set(t);
  const allow = emulator.fault({ kind: 'deny', action: 'ReplaceRoute', resource: 'rtb-2' });
  await agent.start(context());
  const found = asResult(await agent.monitor(context()));
  t.is(found.state, 'online');
  t.regex(found.degraded ?? '', /^rtb-2: .*UnauthorizedOperation/);
  t.regex((await agent.reassert(context())).degraded ?? '', /^rtb-2/);
  allow();
  t.is((await agent.reassert(context())).degraded, undefined);
  t.deepEqual(targets(), ['eni-b', 'eni-b', 'eni-b']);
  t.is(asResult(await agent.monitor(context())).degraded, undefined);
});

test('every table denied: the start fails, and a node that holds the group is faulted, not merely unlucky', async (t) => {
  const { agent, context, emulator, addresses } = await set(t);
  emulator.fault({ kind: 'deny', action: 'ReplaceRoute' });
  await t.throwsAsync(agent.start(context()), { message: /could not be moved: rtb-1: .*rtb-3: /, code: 'AGENT_FAILED' });
  await addresses.add('eth0', VIP, 32);
  await agent.monitor(context());
  await agent.reassert(context());
  const found = asResult(await agent.monitor(context()));
  t.is(found.state, 'faulted');
  t.regex(found.reason ?? '', /no route leads here, and none may be moved/);
});

test('requireAllTables: one denied table fails the start before the address appears', async (t) => {
  const { agent, context, emulator, addresses } = await set(t, { requireAllTables: true });
  emulator.fault({ kind: 'deny', action: 'ReplaceRoute', resource: 'rtb-2' });
  await t.throwsAsync(agent.start(context()), { message: /requireAllTables is set, and rtb-2/ });
  t.deepEqual(addresses.changes, []);
});

test('requireAllTables: the address appears after the last table was read back', async (t) => {
  const { agent, context, emulator, addresses } = await set(t, { requireAllTables: true });
  emulator.fault({ kind: 'stale', action: 'DescribeRouteTables', reads: 2 });
  let seen = '';
  addresses.watch(() => (seen = emulator.calls.map(({ action, outcome }) => `${action} ${outcome}`).join()));
  await agent.start(context());
  t.is(seen.match(/ReplaceRoute ok/g)?.length, 3);
  t.true((seen.match(/DescribeRouteTables ok/g)?.length ?? 0) >= 5, 'the stale reads came first');
});

// ---- an API that does not tell the truth at once

test('stale reads: asked again until the table shows it, and written only once', async (t) => {
  const { agent, context, emulator, writes } = await set(t, { routeTables: ['rtb-1'] });
  emulator.fault({ kind: 'stale', action: 'DescribeRouteTables', reads: 3 });
  t.is((await agent.start(context())).degraded, undefined);
  t.deepEqual(writes(), ['ReplaceRoute ok']);
});

test('an answer lost after the effect: found by a read, not done twice', async (t) => {
  const { agent, context, emulator, writes } = await set(t, { routeTables: ['rtb-1'] });
  emulator.fault({ kind: 'lost-answer', action: 'ReplaceRoute', times: 1 });
  t.is((await agent.start(context())).degraded, undefined);
  t.deepEqual(writes(), ['ReplaceRoute lost-answer']);
});

test('a connection cut before the effect: written again', async (t) => {
  const { agent, context, emulator, target } = await set(t, { routeTables: ['rtb-1'] });
  emulator.fault({ kind: 'reset', action: 'ReplaceRoute', times: 2 });
  await agent.start(context());
  t.is(target('rtb-1'), 'eni-b');
});

test('the route made by somebody else between the two calls: replaced', async (t) => {
  const { agent, context, emulator, target } = await set(t, { routeTables: ['rtb-1'], createIfMissing: true });
  await emulator.change((vpc) => deleteRoute(vpc, 'rtb-1', `${VIP}/32`));
  emulator.fault({ kind: 'latency', action: 'CreateRoute', ms: 100 });
  const starting = agent.start(context());
  await until('the call is seen', () => emulator.calls.some(({ action }) => action === 'CreateRoute'));
  await emulator.change((vpc) => createRoute(vpc, 'rtb-1', `${VIP}/32`, { interface: 'eni-a' }));
  await starting;
  t.is(target('rtb-1'), 'eni-b');
});

for (const [what, fault, words] of [
  ['throttled', { kind: 'throttle' }, /asked too often \(RequestLimitExceeded/],
  ['denied to read', { kind: 'deny' }, /not allowed/],
  ['expired credentials', { kind: 'error', code: 'ExpiredToken' }, /no valid credentials/],
  ['an internal error', { kind: 'error', code: 'InternalError' }, /no answer \(InternalError/],
  ['a cut connection', { kind: 'reset' }, /no answer \(ECONNRESET/],
] as const) {
  test(`monitor: ${what}: unknown with the reason, never a fault; known routes stay known for a while`, async (t) => {
    const { agent, anew, context, emulator } = await set(t);
    await agent.start(context());
    emulator.fault(fault);
    t.is(asResult(await agent.monitor(context())).state, 'online', 'the routes were seen a moment ago');
    const found = asResult(await anew().monitor(context()));
    t.is(found.state, 'unknown');
    t.regex(found.reason ?? '', words);
  });
}

// ---- who writes, and when

test('monitor changes nothing, on no node, in no state', async (t) => {
  const { agent, context, emulator, addresses, writes } = await set(t);
  const before = emulator.vpc;
  for (const active of [false, true]) await agent.monitor(context({ active }));
  await addresses.add('eth0', VIP, 32);
  for (const active of [false, true]) await agent.monitor(context({ active }));
  t.is(emulator.vpc, before);
  t.deepEqual(writes(), []);
  t.deepEqual(addresses.changes, [`add ${VIP}/32 eth0`]);
});

test('standby: the address alone is looked at; the API is kept warm in the background, by a dry run', async (t) => {
  const { agent, context, emulator } = await set(t);
  t.is(asResult(await agent.monitor(context({ active: false }))).state, 'offline');
  await until('the call is seen', () => emulator.calls.some(({ action, outcome }) => action === 'DescribeRouteTables' && outcome !== null));
  t.is(emulator.calls.find(({ action }) => action === 'DescribeRouteTables')?.parameters['DryRun'], 'true');
  let told: unknown;
  await until(
    'the warming has ended',
    async () => (told = asResult(await agent.monitor(context({ active: false }))).detail?.['api']) !== 'not asked yet',
  );
  t.is(told, 'ready');
});

test('the address on a node that does not hold the group: seen, so that it will be stopped', async (t) => {
  const { agent, context, addresses } = await set(t);
  await addresses.add('lo', VIP, 32);
  const found = asResult(await agent.monitor(context({ active: false })));
  t.is(found.state, 'online');
  t.regex(found.reason ?? '', /does not hold the group/);
});

test('the address deleted: told by the watch, offline, and put back without touching a route', async (t) => {
  const { agent, context, addresses, writes } = await set(t);
  await agent.start(context());
  const before = writes().length;
  let told = 0;
  const end = agent.watch(context(), () => (told += 1));
  await addresses.remove(VIP);
  t.is(told, 1);
  t.like(asResult(await agent.monitor(context())), { state: 'offline', reason: `${VIP} is missing on eth0` });
  await agent.reassert(context());
  t.deepEqual(addresses.all, [`eth0 ${VIP}/32`]);
  t.is(asResult(await agent.monitor(context())).state, 'online');
  t.is(writes().length, before);
  end();
});

test('one of two addresses missing: faulted, not offline, so that a stop still takes the other away', async (t) => {
  const { agent, context, addresses } = await set(t, { address: undefined, addresses: [VIP, VIP6] });
  await agent.start(context());
  await addresses.remove(VIP6);
  t.is(asResult(await agent.monitor(context())).state, 'faulted');
  await agent.stop(context());
  t.deepEqual(addresses.all, []);
});

test('the address on another interface at start: moved to its own', async (t) => {
  const { agent, context, addresses } = await set(t);
  await addresses.add('eth7', VIP, 32);
  await agent.start(context());
  t.deepEqual(addresses.all, [`eth0 ${VIP}/32`]);
});

test('the lease lost while tables are still asked for: nothing more is written, and the start fails', async (t) => {
  const { agent, context, emulator } = await set(t);
  emulator.fault({ kind: 'throttle', action: 'ReplaceRoute' });
  const lease = new Lease();
  const starting = agent.start(context({ lease }));
  await until('the call is seen', () => emulator.calls.some(({ outcome }) => outcome === 'RequestLimitExceeded'));
  lease.held = false;
  await t.throwsAsync(starting, { code: 'REFUSED' });
  const count = emulator.calls.length;
  emulator.clearFaults();
  await new Promise((resolve) => setImmediate(resolve));
  t.is(emulator.calls.length, count);
});

test('no call is allowed to outlast the lease less the time the group needs to stop', async (t) => {
  const { agent, context, emulator, ec2 } = await set(t, { routeTables: ['rtb-1'], sourceDestCheck: 'off' });
  const lease = new Lease();
  lease.remainingMs = 480;
  await ec2.warm(['rtb-1'], { assumeRole: null }, { signal: AbortSignal.timeout(5_000), timeoutMs: 5_000 });
  const warmed = emulator.calls.length;
  emulator.fault({ kind: 'hang', action: 'ReplaceRoute' });
  const starting = agent.start(context({ lease, stopBudgetMs: 450, limitMs: 20_000 }));
  await systemClock.sleep(100);
  t.is(emulator.calls.length, warmed, 'too little left: not sent, the renewal is waited for');
  lease.remainingMs = 600;
  const news = () => emulator.calls.slice(warmed);
  await until('the call is seen', () => news().some(({ action }) => action === 'DescribeRouteTables'));
  const [replace, look] = ['ReplaceRoute', 'DescribeRouteTables'].map((name) => news().find(({ action }) => action === name)!.fromMs);
  t.true(look! - replace! < 1_500, 'given up after 150 ms, not after the usual three seconds');
  emulator.clearFaults();
  await starting;
});

test('requireAllTables: a foreign route is corrected only after two renewals, so that an old holder cannot fight', async (t) => {
  const { agent, context, emulator, target } = await set(t, { requireAllTables: true, routeTables: ['rtb-1'] });
  await agent.start(context());
  await emulator.change((vpc) => replaceRoute(vpc, 'rtb-1', `${VIP}/32`, { interface: 'eni-a' }));
  const lease = new Lease();
  let deadline = systemClock.nowMs() + 1_000;
  Object.defineProperty(lease, 'remainingMs', { get: () => deadline - systemClock.nowMs() });
  // The route check is due a second after the start.
  await until('the route check is due', async () => asResult(await agent.monitor(context({ lease }))).degraded !== undefined);
  deadline = systemClock.nowMs() + 1_000;
  const reasserting = agent.reassert(context({ lease }));
  await systemClock.sleep(60);
  deadline += 200;
  await systemClock.sleep(60);
  t.is(target('rtb-1'), 'eni-a', 'one renewal may have been sent before the look');
  deadline += 200;
  await reasserting;
  t.is(target('rtb-1'), 'eni-b');
});

// ---- stop

test('onStop delete: only routes that still lead here go', async (t) => {
  const { agent, context, emulator, target } = await set(t, { onStop: 'delete' });
  await agent.start(context());
  await emulator.change((vpc) => replaceRoute(vpc, 'rtb-2', `${VIP}/32`, { interface: 'eni-a' }));
  t.is((await agent.stop(context())).degraded, undefined);
  t.deepEqual(
    TABLES.map((table) => target(table)),
    [undefined, 'eni-a', undefined],
  );
});

test('onStop delete with the API away: stopped, and said that the routes stay', async (t) => {
  const { agent, context, emulator, addresses } = await set(t, { onStop: 'delete' });
  await agent.start(context());
  emulator.fault({ kind: 'throttle' });
  t.regex((await agent.stop(context())).degraded ?? '', /^the routes were left as they are/);
  t.deepEqual(addresses.all, []);
});

test('stop never started, start twice, stop twice: all the same', async (t) => {
  const { agent, context, addresses } = await set(t);
  await agent.stop(context({ active: false }));
  await agent.start(context());
  await agent.start(context());
  t.is(addresses.changes.length, 1);
  await agent.stop(context());
  await agent.stop(context());
  t.deepEqual(addresses.all, []);
});

test('an address that the host will not give up: the stop says so instead of claiming it', async (t) => {
  const { agent, context, addresses } = await set(t);
  await agent.start(context());
  addresses.broken = new Error('RTNETLINK answers: Operation not permitted');
  await t.throwsAsync(agent.stop(context()), { message: /Could not take the address from this host: 192\.168\.0\.10: RTNETLINK/ });
});

// ---- discovery, plan, rights

test('the ENI: found by instance metadata through a 401 and a 503, and asked only once', async (t) => {
  const { agent, context, emulator, targets } = await set(t, { eni: undefined }, { vpc: twoZones() });
  await emulator.change((vpc) => TABLES.reduce((state, table) => replaceRoute(state, table, `${VIP}/32`, { interface: 'eni-b' }), vpc));
  emulator.fault({ kind: 'error', action: 'IMDS', status: 401, resource: '/latest/meta-data/mac', times: 1 });
  emulator.fault({ kind: 'error', action: 'IMDS', status: 503, resource: '/latest/meta-data/mac', times: 1 });
  await agent.start(context());
  t.deepEqual(targets(), ['eni-a', 'eni-a', 'eni-a'], 'that of host a');
  const asked = () => emulator.calls.filter(({ action }) => action === 'IMDS').length;
  const count = asked();
  await agent.start(context());
  t.is(asked(), count);
});

test('metadata that never answers: the start ends with words, bounded', async (t) => {
  const { agent, context, emulator } = await set(t, { eni: undefined });
  emulator.fault({ kind: 'error', action: 'IMDS', status: 503 });
  await t.throwsAsync(agent.start(context()), { message: /IMDS at .* did not tell meta-data\/mac: it answered 503/, code: 'AGENT_FAILED' });
});

test('plan: every call and every change of address, in order; touches nothing', async (t) => {
  const { agent, context, calls } = await set(t, {
    routeTables: ['rtb-1'],
    createIfMissing: true,
    sourceDestCheck: 'enforce',
    onStop: 'delete',
  });
  const lines = async (op: 'start' | 'stop') => (await agent.plan(op, context())).map(({ what }) => what);
  t.deepEqual(await lines('start'), [
    `ip addr add ${VIP}/32 dev eth0`,
    'DescribeNetworkInterfaces NetworkInterfaceIds=eni-b',
    'ModifyNetworkInterfaceAttribute NetworkInterfaceId=eni-b SourceDestCheck=false (only if it is on)',
    `ReplaceRoute RouteTableId=rtb-1 DestinationCidrBlock=${VIP}/32 NetworkInterfaceId=eni-b`,
    `CreateRoute RouteTableId=rtb-1 DestinationCidrBlock=${VIP}/32 NetworkInterfaceId=eni-b (only if the route is missing)`,
    'DescribeRouteTables RouteTableIds=rtb-1 (read back until it shows)',
  ]);
  t.deepEqual(await lines('stop'), [
    `ip addr remove ${VIP}/32 dev eth0`,
    'DescribeRouteTables RouteTableIds=rtb-1',
    `DeleteRoute RouteTableId=rtb-1 DestinationCidrBlock=${VIP}/32 (only if it leads to eni-b)`,
  ]);
  t.deepEqual(calls(), []);
});

test('permissions: no more than the options need, narrowed to the tables and the role’s account', (t) => {
  const actions = (raw: object) =>
    overlayIpPermissions(OVERLAY_IP_OPTIONS.parse({ address: VIP, routeTables: ['rtb-1'], ...raw })).flatMap(
      ({ actions: some, resources }) => some.map((action) => `${action} ${resources.join(' ')}`),
    );
  t.deepEqual(actions({ sourceDestCheck: 'off' }), ['ec2:DescribeRouteTables *', 'ec2:ReplaceRoute arn:aws:ec2:*:*:route-table/rtb-1']);
  t.deepEqual(actions({ assumeRole: ROLE, createIfMissing: true, onStop: 'delete', sourceDestCheck: 'enforce', eni: 'eni-b' }), [
    'ec2:DescribeRouteTables *',
    'ec2:DescribeNetworkInterfaces *',
    'ec2:ReplaceRoute arn:aws:ec2:*:444455556666:route-table/rtb-1',
    'ec2:CreateRoute arn:aws:ec2:*:444455556666:route-table/rtb-1',
    'ec2:DeleteRoute arn:aws:ec2:*:444455556666:route-table/rtb-1',
    'ec2:ModifyNetworkInterfaceAttribute arn:aws:ec2:*:*:network-interface/eni-b',
    `sts:AssumeRole ${ROLE}`,
  ]);
});

test('hard-stop: one line for each address', (t) => {
  const options = OVERLAY_IP_OPTIONS.parse({ addresses: [VIP, VIP6], routeTables: ['rtb-1'] });
  const lines = overlayIp.hardStop!({
    options,
    group: 'db',
    resource: 'vip',
    cgroup: null,
    runDir: '',
    addressLine: (name, address, length) => `addr ${name} ${address}/${length}`,
  });
  t.deepEqual(lines, [`addr lo ${VIP}/32`, `addr lo ${VIP6}/128`]);
});

const wrongOptions: readonly [what: string, raw: object, words: RegExp][] = [
  ['no address', { routeTables: ['rtb-1'] }, /either address or addresses/],
  ['an address with a prefix', { address: '192.168.0.10/32', routeTables: ['rtb-1'] }, /\/32 and \/128 are implied/],
  ['no table', { address: VIP, routeTables: [] }, /at least one route table/],
  ['a table twice', { address: VIP, routeTables: ['rtb-1', 'rtb-1'] }, /named twice/],
  ['an instance for an ENI', { address: VIP, routeTables: ['rtb-1'], eni: 'i-1' }, /an ENI id begins with eni-/],
  [
    'address-first with requireAllTables',
    { address: VIP, routeTables: ['rtb-1'], requireAllTables: true, order: 'address-first' },
    /verifies the routes before/,
  ],
];
for (const [what, raw, words] of wrongOptions) {
  test(`options: ${what}: refused with words`, (t) =>
    t.regex(
      OVERLAY_IP_OPTIONS.safeParse(raw)
        .error?.issues.map(({ message }) => message)
        .join() ?? '',
      words,
    ));
}

test('emulator: a route to the ENI of a running instance is active', async (t) => {
  const { emulator } = await set(t);
  t.true(emulator.vpc.routeTables['rtb-1']!.routes.every((route) => routeState(emulator.vpc, route) === 'active'));
});
