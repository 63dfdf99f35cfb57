// The fences of the AWS plugin with the real SDK against the emulator: what confirms, what does not, what is refused.
import test, { type ExecutionContext } from 'ava';
import { fenceContract, type FenceUnderTest } from 'understudy/testkit';
import type { FenceDevice } from 'understudy/plugin';
import { Ec2FenceDevice } from '../../../plugins/aws/ec2-fence-device.js';
import { EC2_FENCE_OPTIONS, ec2Fence } from '../../../plugins/aws/ec2-fence.js';
import type { FaultWords } from '../../../plugins/aws/emulator/faults.js';
import { startInstance } from '../../../plugins/aws/emulator/instances.js';
import { setGroups, withInstance } from '../../../plugins/aws/emulator/vpc.js';
import { SecurityGroupFenceDevice } from '../../../plugins/aws/security-group-fence-device.js';
import { SECURITY_GROUP_FENCE_OPTIONS, securityGroupFence } from '../../../plugins/aws/security-group-fence.js';
import { type FenceWorld, fenceVpc, startFenceWorld } from './fence-world.js';

const IDS = { a: 'i-a', b: 'i-b' };
const ec2Options = (more: Record<string, unknown> = {}) => EC2_FENCE_OPTIONS.parse({ instances: IDS, ...more });
const groupOptions = (more: Record<string, unknown> = {}) =>
  SECURITY_GROUP_FENCE_OPTIONS.parse({
    group: 'sg-isolated',
    interfaces: { a: ['eni-a'], b: ['eni-b', 'eni-b2'] },
    acceptOpenConnections: true,
    ...more,
  });

const underTest = (
  world: FenceWorld,
  device: FenceDevice,
  rest: Pick<FenceUnderTest, 'behave' | 'isOff' | 'rate' | 'evidence'> & { readonly order: string },
): FenceUnderTest => ({
  device,
  clock: world.clock,
  self: 'a',
  victim: 'b',
  requests: () => world.calls().length,
  orders: () => world.calls().filter(({ action, parameters }) => action === rest.order && parameters['DryRun'] !== 'true').length,
  idle: world.idle,
  end: world.end,
  ...rest,
});

fenceContract(test, 'ec2', async () => {
  const world = await startFenceWorld();
  const { emulator } = world;
  return underTest(world, new Ec2FenceDevice(ec2Options(), world.context), {
    order: 'StopInstances',
    isOff: () => emulator.vpc.instances['i-b']!.state === 'stopped',
    rate: { burst: 3 },
    evidence: [/i-b/, /DescribeInstances said stopped/, /Force, SkipOsShutdown/],
    behave: (how) => {
      if (how === 'accepts') emulator.fault({ kind: 'stale', action: 'DescribeInstances', reads: 1_000 });
      if (how === 'dying') emulator.fault({ kind: 'stuck', action: 'StopInstances' });
      if (how === 'silent') emulator.fault({ kind: 'hang', action: '*' });
    },
  });
});

fenceContract(test, 'security-group', async () => {
  const world = await startFenceWorld();
  const { emulator } = world;
  const isolated = (eni: string) => emulator.vpc.interfaces[eni]!.groups.join() === 'sg-isolated';
  return underTest(world, new SecurityGroupFenceDevice(groupOptions(), world.context), {
    order: 'ModifyNetworkInterfaceAttribute',
    isOff: () => isolated('eni-b') && isolated('eni-b2'),
    // Each look that finds both open tells both again.
    rate: { burst: 6, eachSecond: 1.5 },
    evidence: [/eni-b2 sg-isolated/, /no new connections/, /eni-b had sg-app, sg-ssh/],
    behave: (how) => {
      if (how === 'accepts') emulator.fault({ kind: 'stale', action: 'DescribeNetworkInterfaces', reads: 1_000 });
      if (how === 'dying') emulator.fault({ kind: 'throttle', action: 'ModifyNetworkInterfaceAttribute', resource: 'eni-b2' });
      if (how === 'silent') emulator.fault({ kind: 'hang', action: '*' });
    },
  });
});

interface Run {
  readonly world: FenceWorld;
  readonly said: string;
  readonly confirmed: boolean;
  readonly actions: readonly string[];
}

/** Fences b with time passing, `during` at each quarter second; ends after `limitMs` on the clock. */
const fenceB = async (
  t: ExecutionContext,
  given: {
    readonly world?: Parameters<typeof startFenceWorld>[0];
    readonly faults?: readonly FaultWords[];
    readonly device?: (world: FenceWorld) => FenceDevice;
    readonly before?: (world: FenceWorld) => Promise<unknown>;
    readonly during?: (world: FenceWorld, sinceMs: number) => Promise<unknown> | void;
    readonly limitMs?: number;
  },
): Promise<Run> => {
  const world = await startFenceWorld(given.world);
  t.teardown(world.end);
  await given.before?.(world);
  for (const fault of given.faults ?? []) world.emulator.fault(fault);
  const device = given.device?.(world) ?? new Ec2FenceDevice(ec2Options(), world.context);
  const controller = new AbortController();
  const { limitMs = 90_000 } = given;
  let result: { readonly said: string; readonly confirmed: boolean } | null = null;
  const running = device
    .fence({ node: 'b', bootId: 'b', epoch: 3, attempt: 1, signal: controller.signal, limitMs })
    .then(({ evidence }) => (result = { said: evidence, confirmed: true }))
    .catch((error: Error) => (result = { said: error.message, confirmed: false }));
  for (let sinceMs = 0; result === null && sinceMs < limitMs; sinceMs += 250) {
    for (let calm = 0, turns = 0; calm < 2 && turns < 30; turns += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      calm = world.idle() ? calm + 1 : 0;
    }
    await given.during?.(world, sinceMs);
    await world.clock.advanceAsync(250);
  }
  controller.abort(new Error('the time is up'));
  const { said, confirmed } = await running;
  const actions = world.calls().map(({ action, outcome }) => `${action}${outcome === 'ok' ? '' : ` ${outcome}`}`);
  return { world, said, confirmed, actions };
};

const stops = ({ world }: Run) => world.calls().filter(({ action }) => action === 'StopInstances');

test('ec2: one stop by force without a shutdown of the system, then looks two seconds apart', async (t) => {
  const run = await fenceB(t, {});
  t.true(run.confirmed, run.said);
  // The second look is at this very instance: who is being stopped stops nobody.
  t.deepEqual(run.actions.slice(0, 3), ['DescribeInstances', 'DescribeInstances', 'StopInstances']);
  const [stop] = stops(run);
  t.like(stop!.parameters, { 'InstanceId.1': 'i-b', Force: 'true', SkipOsShutdown: 'true' });
  t.is(stops(run).length, 1);
  const looks = run.world
    .calls()
    .filter(({ action, parameters }) => action === 'DescribeInstances' && parameters['InstanceId.1'] === 'i-b');
  for (const [index, { fromMs }] of looks.entries()) t.true(index === 0 || fromMs - looks[index - 1]!.fromMs >= 2_000);
});

test('ec2: an instance that is being stopped itself stops nobody', async (t) => {
  const run = await fenceB(t, {
    before: ({ emulator }) => emulator.change((vpc) => withInstance(vpc, { ...vpc.instances['i-a']!, state: 'stopping' })),
  });
  t.false(run.confirmed);
  t.regex(run.said, /i-a, the instance this runs on, is stopping itself/);
  t.is(stops(run).length, 0);
});

test('ec2: a type on Xen refuses to skip the shutdown: stopped by force alone, and the evidence says so', async (t) => {
  const run = await fenceB(t, { world: { vpc: fenceVpc('m4.large') } });
  t.true(run.confirmed, run.said);
  t.deepEqual(run.actions.slice(2, 4), ['StopInstances OperationNotPermitted', 'StopInstances']);
  t.is(stops(run)[1]!.parameters['SkipOsShutdown'], undefined);
  t.regex(run.said, /StopInstances \(Force\), it was running/);
});

test('ec2: a stopped that is older than our stop does not count, nor two with a running between', async (t) => {
  // The reads go on showing an instance that was stopped a while ago, though it runs again.
  const old = await fenceB(t, {
    limitMs: 20_000,
    before: async ({ emulator }) => {
      await emulator.change((vpc) => withInstance(vpc, { ...vpc.instances['i-b']!, state: 'stopped' }));
      await emulator.change((vpc) => withInstance(vpc, { ...vpc.instances['i-b']!, state: 'running' }));
    },
    faults: [
      { kind: 'stale', action: 'DescribeInstances', reads: 1, times: 1 },
      { kind: 'stuck', action: 'StopInstances' },
    ],
  });
  t.false(old.confirmed, 'only its first look, before the stop, said stopped');
  t.regex(old.said, /last seen: stopping at/);

  let started = 0;
  const between = await fenceB(t, {
    limitMs: 60_000,
    during: async ({ emulator, calls }) => {
      // Somebody starts it as soon as one look has seen it stopped.
      const seen = calls().filter(({ action }) => action === 'DescribeInstances').length;
      if (emulator.vpc.instances['i-b']!.state !== 'stopped' || started > 0 || seen < 3) return;
      started += 1;
      await emulator.change((vpc) => withInstance(startInstance(vpc, 'i-b').vpc, { ...vpc.instances['i-b']!, state: 'running' }));
    },
  });
  t.is(started, 1);
  t.true(between.confirmed, between.said);
  t.true(stops(between).length >= 2, 'it was told again');
  t.is(between.world.emulator.vpc.instances['i-b']!.state, 'stopped');
});

test('ec2: stopping for ever: told again each minute, never confirmed', async (t) => {
  const run = await fenceB(t, { faults: [{ kind: 'stuck', action: 'StopInstances' }], limitMs: 150_000 });
  t.false(run.confirmed);
  t.regex(run.said, /^b is not confirmed off: i-b was last seen: stopping at \d{4}-/);
  t.true(stops(run).length >= 3 && stops(run).length <= 4, `${stops(run).length} stops`);
});

test('ec2: terminated and forgotten instances confirm, unless another instance took the place of the node', async (t) => {
  for (const how of ['terminated', 'absent'] as const) {
    const run = await fenceB(t, { before: ({ emulator }) => emulator.end('i-b', how) });
    t.true(run.confirmed, run.said);
    t.regex(run.said, new RegExp(`refused with \\w+.*said ${how} at .* and ${how} at`));
    const replaced = await fenceB(t, {
      before: async ({ emulator }) => {
        await emulator.end('i-b', how);
        await emulator.change((vpc) => ({
          ...vpc,
          interfaces: { ...vpc.interfaces, 'eni-c': { ...vpc.interfaces['eni-c']!, primary: '10.0.1.11' } },
        }));
      },
    });
    t.false(replaced.confirmed);
    t.regex(replaced.said, /proves nothing: 10\.0\.1\.11 belongs to i-c now/);
  }
});

test('ec2: an id that EC2 does not know confirms nothing where this instance is not known either, or nobody can tell', async (t) => {
  const gone = ({ emulator }: FenceWorld) => emulator.end('i-b', 'absent');
  const region = await fenceB(t, {
    before: async (world) => {
      await gone(world);
      world.emulator.fault({ kind: 'error', action: 'DescribeInstances', resource: 'i-a', code: 'InvalidInstanceID.NotFound' });
    },
  });
  t.false(region.confirmed);
  t.regex(region.said, /this very instance, i-a, is not known there either/);
  const silent = await fenceB(t, { world: { imdsOf: null }, before: gone });
  t.false(silent.confirmed);
  t.regex(silent.said, /metadata does not say which instance this is/);
});

const unfit: [title: string, given: Parameters<typeof fenceB>[1], said: RegExp][] = [
  [
    'the ids are mixed up',
    { device: ({ context }) => new Ec2FenceDevice(ec2Options({ instances: { a: 'i-b', b: 'i-a' } }), context) },
    /i-a is the instance this runs on/,
  ],
  [
    'the id is another machine’s',
    { device: ({ context }) => new Ec2FenceDevice(ec2Options({ instances: { b: 'i-c' } }), context) },
    /i-c has 10\.0\.1\.13 and not 10\.0\.1\.11/,
  ],
  [
    'metadata is silent and no address is checked',
    { world: { imdsOf: null }, device: ({ context }) => new Ec2FenceDevice(ec2Options({ checkAddress: false }), context) },
    /and no address is checked/,
  ],
  [
    'the right to stop is missing',
    { faults: [{ kind: 'deny', action: 'StopInstances' }] },
    /i-b cannot be stopped: StopInstances: not allowed/,
  ],
  [
    'EC2 refuses to stop it at all',
    { faults: [{ kind: 'error', action: 'StopInstances', code: 'UnsupportedOperation', message: 'one-time Spot' }] },
    /refused \(UnsupportedOperation: one-time Spot\)/,
  ],
];
for (const [title, given, said] of unfit) {
  test(`ec2: ${title}: refused at once, and nothing is stopped`, async (t) => {
    const run = await fenceB(t, { limitMs: 10_000, ...given });
    t.false(run.confirmed);
    t.regex(run.said, said);
    t.is(run.world.emulator.vpc.instances['i-a']!.state, 'running');
    t.is(run.world.emulator.vpc.instances['i-b']!.state, 'running');
  });
}

test('ec2: asked too often is waited for with growing pauses, and the fence goes on where it was', async (t) => {
  const run = await fenceB(t, { faults: [{ kind: 'throttle', action: '*', times: 4 }], limitMs: 120_000 });
  t.true(run.confirmed, run.said);
  const throttled = run.world.calls().filter(({ outcome }) => outcome === 'RequestLimitExceeded');
  t.is(throttled.length, 4);
  const gaps = throttled.map(({ fromMs }, index) => (index === 0 ? 0 : fromMs - throttled[index - 1]!.fromMs));
  t.true(gaps[3]! > gaps[2]! && gaps[2]! > gaps[1]! && gaps[1]! >= 2_000, gaps.join());
});

test('ec2: a lost answer to the stop is no answer: it is told again before anything counts', async (t) => {
  const run = await fenceB(t, { faults: [{ kind: 'lost-answer', action: 'StopInstances', times: 1 }] });
  t.true(run.confirmed, run.said);
  t.deepEqual(
    stops(run).map(({ outcome }) => outcome),
    ['lost-answer', 'ok'],
  );
});

test('ec2: check says what would stand in the way, and a type on Xen is no trouble', async (t) => {
  const check = async (
    given: Parameters<typeof startFenceWorld>[0],
    faults: readonly FaultWords[] = [],
    more: Record<string, unknown> = {},
  ) => {
    const world = await startFenceWorld(given);
    t.teardown(world.end);
    for (const fault of faults) world.emulator.fault(fault);
    return new Ec2FenceDevice(ec2Options(more), world.context).check(new AbortController().signal);
  };
  t.is(await check({ vpc: fenceVpc('t2.small') }), null);
  t.regex((await check({}, [{ kind: 'deny', action: 'StopInstances' }]))!, /StopInstances: not allowed/);
  t.regex((await check({}, [], { instances: { b: 'i-gone' } }))!, /i-gone of b is not known to EC2/);
  t.regex((await check({}, [], { instances: {} }))!, /no instance is named for it/);
});

test('security-group: waits its time after the groups are seen, and starts anew when somebody gives a group back', async (t) => {
  let given = 0;
  const run = await fenceB(t, {
    device: ({ context }) => new SecurityGroupFenceDevice(groupOptions(), context),
    during: async ({ emulator }, sinceMs) => {
      if (sinceMs < 20_000 || given > 0) return;
      given += 1;
      await emulator.change((vpc) => setGroups(vpc, 'eni-b', ['sg-app']));
    },
  });
  t.true(run.confirmed, run.said);
  const modified = run.world.calls().filter(({ action }) => action === 'ModifyNetworkInterfaceAttribute');
  t.deepEqual(
    modified.map(({ parameters }) => parameters['NetworkInterfaceId']),
    ['eni-b', 'eni-b2', 'eni-b'],
  );
  t.true(run.world.clock.nowMs() - modified[2]!.fromMs >= 30_000);
});

const leaky: [title: string, more: Record<string, unknown>, said: RegExp][] = [
  ['a group that lets something out', { group: 'sg-leaky' }, /sg-leaky has 0 inbound and 1 outbound rules/],
  ['a group that is not there', { group: 'sg-none' }, /InvalidGroup\.NotFound/],
  ['an ENI that is not listed', { interfaces: { b: ['eni-b'] } }, /i-b also has eni-b2/],
  ['our own ENI', { interfaces: { b: ['eni-a'] } }, /belong to the instance this runs on/],
];
for (const [title, more, said] of leaky) {
  test(`security-group: ${title}: refused, also by check, and nothing is changed`, async (t) => {
    const device = ({ context }: FenceWorld) => new SecurityGroupFenceDevice(groupOptions(more), context);
    const run = await fenceB(t, { device, limitMs: 10_000 });
    t.false(run.confirmed);
    t.regex(run.said, said);
    t.regex((await device(run.world).check(new AbortController().signal))!, said);
    t.false(run.actions.includes('ModifyNetworkInterfaceAttribute'));
  });
}

test('options and rights: what must be said is asked for, and every right is for exact machines', (t) => {
  t.regex(
    SECURITY_GROUP_FENCE_OPTIONS.safeParse({ group: 'sg-1', interfaces: { b: ['eni-1'] } }).error!.issues[0]!.message,
    /acceptOpenConnections: true when it is harmless/,
  );
  t.false(EC2_FENCE_OPTIONS.safeParse({ instances: { b: 'b' } }).success);
  const rights = [
    ...ec2Fence.permissions!(ec2Options({ account: '111122223333' })),
    ...securityGroupFence.permissions!(groupOptions({ account: '111122223333' })),
  ];
  t.deepEqual(
    rights.map(({ actions, resources }) => [actions.join(), resources.join()]),
    [
      ['ec2:StopInstances', 'arn:aws:ec2:*:111122223333:instance/i-a,arn:aws:ec2:*:111122223333:instance/i-b'],
      ['ec2:DescribeInstances,ec2:DescribeNetworkInterfaces', '*'],
      [
        'ec2:ModifyNetworkInterfaceAttribute',
        'arn:aws:ec2:*:111122223333:network-interface/eni-a,arn:aws:ec2:*:111122223333:network-interface/eni-b,arn:aws:ec2:*:111122223333:network-interface/eni-b2,arn:aws:ec2:*:111122223333:security-group/sg-isolated',
      ],
      ['ec2:DescribeNetworkInterfaces,ec2:DescribeSecurityGroups', '*'],
    ],
  );
  const reach = { node: 'b', targets: ['a'] };
  t.deepEqual(ec2Fence.permissions!(ec2Options({ account: '111122223333' }), reach)[0]!.resources, [
    'arn:aws:ec2:*:111122223333:instance/i-a',
  ]);
  t.deepEqual(securityGroupFence.permissions!(groupOptions({ account: '111122223333' }), reach)[0]!.resources, [
    'arn:aws:ec2:*:111122223333:network-interface/eni-a',
    'arn:aws:ec2:*:111122223333:security-group/sg-isolated',
  ]);
});
