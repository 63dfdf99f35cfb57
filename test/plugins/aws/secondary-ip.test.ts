// secondary-ip on the real SDK against the emulator: taken over with proof, given back never at the peer's cost.
import test, { type ExecutionContext } from 'ava';
import { systemClock, type MonitorResult } from 'understudy/plugin';
import { assignPrivate } from '../../../plugins/aws/emulator/addresses.js';
import { SecondaryIpAgent } from '../../../plugins/aws/secondary-ip-agent.js';
import { SECONDARY_IP_OPTIONS, secondaryIp, secondaryIpPermissions } from '../../../plugins/aws/secondary-ip.js';
import { type ContextOptions, contextOf, middle, startWorld } from './agent-world.js';

const IP = '10.0.2.50';

/** The node is that of eni-b2; eni-b, its peer in the same subnet, has the address at first. */
const set = async (t: ExecutionContext, raw: Record<string, unknown> = {}) => {
  const world = await startWorld((end) => t.teardown(end));
  const agent = new SecondaryIpAgent(world.ec2, world.imds, world.addresses, systemClock, middle);
  const options = SECONDARY_IP_OPTIONS.parse({ address: IP, interface: 'eth0', eni: 'eni-b2', checkEvery: '1s', ...raw });
  const context = (how: ContextOptions = {}) => contextOf(options, how);
  const owner = () => Object.values(world.emulator.vpc.interfaces).find(({ secondary }) => secondary.includes(IP))?.id;
  const take = (eni: string) => world.emulator.change((vpc) => assignPrivate(vpc, eni, [IP], true));
  return { ...world, agent, context, owner, take };
};
const asResult = (found: MonitorResult | string): MonitorResult =>
  typeof found === 'string' ? { state: found as MonitorResult['state'] } : found;

test('start: taken over from the peer in EC2, read back, put on the host, announced', async (t) => {
  const { agent, context, owner, addresses, calls } = await set(t);
  await agent.start(context());
  t.is(owner(), 'eni-b2');
  t.deepEqual(addresses.changes, [`add ${IP}/32 eth0`, `announce ${IP} eth0 3`]);
  t.deepEqual(calls(), ['AssignPrivateIpAddresses ok', 'DescribeNetworkInterfaces ok']);
  t.is(asResult(await agent.monitor(context())).state, 'online');
});

test('stop: off the host, and EC2 is not asked', async (t) => {
  const { agent, context, owner, addresses, calls } = await set(t);
  await agent.start(context());
  const before = calls().length;
  await agent.stop(context());
  t.deepEqual(addresses.all, []);
  t.is(owner(), 'eni-b2');
  t.is(calls().length, before);
});

test('stop with unassign when the peer already has it: the peer keeps it', async (t) => {
  const { agent, context, owner, take, calls } = await set(t, { onStop: 'unassign' });
  await agent.start(context());
  await take('eni-b');
  t.deepEqual((await agent.stop(context())).detail, { leftAt: 'eni-b' });
  t.is(owner(), 'eni-b');
  t.false(calls().some((call) => call.startsWith('Unassign')));
});

test('stop with unassign, and the peer takes it between look and act: EC2 refuses, the peer keeps it, the stop is done', async (t) => {
  const { agent, context, owner, take, emulator, addresses } = await set(t, { onStop: 'unassign' });
  await agent.start(context());
  emulator.fault({ kind: 'stale', action: 'DescribeNetworkInterfaces', reads: 1 });
  await take('eni-b');
  t.regex((await agent.stop(context())).degraded ?? '', /UnassignPrivateIpAddresses: refused \(InvalidParameterValue/);
  t.is(owner(), 'eni-b');
  t.deepEqual(addresses.all, []);
});

test('stop with unassign while it is ours: unassigned', async (t) => {
  const { agent, context, owner } = await set(t, { onStop: 'unassign' });
  await agent.start(context());
  await agent.stop(context());
  t.is(owner(), undefined);
});

test('stale reads: done once, believed when seen', async (t) => {
  const { agent, context, owner, emulator, calls } = await set(t);
  emulator.fault({ kind: 'stale', action: 'DescribeNetworkInterfaces', reads: 3 });
  await agent.start(context());
  t.is(owner(), 'eni-b2');
  t.is(calls().filter((call) => call.startsWith('Assign')).length, 1);
});

test('an answer lost after the effect: found by a read, not done twice', async (t) => {
  const { agent, context, owner, emulator, calls } = await set(t);
  emulator.fault({ kind: 'lost-answer', action: 'AssignPrivateIpAddresses', times: 1 });
  await agent.start(context());
  t.is(owner(), 'eni-b2');
  t.is(calls().filter((call) => call.startsWith('Assign')).length, 1);
});

test('an address outside the subnet: the start fails with EC2’s words, and the host has no address', async (t) => {
  const { agent, context, addresses } = await set(t, { address: '10.0.9.9' });
  await t.throwsAsync(agent.start(context()), {
    message: /10\.0\.9\.9 could not be taken over by eni-b2: AssignPrivateIpAddresses: refused .*does not fall within the subnet/,
  });
  t.deepEqual(addresses.changes, []);
});

test('taken away in EC2 behind our back: named, and taken again by the holder', async (t) => {
  const { agent, context, owner, take, ec2, imds, addresses } = await set(t);
  await agent.start(context());
  await take('eni-b');
  const adopted = new SecondaryIpAgent(ec2, imds, addresses, systemClock, middle);
  const found = asResult(await adopted.monitor(context()));
  t.is(found.degraded, `EC2 has ${IP} at eni-b, not at eni-b2`);
  await adopted.reassert(context());
  t.is(owner(), 'eni-b2');
  t.is(asResult(await adopted.monitor(context())).degraded, undefined);
});

test('monitor throttled with nothing known: unknown, never a fault', async (t) => {
  const { agent, context, addresses, emulator } = await set(t);
  await addresses.add('eth0', IP, 32);
  emulator.fault({ kind: 'throttle' });
  t.like(asResult(await agent.monitor(context())), { state: 'unknown' });
});

test('the address on a standby, put there by somebody else: seen, with a guess at whom', async (t) => {
  const { agent, context, addresses } = await set(t);
  await addresses.add('eth0', IP, 32);
  t.regex(asResult(await agent.monitor(context({ active: false }))).reason ?? '', /amazon-ec2-net-utils/);
});

test('plan, permissions and hard-stop', async (t) => {
  const { agent, context } = await set(t, { onStop: 'unassign' });
  t.deepEqual(
    (await agent.plan('start', context())).map(({ what }) => what),
    [
      `AssignPrivateIpAddresses NetworkInterfaceId=eni-b2 PrivateIpAddresses=${IP} AllowReassignment=true`,
      `DescribeNetworkInterfaces Filter addresses.private-ip-address=${IP}`,
      `ip addr add ${IP}/32 dev eth0`,
      `ip addr announce ${IP}/32 dev eth0`,
    ],
  );
  t.is((await agent.plan('stop', context())).length, 3);
  const options = SECONDARY_IP_OPTIONS.parse({ address: IP, interface: 'eth0' });
  t.deepEqual(
    secondaryIpPermissions(options).flatMap(({ actions }) => actions),
    ['ec2:DescribeNetworkInterfaces', 'ec2:AssignPrivateIpAddresses'],
  );
  t.deepEqual(
    secondaryIp.hardStop!({
      options,
      group: 'db',
      resource: 'vip',
      cgroup: null,
      runDir: '',
      addressLine: (name, address, length) => `addr ${name} ${address}/${length}`,
    }),
    [`addr eth0 ${IP}/32`],
  );
});
