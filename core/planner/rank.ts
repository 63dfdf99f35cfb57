// Who comes next: this node's blockers, the readiness of the others, and this node's place in the queue. Reports of peers
// are advice about where to go; the right to go there is the guard's alone.
import type { NodeId } from '../model/ids.js';
import { moveAborted, nodeOf, type Facts } from './facts.js';
import { listOf, span, tail, times } from './words.js';

/** A report older than this says nothing about what its node could do now. Reports come each second. */
export const REPORT_FRESH_MS = 5_000;

/**
 * How far behind a named successor the others stand. One rank (50 ms in `lan`) would let the old holder win its own
 * release back from a successor on a loaded host; ten are still a bounded wait when the successor dies.
 */
export const SUCCESSOR_HEAD_START = 10;

export interface Readiness {
  /** `wait`: not known yet, may become ready by itself. */
  readonly ready: 'yes' | 'no' | 'wait';
  readonly because: string;
}

/** Whether `id` could take the group from a holder that gives it away in order. */
export const readinessOf = ({ desired, observed, group, lease, held }: Facts, id: NodeId): Readiness => {
  const node = nodeOf(observed, id);
  const no = (because: string): Readiness => ({ ready: 'no', because });
  const wait = (because: string): Readiness => ({ ready: 'wait', because });
  if (!group.prefer.includes(id)) return no(`${id} is not among the nodes of ${group.id}`);
  if (node.state === 'lost') return no(`${id} is lost`);
  if (node.orders.standby) return no(`${id} is on standby`);
  if (node.orders.maintenance) return no(`${id} is in maintenance`);
  if (node.cfgHash !== null && node.cfgHash !== desired.cfgHash) return no(`${id} has another configuration`);
  if (node.state !== 'member') return wait(node.state === 'suspect' ? `${id} is silent` : `${id} has not been heard yet`);
  if (node.reportAgeMs === null || node.reportAgeMs > REPORT_FRESH_MS) return wait(`the controller of ${id} does not report`);
  // The holder knows better than the other's last report who has all its data.
  const { inSync, mirror } = lease;
  if (held && mirror != null && (!inSync.includes(id) || mirror.stale.includes(id))) return no(`${id} is not in sync`);
  const blockers = node.groups[group.id]?.blockers;
  if (blockers === undefined) return wait(`${id} has not reported on ${group.id}`);
  return blockers.length === 0 ? { ready: 'yes', because: `${id} is ready` } : no(`${id} is not ready: ${listOf(blockers)}`);
};

/** The most preferred other node that is ready now. */
export const bestOther = (facts: Facts): NodeId | null =>
  facts.group.prefer.find((id) => id !== facts.self && readinessOf(facts, id).ready === 'yes') ?? null;

/** Where `failback: immediate` wants to go: a ready node that is preferred to this one. */
export const failbackTo = (facts: Facts): NodeId | null => {
  const { group, self } = facts;
  if (group.failback !== 'immediate' || moveAborted(facts) !== null) return null;
  const here = group.prefer.indexOf(self);
  return group.prefer.slice(0, Math.max(0, here)).find((id) => readinessOf(facts, id).ready === 'yes') ?? null;
};

/** More unplanned failovers than allowed: nobody takes the group until `understudy clear` or until the window has passed. */
export const gaveUp = ({ now, group }: Facts): boolean => (now?.failovers ?? 0) > group.failover.max;

/** Why this node must not acquire the group now. Empty when it may. */
export const blockersOf = (facts: Facts): readonly string[] => {
  const { self, group, orders, members, observed, desired, standby, maintenance } = facts;
  const blockers: string[] = [];
  if (!group.prefer.includes(self)) blockers.push(`${self} is not among the nodes of ${group.id}`);
  if (orders.want === 'offline') blockers.push(`${group.id} is ordered offline`);
  if (orders.frozen) blockers.push(`${group.id} is frozen`);
  if (orders.maintenance) blockers.push(`${group.id} is in maintenance`);
  if (standby) blockers.push(`${self} is on standby`);
  if (maintenance) blockers.push(`${self} is in maintenance`);
  if (gaveUp(facts))
    blockers.push(`${group.id} failed over more than ${times(group.failover.max)} within ${span(group.failover.withinMs)}`);
  const others = desired.nodes.filter((id) => id !== self && differs(facts, id));
  if (others.length > 0) blockers.push(`the configuration of ${self} differs from that of ${listOf(others)}`);
  for (const { resource, seen, broken } of members) {
    if (resource.critical && broken !== null) blockers.push(broken);
    if (seen?.stopFailed != null) blockers.push(`${resource.id} could not be stopped here: ${seen.stopFailed}`);
  }
  blockers.push(...copyBlockers(facts), ...observed.selfBlockers);
  return blockers;
};

// What runs on both sides must be seen to be able to be primary; an operator who accepts the loss has the last word.
const copyBlockers = ({ self, lease, orders, members }: Facts): readonly string[] => {
  if (orders.forced?.node === self && orders.forced.epoch === lease.epoch) return [];
  const lacks = lease.mirror?.lacks ?? null;
  return [
    ...(lacks === null ? [] : [lacks]),
    ...members.flatMap(({ resource, seen, broken }) => {
      if (!resource.promotable || broken !== null) return [];
      // What cannot be started anew where it is needed must be there already: the process of a mirror.
      if (lease.mirror == null || resource.operations !== 'on-only') return seen?.blockers ?? [];
      if (seen === undefined) return [`${resource.id} was not looked at yet on ${self}`];
      if (seen.state !== 'online') return [`${resource.id} is ${seen.state} on ${self}${tail(seen.reason)}`];
      return seen.blockers ?? [];
    }),
  ];
};

// The last hash of a lost node says nothing about now, unless it is the one that ran the group: what it ran with is what a
// takeover must continue. (The guard compares with the lease record's as well.)
const differs = ({ observed, desired, lease }: Facts, id: NodeId): boolean => {
  const { state, cfgHash } = nodeOf(observed, id);
  return (state !== 'lost' || id === lease.holder) && cfgHash !== null && cfgHash !== desired.cfgHash;
};

/** This node's place among those that could take the group now; callable only while it has no blockers itself. */
export const rankOf = (facts: Facts): number => {
  const { group, self, lease } = facts;
  const queue = group.prefer.filter((id) => id === self || inQueue(facts, id));
  const named = [facts.orders.move?.to, lease.successor].find((id) => id != null && queue.includes(id));
  const place = queue.indexOf(self);
  if (named == null) return Math.max(0, place);
  return named === self ? 0 : SUCCESSOR_HEAD_START + queue.filter((id) => id !== named).indexOf(self);
};

// The present holder never queues: whoever asks, asks for the time after it. So its end costs the first in line no rank.
const inQueue = ({ observed, group, lease }: Facts, id: NodeId): boolean => {
  const { state, orders, groups } = nodeOf(observed, id);
  if (id === lease.holder || state === 'lost' || orders.standby || orders.maintenance) return false;
  return (groups[group.id]?.blockers.length ?? 0) === 0;
};
