// What belongs to a change of place rather than to a resource: the four group-level hooks, the fence, and the notes in the
// orders record. Notes are behind nothing and nothing waits for them: they are never on the way to service.
import type { HookPoint } from '../model/desired.js';
import type { Action, OrdersChange } from '../model/plan.js';
import { actionId } from './expand.js';
import { canFence, departureNoted, failoverNoted, moveAborted, moveAway, type Facts } from './facts.js';
import { readinessOf } from './rank.js';
import type { Ruled } from './course.js';

const blank = { resource: null, hook: null, node: null, orders: null } as const;

const hookAction = (facts: Facts, { rule }: Ruled, point: HookPoint, after: readonly string[], because: string): Action => ({
  ...blank,
  id: actionId(facts, 'hook', point),
  kind: 'hook',
  group: facts.group.id,
  hook: point,
  after,
  rule,
  because,
});

const due = ({ hooks, transition }: Facts, point: HookPoint): boolean => hooks.has(point) && !transition.hooksDone.includes(point);

/** W was the proof; that the former holder is also powered off is best effort, and nothing waits for it (SAFETY a.7). */
export const inBackground = (facts: Facts, { rule }: Ruled): Action | null => {
  const { lease, desired } = facts;
  const holder = lease.unproven ?? null;
  if (holder === null || holder.proof !== null || desired.fencing !== 'watchdog') return null;
  if (!canFence(facts, holder.node)) return null;
  return fenceAction(facts, rule, holder.node, `${holder.node} lost epoch ${holder.epoch} without a word: it is fenced in the background`);
};

/** While the arbiter is silent: whose confirmed end would count as its promise (`failsafe.peerLost: fence-then-continue`). */
export const forPromises = (facts: Facts, { rule }: Ruled): readonly Action[] =>
  (facts.lease.failsafe?.fence ?? [])
    .filter(({ node }) => canFence(facts, node))
    .map(({ node }) =>
      fenceAction(facts, rule, node, `the arbiter is silent and ${node} gives no promise: confirmed off it cannot take ${facts.group.id}`),
    );

/**
 * Two nodes without a store: whoever holds fences the silent other first, so that the other does not fence it. Not one that an
 * operator has put aside: it takes nothing over, and may be rebooting.
 */
export const beforeItFences = (facts: Facts, { rule }: Ruled): Action | null => {
  const { lease, observed, orders } = facts;
  const other = lease.withoutStore ?? null;
  if (other?.fence !== true || !canFence(facts, other.node)) return null;
  const aside = observed.nodes[other.node]?.orders;
  if (aside?.standby === true || aside?.maintenance === true || orders.frozen || orders.maintenance) return null;
  return fenceAction(
    facts,
    rule,
    other.node,
    `${other.node} is silent on all networks and may be about to fence ${facts.self}: it is fenced first`,
  );
};

/** Proof that an earlier holder is down. */
export const fenceAction = (
  facts: Facts,
  rule: string,
  node: string,
  because = `${node} must be proven down before anything of ${facts.group.id} starts at epoch ${facts.lease.epoch}`,
): Action => ({
  ...blank,
  id: actionId(facts, 'fence', node),
  kind: 'fence',
  group: facts.group.id,
  node,
  after: [],
  rule,
  because,
});

/** Before the first start of an unplanned takeover. */
export const beforeStarts = (facts: Facts, verdict: Ruled, after: readonly string[]): Action | null =>
  facts.transition.kind === 'failover' && due(facts, 'beforeFailover') && !facts.anyActive
    ? hookAction(
        facts,
        verdict,
        'beforeFailover',
        after,
        `${facts.group.id} fails over from ${facts.transition.from ?? 'nowhere'} to ${facts.self}`,
      )
    : null;

/** On the node that is left, before its first stop. The next node's own hook is the one after. */
export const beforeStops = (facts: Facts, verdict: Ruled): Action | null =>
  verdict.course.kind === 'leave' && verdict.course.for === 'planned' && due(facts, 'beforeSwitchover') && facts.anyActive
    ? hookAction(facts, verdict, 'beforeSwitchover', [], verdict.because)
    : null;

/** On the new node, when every critical resource is online. */
export const afterStarts = (facts: Facts, verdict: Ruled, actions: readonly Action[]): Action | null => {
  const { kind, from } = facts.transition;
  const point = kind === 'failover' ? 'afterFailover' : kind === 'switchover' ? 'afterSwitchover' : null;
  if (point === null || !due(facts, point)) return null;
  const after: string[] = [];
  const planned = new Map(actions.filter(({ kind: k }) => k === 'start' || k === 'promote').map((action) => [action.resource, action.id]));
  for (const { resource, satisfied } of facts.members) {
    if (!resource.critical || resource.operations === 'none') continue;
    const id = planned.get(resource.id);
    if (id !== undefined) after.push(id);
    else if (!satisfied) return null;
  }
  return hookAction(
    facts,
    verdict,
    point,
    after,
    `${facts.group.id} came from ${from ?? 'nowhere'} and its critical resources are online on ${facts.self}`,
  );
};

/** What the orders record shall learn from this node as the holder. */
export const notes = (facts: Facts, verdict: Ruled): readonly Action[] => {
  const { orders, transition, lease, self, group } = facts;
  const { course } = verdict;
  const note = (what: string, change: OrdersChange, because: string): Action => ({
    ...blank,
    id: actionId(facts, 'orders', what),
    kind: 'orders',
    group: group.id,
    orders: change,
    after: [],
    rule: verdict.rule,
    because,
  });
  const actions: Action[] = [];
  if (transition.kind === 'failover' && !failoverNoted(facts)) {
    const because = `${group.id} failed over from ${transition.from ?? 'nowhere'} to ${self}`;
    actions.push(note('failover-noted', { kind: 'failover-noted', from: transition.from, to: self, epoch: lease.epoch, because }, because));
  }
  if (
    course.kind === 'leave' &&
    (course.for === 'fault' || course.for === 'gave-up') &&
    facts.broken.length > 0 &&
    !departureNoted(facts)
  ) {
    const counted =
      course.for === 'fault'
        ? 'a move because of a fault counts as a failover'
        : 'counted as one failover more, so that no other node takes it';
    actions.push(
      note(
        'departure-noted',
        { kind: 'failover-noted', from: self, to: course.successor ?? self, epoch: lease.epoch + 1, because: verdict.because },
        counted,
      ),
    );
  }
  const { move } = orders;
  if (move !== null) {
    const because = move.to === self ? `${group.id} arrived on ${self}` : droppedMove(facts);
    if (because !== null) actions.push(note(`move-done-${move.id}`, { kind: 'move-done', id: move.id }, because));
  }
  return actions;
};

/** Why an ordered move is not made, now and later: it must not happen hours afterwards when its target comes back. */
export const droppedMove = (facts: Facts): string | null => {
  const move = moveAway(facts);
  if (move === null) return null;
  const aborted = moveAborted(facts);
  if (aborted !== null) return `the move to ${move.to} is dropped, a hook forbade it: ${aborted}`;
  const { ready, because } = readinessOf(facts, move.to);
  return ready === 'no' ? `the move to ${move.to} is dropped: ${because}` : null;
};

/** Why an ordered move is not made yet; null when there is none or it is under way. */
export const waitingMove = (facts: Facts): string | null => {
  const move = moveAway(facts);
  if (move === null || moveAborted(facts) !== null) return null;
  const { ready, because } = readinessOf(facts, move.to);
  return ready === 'wait' ? `the move to ${move.to} waits: ${because}` : null;
};
