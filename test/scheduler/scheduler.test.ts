import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { reasonOf } from '../../core/errors/errors.js';
import { replay } from '../../core/journal/replay.js';
import type { PageReading } from '../../core/ownership/page.js';
import { plan } from '../../core/planner/plan.js';
import type { ActionContext } from '../../core/plugin/contract.js';
import { WarmUp } from '../../core/scheduler/warm-up.js';
import { FakeAgent, group, hook, resource, world } from '../support/controller-world.js';

const listOf = (runDir: string) => join(runDir, 'hardstop', 'g');

test('a lease that is won: the first start begins in the very turn, with its hard-stop list on disk', async (t) => {
  const { agent, guard, loop, runDir } = await world(t);
  let listAtStart = '';
  agent.during = (call) => {
    if (call === 'start vip') listAtStart = readFileSync(listOf(runDir), 'utf8');
    return undefined;
  };
  loop.guardSpoke(guard.setLease('g', { phase: 'held', epoch: 5, holder: 'a' }));
  t.deepEqual(agent.calls, ['start vip']);
  t.is(listAtStart, 'pids g/vip\npids g/app\n');
});

test('the hard-stop list: written while the guard asks for the lease, taken away when it did not get it', async (t) => {
  const { guard, say, runDir, agent } = await world(t);
  await say(guard.setLease('g', { phase: 'acquiring', epoch: 4 }));
  t.true(existsSync(listOf(runDir)));
  await say(guard.setLease('g', { phase: 'observe', epoch: 5, holder: 'b' }));
  t.false(existsSync(listOf(runDir)));
  t.deepEqual(agent.calls, []);
});

test('cgroups are kept ready from the question for the lease to the last start, and not without one', async (t) => {
  const { guard, say, hold, ready } = await world(t);
  t.deepEqual(ready, []);
  await say(guard.setLease('g', { phase: 'acquiring', epoch: 4 }));
  t.deepEqual(ready, [300]);
  await hold();
  t.deepEqual(ready, [300, 1000], 'once for the second resource, while the first is started; nothing comes after the second');
});

test('the warm-up: no agent is called, nothing is planned for good, the resources’ directories are there', async (t) => {
  const { container, agent, runDir, guard, cycle } = await world(t);
  const [calls, wills, last] = [agent.calls.length, guard.said.length, cycle.last];
  container.resolve(WarmUp).run();
  t.deepEqual([agent.calls.length, guard.said.length, cycle.last], [calls, wills, last]);
  t.true(existsSync(join(runDir, 'resources', 'g', 'app')));
  t.false(existsSync(listOf(runDir)));
});

test('a takeover from start to end: in order, one story from incident.begin to incident.end', async (t) => {
  const { agent, hold, events, kinds, guard } = await world(t);
  await hold();
  t.deepEqual(agent.calls, ['start vip', 'start app']);
  t.deepEqual(kinds('incident', 'action', 'group'), [
    'group.state',
    'incident.begin',
    'action.begin vip',
    'action.begin',
    'group.state',
    'action.done',
    'action.done vip',
    'action.begin app',
    'action.done app',
    'group.state',
    'incident.end',
  ]);
  t.like(
    events.find(({ kind }) => kind === 'incident.begin'),
    { incident: 'g.e5', epoch: 5, data: { kind: 'failover', from: 'b', to: 'a' } },
  );
  t.true(events.filter(({ kind }) => kind.startsWith('action.')).every(({ incident }) => incident === 'g.e5'));
  t.like(
    events.find(({ kind }) => kind === 'incident.end'),
    { incident: 'g.e5', data: { state: 'online' } },
  );
  t.like(guard.ordered[0], { key: 'group', set: { addFailover: { epoch: 5, from: 'b', to: 'a' } } });
});

test('a planned move away: stopped in reverse, released with the successor, the list kept until the lease is gone', async (t) => {
  const { agent, guard, hold, say, runDir, events } = await world(t);
  await hold();
  agent.calls.length = 0;
  await say(guard.setOrders('g', { move: { id: 'm1', to: 'b', by: 'op', why: 'kernel' } }));
  t.deepEqual(agent.calls, ['stop app', 'stop vip']);
  t.like(guard.will('g'), { want: 'release', successor: 'b' });
  t.true(existsSync(listOf(runDir)), 'the guard verifies by it before it releases');
  await say(guard.setLease('g', { phase: 'observe', holder: null, record: 'released', successor: 'b' }));
  t.false(existsSync(listOf(runDir)));
  await say(guard.setLease('g', { phase: 'observe', holder: 'b', epoch: 6, record: 'held', successor: null }));
  t.deepEqual(
    events
      .filter(({ incident }) => incident === 'm1')
      .map(({ kind }) => kind)
      .filter((kind) => kind.startsWith('incident')),
    ['incident.begin', 'incident.end'],
  );
});

test('the old holder left because of a fault: a failover with its hooks, not a planned move', async (t) => {
  const { guard, say, events } = await world(t, {
    groups: [group([resource('app')], { hooks: [hook('beforeFailover', ['/bin/true']), hook('beforeSwitchover', ['/bin/false'])] })],
  });
  await say(guard.setOrders('g', { failovers: [{ epoch: 5, from: 'b', to: 'a', because: 'app faulted on b too often' }] }));
  await say(guard.setLease('g', { epoch: 4, holder: null, record: 'released', successor: 'a' }));
  await say(guard.setLease('g', { phase: 'held', epoch: 5, holder: 'a', record: 'held', successor: null }));
  t.like(
    events.find(({ kind }) => kind === 'incident.begin'),
    { incident: 'g.e5', data: { kind: 'failover', from: 'b', to: 'a' } },
  );
  t.deepEqual(
    events.filter(({ kind, data }) => kind === 'action.begin' && data?.['kind'] === 'hook').map(({ data }) => data?.['point']),
    ['beforeFailover'],
  );
});

test('a controller that comes back: looks at everything first, starts nothing that runs, and its failures still count', async (t) => {
  const runDir = mkdtempSync(join(tmpdir(), 'understudy-adopt-'));
  t.teardown(() => rmSync(runDir, { recursive: true, force: true }));
  const first = await world(t, { runDir });
  await first.hold();
  await first.clock.advanceAsync(20);
  first.agent.state.set('app', { state: 'faulted', reason: 'segfault' });
  first.agent.changed.get('app')!();
  await first.clock.advanceAsync(20);
  t.deepEqual(first.agent.calls, ['start vip', 'start app', 'stop app', 'start app']);
  await first.failures.settled();
  first.stop();
  first.agent.calls.length = 0;

  const second = await world(t, { runDir, clock: first.clock, agent: first.agent, guard: first.guard });
  await second.clock.advanceAsync(5000);
  t.deepEqual(second.agent.calls, []);
  t.is(second.cycle.last?.observed.groups['g']?.resources['app']?.failures, 1);
  t.is(second.cycle.last?.plan.verdicts[0]?.state, 'online');
  t.deepEqual(second.kinds('incident'), []);
});

test('an application that dies: seen by its watch, restarted at once, and a new watch stands', async (t) => {
  const { agent, clock, hold, events } = await world(t);
  await hold();
  await clock.advanceAsync(100);
  agent.calls.length = 0;
  agent.state.set('app', { state: 'offline' });
  agent.changed.get('app')!();
  await clock.advanceAsync(0);
  t.is(events.find(({ kind, data }) => kind === 'incident.begin' && data?.['kind'] === 'fault')?.because, 'app: it ended by itself');
  t.deepEqual(
    agent.calls,
    ['stop app', 'start app'].filter((call) => agent.calls.includes(call)),
  );
  t.is(agent.calls.at(-1), 'start app');
  await clock.advanceAsync(20);
  t.true(agent.changed.has('app'));
  t.like(
    events.find(({ kind }) => kind === 'incident.begin' && events.indexOf(events.find((event) => event.kind === 'incident.end')!) > 0),
    { group: 'g' },
  );
  t.is(events.filter(({ kind, data }) => kind === 'incident.begin' && data?.['kind'] === 'fault').length, 1);
});

test('the lease is lost while a start hangs: the start is told to end, and nothing is concluded from it', async (t) => {
  const { agent, guard, say, hold, events, cycle } = await world(t);
  let aborted = false;
  agent.during = (call, { signal }) =>
    call !== 'start vip'
      ? undefined
      : new Promise((_, reject) => signal.addEventListener('abort', () => ((aborted = true), reject(signal.reason))));
  await hold();
  await say(guard.setLease('g', { phase: 'fencing-self', because: 'a conflict on renew' }));
  t.true(aborted);
  t.like(
    events.find(({ kind }) => kind === 'action.failed'),
    { resource: 'vip', data: { outcome: 'stale' } },
  );
  t.is(cycle.last?.observed.groups['g']?.resources['vip']?.startFailed, null);
});

const notHeld: [title: string, page: Partial<PageReading>, words: RegExp][] = [
  ['the page no longer says HELD', { held: false, stopping: true, because: 'the lease is being given up' }, /the lease is being given up/],
  ['the page is of another epoch', { epoch: 2 }, /the page is of epoch 2/],
  ['less is left than the effect needs', { remainingMs: 400 }, /only 400 ms are left/],
];
for (const [title, page, words] of notHeld) {
  test(`before an effect the lease page of that very moment is asked: ${title}`, async (t) => {
    const { agent, guard, hold } = await world(t);
    const said: unknown[] = [];
    agent.during = async (call, context) => {
      if (call !== 'start vip') return;
      const acting = context as ActionContext<unknown>;
      acting.checkLease(500);
      // The guard has not been heard yet: the page alone knows.
      guard.pages.set('g', { ...guard.read('g'), ...page });
      await Promise.resolve();
      try {
        acting.checkLease(500);
      } catch (error) {
        said.push(reasonOf(error));
        throw error;
      }
    };
    await hold();
    t.is(said.length, 1, 'the effect was refused');
    t.regex(String(said[0]), words);
  });
}

test('what the guard stopped when the lease was lost is no failure: with the next lease it is started, not restarted', async (t) => {
  const { agent, clock, guard, say, hold, events } = await world(t);
  await hold();
  await clock.advanceAsync(100);
  await say(guard.setLease('g', { phase: 'fencing-self', because: 'no renewal succeeded' }));
  for (const id of ['app', 'vip']) {
    agent.state.set(id, { state: 'offline' });
    agent.changed.get(id)?.();
  }
  await clock.advanceAsync(100);
  await say(guard.setLease('g', { phase: 'observe', holder: 'b', epoch: 6, because: 'b holds it' }));
  await clock.advanceAsync(2000);
  agent.calls.length = 0;
  await hold(7);
  await clock.advanceAsync(100);
  t.deepEqual(agent.calls, ['start vip', 'start app']);
  t.deepEqual(
    events.filter(({ kind, because }) => kind === 'action.begin' && /restart/.test(because ?? '')),
    [],
  );
  t.deepEqual(
    events.filter(({ kind, data }) => kind === 'incident.begin' && data?.['kind'] === 'fault'),
    [],
  );
});

test('a start that fails: counted as failed here until a clear, with what the agent said', async (t) => {
  const { agent, guard, hold, say, cycle } = await world(t);
  agent.during = (call) => (call === 'start app' ? Promise.reject(new Error('port 80 is in use')) : undefined);
  await hold();
  t.is(cycle.last?.observed.groups['g']?.resources['app']?.startFailed, 'port 80 is in use');
  agent.during = () => undefined;
  await say(guard.setOrders('g', { clears: 1 }));
  t.is(cycle.last?.observed.groups['g']?.resources['app']?.startFailed, null);
});

test('a start that outlives its time: timed out, told so', async (t) => {
  const { agent, clock, hold, cycle } = await world(t);
  agent.during = (call, { signal }) =>
    call === 'start app' ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('told')))) : undefined;
  await hold();
  await clock.advanceAsync(5000);
  t.regex(cycle.last?.observed.groups['g']?.resources['app']?.startFailed ?? '', /longer than 5000 ms/);
});

test('a stop that fails: the group is blocked, the lease is kept; after a clear it is tried again', async (t) => {
  const { agent, guard, hold, say, cycle, clock } = await world(t);
  await hold();
  agent.during = (call) => (call === 'stop app' ? Promise.reject(new Error('it ignores SIGKILL')) : undefined);
  await say(guard.setOrders('g', { want: 'offline', by: 'op', why: 'test' }));
  t.is(cycle.last?.plan.verdicts[0]?.state, 'blocked');
  t.is(guard.will('g')?.want, 'hold');
  t.false(agent.calls.includes('stop vip'));
  agent.during = () => undefined;
  await say(guard.setOrders('g', { clears: 1 }));
  await clock.advanceAsync(2000);
  t.deepEqual(agent.calls.slice(-2), ['stop app', 'stop vip']);
});

test('monitors that throw or come late: unknown, never offline, and nothing is restarted', async (t) => {
  const { agent, clock, hold, cycle } = await world(t);
  await hold();
  await clock.advanceAsync(20);
  agent.calls.length = 0;
  agent.during = (call, { signal }) => {
    if (call === 'monitor vip') throw new Error('RequestLimitExceeded');
    return call === 'monitor app' ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) : undefined;
  };
  await clock.advanceAsync(1700);
  const seen = cycle.last?.observed.groups['g']?.resources;
  t.like(seen?.['vip'], { state: 'unknown', reason: 'RequestLimitExceeded' });
  t.like(seen?.['app'], { state: 'unknown', reason: 'no answer within 500 ms' });
  t.deepEqual(agent.calls, []);
});

test('monitors that answer what is no state: unknown with the answer as the reason, and the controller goes on', async (t) => {
  const { agent, clock, hold, cycle } = await world(t, { groups: [group([resource('app')])] });
  await hold();
  const answers: readonly [answer: unknown, reason: string][] = [
    [undefined, 'its monitor answered undefined: no state of a resource'],
    [null, 'its monitor answered null: no state of a resource'],
    ['banana', "its monitor answered 'banana': no state of a resource"],
    [{ state: 'stopped' }, "its monitor answered { state: 'stopped' }: no state of a resource"],
  ];
  for (const [answer, reason] of answers) {
    // As an agent without types would.
    agent.monitor = async () => answer as never;
    await clock.advanceAsync(1100);
    t.like(cycle.last?.observed.groups['g']?.resources['app'], { state: 'unknown', reason });
  }
  agent.monitor = async () => 'online' as never;
  await clock.advanceAsync(1100);
  t.is(cycle.last?.observed.groups['g']?.resources['app']?.state, 'online');
});

test('two that cannot be told, one behind the other: looked at when due, not without end', async (t) => {
  const { agent, clock, hold } = await world(t);
  await hold();
  await clock.advanceAsync(20);
  let looks = 0;
  agent.monitor = async () => {
    looks += 1;
    throw new Error('it cannot be told');
  };
  await clock.advanceAsync(3000);
  t.true(looks >= 4 && looks <= 12, `${looks} looks at two resources in three periods of a second`);
});

test('a monitor that never settles: one call at a time, then its agent is quarantined; a late end lifts it', async (t) => {
  const { agent, clock, events, quarantine } = await world(t, { groups: [group([resource('app')])] });
  let asked = 0;
  let end: () => void = () => undefined;
  agent.during = () => {
    asked += 1;
    return new Promise<void>((resolve) => (end = resolve));
  };
  await clock.advanceAsync(10_000);
  t.is(asked, 1);
  t.is(events.filter(({ kind }) => kind === 'plugin.quarantined').length, 1);
  t.not(quarantine.reason('fake'), null);
  agent.during = () => undefined;
  end();
  await clock.settle();
  t.is(quarantine.reason('fake'), null);
});

test('a monitor that never settles: after a clear it is asked once more, and believed when it answers', async (t) => {
  const { agent, clock, guard, say, quarantine, cycle } = await world(t, { groups: [group([resource('app')])] });
  let asked = 0;
  agent.during = () => {
    asked += 1;
    return new Promise<void>(() => undefined);
  };
  await clock.advanceAsync(10_000);
  await say(guard.setOrders('g', { clears: 1 }));
  await clock.advanceAsync(10_000);
  t.is(asked, 2, 'one more call for one clear');
  t.not(quarantine.reason('fake'), null);
  agent.during = () => undefined;
  await say(guard.setOrders('g', { clears: 2 }));
  await clock.advanceAsync(5000);
  t.is(quarantine.reason('fake'), null);
  t.is(cycle.last?.observed.groups['g']?.resources['app']?.state, 'offline');
});

test('a plugin that cannot be loaded: only its own resources are unknown', async (t) => {
  const { cycle, clock } = await world(t, { groups: [group([resource('good'), resource('bad', [], { type: 'broken' })])] });
  await clock.advanceAsync(10);
  t.is(cycle.last?.observed.groups['g']?.resources['good']?.state, 'offline');
  t.like(cycle.last?.observed.groups['g']?.resources['bad'], { state: 'unknown', reason: 'it cannot be loaded' });
});

test('the loop was held until the guard ended the process: the agent on the mark is quarantined after the restart', async (t) => {
  const runDir = mkdtempSync(join(tmpdir(), 'understudy-mark-'));
  t.teardown(() => rmSync(runDir, { recursive: true, force: true }));
  const first = await world(t, { runDir, begin: false });
  first.quarantine.marked('fake', 'monitor of g/app', () => {
    // Killed here: the next controller of this boot finds the mark, 5 s later.
    const mark = readFileSync(join(runDir, 'calling'), 'utf8');
    t.regex(mark, /^fake\tmonitor of g\/app\tboot-a\t\d+ *\n$/);
    first.clock.pause(5000);
    second = world(t, { runDir, clock: first.clock, begin: false });
  });
  t.regex((await second!).quarantine.reason('fake') ?? '', /held the controller's loop/);
  t.is((await world(t, { runDir, clock: first.clock, begin: false })).quarantine.reason('fake'), null);
});

test('an agent that ended the process is quarantined after the restart, however soon that comes', async (t) => {
  const runDir = mkdtempSync(join(tmpdir(), 'understudy-mark-'));
  t.teardown(() => rmSync(runDir, { recursive: true, force: true }));
  const first = await world(t, { runDir, begin: false });
  first.quarantine.ending('fake', 'its process.exit(3)');
  const next = await world(t, { runDir, clock: first.clock, begin: false });
  t.is(next.quarantine.reason('fake'), 'its process.exit(3) ended the controller');
  t.is((await world(t, { runDir, clock: first.clock, begin: false })).quarantine.reason('fake'), null);
});
let second: ReturnType<typeof world> | undefined;

test('the holder finds its address gone: put right and looked at again; never without the lease, never in maintenance', async (t) => {
  const agent = new FakeAgent();
  const asserted: string[] = [];
  agent.reassert = async ({ resource: id, checkLease }, found) => {
    checkLease();
    asserted.push(`${id}: ${found.reason}`);
    agent.state.set(id, { state: 'online' });
  };
  const { guard, clock, hold, say, kinds } = await world(t, { agent, groups: [group([resource('vip')])] });
  await hold();
  await clock.advanceAsync(20);
  agent.state.set('vip', { state: 'faulted', reason: 'the address is gone' });
  await clock.advanceAsync(1000);
  t.deepEqual(asserted, ['vip: the address is gone']);
  t.true(kinds().includes('resource.reasserted vip'));
  t.deepEqual(agent.calls, ['start vip'], 'no restart was needed');
  await say(guard.setOrders('g', { maintenance: true }));
  agent.state.set('vip', { state: 'faulted', reason: 'the address is gone' });
  await clock.advanceAsync(2000);
  t.is(asserted.length, 1);
});

test('wills: each cycle, and at least every second while nothing happens', async (t) => {
  const { guard, clock } = await world(t, { groups: [group([resource('app', [], { everyMs: 60_000 })])] });
  const before = guard.said.length;
  await clock.advanceAsync(5000);
  t.true(guard.said.length - before >= 5, `${guard.said.length - before}`);
});

test('an order that the arbiter refuses: tried again with a growing gap, not in every cycle', async (t) => {
  const { guard, clock, hold } = await world(t);
  guard.refuse = 'the arbiter is silent';
  await hold();
  await clock.advanceAsync(10_000);
  t.true(guard.ordered.length >= 3 && guard.ordered.length <= 5, `${guard.ordered.length} tries`);
});

test('a hook before the start that aborts: nothing is started, the reason stands in the journal', async (t) => {
  const { agent, hold, events, clock } = await world(t, {
    groups: [group([resource('vip')], { hooks: [hook('beforeStart', ['/bin/false'], { onFailure: 'abort' })] })],
  });
  await hold();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await clock.settle();
  t.deepEqual(
    agent.calls.filter((call) => call.startsWith('start')),
    [],
  );
  t.like(
    events.find(({ kind }) => kind === 'hook.failed'),
    { data: { point: 'beforeStart', onFailure: 'abort' } },
  );
});

test('a plan with actions: its input is captured, and the same planner says the same again', async (t) => {
  const { hold, captures } = await world(t);
  t.is(captures.length, 0);
  await hold();
  t.true(captures.length >= 2);
  t.is(captures[0]?.plan?.actions[0]?.kind, 'start');
  for (const capture of captures) t.deepEqual(replay(JSON.parse(JSON.stringify(capture)), plan).differences, []);
});
