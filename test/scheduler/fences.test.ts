// Fences from the controller's side: levels and their deadlines, the pace of attempts, who may ask, and that nothing starts
// before the guard holds. The devices are made up; what they observe is what the test says.
import test from 'ava';
import type { FenceDevice, FenceRequest } from '../../core/plugin/contract.js';
import { FenceCheck } from '../../core/scheduler/fence-check.js';
import { Fences } from '../../core/scheduler/fences.js';
import type { Fence, FenceHandle } from '../../core/scheduler/ports.js';
import type { LeaseView } from '../../core/model/lease.js';
import { FakeClock } from '../support/fake-clock.js';
import { FakeGuard, group, resource, world } from '../support/controller-world.js';

type Behaviour = (request: FenceRequest) => Promise<{ readonly evidence: string }>;

interface Fake extends FenceHandle {
  behaviour: Behaviour;
  trouble: string | null;
  readonly calls: FenceRequest[];
}

const fake = (name: string, behaviour: Behaviour, { nodes = null as readonly string[] | null, limitMs = 1_000 } = {}): Fake => {
  const calls: FenceRequest[] = [];
  const made: Fake = {
    name,
    nodes,
    behaviour,
    trouble: null,
    calls,
    open: async () => ({ device, limitMs }),
    close: async () => undefined,
  };
  const device: FenceDevice = {
    fence: (request) => {
      calls.push(request);
      return made.behaviour(request);
    },
    check: async () => made.trouble,
    close: async () => undefined,
  };
  return made;
};
/** Time passes in steps, and whatever follows from each is done. */
const pass = async (clock: FakeClock, ms: number) => {
  for (let left = ms; left > 0; left -= 500) {
    clock.advance(Math.min(500, left));
    await clock.settle();
  }
};
const off: Behaviour = async ({ node }) => ({ evidence: `${node} is off` });
const fails: Behaviour = async () => {
  throw new Error('UnauthorizedOperation');
};
const hangs: Behaviour = () => new Promise(() => undefined);

const bench = (levels: Fence['levels']) => {
  const clock = new FakeClock();
  const events: { kind: string; because?: string }[] = [];
  const journal = { write: (event: never) => void events.push(event), sync: async () => undefined, close: async () => undefined };
  const self = { cluster: 'c', node: 'a', bootId: 'boot-a', runDir: '', logDir: '', platform: 'linux' as const };
  const fences = new Fences(clock, journal, self, { levels });
  const order = (change: Partial<Parameters<Fences['fence']>[0]> = {}) =>
    fences.fence({ node: 'b', bootId: 'boot-b', epoch: 4, group: 'g', forbidden: () => null, ...change });
  return { clock, events, fences, order, kinds: () => events.map(({ kind }) => kind) };
};

const levels: [title: string, levels: Fake[][], expected: string | RegExp, called: number[]][] = [
  ['one device', [[fake('x', off)]], 'x: b is off', [1]],
  ['all devices of a level', [[fake('x', off), fake('y', off)]], 'x: b is off; y: b is off', [1, 1]],
  ['the second level when the first fails', [[fake('x', fails)], [fake('y', off)]], 'y: b is off', [1, 1]],
  ['not the second level when the first confirms', [[fake('x', off)], [fake('y', off)]], 'x: b is off', [1, 0]],
  ['half a level is no level', [[fake('x', off), fake('y', fails)]], /^y: UnauthorizedOperation$/, [1, 1]],
  [
    'after a failure the rest of its level is not asked',
    [[fake('x', fails), fake('y', off)], [fake('z', fails)]],
    /^x: Unauth.*; z: /,
    [1, 0, 1],
  ],
  ['devices of other nodes are not asked', [[fake('x', off, { nodes: ['a'] })], [fake('y', off, { nodes: ['b'] })]], 'y: b is off', [0, 1]],
  ['nobody can', [[fake('x', off, { nodes: ['a'] })]], /no configured fence can power it off/, [0]],
  ['evidence without words', [[fake('x', async () => ({ evidence: '' }))]], /without saying what it saw/, [1]],
];
for (const [title, given, expected, called] of levels) {
  test(`levels: ${title}`, async (t) => {
    const { order } = bench(given);
    if (typeof expected === 'string') t.deepEqual(await order(), { evidence: expected });
    else await t.throwsAsync(order(), { message: expected });
    t.deepEqual(
      given.flat().map(({ calls }) => calls.length),
      called,
    );
  });
}

test('a device that does not answer: its own deadline, then the next level; it is not called again before it has ended', async (t) => {
  const [slow, next] = [fake('x', hangs, { limitMs: 5_000 }), fake('y', fails)];
  const { clock, order } = bench([[slow], [next]]);
  const first = t.throwsAsync(order(), { code: 'FENCE_FAILED', message: /x: no confirmation within 5000 ms; y: Unauth/ });
  await pass(clock, 8_000);
  await first;
  t.true(slow.calls[0]?.signal.aborted);
  t.is(slow.calls[0]?.limitMs, 5_000);
  next.behaviour = off;
  await pass(clock, 2_000);
  t.deepEqual(await order(), { evidence: 'y: b is off' });
  t.is(slow.calls.length, 1);
});

test('an attempt that nobody may want any more is ended while its device is at work; the next boot is another matter', async (t) => {
  let ended: unknown = null;
  const device = fake(
    'x',
    ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject((ended = signal.reason)))),
    { limitMs: 60_000 },
  );
  const { clock, fences, order } = bench([[device]]);
  let back = false;
  const attempt = t.throwsAsync(order({ forbidden: () => (back ? 'b is heard in another boot' : null) }), {
    message: /no longer to be fenced/,
  });
  await pass(clock, 1_000);
  fences.withdraw();
  t.is(ended, null);
  back = true;
  fences.withdraw();
  await attempt;
  t.regex(String(ended), /heard in another boot/);
  device.behaviour = off;
  t.deepEqual(await order({ bootId: 'boot-b2', epoch: 5 }), { evidence: 'x: b is off' });
});

test('attempts are made 2 s, 4 s, 8 s … 5 min apart, and a request in between calls no device', async (t) => {
  const device = fake('x', fails);
  const { clock, fences, order } = bench([[device]]);
  const pauses: number[] = [];
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    await t.throwsAsync(order(), { code: 'FENCE_FAILED' });
    await t.throwsAsync(order(), { code: 'REFUSED', message: /the last attempt failed/ });
    t.is(device.calls.length, attempt);
    t.is(device.calls.at(-1)?.attempt, attempt);
    t.like(fences.facts()['b'], { running: false, failures: attempt, because: 'x: UnauthorizedOperation' });
    pauses.push(fences.waitMs('b'));
    await pass(clock, fences.waitMs('b'));
  }
  t.deepEqual(
    pauses,
    [2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((seconds) => seconds * 1000),
  );
});

test('however many groups wait for it, a boot is fenced once, and each of them gets the evidence', async (t) => {
  let confirm: (value: { evidence: string }) => void = () => undefined;
  const device = fake('x', () => new Promise((resolve) => (confirm = resolve)));
  const { clock, order } = bench([[device]]);
  const waiting = [order({ group: 'g' }), order({ group: 'h', epoch: 9 })];
  await clock.settle();
  await t.throwsAsync(order({ bootId: 'boot-b2' }), { message: /another boot of it is being fenced/ });
  confirm({ evidence: 'off' });
  t.deepEqual(await Promise.all(waiting), [{ evidence: 'x: off' }, { evidence: 'x: off' }]);
  t.deepEqual(await order({ group: 'i' }), { evidence: 'x: off' });
  t.is(device.calls.length, 1);
  // A later boot is another matter.
  const again = order({ bootId: 'boot-b2' });
  await clock.settle();
  confirm({ evidence: 'off again' });
  t.deepEqual(await again, { evidence: 'x: off again' });
});

test('what a device sees while it waits is a fact of the attempt under way, bounded, and gone with it', async (t) => {
  let end: () => void = () => undefined;
  const device = fake('x', ({ tell }) => {
    tell?.('i-b is stopping');
    return new Promise((_, reject) => (end = () => reject(new Error('no'))));
  });
  const { clock, fences, order } = bench([[device]]);
  const ordered = t.throwsAsync(order());
  await clock.settle();
  t.like(fences.facts()['b'], { running: true, seen: 'x: i-b is stopping' });
  device.calls[0]?.tell?.('y'.repeat(10_000));
  t.true((fences.facts()['b']?.seen?.length ?? 0) < 300);
  end();
  await ordered;
  device.calls[0]?.tell?.('late');
  t.is(fences.facts()['b']?.seen, undefined);
});

test('never this node itself; and no device once nobody may any more', async (t) => {
  const [first, second] = [fake('x', fails), fake('y', off)];
  const { order } = bench([[first], [second]]);
  await t.throwsAsync(order({ node: 'a' }), { message: /it is this node/ });
  await t.throwsAsync(order({ forbidden: () => (first.calls.length === 0 ? null : 'the epoch is lost') }), {
    message: /the epoch is lost/,
  });
  t.deepEqual([first.calls.length, second.calls.length], [1, 0]);
});

const owed = (change: Partial<LeaseView> = {}): Partial<LeaseView> => ({
  phase: 'fencing',
  epoch: 5,
  holder: 'a',
  record: 'fencing',
  fencing: [{ node: 'b', bootId: 'boot-b', epoch: 4, proof: null }],
  because: 'W has passed',
  ...change,
});
const required = { fencing: 'required' as const, fenceable: ['a', 'b'] };

test('the epoch, the fence, the start: evidence goes to the guard for that boot and epoch, and only its word starts anything', async (t) => {
  const device = fake('x', off);
  const { agent, guard, say, kinds, clock } = await world(t, { desired: required, fence: { levels: [[device]] } });
  await say(guard.setLease('g', owed()));
  t.deepEqual(guard.confirmed, [{ group: 'g', node: 'b', bootId: 'boot-b', forEpoch: 4, evidence: 'x: b is off' }]);
  t.like(device.calls[0], { node: 'b', bootId: 'boot-b', epoch: 4, attempt: 1 });
  t.false(agent.calls.some((call) => call.startsWith('start')));
  // The guard has not said anything yet: neither a start nor a second fence.
  await pass(clock, 10_000);
  t.is(device.calls.length, 1);
  t.false(agent.calls.some((call) => call.startsWith('start')));
  await say(guard.setLease('g', { phase: 'held', record: 'held', fencing: [], because: 'b is fenced for epoch 4' }));
  await pass(clock, 10);
  t.true(agent.calls.includes('start vip'));
  t.true(kinds('fence.').includes('fence.confirmed'));
});

test('a fence that fails: nothing starts, the verdict says what failed and what to type, no hot loop', async (t) => {
  const device = fake('x', fails);
  const { agent, guard, say, clock, cycle } = await world(t, { desired: required, fence: { levels: [[device]] } });
  await say(guard.setLease('g', owed()));
  await pass(clock, 60_000);
  t.true(device.calls.length >= 4 && device.calls.length <= 6, `${device.calls.length} attempts in a minute`);
  const verdict = cycle.last?.plan.verdicts[0];
  t.like(verdict, { state: 'blocked', rule: 'fencing' });
  t.regex(verdict?.because ?? '', /the fence of b failed \d times, .*: x: UnauthorizedOperation/);
  t.regex(verdict?.nextCommand ?? '', /understudy fence confirm b/);
  t.deepEqual(guard.confirmed, []);
  t.false(agent.calls.some((call) => call.startsWith('start')));
});

test('the epoch is lost while the first level runs: the second is not asked', async (t) => {
  let fail: (error: Error) => void = () => undefined;
  const [first, second] = [fake('x', () => new Promise((_resolve, reject) => (fail = reject))), fake('y', off)];
  const { guard, say, clock } = await world(t, { desired: required, fence: { levels: [[first], [second]] } });
  await say(guard.setLease('g', owed()));
  await say(guard.setLease('g', { phase: 'observe', epoch: 6, holder: 'c', record: 'held', fencing: [] }));
  fail(new Error('timeout'));
  await clock.settle();
  t.is(second.calls.length, 0);
});

test('a proof that comes from elsewhere ends the fencing before its next device', async (t) => {
  const device = fake('x', fails);
  const { guard, say, clock } = await world(t, { desired: required, fence: { levels: [[device]] } });
  await say(guard.setLease('g', owed()));
  await say(guard.setLease('g', { phase: 'held', record: 'held', fencing: [], because: 'b says that epoch 4 is stopped there' }));
  await pass(clock, 60_000);
  t.is(device.calls.length, 1);
});

test('two groups that wait for one node: one call, evidence for each', async (t) => {
  const device = fake('x', off);
  const groups = [group([resource('vip')], { id: 'g' }), group([resource('vip')], { id: 'h' })];
  const guard = new FakeGuard(['g', 'h']);
  const { say } = await world(t, { groups, guard, desired: required, fence: { levels: [[device]] } });
  guard.setLease('g', owed());
  await say(guard.setLease('h', owed({ epoch: 9, fencing: [{ node: 'b', bootId: 'boot-b', epoch: 8, proof: null }] })));
  t.is(device.calls.length, 1);
  t.deepEqual(
    guard.confirmed.map((one) => (one as { forEpoch: number }).forEpoch).sort((one, other) => one - other),
    [4, 8],
  );
});

test('policy watchdog: the start does not wait, the fence runs beside it', async (t) => {
  const device = fake('x', hangs);
  const { agent, guard, say, clock } = await world(t, { desired: { fenceable: ['b'] }, fence: { levels: [[device]] } });
  await say(
    guard.setLease('g', {
      phase: 'held',
      epoch: 5,
      holder: 'a',
      unproven: { node: 'b', bootId: 'boot-b', epoch: 4, proof: null },
      because: 'W',
    }),
  );
  await pass(clock, 50);
  t.true(agent.calls.includes('start vip'));
  t.is(device.calls.length, 1);
});

test('a device that could not fence: an alarm with its reason, asked again at a slow pace, gone when it is mended', async (t) => {
  const device = fake('cloud', off);
  device.trouble = 'UnauthorizedOperation';
  const clock = new FakeClock();
  const events: { kind: string }[] = [];
  const journal = { write: (event: never) => void events.push(event), sync: async () => undefined, close: async () => undefined };
  const check = new FenceCheck(clock, journal, { levels: [[device]] });
  check.start();
  await clock.settle();
  t.deepEqual(check.alarms(), ['fence device cloud cannot be used: UnauthorizedOperation']);
  t.like(check.states()[0], { name: 'cloud', level: 1, trouble: 'UnauthorizedOperation' });
  device.trouble = null;
  await pass(clock, 29_000);
  t.is(check.alarms().length, 1);
  await pass(clock, 2_000);
  t.deepEqual(check.alarms(), []);
  t.deepEqual(
    events.map(({ kind }) => kind),
    ['fence.unusable', 'fence.usable'],
  );
  t.is(device.calls.length, 0);
  await check.stop();
});
