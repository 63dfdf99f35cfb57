// "Please stop" (SAFETY a.7): a node that is ready asks the guard of a holder whose controller says nothing any more. The
// holder's guard alone decides: only a group that nobody looks after is stopped on a peer's word, and STOPPED(e) is the answer.
import type { Epoch, NodeId } from '../model/ids.js';
import { fenceSelf } from './fencing.js';
import type { OwnershipState } from './state.js';
import { obstacleFor } from './takeover.js';
import { WILL_MAX_AGE_MS } from './timing.js';
import { type Turn, journal } from './turn.js';

/**
 * So long a holder must have been unattended before it is asked without an order: a controller that crashed or hung and was
 * ended has begun again by then three times over, and nothing of the group was touched.
 */
const UNATTENDED_MS = 30_000;
/** A packet may be lost; asking again changes nothing. */
const ASK_EVERY_MS = 1_000;

/** The holder's controller says nothing, and has not left on purpose. */
export const isUnattended = ({ tenure, will, nowMs, leaveUntilMs, bornMs }: OwnershipState): boolean =>
  // A guard that has just begun cannot have heard its controller yet.
  tenure !== null && nowMs >= leaveUntilMs && nowMs - (will?.atMs ?? bornMs) > WILL_MAX_AGE_MS;

/** Only a group whose controller says nothing any more is stopped on a peer's word. */
export const pleaseStop = (turn: Turn, from: NodeId, epoch: Epoch): void => {
  const { s } = turn;
  if (s.tenure?.epoch === epoch && isUnattended(s)) fenceSelf(turn, `${from} asked for it, and the controller here says nothing`);
};

/** Asks, where this node is first in line and could start the group itself: at once if an operator ordered it here. */
export const askToStop = (turn: Turn): void => {
  const { s } = turn;
  const { known, policy, peers, orders, will } = s;
  if (known.kind !== 'record' || known.record.state !== 'HELD' || known.record.holder === null) return;
  const { holder, bootId, epoch } = known.record;
  const facts = peers[holder];
  if (holder === policy.self || facts === undefined || facts.bootId !== bootId || facts.held?.epoch !== epoch) return;
  if (facts.unattendedSinceMs === null || s.nowMs - s.pleadedMs < ASK_EVERY_MS) return;
  const ordered = orders.group.move?.to === policy.self;
  if (!ordered && (will?.will.rank !== 0 || s.nowMs - facts.unattendedSinceMs < UNATTENDED_MS)) return;
  if (obstacleFor(s) !== null) return;
  const first = s.nowMs - s.pleadedMs > 10 * ASK_EVERY_MS;
  s.pleadedMs = s.nowMs;
  turn.effects.push({ kind: 'please-stop', to: holder, epoch });
  if (first) {
    const why = ordered ? `the group is ordered to ${policy.self}` : `for ${Math.round((s.nowMs - facts.unattendedSinceMs) / 1000)} s`;
    journal(
      turn,
      'lease.please-stop',
      `${holder} holds epoch ${epoch} and its controller says nothing, ${why}: its guard is asked to stop`,
    );
  }
};
