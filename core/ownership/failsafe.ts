// The lease while the arbiter is silent (SAFETY a.8). The holder asks every member of its record; who grants promises not to
// acquire for W; all grants of one round count like a renewal sent with the round. Invariants: all, never a majority; never
// after a conflict or a refusal of the arbiter; a promise is kept whatever the clock of the record says, and is discharged
// only by proof that the holder it was given to has ended.
import type { Epoch, NodeId } from '../model/ids.js';
import type { OwnershipEvent } from './events.js';
import { fenceSelf } from './fencing.js';
import type { OwnershipState, Promised } from './state.js';
import { type Turn, journal, writePage } from './turn.js';

type Of<Kind extends OwnershipEvent['kind']> = Extract<OwnershipEvent, { readonly kind: Kind }>;

/** When the holder sends its next round; Infinity while none may follow. */
export const roundAtMs = ({ tenure, phase, failsafe, policy }: OwnershipState): number => {
  // Without a store its own disk is all a holder can lose: nobody else has to promise anything.
  if (policy.pair != null) return Number.POSITIVE_INFINITY;
  const { softMs, attemptMs, renewMs } = policy.timing;
  if (tenure === null || tenure.refused !== null || phase !== 'held') return Number.POSITIVE_INFINITY;
  // Taken up by a new guard, and not even the members are known: there is nobody to ask.
  if (tenure.current === null && tenure.membersKept.length === 0) return Number.POSITIVE_INFINITY;
  if (failsafe === null) return tenure.renewedMs + softMs;
  // A full round is renewed like the lease itself; one that is not full is repeated as long as there is time.
  if (failsafe.atOnce) return Number.NEGATIVE_INFINITY;
  return failsafe.sentMs + (failsafe.full?.sentMs === failsafe.sentMs ? renewMs : attemptMs);
};

/** When the last proof that nobody else holds was sent: a good renewal, or a full round. */
export const provenMs = ({ tenure, failsafe }: OwnershipState): number =>
  Math.max(tenure?.renewedMs ?? Number.NEGATIVE_INFINITY, failsafe?.full?.sentMs ?? Number.NEGATIVE_INFINITY);

/** A round's number has the clock and, so many to a millisecond, who asks. */
const SERIES = 4096;

/** The clock of a guard that is started anew has forgotten the sleeps before: it may say again what the last one's did. */
const seriesOf = (instance: string): number => {
  let sum = 0;
  for (let at = 0; at < instance.length; at++) sum = (sum * 31 + instance.charCodeAt(at)) % SERIES;
  return sum;
};

/** Sends the round that is due. */
export const askAll = (turn: Turn): void => {
  const { s } = turn;
  const { tenure, failsafe, policy } = s;
  if (tenure === null || s.nowMs < roundAtMs(s)) return;
  const record = tenure.current?.record ?? null;
  if (failsafe === null)
    journal(turn, 'failsafe.begun', `the arbiter is silent for ${policy.timing.softMs} ms: every member is asked for a promise`, {
      remainingMs: tenure.deadlineMs - s.nowMs,
    });
  else if (failsafe.full?.sentMs !== failsafe.sentMs) sayWhoIsSilent(turn);
  // Any write since the last good renewal may have landed, and whoever is a member by it may acquire.
  const known = record === null ? tenure.membersKept : record.members.map(({ id }) => id);
  const members = [...new Set([...known, ...tenure.membersSent])].filter((id) => id !== policy.self);
  const round = Math.max((failsafe?.round ?? 0) + SERIES, Math.floor(s.nowMs) * SERIES + seriesOf(policy.instance));
  s.failsafe = {
    sinceMs: tenure.renewedMs,
    round,
    sentMs: s.nowMs,
    members,
    granted: [],
    refused: [],
    atOnce: false,
    seeing: failsafe?.seeing ?? [],
    full: failsafe?.full ?? null,
    trouble: s.failsafe?.trouble ?? null,
  };
  turn.effects.push({
    kind: 'ask',
    to: members,
    epoch: tenure.epoch,
    round,
    waitMs: Math.max(record?.ttlW ?? 0, policy.timing.takeoverWaitMs),
  });
  count(turn);
};

/** A promise for the present round. */
export const granted = (turn: Turn, { from, epoch, round, sees }: Of<'granted'>): void => {
  const { s } = turn;
  const { failsafe, tenure } = s;
  if (failsafe === null || tenure?.epoch !== epoch || s.phase !== 'held' || failsafe.round !== round) return;
  if (!failsafe.members.includes(from) || failsafe.granted.includes(from)) return;
  const others = failsafe.seeing.filter(({ id }) => id !== from);
  const sinceMs = failsafe.seeing.find(({ id }) => id === from)?.sinceMs ?? s.nowMs;
  s.failsafe = { ...failsafe, granted: [...failsafe.granted, from], seeing: sees ? [...others, { id: from, sinceMs }] : others };
  count(turn);
};

/** A member says no: this round extends nothing. A higher epoch there ends this one. */
export const refused = (turn: Turn, { from, epoch, round, knows, because }: Of<'refused'>): void => {
  const { s } = turn;
  if (s.tenure?.epoch !== epoch || s.phase === 'fencing-self') return;
  if (knows > epoch) {
    journal(turn, 'lease.conflict', `${from} knows of epoch ${knows}, this node holds ${epoch}`);
    return fenceSelf(turn, `${from} knows of epoch ${knows}: epoch ${epoch} is over`);
  }
  if (s.failsafe?.round !== round || !s.failsafe.members.includes(from) || s.failsafe.refused.includes(from)) return;
  s.failsafe = { ...s.failsafe, refused: [...s.failsafe.refused, from] };
  trouble(turn, `${from} refused: ${because}`);
};

/** A holder asks this node. */
export const asked = (turn: Turn, { from, bootId, epoch, round, waitMs }: Of<'asked'>): void => {
  const { s } = turn;
  // A late packet of a boot that is gone; or this guard does not know yet what it holds itself.
  if (!s.started || s.peers[from]?.retired.some((retired) => retired.bootId === bootId) === true) return;
  if (s.tenure !== null && s.phase !== 'fencing-self' && epoch > s.tenure.epoch) {
    journal(turn, 'lease.conflict', `${from} asks for epoch ${epoch}, this node holds ${s.tenure.epoch}`);
    fenceSelf(turn, `${from} holds epoch ${epoch}: epoch ${s.tenure.epoch} is over`);
  }
  const because = against(s, from, bootId, epoch);
  if (because !== null) {
    turn.effects.push({ kind: 'refuse', to: from, epoch, round, knows: epochKnown(s), because });
    return;
  }
  const ttlW = s.known.kind === 'record' ? s.known.record.ttlW : 0;
  const untilMs = s.nowMs + Math.max(waitMs, ttlW, s.policy.timing.takeoverWaitMs);
  const fresh = !promiseInForce(s) || s.promise?.to !== from || s.promise.epoch !== epoch;
  const promise: Promised = { to: from, epoch, untilMs: Math.max(untilMs, s.promise?.untilMs ?? untilMs) };
  s.promise = promise;
  // Whatever was suspected before: the holder lives, and has this node's word.
  s.suspicion = null;
  const seenMs = s.confirmedMs === null ? Number.POSITIVE_INFINITY : s.nowMs - s.confirmedMs;
  const { pollMs, attemptMs } = s.policy.timing;
  turn.effects.push({ kind: 'grant', promise, round, sees: s.known.kind === 'record' && seenMs <= 2 * pollMs + attemptMs });
  if (fresh)
    journal(turn, 'failsafe.promised', `${from} has lost the arbiter: no takeover of epoch ${epoch} while it asks`, undefined, epoch);
};

/** Whether this node has given its word and it still stands. */
export const promiseInForce = ({ promise, nowMs }: OwnershipState): boolean => promise !== null && nowMs < promise.untilMs;

/** The arbiter has answered, or the epoch is over. */
export const endFailsafe = (turn: Turn, because: string): void => {
  const { s } = turn;
  if (s.failsafe === null) return;
  journal(turn, 'failsafe.ended', because, { silentMs: s.nowMs - s.failsafe.sinceMs });
  s.failsafe = null;
  s.fencedMembers = [];
};

/** A member was confirmed off in the boot in which it was last heard: nothing of it can acquire before it is back. */
export const memberFenced = (turn: Turn, node: NodeId, bootId: string): boolean => {
  const { s } = turn;
  const member = s.failsafe?.members.includes(node) === true && s.policy.failsafe.peerLost === 'fence-then-continue';
  if (!member || bootId === '' || lastBootOf(s, node) !== bootId) return false;
  s.fencedMembers = [...s.fencedMembers.filter((other) => other.node !== node), { node, bootId }];
  journal(turn, 'failsafe.peer-fenced', `${node} is confirmed off: that counts as its promise until it is heard again`);
  // The round under way may be old: a new one, now, gives all of D.
  if (s.failsafe !== null) s.failsafe = { ...s.failsafe, atOnce: true };
  return true;
};

/** The boot under which a member was last known. */
export const lastBootOf = ({ peers, tenure }: OwnershipState, node: NodeId): string =>
  peers[node]?.bootId ?? tenure?.current?.record.members.find(({ id }) => id === node)?.bootId ?? '';

/** Members that have not granted the present round and are not known to be off. */
export const silentOf = ({ failsafe, fencedMembers }: OwnershipState): readonly NodeId[] =>
  (failsafe?.members ?? []).filter((id) => failsafe?.granted.includes(id) === false && !fencedMembers.some(({ node }) => node === id));

/** All of one round: the lease counts from before the round was sent. */
const count = (turn: Turn): void => {
  const { s } = turn;
  const { failsafe, tenure, policy } = s;
  if (failsafe === null || tenure === null || failsafe.full?.sentMs === failsafe.sentMs || silentOf(s).length > 0) return;
  const first = failsafe.full === null;
  s.failsafe = { ...failsafe, full: { sentMs: failsafe.sentMs, by: failsafe.granted }, trouble: null };
  s.tenure = { ...tenure, deadlineMs: Math.max(tenure.deadlineMs, failsafe.sentMs + policy.timing.selfFenceMs) };
  writePage(turn, 'HELD');
  if (first || failsafe.trouble !== null)
    journal(
      turn,
      'failsafe.extended',
      `the lease goes on by the promise of ${failsafe.granted.join(', ') || 'nobody: no other member could take it'}`,
    );
};

const sayWhoIsSilent = (turn: Turn): void => {
  const silent = silentOf(turn.s).filter((id) => turn.s.failsafe?.refused.includes(id) === false);
  if (silent.length > 0) trouble(turn, `${silent.join(', ')} did not answer`);
};

const trouble = (turn: Turn, because: string): void => {
  const { s } = turn;
  if (s.failsafe === null || s.failsafe.trouble === because) return;
  s.failsafe = { ...s.failsafe, trouble: because };
  journal(turn, 'failsafe.not-extended', because, { remainingMs: (s.tenure?.deadlineMs ?? s.nowMs) - s.nowMs });
};

/** Why this node gives no promise; null when it does. */
const against = (s: OwnershipState, from: NodeId, bootId: string, epoch: Epoch): string | null => {
  const { tenure, known, writing, unresolved, peers } = s;
  if (tenure !== null) return `it has epoch ${tenure.epoch} itself`;
  if (epochKnown(s) > epoch) return `it knows of epoch ${epochKnown(s)}`;
  if (writing?.purpose === 'acquire' || unresolved !== null) return 'it is acquiring the lease itself';
  if (peers[from]?.stopped?.epoch === epoch) return `${from} has said that epoch ${epoch} is stopped`;
  if (known.kind === 'record' && known.record.epoch === epoch && (known.record.holder !== from || known.record.bootId !== bootId))
    return `${from} does not hold epoch ${epoch} by the lease record`;
  return null;
};

/** The highest epoch that this node has heard of in any way. */
const epochKnown = ({ maxEpochSeen, known, tenure, promise, peers }: OwnershipState): Epoch =>
  Math.max(
    maxEpochSeen,
    known.kind === 'record' ? known.record.epoch : 0,
    tenure?.epoch ?? 0,
    promise?.epoch ?? 0,
    ...Object.values(peers).map(({ held, stopped }) => Math.max(held?.epoch ?? 0, stopped?.epoch ?? 0)),
  );
