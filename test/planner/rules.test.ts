// The rule table row by row, and the order of neighbours that would both match: the order is the policy, so each pair whose
// comment says "before" has a case here in which the later row would have matched as well.
import test from 'ava';
import { factsOf, type Facts } from '../../core/planner/facts.js';
import { decide, RULES } from '../../core/planner/rules.js';
import { CLEAN } from '../../core/planner/simulate.js';
import { clusterOf, groupOf, hookOf, PlannerWorld, resourceOf } from '../support/planner-world.js';

/** The holder a, everything online, b ready; changed by a case. */
const holder = (change: (world: PlannerWorld) => void, self = 'a'): Facts => {
  const group = groupOf('db', [resourceOf('vip'), resourceOf('pg', { after: ['vip'] }), resourceOf('jobs', { critical: false })], {
    failback: 'immediate',
    hooks: [hookOf('beforeFailover')],
  });
  const world = new PlannerWorld(clusterOf([group], { fencing: 'required' }));
  world.holds('a', 'db', 3);
  change(world);
  return factsOf(world.desired, world.view(self), group);
};

const orders = (world: PlannerWorld, change: object): void => {
  world.orders['db'] = { ...world.orders['db']!, ...change };
};
const move = { id: 'm', to: 'b', by: 'ops', why: 'patch day' };
const standby = (world: PlannerWorld, node: string): void => {
  world.here(node).orders = { standby: true, maintenance: false, by: 'ops', why: 'patch day' };
};
const broken = (world: PlannerWorld): void => {
  Object.assign(world.at('a', 'db').resources, { pg: { ...CLEAN, state: 'faulted', badRow: 1, failures: 3 } });
};
const set = (world: PlannerWorld, id: string, change: object, node = 'a'): void => {
  Object.assign(world.at(node, 'db').resources, { [id]: { ...(world.at(node, 'db').resources[id] ?? CLEAN), ...change } });
};
const failover = (world: PlannerWorld, change: object = {}): void => {
  world.at('a', 'db').transition = { kind: 'failover', from: 'b', hooksDone: [], aborted: null, fenced: 'b was fenced', ...change };
  for (const id of ['vip', 'pg', 'jobs']) set(world, id, { state: 'offline' });
};
const waiting = (world: PlannerWorld): void => {
  failover(world);
  world.at('a', 'db').phase = 'fencing';
  Object.assign(world.record('db'), { state: 'fencing', fencing: [{ node: 'b', bootId: 'b1', epoch: 2, proof: null }] });
};
const gone = (world: PlannerWorld, state: 'suspect' | 'lost' = 'lost'): void => {
  world.here('a').state = state;
};
const alone = (world: PlannerWorld): void => {
  world.here('a').state = 'unseen';
  world.withoutStore['b'] = { node: 'a', bootId: 'a1', epoch: 1, fence: false };
};
const unread = (world: PlannerWorld): void => {
  world.at('a', 'db').phase = 'observe';
  world.record('db').state = 'unread';
};

const cases: readonly (readonly [rule: string, situation: string, facts: Facts])[] = [
  ['record-unread', 'record unread', holder(unread)],
  ['record-unread', 'record unread and maintenance ordered', holder((w) => (unread(w), orders(w, { maintenance: true })))],
  [
    'fencing-self',
    'the guard stops everything, in maintenance too',
    holder((w) => ((w.at('a', 'db').phase = 'fencing-self'), orders(w, { maintenance: true }))),
  ],
  [
    'releasing',
    'the guard releases, in maintenance too',
    holder((w) => ((w.at('a', 'db').phase = 'releasing'), orders(w, { maintenance: true }))),
  ],
  [
    'maintenance',
    'group in maintenance, and a stop failed',
    holder((w) => (orders(w, { maintenance: true }), set(w, 'pg', { stopFailed: 'busy' }))),
  ],
  [
    'maintenance',
    'node in maintenance, and a resource faulted',
    holder((w) => (broken(w), (w.here('a').orders = { standby: false, maintenance: true, by: 'ops', why: '' }))),
  ],
  [
    'stop-failed',
    'a stop failed, and offline is ordered',
    holder((w) => (set(w, 'pg', { stopFailed: 'busy' }), orders(w, { want: 'offline' }))),
  ],
  [
    'stop-failed',
    'a stop failed where the lease is elsewhere, though it is still active',
    holder((w) => set(w, 'pg', { state: 'online', stopFailed: 'busy' }, 'b'), 'b'),
  ],
  [
    'acquiring',
    'the guard acquires, and something is active here',
    holder((w) => ((w.at('b', 'db').phase = 'acquiring'), set(w, 'pg', { state: 'online' }, 'b')), 'b'),
  ],
  [
    'unexpected-active',
    'active without the lease, and frozen',
    holder((w) => (set(w, 'pg', { state: 'online' }, 'b'), orders(w, { frozen: true })), 'b'),
  ],
  ['claim', 'active without the lease, but the record names this node', holder((w) => (w.at('a', 'db').phase = 'observe'))],
  ['offline-by-order', 'offline ordered, and frozen', holder((w) => orders(w, { want: 'offline', frozen: true }), 'b')],
  ['frozen-standby', 'frozen, and the holder lost', holder((w) => (orders(w, { frozen: true }), gone(w)), 'b')],
  ['gave-up', 'too many failovers, the holder lost, and this node on standby', holder((w) => (over(w, 3), gone(w), standby(w, 'b')), 'b')],
  ['alone', 'two nodes without a store, and the holder by the record was never heard', holder((w) => alone(w), 'b')],
  ['standing-by', 'too many failovers, but the holder lives', holder((w) => over(w, 3), 'b')],
  ['standing-by', 'the holder lives, and this node is on standby', holder((w) => standby(w, 'b'), 'b')],
  ['blocked', 'the holder lost, and this node on standby', holder((w) => (gone(w), standby(w, 'b')), 'b')],
  ['holder-lost', 'the holder silent', holder((w) => gone(w, 'suspect'), 'b')],
  ['claim', 'released', holder((w) => Object.assign(w.record('db'), { state: 'released', holder: null }), 'b')],
  ['frozen', 'frozen, and offline ordered', holder((w) => orders(w, { frozen: true, want: 'offline' }))],
  ['want-offline', 'offline ordered, and a move', holder((w) => orders(w, { want: 'offline', move }))],
  ['move', 'a move, and this node on standby', holder((w) => (orders(w, { move }), standby(w, 'a')))],
  [
    'node-standby',
    'this node on standby, and a move to a lost node',
    holder((w) => (orders(w, { move }), standby(w, 'a'), (w.here('b').state = 'lost'))),
  ],
  [
    'arbiter-lost',
    'without the arbiter for long, a better place, and a resource faulted',
    holder((w) => ((w.failsafe['db'] = { silentMs: 61_000, by: ['b'], trouble: null, fence: [], moveTo: 'b' }), broken(w))),
  ],
  ['node-standby', 'this node on standby, and a resource faulted', holder((w) => (standby(w, 'a'), broken(w)))],
  ['give-up', 'beyond its restarts, the last failover used up, and the other node ready', holder((w) => (broken(w), over(w, 2)))],
  [
    'waiting-offline',
    'an earlier holder is not proven down, and offline is ordered',
    holder((w) => (waiting(w), orders(w, { want: 'offline' }))),
  ],
  [
    'waiting-standby',
    'the same, and this node is on standby and frozen',
    holder((w) => (waiting(w), standby(w, 'a'), orders(w, { frozen: true }))),
  ],
  ['waiting-frozen', 'the same, frozen', holder((w) => (waiting(w), orders(w, { frozen: true })))],
  ['fencing', 'the same, and a start had failed here', holder((w) => (waiting(w), set(w, 'pg', { startFailed: 'exit 1' })))],
  ['maintenance', 'the same, in maintenance', holder((w) => (waiting(w), orders(w, { maintenance: true })))],
  [
    'failover-aborted',
    'a hook said no, and a start had failed here',
    holder((w) => (failover(w, { aborted: 'no' }), set(w, 'pg', { startFailed: 'exit 1' }))),
  ],
  [
    'fault-move',
    'beyond its restarts, another failed once',
    holder((w) => (broken(w), set(w, 'vip', { state: 'faulted', badRow: 1, failures: 1 }))),
  ],
  [
    'fault-stay',
    'beyond its restarts, the other node lost, another failed once',
    holder((w) => (broken(w), set(w, 'vip', { state: 'faulted', badRow: 1, failures: 1 }), (w.here('b').state = 'lost'))),
  ],
  [
    'failback',
    'a preferred node is ready, and a resource failed once',
    holder(
      (w) => (w.holds('b', 'db', 4), (w.at('a', 'db').phase = 'observe'), set(w, 'pg', { state: 'faulted', badRow: 1, failures: 1 }, 'b')),
      'b',
    ),
  ],
  [
    'restart',
    'a resource failed once, another was never looked at',
    holder((w) => (set(w, 'pg', { state: 'faulted', badRow: 1, failures: 1 }), delete w.at('a', 'db').resources['jobs'])),
  ],
  [
    'probe',
    'one was never looked at, one is stopped',
    holder((w) => (delete w.at('a', 'db').resources['pg'], set(w, 'vip', { state: 'offline' }))),
  ],
  ['start', 'one is stopped, one cannot be told', holder((w) => (set(w, 'pg', { state: 'offline' }), set(w, 'vip', { state: 'unknown' })))],
  [
    'unknown',
    'a critical one cannot be told, another is beyond its restarts but not critical',
    holder((w) => (set(w, 'vip', { state: 'unknown' }), set(w, 'jobs', { state: 'faulted', badRow: 1, failures: 3 }))),
  ],
  [
    'partial',
    'one that is not critical is beyond its restarts',
    holder((w) => set(w, 'jobs', { state: 'faulted', badRow: 1, failures: 3 })),
  ],
  [
    'online',
    'everything is online, and a move waits for a silent node',
    holder((w) => (orders(w, { move }), (w.here('b').state = 'suspect'))),
  ],
];

function over(world: PlannerWorld, count: number): void {
  orders(world, { failovers: Array.from({ length: count }, (_, at) => ({ epoch: at - 9, from: 'a', to: 'b', because: 'earlier' })) });
}

for (const [rule, situation, facts] of cases) {
  test(`${situation}: ${rule}`, (t) => {
    const decided = decide(facts);
    t.is(decided.rule, rule);
    t.not(decided.because, '');
  });
}

test('every row has a case, an id of its own, and the last one matches everything', (t) => {
  const ids = RULES.map(({ id }) => id);
  t.is(new Set(ids).size, ids.length);
  t.deepEqual(
    ids.filter((id) => !cases.some(([rule]) => rule === id)),
    [],
  );
  t.true(cases.every(([, , facts]) => RULES.at(-1)?.when(facts)));
});

test('each case is decided by the order: without the rows before, a later one would have been taken in at least half of them', (t) => {
  const contested = cases.filter(([rule, , facts]) => {
    const at = RULES.findIndex(({ id }) => id === rule);
    return RULES.slice(at + 1, -1).some((later) => later.when(facts));
  });
  t.true(contested.length * 2 >= cases.length, `${contested.length} of ${cases.length}`);
});
