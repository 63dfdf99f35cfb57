// What an action would change in the observation if it succeeded: the planner's own picture of its effects. `plan` followed
// by these is a dry run of a whole transition; the world outside (leases, other nodes, faults) is not here.
import type { DesiredState } from '../model/desired.js';
import type { EarlierHolderView, GroupOrders, LeaseView } from '../model/lease.js';
import type { ObservedGroup, ObservedResource, ObservedState, ResourceState, Transition } from '../model/observed.js';
import type { Action, OrdersChange } from '../model/plan.js';

/** A resource of which nothing bad is known. */
export const CLEAN: ObservedResource = {
  state: 'offline',
  reason: '',
  degraded: null,
  source: 'probe',
  ageMs: 0,
  badRow: 0,
  unknownRow: 0,
  failures: 0,
  startFailed: null,
  stopFailed: null,
  role: null,
};

export interface Outcome {
  /** What a probe finds. Default: offline. */
  readonly found?: ResourceState;
  /** Why it failed; null or absent when it was done. */
  readonly failed?: string | null;
}

/** The observation after `action` has ended on this node. */
export const applyAction = (desired: DesiredState, observed: ObservedState, action: Action, outcome: Outcome = {}): ObservedState => {
  const before = observed.groups[action.group];
  if (before === undefined) return observed;
  return { ...observed, groups: { ...observed.groups, [action.group]: groupAfter(desired, observed, before, action, outcome) } };
};

const groupAfter = (
  desired: DesiredState,
  observed: ObservedState,
  before: ObservedGroup,
  action: Action,
  { found = 'offline', failed = null }: Outcome,
): ObservedGroup => {
  const transition: Transition = before.transition ?? { kind: 'start', from: null, hooksDone: [], aborted: null };
  if (action.kind === 'hook') {
    return {
      ...before,
      transition:
        failed === null ? { ...transition, hooksDone: [...transition.hooksDone, action.hook ?? ''] } : { ...transition, aborted: failed },
    };
  }
  if (action.kind === 'fence')
    return failed === null
      ? {
          ...before,
          lease: leaseAfter(before.lease, action.node ?? ''),
          transition: { ...transition, fenced: `${action.node} was fenced` },
        }
      : before;
  if (action.kind === 'orders') {
    if (action.orders === null || failed !== null) return before;
    const orders = ordersAfter(before.orders, action.orders, observed.self);
    return { ...before, orders, failovers: before.failovers + orders.failovers.length - before.orders.failovers.length };
  }
  const id = action.resource ?? '';
  const promotable =
    desired.groups.find((group) => group.id === before.id)?.resources.find((resource) => resource.id === id)?.promotable ?? false;
  const seen = before.resources[id] ?? CLEAN;
  return { ...before, resources: { ...before.resources, [id]: resourceAfter(seen, action, found, failed, promotable) } };
};

/** What the guard makes of a confirmed fence: the last proof that was owed lets the epoch begin. */
export const leaseAfter = (lease: LeaseView, node: string): LeaseView => {
  const seen = (holder: EarlierHolderView): EarlierHolderView =>
    holder.node === node && holder.proof === null ? { ...holder, proof: `${node} was fenced` } : holder;
  const fencing = (lease.fencing ?? []).map(seen);
  const unproven = lease.unproven == null ? null : seen(lease.unproven);
  if (lease.phase !== 'fencing' || fencing.some(({ proof }) => proof === null)) return { ...lease, fencing, unproven };
  return { ...lease, phase: 'held', record: 'held', fencing: [], unproven };
};

const resourceAfter = (
  seen: ObservedResource,
  { kind }: Action,
  found: ResourceState,
  failed: string | null,
  promotable: boolean,
): ObservedResource => {
  const good = { ...seen, reason: '', ageMs: 0, badRow: 0, unknownRow: 0 };
  switch (kind) {
    case 'start':
      return failed === null
        ? { ...good, state: 'online', source: 'start', role: promotable ? (seen.role ?? 'secondary') : null }
        : { ...seen, state: 'faulted', source: 'start', startFailed: failed, badRow: 1 };
    case 'stop':
      return failed === null ? { ...good, state: 'offline', source: 'stop', role: null } : { ...seen, stopFailed: failed };
    case 'promote':
      return failed === null ? { ...good, state: 'online', source: 'start', role: 'primary' } : { ...seen, startFailed: failed };
    case 'demote':
      return failed === null ? { ...seen, ageMs: 0, source: 'stop', role: 'secondary' } : { ...seen, stopFailed: failed };
    case 'probe':
    case 'fence':
    case 'hook':
    case 'orders':
      return {
        ...good,
        state: found,
        source: 'probe',
        unknownRow: found === 'unknown' ? seen.unknownRow + 1 : 0,
        badRow: found === 'faulted' ? 1 : 0,
      };
  }
};

/** What the guard makes of the orders record for a change (core/guard/protocol, OrdersRequest). */
export const ordersAfter = (orders: GroupOrders, change: OrdersChange, self: string): GroupOrders => {
  if (change.kind === 'move-done') return orders.move?.id === change.id ? { ...orders, move: null } : orders;
  const { epoch, from, to = self, because } = change;
  const known = orders.failovers.some((entry) => entry.epoch === epoch);
  return {
    ...orders,
    move: orders.move?.to === self ? null : orders.move,
    failovers: known ? orders.failovers : [...orders.failovers, { epoch, from, to, because }].slice(-16),
  };
};
