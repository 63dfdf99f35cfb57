// What the rules look at: one group from this node's viewpoint, every question answered once. Derived from desired and
// observed state only; nothing here chooses what to do.
import type { DesiredGroup, DesiredState, HookPoint } from '../model/desired.js';
import type { NodeId } from '../model/ids.js';
import type { EarlierHolderView, GroupOrders, LeasePhase, LeaseView, RecordState } from '../model/lease.js';
import type { ObservedGroup, ObservedNode, ObservedState, Transition } from '../model/observed.js';
import { NO_GROUP_ORDERS } from '../model/lease.js';
import { memberOf, type Member } from './failures.js';
import { graphOf, type Graph } from './order.js';

export interface Facts {
  readonly desired: DesiredState;
  readonly observed: ObservedState;
  readonly self: NodeId;
  readonly group: DesiredGroup;
  /** Null before the first view of the guard. */
  readonly now: ObservedGroup | null;
  readonly lease: LeaseView;
  readonly phase: LeasePhase;
  readonly record: RecordState;
  readonly held: boolean;
  /** The epoch is ours, and nothing may start before an earlier holder is proven down (SAFETY a.7). */
  readonly waiting: boolean;
  /** Who is not proven down yet, while waiting. */
  readonly owed: readonly EarlierHolderView[];
  /** Another node that the record names; null when released, absent, unread or this node's own. */
  readonly holder: ObservedNode | null;
  readonly orders: GroupOrders;
  /** This node's own orders. */
  readonly standby: boolean;
  readonly maintenance: boolean;
  readonly transition: Transition;
  readonly members: readonly Member[];
  readonly graph: Graph;
  /** Critical resources that this node cannot mend by itself any more. */
  readonly broken: readonly Member[];
  /** Something runs here that may run only on the holder. */
  readonly anyActive: boolean;
  readonly hooks: ReadonlySet<HookPoint>;
}

/** Whether this controller may and can power the node off. */
export const canFence = ({ desired }: Facts, node: NodeId): boolean =>
  desired.fencing !== 'none' && desired.fenceable?.includes(node) === true;

/** The failover that brought the group here is counted: by this node, or by the one that gave it away because of a fault. */
export const failoverNoted = ({ orders, lease }: Facts): boolean => orders.failovers.some(({ epoch }) => epoch === lease.epoch);

/** The failover that this node begins by giving the group away is counted. An entry bears the epoch it leads to: the next. */
export const departureNoted = ({ orders, lease }: Facts): boolean => orders.failovers.some(({ epoch }) => epoch === lease.epoch + 1);

/** A planned move that this node, as the holder, is asked to make. */
export const moveAway = ({ orders, self, held }: Facts): GroupOrders['move'] =>
  held && orders.move !== null && orders.move.to !== self ? orders.move : null;

/** A hook said no before anything of an unplanned takeover was started. A later abort is one of a move. */
export const failoverAborted = ({ transition, anyActive, hooks }: Facts): string | null =>
  transition.kind === 'failover' && !transition.hooksDone.includes('afterFailover') && hooks.has('beforeFailover') && !anyActive
    ? transition.aborted
    : null;

export const moveAborted = (facts: Facts): string | null => (failoverAborted(facts) === null ? facts.transition.aborted : null);

const NO_TRANSITION: Transition = { kind: 'start', from: null, hooksDone: [], aborted: null };

/** A node of which nothing is known. */
const unseen = (id: NodeId): ObservedNode => ({
  id,
  state: 'unseen',
  orders: { standby: false, maintenance: false, by: '', why: '' },
  cfgHash: null,
  reportAgeMs: null,
  groups: {},
});

export const nodeOf = (observed: ObservedState, id: NodeId): ObservedNode => observed.nodes[id] ?? unseen(id);

const noLease = (group: string): LeaseView => ({
  group,
  phase: 'observe',
  epoch: 0,
  holder: null,
  record: 'unread',
  remainingMs: 0,
  recordAgeMs: null,
  inSync: [],
  successor: null,
  because: 'the guard has not been heard yet',
});

export const factsOf = (desired: DesiredState, observed: ObservedState, group: DesiredGroup): Facts => {
  const now = observed.groups[group.id] ?? null;
  const lease = now?.lease ?? noLease(group.id);
  const self = nodeOf(observed, observed.self);
  const inFlight = now?.inFlight ?? [];
  const members = group.resources.map((resource, at) => memberOf(resource, at, now?.resources[resource.id], inFlight));
  return {
    desired,
    observed,
    self: observed.self,
    group,
    now,
    lease,
    phase: lease.phase,
    record: lease.record,
    held: lease.phase === 'held',
    waiting: lease.phase === 'fencing',
    owed: lease.phase === 'fencing' ? (lease.fencing ?? []).filter(({ proof }) => proof === null) : [],
    holder: lease.holder !== null && lease.holder !== observed.self && lease.phase !== 'held' ? nodeOf(observed, lease.holder) : null,
    orders: now?.orders ?? NO_GROUP_ORDERS,
    standby: self.orders.standby,
    maintenance: self.orders.maintenance,
    transition: now?.transition ?? NO_TRANSITION,
    members,
    graph: graphOf(group),
    broken: members.filter((member) => member.resource.critical && member.broken !== null),
    anyActive: members.some(({ active }) => active),
    hooks: new Set(group.hooks.map(({ point }) => point)),
  };
};
