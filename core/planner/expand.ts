// What a course means in actions on this node. `run` brings a group online along its graph, `leave` takes it down against
// it, `evict` removes what runs without a lease. Each is a few passes over the resources in start order: linear.
// Invariant: what the executor has begun stays in the plan under its id, so that everything after it waits for its end.
import type { Action, ActionKind } from '../model/plan.js';
import type { Facts } from './facts.js';
import { CHANGES, reasonOfMember, type Member } from './failures.js';
import { union } from './order.js';
import { isOrAre, listOf, tail } from './words.js';

/** What every action of one group's plan shares. */
export interface Frame {
  readonly facts: Facts;
  readonly rule: string;
  /** Actions that every effect of this plan waits for: a fence, a hook. */
  readonly gate: readonly string[];
}

export const actionId = ({ group, lease }: Facts, kind: ActionKind, what: string): string => `${kind}:${group.id}/${what}@${lease.epoch}`;

const step = ({ facts, rule }: Frame, kind: ActionKind, member: Member, after: readonly string[], because: string): Action => ({
  id: actionId(facts, kind, member.resource.id),
  kind,
  group: facts.group.id,
  resource: member.resource.id,
  hook: null,
  node: null,
  orders: null,
  after,
  rule,
  because: member.flight.has(kind) ? 'begun and not ended yet' : because,
});

/** Everything online: stops of what must be restarted, probes, starts and promotions, each behind what it needs. */
export const run = (frame: Frame): readonly Action[] => {
  const { facts } = frame;
  const { members, graph } = facts;
  const id = (kind: ActionKind, at: number): string => actionId(facts, kind, members[at]?.resource.id ?? '');
  // What must go down for a while, and why not sooner: `pulled` by a restart below it, `above` any restart at all.
  const pulled: boolean[] = [];
  const above: boolean[] = [];
  const bounced: boolean[] = [];
  // Forwards: what brings each one up, and what whoever comes after it has to wait for (null: not in this plan's reach).
  const gates: (readonly string[] | null)[] = [];
  const ups: (readonly Action[])[] = [];
  for (const member of members) {
    const { at, resource } = member;
    const base = graph.before[at] ?? [];
    above[at] = base.some((p) => bounced[p] || above[p]);
    // A non-critical resource is restarted under its critical dependents, never with them.
    const cause = base.some((p) => (bounced[p] || pulled[p]) && (members[p]?.resource.critical || !resource.critical));
    pulled[at] = cause;
    const waits = base.map((p) => gates[p] ?? null);
    const reachable = !waits.includes(null);
    bounced[at] = isBounced(member, reachable, cause);
    const { actions, gate } = bringUp(frame, member, bounced[at], reachable, union([frame.gate, ...waits.filter((wait) => wait !== null)]));
    ups[at] = actions;
    gates[at] = gate;
  }

  // Backwards: each stop behind the stops of everything that depends on it, through whatever is not stopped itself.
  const downs: Action[][] = [];
  const stops: (readonly string[])[] = [];
  for (let at = members.length - 1; at >= 0; at--) {
    const member = members[at] as Member;
    const dependents = union((graph.behind[at] ?? []).map((d) => stops[d] ?? []));
    if (!bounced[at]) {
      stops[at] = dependents;
      continue;
    }
    // A stop may need what it stood on (a script on a mount), so a leftover of a group that is down is stopped once that
    // is up again; unless something below is about to be stopped, which must wait for this stop.
    const base = above[at] ? [] : union((graph.before[at] ?? []).map((p) => (bounced[p] || members[p]?.satisfied ? [] : (gates[p] ?? []))));
    downs[at] = [...takeDown(frame, member, union([dependents, base, frame.gate]), stopReason(member))];
    stops[at] = [id(lastDown(member), at)];
  }
  return [...downs.reverse().flat(), ...ups.flat()];
};

/** To be brought down and up again. What is never stopped is demoted instead, when it is primary and not as it should be. */
const isBounced = ({ resource, flight, up, restart, active }: Member, reachable: boolean, cause: boolean): boolean => {
  const mended = restart && reachable;
  if (resource.operations === 'on-off') return flight.has('stop') || (up && (mended || cause));
  return resource.promotable && resource.operations === 'on-only' && active && mended;
};

/** What a bounce ends with on its way down. */
const lastDown = ({ resource }: Member): ActionKind => (resource.operations === 'on-off' ? 'stop' : 'demote');

const bringUp = (
  frame: Frame,
  member: Member,
  bounce: boolean,
  reachable: boolean,
  after: readonly string[],
): { readonly actions: readonly Action[]; readonly gate: readonly string[] | null } => {
  const { facts } = frame;
  const { resource, status, flight, satisfied } = member;
  const idOf = (kind: ActionKind): string => actionId(facts, kind, resource.id);
  const actions: Action[] = [];
  if (resource.operations === 'none') {
    if (status === 'unprobed') actions.push(step(frame, 'probe', member, [], `${resource.id} is watched and was not looked at yet`));
    return { actions, gate: satisfied ? [] : null };
  }
  if (satisfied && !bounce) return { actions, gate: [] };
  // Stopped after its begun start: the start afterwards belongs to a later plan, when this one has ended.
  if (bounce && (flight.has('start') || flight.has('promote'))) return { actions, gate: null };
  if (flight.has('promote')) return { actions: [step(frame, 'promote', member, [], '')], gate: [idOf('promote')] };
  // Beyond its limits: a critical one holds back what comes after it; another has had its chance.
  if (member.broken !== null && !flight.has('start')) return { actions, gate: resource.critical ? null : [] };
  if (flight.has('start')) actions.push(step(frame, 'start', member, [], ''));
  else if (status === 'unprobed' || status === 'unknown') {
    // Its answer may depend on what it stands on, so a look that told nothing is repeated once that has changed.
    const behind = status === 'unprobed' ? [] : without(after, frame.gate);
    if (status === 'unknown' && !bounce && !worthProbing(facts, member, behind)) return { actions, gate: null };
    if (!bounce)
      actions.push(
        step(
          frame,
          'probe',
          member,
          behind,
          status === 'unprobed'
            ? `${resource.id} was not looked at yet: what runs is adopted`
            : `it cannot be told whether ${resource.id} runs${tail(reasonOfMember(member))}`,
        ),
      );
  } else if (status === 'doubtful' && !bounce) return { actions, gate: null };
  if (!reachable) return { actions, gate: null };
  if (flight.has('demote') && !bounce) actions.push(step(frame, 'demote', member, [], ''));

  if (!flight.has('start') && (status !== 'online' || bounce)) {
    const own = bounce ? [idOf(lastDown(member))] : actions.map(({ id }) => id);
    actions.push(step(frame, 'start', member, union([own, after]), startReason(facts, member, bounce)));
  }
  if (resource.promotable) {
    const own = actions.map(({ id }) => id);
    const because = `${facts.self} holds epoch ${facts.lease.epoch} and ${resource.id} is not primary here`;
    actions.push(step(frame, 'promote', member, union([own, after]), because));
    return { actions, gate: [idOf('promote')] };
  }
  return { actions, gate: [idOf('start')] };
};

// An old answer, or one from before a change of what it stands on. A change that nothing in the plan brings about is not one:
// two that cannot be told would be looked at without end.
const worthProbing = ({ members, graph }: Facts, { at, seen, resource, flight }: Member, behind: readonly string[]): boolean => {
  if (seen === undefined || flight.has('probe') || seen.ageMs >= resource.everyMs) return true;
  return (graph.before[at] ?? []).some((p) => (!members[p]?.satisfied && behind.length > 0) || (members[p]?.seen?.ageMs ?? 0) < seen.ageMs);
};

const without = (ids: readonly string[], gate: readonly string[]): readonly string[] =>
  gate.length === 0 ? ids : ids.filter((id) => !gate.includes(id));

/** Demote before stop, both behind `after` and behind a start that is under way. */
const takeDown = (frame: Frame, member: Member, after: readonly string[], because: string): readonly Action[] => {
  const { facts } = frame;
  const { resource, flight, seen } = member;
  const idOf = (kind: ActionKind): string => actionId(facts, kind, resource.id);
  const actions = (['start', 'promote'] as const).filter((kind) => flight.has(kind)).map((kind) => step(frame, kind, member, [], ''));
  let waits = union([after, actions.map(({ id }) => id)]);
  if (resource.promotable && (flight.has('demote') || (seen?.role !== 'secondary' && !flight.has('stop')))) {
    actions.push(step(frame, 'demote', member, waits, because));
    waits = union([waits, [idOf('demote')]]);
  }
  if (resource.operations === 'on-off') actions.push(step(frame, 'stop', member, waits, because));
  return actions;
};

/** Everything down, against the graph; nothing that is only watched, nothing that is never stopped but demoted. */
export const leave = (frame: Frame, because: string): readonly Action[] => {
  const { members } = frame.facts;
  return downwards(
    frame,
    (member, waits) => {
      const { resource, status, flight } = member;
      if (resource.operations === 'none' || (!member.up && status !== 'unprobed' && flight.size === 0)) return null;
      if (resource.operations === 'on-only' && !member.active && flight.size === 0) return null;
      if (status !== 'unprobed' || resource.operations === 'on-only' || CHANGES.some((kind) => flight.has(kind)))
        return takeDown(frame, member, waits, because);
      const probe = step(frame, 'probe', member, [], `${resource.id} was not looked at yet, and all must be stopped`);
      return [probe, ...takeDown(frame, member, [...waits, probe.id], because)];
    },
    members,
  );
};

/** Without the lease: only what certainly runs here and may not. */
export const evict = (frame: Frame, because: string): readonly Action[] =>
  downwards(
    frame,
    (member, waits) => {
      if (!member.active && !member.flight.has('stop') && !member.flight.has('demote')) return null;
      // Its process may stay as secondary; on-off resources of one side only are stopped.
      return takeDown(frame, member, waits, because).filter(({ kind }) => kind !== 'stop' || !member.resource.promotable);
    },
    frame.facts.members,
  );

/** Without the lease: look at what was never looked at, so that a takeover need not. */
export const lookAround = (frame: Frame): readonly Action[] =>
  frame.facts.members
    .filter(({ status }) => status === 'unprobed')
    .map((member) => step(frame, 'probe', member, [], `${member.resource.id} was not looked at yet on this node`));

const downwards = (
  frame: Frame,
  down: (member: Member, waits: readonly string[]) => readonly Action[] | null,
  members: readonly Member[],
): readonly Action[] => {
  const { behind } = frame.facts.graph;
  const stops: (readonly string[])[] = [];
  const actions: Action[] = [];
  for (let at = members.length - 1; at >= 0; at--) {
    const dependents = union((behind[at] ?? []).map((d) => stops[d] ?? []));
    const own = down(members[at] as Member, union([frame.gate, dependents]));
    const last = own?.at(-1);
    stops[at] = last === undefined ? dependents : [last.id];
    if (own !== null) actions.push(...own);
  }
  return actions;
};

const stopReason = ({ resource, restart, seen, flight }: Member): string =>
  restart
    ? `${resource.id} failed${tail(seen?.reason ?? '')}; restart ${seen?.failures ?? 0} of ${resource.restart.max}`
    : flight.has('stop')
      ? ''
      : `${resource.id} stands on something that is restarted`;

const startReason = ({ self, lease, members, graph }: Facts, member: Member, bounce: boolean): string => {
  const { resource, status } = member;
  if (bounce) return member.restart ? `${resource.id} is restarted in place` : `${resource.id} comes back after what it stands on`;
  if (member.restart) return `${resource.id} is not online${tail(reasonOfMember(member))}; started again`;
  if (status === 'unprobed' || status === 'unknown') return `if the probe finds ${resource.id} stopped: ${self} holds epoch ${lease.epoch}`;
  const waiting = (graph.before[member.at] ?? [])
    .map((p) => members[p])
    .filter((p) => p !== undefined && !p.satisfied)
    .map((p) => p?.resource.id ?? '');
  return waiting.length === 0
    ? `${self} holds epoch ${lease.epoch} and ${resource.id} is stopped`
    : `${resource.id} is stopped; ${listOf(waiting)} ${isOrAre(waiting)} first`;
};
