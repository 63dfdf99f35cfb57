// A resource that runs on both sides (a mirror), the whole way through the controller: seen as secondary on the standby, promoted
// under the lease and nothing before, demoted before the lease is given back; what speaks against a takeover; and an operator's force.
import test from 'ava';
import { checkOrder } from '../../core/api/order-check.js';
import { statusView } from '../../core/api/status-view.js';
import { isMirrorStatus, type MirrorStatus } from '../../core/model/mirror.js';
import type { ActionContext } from '../../core/plugin/contract.js';
import { FakeAgent, group, lease, resource, world } from '../support/controller-world.js';

const MIRROR: MirrorStatus = {
  mode: 'sync',
  primary: 'b',
  connection: 'connected',
  disks: { a: 'Inconsistent', b: 'UpToDate' },
  dirtyBytes: 3_200_000,
  lagBytes: 0,
  lagMs: 0,
  resync: { to: 'a', doneBytes: 43, ofBytes: 100, etaMs: 9_000, paused: false },
};

class Mirror extends FakeAgent {
  forced: (boolean | undefined)[] = [];

  async promote(context: ActionContext<unknown>): Promise<void> {
    this.calls.push(`promote ${context.resource}`);
    this.forced.push(context.forced);
    context.checkLease();
    await this.during(`promote ${context.resource}`, context);
    this.state.set(context.resource, { state: 'online', role: 'primary' });
  }

  async demote(context: ActionContext<unknown>): Promise<void> {
    this.calls.push(`demote ${context.resource}`);
    await this.during(`demote ${context.resource}`, context);
    this.state.set(context.resource, { state: 'online', role: 'secondary' });
  }
}

const GROUPS = [group([resource('data', [], { promotable: true, operations: 'on-only' }), resource('fs', ['data'])])];
const begun = async (t: Parameters<typeof world>[0]) => {
  const agent = new Mirror();
  agent.state.set('data', { state: 'online', role: 'secondary' });
  const made = await world(t, { groups: GROUPS, agent, definition: { promotable: true, operations: 'on-only' } });
  return { ...made, agent };
};
const changing = (calls: readonly string[]) => calls.filter((call) => !call.startsWith('monitor'));

test('standby: nothing is started, promoted or stopped, and it may take the group', async (t) => {
  const { agent, guard, say, clock } = await begun(t);
  await say(guard.setLease('g', { phase: 'observe', mirror: { stale: [], forced: false, lacks: null } }));
  await clock.advanceAsync(1_100);
  t.deepEqual(changing(agent.calls), []);
  t.like(guard.will('g'), { want: 'hold', blockers: [] });
});

test('holder: promoted first, then what stands on it; on the way out demoted last, never stopped', async (t) => {
  const { agent, guard, hold, say, clock } = await begun(t);
  await hold();
  await clock.advanceAsync(50);
  t.deepEqual(changing(agent.calls), ['promote data', 'start fs']);
  t.deepEqual(agent.forced, [false]);
  agent.calls.length = 0;
  await say(guard.setOrders('g', { want: 'offline' }));
  await clock.advanceAsync(50);
  t.deepEqual(changing(agent.calls), ['stop fs', 'demote data']);
  t.is(guard.will('g')?.want, 'release');
});

test('holder whose demote fails: the lease is kept', async (t) => {
  const { agent, guard, hold, say, clock } = await begun(t);
  await hold();
  await clock.advanceAsync(50);
  agent.during = (call) => (call === 'demote data' ? Promise.reject(new Error('2 requests are under way')) : undefined);
  await say(guard.setOrders('g', { want: 'offline' }));
  await clock.advanceAsync(50);
  t.is(guard.will('g')?.want, 'hold');
});

test('holder whose promote is refused at once, while a look finds nothing wrong: asked again after a second, not at once', async (t) => {
  const { agent, hold, clock } = await begun(t);
  agent.during = (call) => (call === 'promote data' ? Promise.reject(new Error('it is being promoted already')) : undefined);
  await hold();
  const promotions = () => agent.calls.filter((call) => call === 'promote data').length;
  await clock.advanceAsync(900);
  t.is(promotions(), 1);
  await clock.advanceAsync(200);
  t.is(promotions(), 2);
});

test('standby whose copy is behind: no wish for the lease, in the agent’s words and the guard’s', async (t) => {
  const { agent, guard, say, clock } = await begun(t);
  agent.state.set('data', { state: 'online', role: 'secondary', blockers: ['data on a is Inconsistent: resync 43 %'], mirror: MIRROR });
  const lacks = 'the copy of a is not in sync by the lease record (in sync: b)';
  await say(guard.setLease('g', { phase: 'observe', inSync: ['b'], mirror: { stale: [], forced: false, lacks } }));
  await clock.advanceAsync(1_100);
  t.like(guard.will('g'), { want: 'none', blockers: [lacks, 'data on a is Inconsistent: resync 43 %'] });

  agent.state.set('data', { state: 'faulted', reason: 'nobody answers on its socket' });
  await clock.advanceAsync(1_100);
  t.deepEqual(guard.will('g')?.blockers, [lacks, 'data is faulted on a: nobody answers on its socket']);
});

test('status: the mirror as it is seen here, and who is in sync', async (t) => {
  const { agent, guard, say, clock, cycle } = await begun(t);
  agent.state.set('data', { state: 'online', role: 'secondary', mirror: MIRROR });
  await say(guard.setLease('g', { phase: 'observe', inSync: ['a', 'b'], mirror: { stale: ['a'], forced: false, lacks: null } }));
  await clock.advanceAsync(1_100);
  const view = statusView({ ...cycle.last!, guard: guard.view(), since: () => null, alarms: [], devices: [] });
  t.deepEqual(view.mirrors, [{ id: 'g/data', ...MIRROR, resync: MIRROR.resync!, inSync: ['b'] }]);

  agent.state.set('data', { state: 'online', role: 'secondary', mirror: { ...MIRROR, lagMs: 'much' } as never });
  await clock.advanceAsync(1_100);
  t.deepEqual(statusView({ ...cycle.last!, guard: guard.view(), since: () => null, alarms: [], devices: [] }).mirrors, []);
});

test('the shape of a mirror’s word: what a plugin or a peer may say', (t) => {
  t.true(isMirrorStatus(MIRROR));
  t.true(isMirrorStatus({ ...MIRROR, resync: null, suspended: 'the peer is silent' }));
  for (const wrong of [null, [], {}, { ...MIRROR, mode: 1 }, { ...MIRROR, dirtyBytes: -1 }, { ...MIRROR, lagBytes: Number.NaN }])
    t.false(isMirrorStatus(wrong));
  for (const wrong of [
    { disks: { a: 1 } },
    { disks: [] },
    { primary: 2 },
    { suspended: 1 },
    { resync: {} },
    { resync: { ...MIRROR.resync, etaMs: '1' } },
  ])
    t.false(isMirrorStatus({ ...MIRROR, ...wrong }));
});

test('taken by force: the promotion is told so', async (t) => {
  const { agent, guard, say, clock } = await begun(t);
  await say(
    guard.setLease('g', { phase: 'held', epoch: 5, holder: 'a', because: 'forced', mirror: { stale: [], forced: true, lacks: null } }),
  );
  await clock.advanceAsync(50);
  t.deepEqual(agent.forced, [true]);
});

test('force: typed once more, with a reason, and only where there is no better way', async (t) => {
  const { guard, say, cycle, clock } = await begun(t);
  const lacks = 'the copy of a is not in sync by the lease record (in sync: b)';
  const lost = { peers: guard.current.peers.map((peer) => ({ ...peer, state: 'lost' as const })) };
  const set = async (change: Parameters<typeof guard.setLease>[1]) => {
    await say(guard.setLease('g', change));
    await clock.advanceAsync(50);
  };
  const force = (more: object = {}) =>
    checkOrder({ verb: 'start', group: 'g', confirm: 'g', by: 'kim', why: 'b burnt down', acceptDataLoss: true, ...more }, cycle.last!, {
      by: 'kim',
      why: 'b burnt down',
      moveId: 'm',
    });
  await set({ phase: 'observe', epoch: 7, holder: 'b', record: 'held', inSync: ['b'], mirror: { stale: [], forced: false, lacks } });
  t.throws(() => force(), { message: /it runs on b/ });
  guard.current = { ...guard.current, ...lost };
  await set({});
  for (const wrong of [{ confirm: 'h' }, { confirm: undefined }, { why: undefined }, { by: undefined }])
    t.throws(() => force(wrong), { message: /needs the name of the group once more, and a reason/ });
  t.throws(() => force({ node: 'zz' }), { message: /no node "zz"/ });
  t.like(force().requests, [
    { key: 'group', group: 'g', set: { want: 'online', forced: { node: 'a', epoch: 7, by: 'kim', why: 'b burnt down' } } },
  ]);
  t.like(force({ node: 'b' }).requests, [{ set: { forced: { node: 'b', epoch: 7 } } }]);
  t.is(
    checkOrder({ verb: 'start', group: 'g' }, cycle.last!, { by: '', why: '', moveId: 'm' }).requests[0]?.set.hasOwnProperty('forced'),
    false,
  );
  await set({ mirror: { stale: [], forced: false, lacks: null } });
  t.throws(() => force(), { message: /the copy of a may be used as it is/ });
  await set({ record: 'unread', mirror: { stale: [], forced: false, lacks } });
  t.throws(() => force(), { message: /lease record is not known here/ });
  await set({ ...lease('g'), mirror: null });
  t.throws(() => force(), { message: /it has no mirror/ });
});

test('forced: the order lifts what stands against it here, at this epoch and at no other', async (t) => {
  const { agent, guard, say, clock } = await begun(t);
  agent.state.set('data', { state: 'online', role: 'secondary', blockers: ['data on a is Outdated'] });
  await say(
    guard.setLease('g', {
      phase: 'observe',
      epoch: 7,
      holder: null,
      record: 'released',
      mirror: { stale: [], forced: false, lacks: null },
    }),
  );
  await clock.advanceAsync(1_100);
  t.deepEqual(guard.will('g')?.blockers, ['data on a is Outdated']);
  const forced = { node: 'a', epoch: 7, by: 'kim', why: 'x' };
  await say(guard.setOrders('g', { forced }));
  await clock.advanceAsync(50);
  t.like(guard.will('g'), { want: 'hold', blockers: [] });
  await say(guard.setOrders('g', { forced: { ...forced, epoch: 6 } }));
  await clock.advanceAsync(50);
  t.is(guard.will('g')?.want, 'none');
});
