// The ownership machine of one group (SAFETY a.6): (state, event) → [state, effects]. No clock, no I/O, no chance; the guard
// carries the effects out and the simulator runs this same code. Invariant: two machines on one linearizable store never
// both hold before their deadlines (test/ownership/machine.property.test.ts).
import { acquireAtMs, acquired, isCandidate, observed, resolve, seek } from './candidate.js';
import type { Found, OwnershipEffect, OwnershipEvent } from './events.js';
import { asked, granted, provenMs, refused, roundAtMs } from './failsafe.js';
import { fenceSelf, hardStopped, pressOn } from './fencing.js';
import { contested, enforceDeadline, hold, released, renewAtMs, renewed, stopVerified, unanswered } from './holder.js';
import { expireSync, inSyncAsked } from './in-sync.js';
import { bootChanged, fellSilent, fenced, heard, weigh } from './peers.js';
import { consentAsked, consentGranted, consentRefused, consented, questionDueMs } from './pair.js';
import { pleaseStop } from './please-stop.js';
import type { Attempt, OwnershipState, Tenure } from './state.js';
import { marginMs, nextOnGrid, retryMs } from './timing.js';
import { type Turn, enter, journal } from './turn.js';

export const machine = (state: OwnershipState, event: OwnershipEvent): readonly [OwnershipState, readonly OwnershipEffect[]] => {
  const turn: Turn = { s: { ...state, nowMs: Math.max(state.nowMs, event.nowMs) }, effects: [] };
  // Time first: an answer that comes after the deadline finds the epoch dead.
  enforceDeadline(turn);
  handle(turn, event);
  expire(turn);
  if (!turn.s.started) return [turn.s, turn.effects];
  if (turn.s.phase === 'fencing-self') pressOn(turn);
  else if (turn.s.tenure === null) seek(turn);
  else hold(turn);
  expireSync(turn);
  return [turn.s, turn.effects];
};

/** When the machine wants the next tick, if nothing else happens before. */
export const nextWakeMs = (state: OwnershipState): number => {
  const { policy, reading, writing, tenure, fencing, unresolved } = state;
  const { timing } = policy;
  if (!state.started) return Number.POSITIVE_INFINITY;
  if (fencing !== null) return Math.min(fencing.resetMs, fencing.sayAgainMs, fencing.running ? Number.POSITIVE_INFINITY : fencing.retryMs);
  const readMs = reading === null ? nextOnGrid(state.lastReadMs, timing.pollMs) : reading.sentMs + timing.attemptMs;
  const writeEndMs = writing === null ? Number.POSITIVE_INFINITY : writing.sentMs + timing.attemptMs;
  if (tenure !== null) return Math.min(readMs, writeEndMs, holderWakeMs(state, tenure));
  // One write at a time: until its answer nothing else is sent.
  if (writing !== null) return reading === null ? writeEndMs : Math.min(readMs, writeEndMs);
  const confirmMs = unresolved === null || reading !== null ? Number.POSITIVE_INFINITY : state.lastReadMs + retryMs(timing);
  return Math.min(readMs, confirmMs, candidateWakeMs(state));
};

const holderWakeMs = (state: OwnershipState, tenure: Tenure): number => {
  const { policy, reading, writing } = state;
  const { timing } = policy;
  const adoptMs = tenure.current === null && reading === null ? state.lastReadMs + retryMs(timing) : Number.POSITIVE_INFINITY;
  const writes = writing === null && tenure.current !== null;
  const writeMs = writes ? (state.release?.sent === true ? tenure.notBeforeMs : renewAtMs({ s: state })) : Number.POSITIVE_INFINITY;
  const slowMs = tenure.slow ? Number.POSITIVE_INFINITY : tenure.renewedMs + timing.softMs;
  const wish = state.inSyncWish;
  const wishMs =
    wish === null ? Number.POSITIVE_INFINITY : Math.min(wish.dueMs, wish.pending && writing === null ? tenure.notBeforeMs : wish.dueMs);
  return Math.min(tenure.deadlineMs, roundAtMs(state), adoptMs, writeMs, slowMs, wishMs);
};

const candidateWakeMs = (state: OwnershipState): number => {
  const askMs = questionDueMs(state);
  if (askMs !== null) return askMs;
  if (state.unresolved !== null) return Number.POSITIVE_INFINITY;
  return Math.max(acquireAtMs({ s: state }), state.writeNotBeforeMs, state.pair?.askNotBeforeMs ?? 0);
};

/** Whether this group allows the node's watchdog to be petted (SAFETY a.6): nothing runs here, or a renewal or failsafe round is fresh. */
export const mayPet = (state: OwnershipState, nowMs: number): boolean => {
  if (isCandidate(state.phase) || state.phase === 'fencing') return true;
  if (state.phase === 'fencing-self' || state.tenure === null) return false;
  return nowMs - provenMs(state) <= state.policy.timing.petMaxAgeMs;
};

/** Whether an operator works on the group and does without the watchdog; the record then says that none is armed. */
export const isUnwatched = ({ orders }: Pick<OwnershipState, 'orders'>): boolean =>
  orders.group.maintenance && orders.group.unwatched === true;

/** Whether the watchdog must be armed for this group. */
export const needsDog = (state: OwnershipState): boolean =>
  (state.tenure !== null && !isUnwatched(state)) || (state.writing?.purpose ?? state.unresolved?.purpose) === 'acquire';

const handle = (turn: Turn, event: OwnershipEvent): void => {
  const { s } = turn;
  switch (event.kind) {
    case 'start':
      return start(turn, event);
    case 'tick':
      // Paused for longer than D: whatever the arithmetic says, others had time to take over.
      if (s.tenure !== null && event.gapMs > s.policy.timing.selfFenceMs)
        fenceSelf(turn, `this process did not run for ${Math.round(event.gapMs)} ms`);
      return undefined;
    case 'read-done':
      return s.reading?.id === event.readId ? readDone(turn, event, s.reading.sentMs) : undefined;
    case 'read-failed':
      return s.reading?.id === event.readId ? readFailed(turn, event.refused === true ? event.because : null) : undefined;
    case 'cas-done':
      return s.writing?.id === event.attemptId ? casDone(turn, s.writing, event.version) : undefined;
    case 'cas-conflict':
      return s.writing?.id === event.attemptId ? casConflict(turn, s.writing, event.found) : undefined;
    case 'cas-unknown':
      return s.writing?.id === event.attemptId ? casUnknown(turn, s.writing, event.refused === true ? event.because : null) : undefined;
    case 'will':
      s.will = { will: event.will, atMs: Math.min(event.saidMs, s.nowMs) };
      s.leaveUntilMs = Number.NEGATIVE_INFINITY;
      return undefined;
    case 'leave':
      s.leaveUntilMs = event.untilMs;
      return undefined;
    case 'gate':
      s.gate = event.blockers;
      return undefined;
    case 'dog':
      s.dogArmed = event.armed;
      return undefined;
    case 'beat':
      return heard(turn, event);
    case 'boot-changed':
      return bootChanged(turn, event);
    case 'peer-suspect':
      return fellSilent(turn, event);
    case 'hint':
      s.readWanted = true;
      return undefined;
    case 'please-stop':
      return pleaseStop(turn, event.from, event.epoch);
    case 'asked':
      return s.pair === null ? asked(turn, event) : consentAsked(turn, event);
    case 'granted':
      return s.pair === null ? granted(turn, event) : consentGranted(turn, event);
    case 'refused':
      return s.pair === null ? refused(turn, event) : consentRefused(turn, event);
    case 'fenced':
      return fenced(turn, event);
    case 'in-sync':
      return inSyncAsked(turn, event);
    case 'higher-epoch':
      if (s.tenure === null || event.epoch <= s.tenure.epoch) return undefined;
      journal(turn, 'lease.conflict', event.because, { epoch: event.epoch });
      return fenceSelf(turn, `epoch ${event.epoch} is known: epoch ${s.tenure.epoch} is over: ${event.because}`);
    case 'tombstone':
      if (s.tenure?.epoch === event.epoch) fenceSelf(turn, `the leash has fired for epoch ${event.epoch}`);
      return undefined;
    case 'give-up':
      return fenceSelf(turn, event.because);
    case 'stop-verified':
      if (s.tenure?.epoch === event.epoch) stopVerified(turn, event.verified, event.because);
      return undefined;
    case 'hard-stopped':
      if (s.tenure?.epoch === event.epoch) hardStopped(turn, event.verified, event.because);
      return undefined;
    default:
      return event satisfies never;
  }
};

const start = (turn: Turn, { leftover, promise = null }: Extract<OwnershipEvent, { kind: 'start' }>): void => {
  const { s } = turn;
  s.started = true;
  s.promise = promise;
  if (leftover.kind === 'nothing') {
    s.stoppedEpoch = leftover.stoppedEpoch;
    return;
  }
  const { timing } = s.policy;
  const deadlineMs = leftover.deadlineMs ?? s.nowMs;
  s.tenure = {
    epoch: leftover.epoch,
    current: null,
    deadlineMs,
    renewedMs: deadlineMs - timing.selfFenceMs,
    sentMs: Number.NEGATIVE_INFINITY,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    nonce: leftover.kind === 'adopt' ? leftover.nonce : s.policy.instance,
    inSync: s.policy.members.map((id) => ({ id, bootId: '' })),
    inSyncSent: [],
    attempts: [],
    unproven: null,
    slow: false,
    refused: null,
    membersSent: [],
    membersKept: leftover.kind === 'adopt' ? leftover.members : [],
  };
  s.phase = leftover.kind === 'adopt' ? leftover.phase : 'held';
  if (leftover.kind === 'fence') return fenceSelf(turn, leftover.because);
  // Looked at again: time may have passed since the page was read.
  if (s.nowMs >= deadlineMs - marginMs(timing))
    return fenceSelf(turn, `the lease of epoch ${leftover.epoch} runs out too soon to be taken up again`);
  enter(turn, leftover.phase, `epoch ${leftover.epoch} is taken up again by a new guard`);
  journal(turn, 'lease.adopted', s.because, { remainingMs: deadlineMs - s.nowMs });
};

/** Answers that did not come in time are discarded; their numbers are forgotten. */
const expire = (turn: Turn): void => {
  const { s } = turn;
  const { attemptMs } = s.policy.timing;
  if (s.reading !== null && s.nowMs >= s.reading.sentMs + attemptMs) readFailed(turn, null);
  if (s.writing !== null && s.nowMs >= s.writing.sentMs + attemptMs) casUnknown(turn, s.writing, null);
};

const readDone = (turn: Turn, { found, orders }: Extract<OwnershipEvent, { kind: 'read-done' }>, sentMs: number): void => {
  const { s } = turn;
  s.reading = null;
  const ordersRead = !('invalid' in orders);
  if (ordersRead) s.orders = orders;
  if (s.phase === 'fencing-self') return undefined;
  if (s.tenure === null) {
    const record = found.kind === 'record' ? found.record : null;
    weigh(turn, record, sentMs);
    if (resolve(turn, found)) return undefined;
    return observed(turn, found, ordersRead);
  }
  // While holding, only two things in the record matter: after adoption its version, and a higher epoch. The rest is the
  // answer of a read that may be older than this node's own last write.
  if (s.tenure.current === null || (found.kind === 'record' && found.record.epoch > s.tenure.epoch)) contested(turn, found, null);
  return undefined;
};

const readFailed = (turn: Turn, refusal: string | null): void => {
  const { s } = turn;
  s.reading = null;
  // An answer, though no good one: what follows is no silence.
  if (s.tenure !== null && refusal !== null) s.tenure = { ...s.tenure, refused: refusal };
  if (turn.s.suspicion !== null && turn.s.suspicion.base === null) turn.s.readWanted = true;
};

const casDone = (turn: Turn, attempt: Attempt, version: string): void => {
  const { s } = turn;
  s.writing = null;
  switch (attempt.purpose) {
    case 'renew':
      return renewed(turn, attempt.record, version);
    case 'release':
      return released(turn, attempt.record, version);
    case 'acquire':
      return acquired(turn, attempt, version);
    case 'consent':
      observed(turn, { kind: 'record', record: attempt.record, version }, false);
      s.readWanted = true;
      if (attempt.consent !== undefined) consented(turn, attempt.consent.to, attempt.record.epoch, attempt.consent.round);
      return undefined;
    case 'create':
    case 'clear':
      s.readWanted = true;
      return observed(turn, { kind: 'record', record: attempt.record, version }, false);
    default:
      return attempt.purpose satisfies never;
  }
};

const casConflict = (turn: Turn, attempt: Attempt, found: Found): void => {
  const { s } = turn;
  s.writing = null;
  if (attempt.purpose === 'renew' || attempt.purpose === 'release') return contested(turn, found, attempt);
  s.readWanted = true;
  s.unresolved = attempt;
  if (resolve(turn, found)) return undefined;
  if (attempt.purpose === 'acquire') {
    journal(
      turn,
      'lease.conflict',
      `another write came before the acquisition of epoch ${attempt.record.epoch}`,
      undefined,
      attempt.record.epoch,
    );
    enter(turn, 'observe', 'another write came before the acquisition');
  }
  return observed(turn, found, false);
};

const casUnknown = (turn: Turn, attempt: Attempt, refusal: string | null): void => {
  const { s } = turn;
  s.writing = null;
  if (attempt.purpose === 'renew' || attempt.purpose === 'release') return unanswered(turn, refusal);
  s.readWanted = true;
  s.writeNotBeforeMs = s.nowMs + retryMs(s.policy.timing);
  if (attempt.purpose === 'acquire') s.unresolved = attempt;
  return undefined;
};
