// The node without the lease: it observes the record, and acquires when it may (SAFETY a.6, IDLE, OBSERVE, ACQUIRING).
// Invariants: a CAS is on exactly the version that was observed; a late answer is discarded; the lease counts from before
// the first send.
import type { LeasePhase } from '../model/lease.js';
import { beginToConfirm, beginToWait } from './awaiting.js';
import type { Found } from './events.js';
import { fenceSelf } from './fencing.js';
import { inheritedSync, lacksSync } from './in-sync.js';
import { askToStop } from './please-stop.js';
import { expireQuestion, followPeer, hasConsent, nextEpoch } from './pair.js';
import type { LeaseRecord, RecordMember } from './record.js';
import type { Attempt } from './state.js';
import { type Licence, licenceFor, obstacleFor, owed, ownAndGone, sameConfig } from './takeover.js';
import { marginMs, nextOnGrid, retryMs } from './timing.js';
import { type Turn, alarm, enter, journal, keepPhase, learn, raiseMaxEpoch, sendCas, sendRead, writePage } from './turn.js';

/** A new record has been taken in: begin or restart to observe, and say what is seen when it is something new. */
export const observed = (turn: Turn, found: Found, ordersRead: boolean): void => {
  const before = turn.s.known;
  learn(turn, found, ordersRead);
  const { known } = turn.s;
  const sentence = describe(known);
  const news =
    before.kind !== known.kind ||
    (before.kind === 'record' && known.kind === 'record' && sameHolding(before.record, known.record) === false);
  if (turn.s.phase === 'idle' || news) {
    enter(turn, 'observe', sentence);
    journal(
      turn,
      'lease.observe',
      sentence,
      known.kind === 'record' ? { holder: known.record.holder, state: known.record.state, seq: known.record.seq } : undefined,
    );
  }
};

/** An acquisition whose outcome was unknown: an own nonce counts from its first send, and only with time to spare. */
export const resolve = (turn: Turn, found: Found): boolean => {
  const { s } = turn;
  const attempt = s.unresolved;
  if (attempt === null) return false;
  s.unresolved = null;
  if (attempt.purpose !== 'acquire') return false;
  const own = found.kind === 'record' && found.record.nonce === attempt.record.nonce;
  if (own && inTime(turn, attempt)) {
    won(turn, attempt, found.version);
    return true;
  }
  enter(turn, 'observe', own ? 'an own acquisition landed too late to be used: it counts as foreign' : 'the acquisition did not happen');
  return false;
};

/** The CAS of an acquisition is done. */
export const acquired = (turn: Turn, attempt: Attempt, version: string): void => {
  if (inTime(turn, attempt)) return won(turn, attempt, version);
  observed(turn, { kind: 'record', record: attempt.record, version }, false);
  enter(turn, 'observe', 'the acquisition was answered too late to be used: it counts as foreign');
};

/** Nobody holds the lease here: decide what to send. */
export const seek = (turn: Turn): void => {
  const { s } = turn;
  const { timing } = s.policy;
  expireQuestion(turn);
  if (s.writing !== null) return;
  if (s.unresolved !== null && s.nowMs >= usableUntilMs(turn, s.unresolved)) {
    s.unresolved = null;
    enter(turn, 'observe', 'the acquisition could not be confirmed in time');
  }
  alarms(turn);
  askToStop(turn);
  s.clearSinceMs = obstacleFor(s) === null ? (s.clearSinceMs ?? s.nowMs) : null;
  if (s.unresolved === null && s.nowMs >= s.writeNotBeforeMs && write(turn)) return;
  const dueMs = s.unresolved === null ? nextOnGrid(s.lastReadMs, timing.pollMs) : s.lastReadMs + retryMs(timing);
  if (s.reading === null && (s.readWanted || s.nowMs >= dueMs)) sendRead(turn);
};

/** When time alone will allow an acquisition; Infinity when only events can. */
export const acquireAtMs = (turn: Pick<Turn, 's'>): number => {
  const licence = licenceFor(turn.s);
  return licence.evidence === null || readsFirst(turn, licence) || obstacleFor(turn.s) !== null ? Number.POSITIVE_INFINITY : licence.atMs;
};

/** Who says STOPPED may just have written RELEASED: what is on its way to be read comes first. */
const readsFirst = ({ s }: Pick<Turn, 's'>, { evidence }: Licence): boolean =>
  evidence === 'stopped' && (s.readWanted || s.reading !== null);

const write = (turn: Turn): boolean => {
  const { s } = turn;
  const { known } = s;
  if (followPeer(turn)) return true;
  if (known.kind === 'absent') return create(turn);
  if (known.kind !== 'record') return false;
  const licence = licenceFor(s);
  if (licence.evidence !== null && readsFirst(turn, licence)) return false;
  if (licence.evidence !== null && s.nowMs >= licence.atMs && obstacleFor(s) === null) {
    if (licence.evidence === 'granted' && !hasConsent(turn, known.record)) return false;
    acquire(turn, licence, known.record, known.version);
    return true;
  }
  if (!ownAndGone(s, known.record)) return false;
  const because = known.record.bootId === s.policy.bootId ? 'stopped and verified here' : 'this node has rebooted since';
  sendCas(turn, 'clear', known.version, because, (nonce) => releasedRecord(known.record, nonce, because, null));
  return true;
};

const acquire = (turn: Turn, licence: Licence, record: LeaseRecord, version: string): void => {
  const { s } = turn;
  const { policy } = s;
  const { timing } = policy;
  const peer = policy.pair?.peer ?? null;
  const own = (members: readonly RecordMember[]) =>
    members.map((member) =>
      member.id === policy.self
        ? { id: policy.self, bootId: policy.bootId }
        : member.id === peer
          ? { id: peer, bootId: s.peers[peer]?.bootId ?? member.bootId }
          : member,
    );
  const epoch = s.pair?.asking?.epoch ?? nextEpoch(s, record);
  if (s.pair !== null) s.pair = { ...s.pair, asking: null };
  const fencing = owed(s, record, licence.evidence);
  const forced = lacksSync(s, record);
  // One attempt an edge: whatever comes of it, the suspicion is used up. A read under way is older than what follows.
  s.suspicion = null;
  s.reading = null;
  // Not used before its time but by proof that the holder it was given to has ended.
  s.promise = null;
  const attempt = sendCas(turn, 'acquire', version, licence.because, (nonce) => ({
    v: 1,
    epoch,
    holder: policy.self,
    bootId: policy.bootId,
    nonce,
    seq: record.seq + 1,
    state: fencing.length > 0 ? 'FENCING' : 'HELD',
    fencing,
    ttlW: timing.takeoverWaitMs,
    d: timing.selfFenceMs,
    members: own(record.members),
    inSync: inheritedSync(s, record, own(record.inSync)),
    ...(forced === null ? {} : { forced: true as const }),
    successor: null,
    watchdog: policy.watchdog,
    reason: licence.because,
    prevHolder: record.holder ?? record.prevHolder,
    cfgHash: policy.cfgHash,
  }));
  const { holder, bootId } = record;
  const onlyW = licence.evidence === 'waited' || licence.evidence === 'preempt';
  if (onlyW && fencing.length === 0 && record.state === 'HELD' && holder !== null && holder !== policy.self && policy.fencing !== 'none')
    s.writing = {
      ...attempt,
      unproven: { holder: { node: holder, bootId, epoch: record.epoch }, preempted: licence.evidence === 'preempt' },
    };
  enter(turn, 'acquiring', licence.because);
  journal(
    turn,
    'lease.acquiring',
    licence.because,
    {
      evidence: licence.evidence,
      from: record.holder ?? record.prevHolder,
      ...(fencing.length > 0 ? { waitsFor: fencing } : {}),
      ...(forced === null ? {} : { forced, by: s.orders.group.forced?.by, why: s.orders.group.forced?.why }),
    },
    epoch,
  );
};

/** Nobody knows who held it: the new record counts as somebody else's, and everybody waits W once. */
const create = (turn: Turn): boolean => {
  const { s } = turn;
  const { policy } = s;
  // Without a store the peer's consent or proven end is needed anyway: its own copy may be made anew while the peer is heard.
  const lost = s.maxEpochSeen > 0 && (s.pair === null || s.pair.silentSinceMs !== null);
  if (lost || s.gate.length > 0 || !policy.members.includes(policy.self)) return false;
  const members = policy.members.map((id) => ({ id, bootId: id === policy.self ? policy.bootId : '' }));
  const because = 'there was no lease record';
  sendCas(turn, 'create', null, because, (nonce) => ({
    v: 1,
    epoch: s.maxEpochSeen,
    holder: null,
    bootId: '',
    nonce,
    seq: 1,
    state: 'HELD-UNKNOWN',
    fencing: [],
    ttlW: policy.timing.takeoverWaitMs,
    d: policy.timing.selfFenceMs,
    members,
    inSync: members,
    successor: null,
    watchdog: false,
    reason: because,
    prevHolder: null,
    cfgHash: policy.cfgHash,
  }));
  return true;
};

/** RELEASED for an epoch of which nothing is left. */
export const releasedRecord = (record: LeaseRecord, nonce: string, reason: string, successor: string | null): LeaseRecord => ({
  ...record,
  state: 'RELEASED',
  holder: null,
  prevHolder: record.holder,
  nonce,
  seq: record.seq + 1,
  successor,
  reason,
});

const won = (turn: Turn, attempt: Attempt, version: string): void => {
  const { s } = turn;
  const { record, sentMs } = attempt;
  const { policy } = s;
  // Until now the watchdog was petted for nothing that runs; from HELD on its bite must come within P_max + WD of a send.
  const late = policy.watchdog && s.nowMs - sentMs > policy.timing.petMaxAgeMs;
  s.tenure = {
    epoch: record.epoch,
    current: { version, record },
    deadlineMs: sentMs + policy.timing.selfFenceMs,
    renewedMs: sentMs,
    sentMs: late ? Number.NEGATIVE_INFINITY : sentMs,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    nonce: record.nonce,
    inSync: record.inSync,
    inSyncSent: [],
    attempts: [{ nonce: record.nonce, sentMs }],
    unproven: unprovenOf(turn, attempt),
    slow: false,
    refused: null,
    membersSent: [],
    membersKept: record.members.map(({ id }) => id),
  };
  s.release = null;
  s.suspicion = null;
  s.known = { kind: 'record', record, version, firstSeenMs: s.nowMs, ordersRead: true };
  s.confirmedMs = s.nowMs;
  s.alarms = [];
  // Armed while the acquisition was under way; without it nothing may start, and the epoch is given up unused.
  if (policy.watchdog && !s.dogArmed) return fenceSelf(turn, 'the watchdog could not be armed');
  if (record.state === 'FENCING') {
    beginToWait(turn, record, attempt.because);
    return raiseMaxEpoch(turn, record.epoch);
  }
  if (late) {
    beginToConfirm(turn, record, attempt.because);
    return raiseMaxEpoch(turn, record.epoch);
  }
  enter(turn, 'held', attempt.because);
  writePage(turn, 'HELD');
  keepPhase(turn, record.epoch, 'held');
  journal(turn, 'lease.held', attempt.because, { from: record.prevHolder, tookMs: s.nowMs - sentMs });
  raiseMaxEpoch(turn, record.epoch);
};

/** A holder for which only W spoke is fenced at once; one whose lease was taken before that, when it must have stopped by itself. */
const unprovenOf = ({ s }: Turn, { unproven, sentMs }: Attempt): NonNullable<Turn['s']['tenure']>['unproven'] => {
  if (unproven === undefined) return null;
  const { selfFenceMs, stopBudgetMs } = s.policy.timing;
  return { ...unproven.holder, dueMs: unproven.preempted ? sentMs + selfFenceMs + stopBudgetMs : s.nowMs };
};

const usableUntilMs = (turn: Turn, { sentMs }: Attempt): number =>
  sentMs + turn.s.policy.timing.selfFenceMs - marginMs(turn.s.policy.timing);
const inTime = (turn: Turn, attempt: Attempt): boolean => turn.s.nowMs < usableUntilMs(turn, attempt);

const alarms = (turn: Turn): void => {
  const { s } = turn;
  const { known, policy } = s;
  const record = known.kind === 'record' ? known.record : null;
  alarm(
    turn,
    `${policy.group}: the lease record is lost (it was at epoch ${s.maxEpochSeen}); only an operator may restore it`,
    known.kind === 'absent' && s.maxEpochSeen > 0,
  );
  alarm(turn, `${policy.group}: the lease record cannot be used`, known.kind === 'invalid');
  alarm(
    turn,
    `${policy.group}: the lease record went back to an older epoch`,
    s.pair === null && record !== null && record.epoch < s.maxEpochSeen,
  );
  alarm(
    turn,
    `${policy.group}: this node's configuration differs from the lease record's: no automatic takeover`,
    record !== null && !sameConfig(s, record),
  );
};

const sameHolding = (one: LeaseRecord, other: LeaseRecord): boolean =>
  one.epoch === other.epoch && one.state === other.state && one.holder === other.holder && one.bootId === other.bootId;

const describe = (known: Turn['s']['known']): string => {
  if (known.kind === 'absent') return 'there is no lease record';
  if (known.kind === 'invalid') return known.because;
  if (known.kind === 'unread') return 'the lease record has not been read';
  const { record } = known;
  if (record.state === 'RELEASED') return `epoch ${record.epoch} was released by ${record.prevHolder ?? 'nobody'}`;
  return record.state === 'HELD-UNKNOWN'
    ? 'nobody is known to hold it: everybody waits W once'
    : `${record.holder ?? 'nobody'} holds epoch ${record.epoch}`;
};

/** Phases of a node without the lease. */
export const isCandidate = (phase: LeasePhase): boolean => phase === 'idle' || phase === 'observe' || phase === 'acquiring';
