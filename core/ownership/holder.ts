// The node with the lease: it renews, gives back in good order, or fences itself (SAFETY a.6, HELD and RELEASING).
// Invariants: the deadline counts from before the send of a renewal that succeeded; once RELEASED may have been written
// there is no way back; whatever else happens, at the deadline it is over.
import { hasNews, onward, waited } from './awaiting.js';
import type { NodeId } from '../model/ids.js';
import type { Found } from './events.js';
import { releasedRecord } from './candidate.js';
import { askAll, endFailsafe } from './failsafe.js';
import { fenceSelf } from './fencing.js';
import { confirmedSync, sentSync, wishedSync } from './in-sync.js';
import { withdraw } from './pair.js';
import type { LeaseRecord, RecordMember } from './record.js';
import type { Attempt, Tenure } from './state.js';
import { WILL_MAX_AGE_MS, nextOnGrid, retryMs } from './timing.js';
import { type Turn, enter, journal, keepPhase, sendCas, sendRead, writePage } from './turn.js';

const ATTEMPTS_KEPT = 8;
const RELEASE_RETRY_MS = 250;

/** Before anything else in any turn: is it over? True when it is. */
export const enforceDeadline = (turn: Turn): boolean => {
  const { s } = turn;
  if (s.tenure === null || s.phase === 'fencing-self' || s.nowMs < s.tenure.deadlineMs) return false;
  const failsafe = s.failsafe === null ? '' : `, and the members did not all extend it: ${s.failsafe.trouble ?? 'a round was under way'}`;
  fenceSelf(turn, `no renewal succeeded within D = ${s.policy.timing.selfFenceMs} ms${failsafe}`);
  return true;
};

/** Decides what the holder sends now. */
export const hold = (turn: Turn): void => {
  const { s } = turn;
  const { tenure } = s;
  const { timing } = s.policy;
  if (tenure === null) return;
  if (s.phase === 'held' || s.phase === 'fencing') considerRelease(turn);
  if (!tenure.slow && s.nowMs >= tenure.renewedMs + timing.softMs) {
    s.tenure = { ...tenure, slow: true };
    journal(turn, 'lease.renew-slow', `no renewal succeeded for ${timing.softMs} ms`, { remainingMs: tenure.deadlineMs - s.nowMs });
  }
  askAll(turn);
  if (tenure.current === null) {
    // After adoption: what the last guard wrote last must be known before it can be renewed.
    if (s.reading === null && s.nowMs >= s.lastReadMs + retryMs(timing)) sendRead(turn);
    return;
  }
  if (withdraw(turn)) return;
  if (s.writing === null) {
    if (s.release?.verified === true) return release(turn, tenure.current);
    const newsMs = s.inSyncWish?.pending === true || hasNews(turn, tenure.current.record) ? tenure.notBeforeMs : Number.POSITIVE_INFINITY;
    if (s.release?.sent !== true && s.nowMs >= Math.min(renewAtMs(turn), newsMs)) renew(turn, tenure.current);
  }
  // The orders are read with the lease's own period; the answer never delays a renewal.
  if (s.reading === null && (s.readWanted || s.nowMs >= nextOnGrid(s.lastReadMs, timing.pollMs))) sendRead(turn);
};

/** When the next renewal is due. */
export const renewAtMs = ({ s }: Pick<Turn, 's'>): number =>
  s.tenure === null ? Number.POSITIVE_INFINITY : Math.max(nextOnGrid(s.tenure.sentMs, s.policy.timing.renewMs), s.tenure.notBeforeMs);

/** Renews at once, whatever the grid says: the peer is silent, or the epoch was just taken up. */
export const renewNow = (turn: Turn): void => {
  if (turn.s.tenure !== null) turn.s.tenure = { ...turn.s.tenure, sentMs: Number.NEGATIVE_INFINITY, notBeforeMs: Number.NEGATIVE_INFINITY };
};

/** An own renewal is known to have happened. */
export const renewed = (turn: Turn, record: LeaseRecord, version: string): void => {
  const { s } = turn;
  const { tenure, policy } = s;
  if (tenure === null) return;
  const sentMs = tenure.attempts.find(({ nonce }) => nonce === record.nonce)?.sentMs ?? Number.NEGATIVE_INFINITY;
  s.tenure = {
    ...tenure,
    current: { version, record },
    deadlineMs: Math.max(tenure.deadlineMs, sentMs + policy.timing.selfFenceMs),
    renewedMs: Math.max(tenure.renewedMs, sentMs),
    notBeforeMs: Number.NEGATIVE_INFINITY,
    nonce: record.nonce,
    inSync: record.inSync,
    inSyncSent: [],
    slow: false,
    refused: null,
    membersSent: [],
  };
  keepMembers(
    turn,
    record.members.map(({ id }) => id),
  );
  s.confirmedMs = s.nowMs;
  endFailsafe(turn, 'the arbiter answers again');
  if (s.phase !== 'fencing') {
    writePage(turn, s.phase === 'held' ? 'HELD' : 'STOPPING');
    confirmedSync(turn, record);
  } else if (waited(turn, record, tenure.current?.record ?? null, sentMs)) renewNow(turn);
};

/** A renewal or a release met another state of the record. */
export const contested = (turn: Turn, found: Found, attempt: Attempt | null): void => {
  const { s } = turn;
  const { tenure, policy } = s;
  if (tenure === null) return;
  const record = found.kind === 'record' ? found.record : null;
  const ofThisEpoch = record !== null && record.epoch === tenure.epoch && record.bootId === policy.bootId;
  const begun = record?.state === 'HELD' || (record?.state === 'FENCING' && s.phase !== 'held');
  // The page did not say HELD yet: whether anything was started cannot be told, so the epoch ends here.
  if (ofThisEpoch && record.state === 'HELD' && s.phase === 'fencing' && tenure.current === null)
    return fenceSelf(turn, `the last guard ended while epoch ${tenure.epoch} was about to begin`);
  if (found.kind === 'record' && ofThisEpoch && begun && record.holder === policy.self) {
    // Nobody else writes this epoch: an own write landed late, and the next one is on top of it.
    renewed(turn, record, found.version);
    return renewNow(turn);
  }
  if (found.kind === 'record' && ofThisEpoch && record.state === 'RELEASED' && s.release?.sent === true)
    return released(turn, found.record, found.version);
  const there =
    found.kind !== 'record'
      ? `the record is ${found.kind}`
      : `it is at epoch ${found.record.epoch}, ${found.record.state} ${found.record.holder ?? 'by nobody'}`;
  journal(
    turn,
    'lease.conflict',
    `${attempt === null ? 'a read' : `a ${attempt.purpose}`} of epoch ${tenure.epoch} found another record: ${there}`,
  );
  fenceSelf(turn, `the lease of epoch ${tenure.epoch} is lost: ${there}`);
};

/** A renewal or release has no answer: try again on the same version; the conflict will tell if it landed. */
export const unanswered = (turn: Turn, refusal: string | null): void => {
  const { s } = turn;
  if (s.tenure === null) return;
  s.tenure = {
    ...s.tenure,
    sentMs: Number.NEGATIVE_INFINITY,
    notBeforeMs: s.nowMs + retryMs(s.policy.timing),
    refused: refusal ?? s.tenure.refused,
  };
  if (refusal !== null) endFailsafe(turn, `the arbiter answers and refuses: ${refusal}`);
};

/** The stop was verified, or not: then the lease is kept and the controller told. */
export const stopVerified = (turn: Turn, verified: boolean, because: string): void => {
  const { s } = turn;
  if (s.phase !== 'releasing' || s.release === null || s.release.sent) return;
  if (verified) {
    s.release = { ...s.release, verified: true };
    return;
  }
  const { from } = s.release;
  s.release = null;
  s.releaseNotBeforeMs = s.nowMs + RELEASE_RETRY_MS;
  enter(turn, from, `not released: ${because}`);
  if (from === 'held') writePage(turn, 'HELD');
  journal(turn, 'lease.release-refused', `the stop could not be verified: ${because}`);
};

/** RELEASED is in the store: nothing of the epoch is left, others may come at once. */
export const released = (turn: Turn, record: LeaseRecord, version: string): void => {
  const { s } = turn;
  const { tenure } = s;
  if (tenure === null) return;
  turn.effects.push({ kind: 'nudge', to: record.successor ?? 'all', epoch: tenure.epoch });
  writePage(turn, 'RELEASED');
  s.stoppedEpoch = tenure.epoch;
  endFailsafe(turn, 'the lease is given back');
  s.tenure = null;
  s.release = null;
  s.reading = null;
  s.known = { kind: 'record', record, version, firstSeenMs: s.nowMs, ordersRead: false };
  s.confirmedMs = s.nowMs;
  enter(turn, 'observe', record.reason);
  keepPhase(turn, record.epoch, 'observe');
  journal(turn, 'lease.released', record.reason, { successor: record.successor }, record.epoch);
};

const considerRelease = (turn: Turn): void => {
  const { s } = turn;
  const { will, tenure } = s;
  if (tenure === null || will === null || will.will.want !== 'release') return;
  if (s.nowMs - will.atMs > WILL_MAX_AGE_MS || s.nowMs < s.releaseNotBeforeMs) return;
  s.release = { from: s.phase === 'fencing' ? 'fencing' : 'held', verified: false, sent: false, successor: will.will.successor };
  enter(turn, 'releasing', will.will.because);
  // Before the check: nothing may start behind its back.
  writePage(turn, 'STOPPING');
  turn.effects.push({ kind: 'verify-stopped', epoch: tenure.epoch });
  keepPhase(turn, tenure.epoch, 'releasing');
};

/** The store cannot be told: STOPPED(e) is said instead, which frees the peers of their promise. Everything is verified stopped. */
const stoppedByWord = (turn: Turn, epoch: number): void => {
  const { s } = turn;
  const because = `${s.because}; epoch ${epoch} is stopped and verified, which the peers are told, for the arbiter is silent`;
  writePage(turn, 'DEAD');
  endFailsafe(turn, because);
  s.stoppedEpoch = Math.max(s.stoppedEpoch, epoch);
  s.tenure = null;
  s.release = null;
  s.reading = null;
  s.known = { kind: 'unread' };
  s.readWanted = true;
  enter(turn, 'idle', because);
  keepPhase(turn, epoch, 'idle');
  journal(turn, 'lease.stopped', because, undefined, epoch);
};

const release = (turn: Turn, current: NonNullable<Tenure['current']>): void => {
  const { s } = turn;
  if (s.release === null || s.tenure === null) return;
  if (s.failsafe !== null) return stoppedByWord(turn, s.tenure.epoch);
  if (s.nowMs < s.tenure.notBeforeMs) return;
  const { successor } = s.release;
  s.release = { ...s.release, sent: true };
  sendCas(turn, 'release', current.version, s.because, (nonce) => releasedRecord(current.record, nonce, s.because, successor));
};

const renew = (turn: Turn, { version, record }: NonNullable<Tenure['current']>): void => {
  const { s } = turn;
  const { policy, tenure } = s;
  if (tenure === null) return;
  const members = membersNow(turn, record.members);
  // Before it is sent: the next guard must ask whoever may be a member by it.
  keepMembers(turn, [...tenure.membersKept, ...members.map(({ id }) => id)]);
  const inSync = wishedSync(turn, record.inSync);
  noteAdded(turn, inSync);
  const attempt = sendCas(turn, 'renew', version, 'renewal', (nonce) => ({
    ...record,
    nonce,
    seq: record.seq + 1,
    ...onward(turn, record),
    ttlW: policy.timing.takeoverWaitMs,
    d: policy.timing.selfFenceMs,
    members,
    inSync,
    watchdog: policy.watchdog && s.dogArmed,
    cfgHash: policy.cfgHash,
  }));
  sentSync(turn);
  const attempts = [...tenure.attempts, { nonce: attempt.record.nonce, sentMs: attempt.sentMs }].slice(-ATTEMPTS_KEPT);
  const membersSent = [...new Set([...tenure.membersSent, ...attempt.record.members.map(({ id }) => id)])];
  s.tenure = { ...(s.tenure ?? tenure), sentMs: attempt.sentMs, attempts, membersSent };
};

/** What was added may land although no answer comes: the page shows it until a renewal is known to have happened. */
const noteAdded = ({ s }: Turn, inSync: readonly RecordMember[]): void => {
  if (s.tenure === null) return;
  const { inSync: known, inSyncSent } = s.tenure;
  const added = inSync.map(({ id }) => id).filter((id) => !known.some((entry) => entry.id === id));
  s.tenure = { ...s.tenure, inSyncSent: [...new Set([...inSyncSent, ...added])] };
};

const keepMembers = (turn: Turn, ids: readonly NodeId[]): void => {
  const { tenure, phase } = turn.s;
  const members = [...new Set(ids)];
  if (tenure === null || (members.length === tenure.membersKept.length && members.every((id) => tenure.membersKept.includes(id)))) return;
  turn.s.tenure = { ...tenure, membersKept: members };
  keepPhase(turn, tenure.epoch, phase);
};

/** The members change only when every node of the config is heard with this very config; boots follow what was heard. */
const membersNow = ({ s }: Turn, members: readonly RecordMember[]): readonly RecordMember[] => {
  const { policy, peers } = s;
  const bootOf = (id: string, known: string) => (id === policy.self ? policy.bootId : (peers[id]?.bootId ?? known));
  const agreed = policy.members.every((id) => id === policy.self || peers[id]?.cfgHash === policy.cfgHash);
  const ids = agreed ? policy.members : members.map(({ id }) => id);
  return ids.map((id) => ({ id, bootId: bootOf(id, members.find((member) => member.id === id)?.bootId ?? '') }));
};
