// What holds in every world: plans keep their invariants in any observation, however contradictory; a plan is right after
// being cut anywhere; a world left alone comes to rest; two nodes never run one group; healed, everything is online.
import test from 'ava';
import fc from 'fast-check';
import type { DesiredGroup, DesiredResource, DesiredState } from '../../core/model/desired.js';
import type { GroupOrders, LeasePhase, RecordState } from '../../core/model/lease.js';
import type { ObservedGroup, ObservedNode, ObservedResource, ObservedState } from '../../core/model/observed.js';
import type { ActionKind } from '../../core/model/plan.js';
import { NO_GROUP_ORDERS } from '../../core/model/lease.js';
import { assertPlan } from '../../core/planner/invariants.js';
import { plan } from '../../core/planner/plan.js';
import { readyActions } from '../../core/planner/ready.js';
import { applyAction } from '../../core/planner/simulate.js';
import { clusterOf, groupOf, hookOf, PlannerWorld, resourceOf } from '../support/planner-world.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 300);
const NODES = ['a', 'b', 'c'] as const;

/** Whoever performs an action, by name: a kind without one must not compile, a kind that is planned must stand here. */
const PERFORMERS: Readonly<Record<ActionKind, string>> = {
  probe: 'agent.monitor',
  start: 'agent.start',
  stop: 'agent.stop',
  promote: 'agent.promote',
  demote: 'agent.demote',
  fence: 'fence',
  hook: 'hooks',
  orders: 'guard.orders',
};

const often = <T>(usual: T, rare: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: rare });
const reason = fc.option(fc.constant('it broke'), { nil: null });

const arbGroup: fc.Arbitrary<DesiredGroup> = fc.integer({ min: 1, max: 6 }).chain((size) =>
  fc
    .record({
      resources: fc.tuple(...Array.from({ length: size }, (_, at) => arbResource(at))),
      prefer: fc.shuffledSubarray([...NODES], { minLength: 1 }),
      failback: fc.constantFrom('never', 'manual', 'immediate'),
      takeover: fc.constantFrom('lease', 'preempt'),
      max: fc.integer({ min: 0, max: 3 }),
      hooks: fc.subarray([hookOf('beforeFailover'), hookOf('afterFailover'), hookOf('beforeSwitchover'), hookOf('afterSwitchover')]),
    })
    .map(({ resources, prefer, failback, takeover, max, hooks }) =>
      groupOf('g', resources, { prefer, failback, takeover, hooks, failover: { max, withinMs: 3_600_000 } }),
    ),
);

const arbResource = (at: number): fc.Arbitrary<DesiredResource> =>
  fc
    .record({
      after: fc.subarray(Array.from({ length: at }, (_, one) => `r${one}`)),
      critical: often(true, fc.constant(false)),
      operations: often<DesiredResource['operations']>('on-off', fc.constantFrom('on-only', 'none')),
      promotable: often(false, fc.constant(true)),
      fencedByEpoch: fc.boolean(),
      tolerance: fc.constantFrom(1, 1, 3),
      unknownLimit: fc.constantFrom(0, 0, 3),
      max: fc.integer({ min: 0, max: 2 }),
    })
    .map(({ max, promotable, ...given }) =>
      resourceOf(`r${at}`, { ...given, promotable: promotable && given.operations !== 'none', restart: { max, withinMs: 600_000 } }),
    );

const arbSeen: fc.Arbitrary<ObservedResource> = fc.record({
  state: fc.constantFrom('online', 'online', 'offline', 'offline', 'faulted', 'unknown'),
  reason: fc.constantFrom('', 'it broke'),
  degraded: fc.constant(null),
  source: fc.constantFrom('monitor', 'probe', 'start', 'stop'),
  ageMs: fc.integer({ min: 0, max: 20_000 }),
  badRow: fc.integer({ min: 0, max: 4 }),
  unknownRow: fc.integer({ min: 0, max: 4 }),
  failures: often(0, fc.integer({ min: 1, max: 4 })),
  startFailed: often(null, reason),
  stopFailed: often(null, reason),
  role: fc.constantFrom(null, 'primary', 'secondary'),
});

const arbOrders: fc.Arbitrary<GroupOrders> = fc.record({
  want: often<'online' | 'offline'>('online', fc.constant('offline')),
  move: often<GroupOrders['move']>(
    null,
    fc.constantFrom(...NODES).map((to) => ({ id: 'm', to, by: 'ops', why: 'work' })),
  ),
  frozen: often(false, fc.constant(true)),
  maintenance: often(false, fc.constant(true)),
  clears: fc.constant(0),
  failovers: fc.array(
    fc.record({
      epoch: fc.integer({ min: 1, max: 6 }),
      from: fc.constantFrom(...NODES),
      to: fc.constantFrom(...NODES),
      because: fc.constant('lost'),
    }),
    { maxLength: 3 },
  ),
  by: fc.constant('ops'),
  why: fc.constant('work'),
});

const arbNode = (id: string, self: boolean): fc.Arbitrary<ObservedNode> =>
  fc.record({
    id: fc.constant(id),
    state: self ? fc.constant('member' as const) : fc.constantFrom('member', 'member', 'suspect', 'lost', 'unseen'),
    orders: fc.record({
      standby: often(false, fc.constant(true)),
      maintenance: often(false, fc.constant(true)),
      by: fc.constant('ops'),
      why: fc.constant('work'),
    }),
    cfgHash: fc.constantFrom('c1', 'c1', 'c1', 'c2', null),
    reportAgeMs: fc.constantFrom(100, 100, 9_000, null),
    groups: fc.constantFrom(
      {},
      { g: { resources: {}, blockers: [] } },
      { g: { resources: {}, blockers: [] } },
      { g: { resources: {}, blockers: ['full'] } },
    ),
  });

const arbHere = (group: DesiredGroup): fc.Arbitrary<ObservedGroup> =>
  fc
    .record({
      phase: fc.constantFrom<LeasePhase>(
        'held',
        'held',
        'held',
        'observe',
        'observe',
        'idle',
        'acquiring',
        'releasing',
        'fencing-self',
        'fencing',
      ),
      record: fc.constantFrom<RecordState>('held', 'held', 'released', 'absent', 'held-unknown', 'unread', 'fencing'),
      holder: fc.constantFrom(...NODES),
      successor: fc.constantFrom(null, ...NODES),
      epoch: fc.integer({ min: 1, max: 6 }),
      proven: fc.boolean(),
      orders: arbOrders,
      failovers: fc.integer({ min: 0, max: 4 }),
      transition: fc.option(
        fc.record({
          kind: fc.constantFrom('failover', 'switchover', 'start'),
          from: fc.constantFrom(null, ...NODES),
          hooksDone: fc.subarray(['beforeFailover', 'afterFailover', 'beforeSwitchover', 'afterSwitchover']),
          aborted: often(null, reason),
          fenced: reason,
        }),
        { nil: null },
      ),
      seen: fc.tuple(...group.resources.map(() => fc.option(arbSeen, { nil: undefined, freq: 8 }))),
      flights: fc.tuple(
        ...group.resources.map(() => often<ActionKind | null>(null, fc.constantFrom('probe', 'start', 'stop', 'promote', 'demote'))),
      ),
    })
    .map(({ phase, record, holder, successor, epoch, proven, orders, failovers, transition, seen, flights }) => ({
      id: 'g',
      orders,
      failovers,
      transition,
      lease: {
        group: 'g',
        phase,
        epoch,
        record: phase === 'held' || phase === 'fencing' ? phase : record,
        fencing: phase === 'fencing' ? [{ node: 'b', bootId: 'b1', epoch: epoch - 1, proof: proven ? 'seen off' : null }] : [],
        unproven:
          phase === 'held' && epoch % 2 === 0 ? { node: 'c', bootId: 'c1', epoch: epoch - 1, proof: proven ? 'seen off' : null } : null,
        successor: record === 'released' ? successor : null,
        inSync: [],
        remainingMs: 0,
        recordAgeMs: 10,
        because: 'so',
        holder: phase === 'held' || phase === 'fencing' ? 'a' : record === 'held' || record === 'fencing' ? holder : null,
      },
      resources: Object.fromEntries(group.resources.flatMap(({ id }, at) => (seen[at] === undefined ? [] : [[id, seen[at]]]))),
      inFlight: group.resources.flatMap(({ id, operations, promotable }, at) => {
        const kind = flights[at] ?? null;
        const possible =
          kind !== null &&
          operations !== 'none' &&
          (operations !== 'on-only' || kind !== 'stop') &&
          (promotable || (kind !== 'promote' && kind !== 'demote'));
        return possible ? [{ kind, resource: id, sinceMs: 5 }] : [];
      }),
    }));

const arbWorld: fc.Arbitrary<readonly [DesiredState, ObservedState]> = fc
  .tuple(arbGroup, fc.constantFrom('required', 'watchdog', 'none'), fc.subarray([...NODES]))
  .chain(([group, fencing, fenceable]) =>
    fc
      .record({
        here: arbHere(group),
        a: arbNode('a', true),
        b: arbNode('b', false),
        c: arbNode('c', false),
        unfit: often<readonly string[]>([], fc.constant(['lag'])),
      })
      .map(
        ({ here, a, b, c, unfit }) =>
          [
            clusterOf([group], { nodes: [...NODES], fencing, fenceable }),
            {
              self: 'a',
              nowMs: 0,
              nodes: { a, b, c },
              groups: { g: here },
              arbiter: { state: 'ok', ageMs: 1, because: 'ok' },
              selfBlockers: unfit,
            },
          ] as const,
      ),
  );

test('any observation at all: the plan keeps its invariants, and each kind of action has a performer', (t) => {
  fc.assert(
    fc.property(arbWorld, ([desired, observed]) => {
      const made = plan(desired, observed);
      assertPlan(desired, observed, made);
      for (const { kind } of made.actions) if (!(kind in PERFORMERS)) throw new Error(`nobody performs ${kind}`);
    }),
    { numRuns: numRuns * 3, includeErrorInReport: true },
  );
  t.pass();
});

test('the same facts give the same plan', (t) => {
  fc.assert(
    fc.property(arbWorld, ([desired, observed]) => JSON.stringify(plan(desired, observed)) === JSON.stringify(plan(desired, observed))),
    { numRuns: Math.ceil(numRuns / 4) },
  );
  t.pass();
});

test('cut after any action, in any order, with failures: each next plan keeps its invariants, and the last one is empty', (t) => {
  const arbCuts = fc.array(
    fc.record({
      pick: fc.nat(),
      fails: often(false, fc.constant(true)),
      found: fc.constantFrom('online', 'offline', 'offline', 'unknown', 'faulted'),
    }),
    { minLength: 80, maxLength: 80 },
  );
  fc.assert(
    fc.property(arbWorld, arbCuts, ([desired, first], cuts) => {
      let observed = withoutFlights(first);
      for (const { pick, fails, found } of cuts) {
        const made = plan(desired, observed);
        assertPlan(desired, observed, made);
        const ready = readyActions(made, new Set());
        if (ready.length === 0) {
          if (made.actions.length > 0) throw new Error('nothing may begin, but something is planned');
          return;
        }
        const action = ready[pick % ready.length];
        if (action === undefined) return;
        // Notes and fences that fail are simply tried again for ever.
        const failed = fails && action.kind !== 'orders' && action.kind !== 'fence' ? 'it broke' : null;
        observed = applyAction(desired, observed, action, { failed, found: found as 'online' });
      }
      throw new Error('the plan does not become empty');
    }),
    { numRuns, includeErrorInReport: true },
  );
  t.pass();
});

const withoutFlights = (observed: ObservedState): ObservedState => ({
  ...observed,
  groups: Object.fromEntries(Object.entries(observed.groups).map(([id, group]) => [id, { ...group, inFlight: [] }])),
});

const EVENTS = [
  'cycle',
  'power-off',
  'lost',
  'power-on',
  'fault',
  'die',
  'unknown',
  'move',
  'standby',
  'unstandby',
  'freeze',
  'maintenance',
  'offline',
  'ease',
  'restart-controller',
  'fail-start',
  'fail-stop',
  'unfit',
  'window',
] as const;

const happen = (world: PlannerWorld, event: (typeof EVENTS)[number], node: string, at: number): void => {
  const resource = world.desired.groups[0]?.resources[at % (world.desired.groups[0]?.resources.length ?? 1)]?.id ?? '';
  const here = world.here(node);
  const awake = here.state === 'member';
  const order = (change: Partial<GroupOrders>): void => {
    world.orders['g'] = { ...(world.orders['g'] ?? NO_GROUP_ORDERS), ...change };
  };
  switch (event) {
    case 'cycle':
      world.cycle(1 + (at % 3));
      return;
    case 'power-off':
      if (awake) world.powerOff(node);
      return;
    case 'lost':
      if (here.state === 'suspect') here.state = 'lost';
      return;
    case 'power-on':
      world.powerOn(node);
      return;
    case 'fault':
    case 'die':
    case 'unknown':
      // Only what runs can go bad; the rest would be a second copy by decree of the test.
      if (awake && world.at(node, 'g').truth[resource] === 'online')
        world.see(node, 'g', resource, event === 'fault' ? 'faulted' : event === 'die' ? 'offline' : 'unknown', 'it broke');
      return;
    case 'move':
      return order({ move: { id: `m${at}`, to: node, by: 'ops', why: 'work' } });
    case 'standby':
      here.orders = { ...here.orders, standby: true };
      return;
    case 'unstandby':
      here.orders = { ...here.orders, standby: false };
      return;
    case 'freeze':
      return order({ frozen: true });
    case 'maintenance':
      return order({ maintenance: true });
    case 'offline':
      return order({ want: 'offline' });
    case 'ease':
      return order({ frozen: false, maintenance: false, want: 'online' });
    case 'restart-controller':
      if (awake) world.restartController(node);
      return;
    case 'fail-start':
      world.failing[`start ${node} g/${resource}`] = 'it broke';
      return;
    case 'fail-stop':
      world.failing[`stop ${node} g/${resource}`] = 'it broke';
      return;
    case 'unfit':
      here.selfBlockers.push('lag');
      return;
    case 'window':
      world.forgotten['g'] = world.orders['g']?.failovers.length ?? 0;
      return;
  }
};

/** Nodes on which something runs that may run only on the holder. */
const active = (world: PlannerWorld): readonly string[] =>
  world.desired.nodes.filter(
    (node) =>
      world.here(node).state === 'member' &&
      (world.desired.groups[0]?.resources ?? []).some(
        ({ id, operations, promotable }) => operations === 'on-off' && !promotable && world.at(node, 'g').truth[id] === 'online',
      ),
  );

test('a cluster in which anything happens: never active on two nodes; healed, online on exactly one', (t) => {
  const arbEvents = fc.array(
    fc.tuple(
      fc.constantFrom('cycle' as const, 'cycle' as const, 'cycle' as const, 'cycle' as const, ...EVENTS),
      fc.constantFrom(...NODES),
      fc.nat(20),
    ),
    { maxLength: 60 },
  );
  const plain = arbGroup
    .filter(
      ({ resources }) =>
        resources.every(({ operations }) => operations !== 'none') &&
        resources.some(({ operations, promotable }) => operations === 'on-off' && !promotable),
    )
    .map((group) => ({ ...group, prefer: [...NODES] }));
  fc.assert(
    fc.property(plain, arbEvents, (group, events) => {
      const world = new PlannerWorld(clusterOf([group], { nodes: [...NODES] }));
      for (const [event, node, at] of events) {
        happen(world, event, node, at);
        const now = active(world);
        if (now.length > 1) throw new Error(`active on ${now.join(' and ')} after ${event} ${node}`);
      }
      for (const node of NODES) {
        world.powerOn(node);
        world.here(node).selfBlockers.length = 0;
        happen(world, 'unstandby', node, 0);
        // Monitors have had time to tell, and to tell so often that it counts.
        for (const { id } of group.resources) {
          const truth = world.at(node, 'g').truth[id] ?? 'offline';
          if (truth !== 'online' && truth !== 'offline') world.see(node, 'g', id, 'faulted', 'it broke', 5);
          else if (world.at(node, 'g').resources[id]?.state !== truth || (world.at(node, 'g').resources[id]?.badRow ?? 0) > 0)
            world.see(node, 'g', id, truth, '', 5);
        }
      }
      for (const key of Object.keys(world.failing)) delete world.failing[key];
      happen(world, 'ease', 'a', 0);
      world.orders['g'] = { ...(world.orders['g'] ?? NO_GROUP_ORDERS), move: null };
      // Twice: what was cut off before the healing may still end in a failover too many.
      for (let time = 0; time < 2; time++) {
        world.clear('g');
        world.run();
      }
      const holder = NODES.filter((node) => world.at(node, 'g').phase === 'held');
      if (holder.length !== 1) throw new Error(`held by ${holder.join(' and ') || 'nobody'}`);
      const verdict = world.plan(holder[0] ?? '').verdicts[0];
      if (verdict?.state !== 'online') throw new Error(`${verdict?.state} [${verdict?.rule}]: ${verdict?.because}`);
      if (active(world).join() !== holder.join()) throw new Error(`held by ${holder[0]}, active on ${active(world).join() || 'none'}`);
    }),
    { numRuns, includeErrorInReport: true },
  );
  t.pass();
});
