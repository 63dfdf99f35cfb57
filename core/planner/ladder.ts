// The end of the ladder restart → failover → give up, and whom a node that leaves names. Counted by group, where failures.ts
// counts by resource.
import type { NodeId } from '../model/ids.js';
import { departureNoted, failoverNoted, type Facts } from './facts.js';
import { bestOther, failbackTo, gaveUp, readinessOf } from './rank.js';
import { span, times } from './words.js';

/**
 * Why the holder gives the group up; null while it does not. Judged twice, before and after the failover in question is on
 * record: before, it would be one too many; after, it was.
 */
export const giveUpBecause = (facts: Facts): string | null => {
  const { transition, now, group, broken, anyActive } = facts;
  const failovers = now?.failovers ?? 0;
  const { max, withinMs } = group.failover;
  const tooMany = (noted: boolean): boolean => (noted ? failovers > max : failovers >= max);
  // Not once something runs: a restarted controller counts old failovers anew and must not stop what is healthy.
  if (transition.kind === 'failover' && !anyActive && tooMany(failoverNoted(facts))) {
    const count = failovers + (failoverNoted(facts) ? 0 : 1);
    return `${group.id} would fail over ${times(count)} within ${span(withinMs)}, and ${allowed(max)}: given up`;
  }
  if (broken.length === 0 || !tooMany(departureNoted(facts))) return null;
  if (!departureNoted(facts) && bestOther(facts) === null) return null;
  return `${broken[0]?.broken}; of failovers within ${span(withinMs)} ${allowed(max)}: given up`;
};

/** Why no node takes a group that was given up. */
export const gaveUpBecause = ({ group, now }: Facts): string =>
  `${group.id} failed over ${times(now?.failovers ?? 0)} within ${span(group.failover.withinMs)}, and ${allowed(group.failover.max)}: given up`;

/** Whom a release under way names: the same choice as the row that began it. */
export const successorOf = (facts: Facts): NodeId | null => {
  const { orders, self, standby, broken } = facts;
  if (orders.want === 'offline' || gaveUp(facts)) return null;
  if (orders.move !== null && orders.move.to !== self && readinessOf(facts, orders.move.to).ready === 'yes') return orders.move.to;
  return standby || broken.length > 0 ? bestOther(facts) : failbackTo(facts);
};

const allowed = (max: number): string => `${max} ${max === 1 ? 'is' : 'are'} allowed`;
