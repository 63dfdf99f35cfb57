// A whole cluster as the planner sees it: nodes, one lease record and one orders record per group, and a guard so simple that
// it is always right (it acquires for the best will, releases when told). Actions end in the cycle that begins them. No time:
// what would pass by itself (W, windows) passes when told. Invariant: each plan made here went through assertPlan.
import type { DesiredGroup, DesiredResource, DesiredState, HookPoint } from '../../core/model/desired.js';
import type { GroupOrders, LeasePhase, LeaseView, NodeOrders, PeerState, RecordState, Will } from '../../core/model/lease.js';
import { type FailsafeView, NO_GROUP_ORDERS, NO_NODE_ORDERS } from '../../core/model/lease.js';
import type {
  FenceFact,
  InFlight,
  ObservedGroup,
  ObservedNode,
  ObservedResource,
  ObservedState,
  ResourceState,
  Transition,
} from '../../core/model/observed.js';
import type { Action, Plan } from '../../core/model/plan.js';
import { statusOf } from '../../core/planner/failures.js';
import { assertPlan } from '../../core/planner/invariants.js';
import { plan } from '../../core/planner/plan.js';
import { readyActions } from '../../core/planner/ready.js';
import { applyAction, CLEAN } from '../../core/planner/simulate.js';

export const resourceOf = (id: string, given: Partial<DesiredResource> = {}): DesiredResource => ({
  id,
  type: 'app-script',
  options: {},
  after: [],
  critical: true,
  operations: 'on-off',
  promotable: false,
  fencedByEpoch: false,
  everyMs: 10_000,
  monitorTimeoutMs: 5_000,
  startTimeoutMs: 30_000,
  stopTimeoutMs: 30_000,
  tolerance: 1,
  unknownLimit: 0,
  restart: { max: 2, withinMs: 600_000 },
  ...given,
});

export const groupOf = (id: string, resources: readonly DesiredResource[], given: Partial<DesiredGroup> = {}): DesiredGroup => ({
  id,
  prefer: ['a', 'b'],
  failback: 'never',
  takeover: 'lease',
  resources,
  failover: { max: 2, withinMs: 3_600_000 },
  hooks: [],
  ...given,
});

export const clusterOf = (groups: readonly DesiredGroup[], given: Partial<DesiredState> = {}): DesiredState => ({
  cluster: 'test',
  cfgHash: 'c1',
  nodes: ['a', 'b'],
  fencing: 'watchdog',
  groups,
  timing: TIMING,
  ...given,
});

const TIMING: DesiredState['timing'] = {
  profile: 'lan',
  heartbeatMs: 40,
  suspectAfterMs: 220,
  renewMs: 250,
  attemptMs: 250,
  softMs: 500,
  selfFenceMs: 1_250,
  stopBudgetMs: 750,
  watchdogMs: 2_000,
  watchdogGranularityMs: 0,
  petMaxAgeMs: 300,
  pollMs: 100,
  marginMs: 100,
  driftRatio: 0.01,
  takeoverWaitMs: 3_000,
  rankDelayMs: 50,
  arbiterRttMs: 100,
  steadyMs: 60_000,
};

export const hookOf = (point: HookPoint): DesiredGroup['hooks'][number] => ({
  point,
  name: `./${point}.sh`,
  run: { kind: 'script', argv: [`./${point}.sh`] },
  order: 'normal',
  timeoutMs: 10_000,
  onFailure: 'abort',
  on: 'all',
  platform: 'any',
});

interface GroupHere {
  phase: LeasePhase;
  resources: Record<string, ObservedResource>;
  /** What really runs, whatever was seen. */
  truth: Record<string, ResourceState>;
  transition: Transition | null;
  inFlight: InFlight[];
  blockers: readonly string[] | null;
}

interface NodeHere {
  state: PeerState;
  orders: NodeOrders;
  cfgHash: string;
  selfBlockers: string[];
  reports: boolean;
  groups: Record<string, GroupHere>;
}

interface RecordHere {
  state: RecordState;
  epoch: number;
  holder: string | null;
  successor: string | null;
  /** Earlier holders that must be proven down; with state `fencing`. */
  fencing?: LeaseView['fencing'];
  unproven?: LeaseView['unproven'];
}

export class PlannerWorld {
  readonly nodes: Record<string, NodeHere> = {};
  readonly records: Record<string, RecordHere> = {};
  readonly orders: Record<string, GroupOrders> = {};
  /** What the holder's guard says of its failsafe, by group. */
  readonly failsafe: Record<string, FailsafeView | null> = {};
  /** Who is in sync by the record, of groups with a mirror. */
  readonly inSync: Record<string, readonly string[]> = {};
  /** Two nodes without a store: the other node as each node's guard names it. */
  readonly withoutStore: Record<string, NonNullable<LeaseView['withoutStore']>> = {};
  /** Failovers that no longer count: their windows have passed or they were cleared. */
  readonly forgotten: Record<string, number> = {};
  /** `start a g/r` → why it fails. */
  readonly failing: Record<string, string> = {};
  readonly fences: Record<string, FenceFact> = {};
  arbiter: 'ok' | 'silent' = 'ok';
  /** Called with a line for everything that happens. */
  onLine: (line: string) => void = () => undefined;

  constructor(readonly desired: DesiredState) {
    for (const node of desired.nodes) {
      this.nodes[node] = { state: 'member', orders: NO_NODE_ORDERS, cfgHash: desired.cfgHash, selfBlockers: [], reports: true, groups: {} };
      for (const group of desired.groups) this.here(node).groups[group.id] = this.fresh(group, 'offline');
    }
    for (const { id } of desired.groups) {
      this.records[id] = { state: 'absent', epoch: 0, holder: null, successor: null };
      this.orders[id] = NO_GROUP_ORDERS;
      this.forgotten[id] = 0;
    }
  }

  here(node: string): NodeHere {
    const here = this.nodes[node];
    if (here === undefined) throw new Error(`no node ${node}`);
    return here;
  }

  at(node: string, group: string): GroupHere {
    const at = this.here(node).groups[group];
    if (at === undefined) throw new Error(`no group ${group}`);
    return at;
  }

  record(group: string): RecordHere {
    const record = this.records[group];
    if (record === undefined) throw new Error(`no group ${group}`);
    return record;
  }

  desiredResource(group: string, resource: string): DesiredResource {
    const found = this.desired.groups.find(({ id }) => id === group)?.resources.find(({ id }) => id === resource);
    if (found === undefined) throw new Error(`no resource ${group}/${resource}`);
    return found;
  }

  private fresh(group: DesiredGroup, state: ResourceState): GroupHere {
    return {
      phase: 'observe',
      transition: null,
      inFlight: [],
      blockers: [],
      resources: Object.fromEntries(
        group.resources.map(({ id, operations }) => [id, { ...CLEAN, state: operations === 'none' ? 'online' : state }]),
      ),
      truth: Object.fromEntries(group.resources.map(({ id, operations }) => [id, operations === 'none' ? 'online' : state])),
    };
  }

  /** The group runs on `node` in `epoch`, everything online. */
  holds(node: string, group: string, epoch: number): void {
    this.records[group] = { state: 'held', epoch, holder: node, successor: null };
    const at = this.at(node, group);
    at.phase = 'held';
    for (const [id, seen] of Object.entries(at.resources)) {
      at.resources[id] = {
        ...seen,
        state: 'online',
        source: 'monitor',
        role: this.desiredResource(group, id).promotable ? 'primary' : null,
      };
      at.truth[id] = 'online';
    }
  }

  /** What `self` observes. */
  view(self: string): ObservedState {
    const groups: Record<string, ObservedGroup> = {};
    for (const { id } of this.desired.groups) {
      const { phase, resources, transition, inFlight } = this.at(self, id);
      const { state, epoch, holder, successor, fencing = [], unproven = null } = this.record(id);
      const orders = this.orders[id] ?? NO_GROUP_ORDERS;
      groups[id] = {
        id,
        orders,
        failovers: orders.failovers.length - (this.forgotten[id] ?? 0),
        transition,
        resources: { ...resources },
        inFlight: [...inFlight],
        lease: {
          group: id,
          phase,
          epoch,
          holder,
          record: state,
          successor,
          fencing,
          unproven: phase === 'held' ? unproven : null,
          inSync: this.inSync[id] ?? [],
          mirror: this.mirror(self, id, phase),
          remainingMs: phase === 'held' ? 1_000 : 0,
          failsafe: phase === 'held' ? (this.failsafe[id] ?? null) : null,
          withoutStore: this.withoutStore[self] ?? null,
          recordAgeMs: state === 'unread' ? null : 10,
          because: `the guard is in ${phase}`,
        },
      };
    }
    const nodes: Record<string, ObservedNode> = {};
    for (const id of this.desired.nodes) nodes[id] = this.peer(id, id === self);
    return {
      self,
      nowMs: 0,
      nodes,
      groups,
      fences: { ...this.fences },
      selfBlockers: this.here(self).selfBlockers,
      arbiter:
        this.arbiter === 'ok'
          ? { state: 'ok', ageMs: 10, because: 'it answers' }
          : { state: 'silent', ageMs: 60_000, because: 'no answer within 250 ms' },
    };
  }

  private mirror(self: string, group: string, phase: LeasePhase): NonNullable<LeaseView['mirror']> | null {
    const inSync = this.inSync[group];
    if (inSync === undefined) return null;
    const forced = this.orders[group]?.forced;
    const may = phase === 'held' || inSync.includes(self) || (forced?.node === self && forced.epoch === this.record(group).epoch);
    const lacks = may ? null : `the copy of ${self} is not in sync by the lease record (in sync: ${inSync.join(', ')})`;
    return { stale: [], forced: false, lacks };
  }

  private peer(id: string, self: boolean): ObservedNode {
    const { state, orders, cfgHash, groups, reports } = this.here(id);
    const report = Object.entries(groups)
      .filter(([, { blockers }]) => blockers !== null)
      .map(([group, { resources, blockers }]) => [group, { resources, blockers: blockers ?? [] }] as const);
    return {
      id,
      state: self ? 'member' : state,
      orders,
      cfgHash,
      reportAgeMs: reports ? 100 : null,
      groups: reports ? Object.fromEntries(report) : {},
    };
  }

  plan(node: string): Plan {
    const observed = this.view(node);
    const desired = { ...this.desired, cfgHash: this.here(node).cfgHash };
    const made = plan(desired, observed);
    assertPlan(desired, observed, made);
    return made;
  }

  /** Nodes whose controllers run. */
  awake(): readonly string[] {
    return this.desired.nodes.filter((node) => this.here(node).state === 'member');
  }

  /** One action ends on `node`: done, or failed as the scenario says. */
  perform(node: string, action: Action): string | null {
    const at = this.at(node, action.group);
    const what = action.resource ?? action.hook ?? action.node ?? '';
    const failed = this.failing[`${action.kind} ${node} ${action.group}/${what}`] ?? null;
    const found = at.truth[what];
    const after = applyAction(this.desired, this.view(node), action, { failed, ...(found === undefined ? {} : { found }) }).groups[
      action.group
    ];
    if (after === undefined) throw new Error(`no group ${action.group}`);
    at.resources = { ...after.resources };
    at.transition = after.transition;
    if (action.kind === 'fence') this.proven(node, action.group, after.lease, failed, action.node ?? '');
    if (action.kind === 'orders') this.orders[action.group] = after.orders;
    if (failed === null && action.kind === 'start') at.truth[what] = 'online';
    if (failed === null && action.kind === 'stop') at.truth[what] = 'offline';
    return failed;
  }

  private proven(node: string, group: string, lease: LeaseView, failed: string | null, target: string): void {
    const before = this.fences[target]?.failures ?? 0;
    if (failed === null) delete this.fences[target];
    else this.fences[target] = { running: false, failures: before + 1, because: failed, waitMs: 2_000 };
    if (lease.phase !== 'held' || this.at(node, group).phase !== 'fencing') return;
    Object.assign(this.at(node, group), { phase: 'held' });
    Object.assign(this.record(group), { state: 'held', fencing: [] });
    this.onLine(`${node}  guard holds ${group}, epoch ${lease.epoch}`);
  }

  /** What peers are told: each node's will, as its controller reports it. */
  report(): void {
    for (const node of this.awake()) for (const will of this.plan(node).wills) this.at(node, will.group).blockers = will.blockers;
  }

  private age(): void {
    for (const { groups } of Object.values(this.nodes))
      for (const at of Object.values(groups))
        for (const [id, seen] of Object.entries(at.resources)) at.resources[id] = { ...seen, ageMs: seen.ageMs + 100 };
  }

  /** One cycle of every controller and guard. Returns whether anything happened. */
  cycle(limit = Number.POSITIVE_INFINITY): boolean {
    this.report();
    this.age();
    let begun = 0;
    const wills = new Map<string, readonly Will[]>();
    for (const node of this.awake()) {
      const made = this.plan(node);
      wills.set(node, made.wills);
      for (const action of readyActions(made, new Set())) {
        if (begun >= limit) break;
        begun++;
        const failed = this.perform(node, action);
        this.onLine(`${node}  ${describe(action)}${failed === null ? '' : ` FAILED: ${failed}`}`);
      }
    }
    const moved = begun === 0 && this.guards(wills);
    return begun > 0 || moved;
  }

  /** The guards' part: releases, then the best will for each free record. */
  private guards(wills: ReadonlyMap<string, readonly Will[]>): boolean {
    let changed = false;
    for (const { id } of this.desired.groups) {
      const record = this.record(id);
      const holder = record.holder;
      const will = holder === null ? undefined : wills.get(holder)?.find(({ group }) => group === id);
      if (holder !== null && will?.want === 'release' && ['held', 'fencing'].includes(this.at(holder, id).phase)) {
        this.records[id] = { ...record, state: 'released', holder: null, successor: will.successor, from: holder } as RecordHere;
        Object.assign(this.at(holder, id), { phase: 'observe', transition: null });
        this.onLine(`${holder}  guard releases ${id}, epoch ${record.epoch}, next ${will.successor ?? 'whoever is first'}`);
        changed = true;
        continue;
      }
      // A holder that came back with another boot is proof as well (SAFETY a.7).
      const rebooted = holder !== null && this.here(holder).state === 'member' && this.at(holder, id).phase === 'observe';
      const free =
        record.state === 'absent' || record.state === 'released' || rebooted || (holder !== null && this.here(holder).state === 'lost');
      if (!free || this.arbiter !== 'ok') continue;
      const best = [...wills]
        .flatMap(([node, list]) =>
          list.filter(({ group, want }) => group === id && want === 'hold').map((one) => ({ node, rank: one.rank })),
        )
        .sort((left, right) => left.rank - right.rank)[0];
      if (best === undefined) continue;
      this.acquire(best.node, id);
      changed = true;
    }
    return changed;
  }

  private acquire(node: string, group: string): void {
    const record = this.record(group) as RecordHere & { from?: string };
    const from = record.holder ?? record.from ?? null;
    const kind = record.state === 'held' ? 'failover' : record.successor === node ? 'switchover' : 'start';
    const epoch = record.epoch + 1;
    if (this.inSync[group]?.includes(node) === false) this.inSync[group] = [node];
    const lost = this.desired.fencing === 'required' && record.state === 'held' && from !== null && this.here(from).state === 'lost';
    const fencing = lost ? [{ node: from, bootId: `${from}1`, epoch: record.epoch, proof: null }] : (record.fencing ?? []);
    const waits = fencing.length > 0;
    this.records[group] = { state: waits ? 'fencing' : 'held', epoch, holder: node, successor: null, fencing };
    Object.assign(this.at(node, group), {
      phase: waits ? 'fencing' : 'held',
      transition: { kind, from, hooksDone: [], aborted: null } satisfies Transition,
    });
    this.onLine(`${node}  guard takes ${group}, epoch ${epoch} (${kind}${from === null ? '' : ` from ${from}`})`);
  }

  /** Until nothing happens any more. */
  run(limit = 100): void {
    for (let step = 0; step < limit; step++) if (!this.cycle()) return;
    throw new Error(`the world does not come to rest within ${limit} cycles`);
  }

  /** Something was seen of a resource, counted as the scheduler counts it. */
  see(node: string, group: string, resource: string, state: ResourceState, reason = '', row = 1): void {
    const at = this.at(node, group);
    const wanted = this.desiredResource(group, resource);
    const before = at.resources[resource] ?? CLEAN;
    const bad = state === 'faulted' || state === 'offline';
    const seen: ObservedResource = {
      ...before,
      state,
      reason,
      source: 'monitor',
      ageMs: 0,
      badRow: bad ? before.badRow + row : state === 'unknown' ? before.badRow : 0,
      unknownRow: state === 'unknown' ? before.unknownRow + row : 0,
    };
    const counts = statusOf(wanted, seen) === 'faulted' && statusOf(wanted, before) !== 'faulted';
    at.resources[resource] = { ...seen, failures: before.failures + (counts ? 1 : 0) };
    at.truth[resource] = state;
  }

  powerOff(node: string): void {
    const here = this.here(node);
    here.state = 'suspect';
    for (const group of this.desired.groups) here.groups[group.id] = { ...this.fresh(group, 'offline'), phase: 'observe' };
  }

  powerOn(node: string): void {
    this.here(node).state = 'member';
  }

  /** All that was learnt is gone; what runs goes on running. */
  restartController(node: string): void {
    for (const at of Object.values(this.here(node).groups)) Object.assign(at, { resources: {}, transition: null, inFlight: [] });
  }

  clear(group: string): void {
    this.forgotten[group] = this.orders[group]?.failovers.length ?? 0;
    for (const node of this.desired.nodes) {
      const at = this.at(node, group);
      for (const [id, seen] of Object.entries(at.resources))
        at.resources[id] = { ...seen, failures: 0, startFailed: null, stopFailed: null };
      if (at.transition !== null) at.transition = { ...at.transition, aborted: null };
    }
  }
}

export const describe = ({ kind, group, resource, hook, node, orders }: Action): string => {
  if (kind === 'orders')
    return `orders ${group} ${orders?.kind ?? ''}${orders?.kind === 'failover-noted' ? ` from ${orders.from ?? 'nowhere'}` : ''}`;
  return `${kind} ${group}/${resource ?? hook ?? node ?? ''}`;
};
