// The one word people see for a group, computed from facts and never stored: on the holder from its own resources, elsewhere
// from the holder's report.
import type { GroupState } from '../model/plan.js';
import type { Facts } from './facts.js';

/** On the holder: by critical resources first; others only make it `partial`. */
export const ownState = ({ members }: Facts): GroupState => {
  const critical = members.filter(({ resource }) => resource.critical);
  if (critical.some(({ broken }) => broken !== null)) return 'faulted';
  // Cannot be told, or failed less often than counts: it is still taken to do its job, as the planner takes it.
  const missing = critical.some(
    ({ satisfied, status, flight }) => !satisfied && (flight.size > 0 || (status !== 'unknown' && status !== 'doubtful')),
  );
  if (missing) return 'starting';
  return members.every(({ satisfied }) => satisfied) ? 'online' : 'partial';
};

/** Elsewhere: what the holder reported last. Without a report a live holder is taken at its lease. */
export const holderState = ({ holder, group }: Facts): GroupState => {
  if (holder === null || holder.state === 'lost' || holder.state === 'suspect') return 'blocked';
  const report = holder.groups[group.id]?.resources;
  if (report === undefined) return 'online';
  const bad = group.resources.filter(({ id }) => report[id]?.state !== 'online');
  const critical = bad.filter((resource) => resource.critical).map(({ id }) => report[id]?.state);
  if (bad.length === 0) return 'online';
  if (critical.includes('faulted')) return 'faulted';
  return critical.some((state) => state !== 'unknown') ? 'starting' : 'partial';
};

/** On the holder of a frozen group: what is missing there stays missing. */
export const frozenState = (facts: Facts): GroupState => {
  const state = ownState(facts);
  return state === 'starting' ? (facts.anyActive ? 'faulted' : 'offline') : state;
};
