// One turn of the machine: the state being changed and the effects wanted so far, and the few moves that all parts make.
// A turn begins with a copy; the state handed in is never touched.
import type { Epoch } from '../model/ids.js';
import type { LeasePhase } from '../model/lease.js';
import type { Found, OwnershipEffect } from './events.js';
import type { PageState } from './page.js';
import type { LeaseRecord } from './record.js';
import type { Attempt, OwnershipState } from './state.js';

export interface Turn {
  readonly s: { -readonly [Key in keyof OwnershipState]: OwnershipState[Key] };
  readonly effects: OwnershipEffect[];
}

export const epochOf = ({ s }: Turn): Epoch => s.tenure?.epoch ?? (s.known.kind === 'record' ? s.known.record.epoch : s.stoppedEpoch);

export const journal = (
  turn: Turn,
  event: string,
  because: string,
  data?: Readonly<Record<string, unknown>>,
  epoch: Epoch = epochOf(turn),
): void => {
  turn.effects.push({ kind: 'journal', event, epoch, because, ...(data === undefined ? {} : { data }) });
};

/** Changes the phase and its reason; peers hear of it at once. */
export const enter = (turn: Turn, phase: LeasePhase, because: string): void => {
  const changed = turn.s.phase !== phase;
  turn.s.phase = phase;
  turn.s.because = because;
  if (changed) turn.effects.push({ kind: 'beat' });
};

export const sendRead = (turn: Turn): void => {
  const { s } = turn;
  s.serial += 1;
  s.reading = { id: s.serial, sentMs: s.nowMs };
  s.readWanted = false;
  s.lastReadMs = s.nowMs;
  turn.effects.push({ kind: 'read', readId: s.serial, timeoutMs: s.policy.timing.attemptMs });
};

/** One write at a time; its send time is now, before anything is sent. */
export const sendCas = (
  turn: Turn,
  purpose: Attempt['purpose'],
  expected: string | null,
  because: string,
  record: (nonce: string) => LeaseRecord,
): Attempt => {
  const { s } = turn;
  s.serial += 1;
  const attempt: Attempt = {
    id: s.serial,
    purpose,
    sentMs: s.nowMs,
    expected,
    because,
    record: record(`${s.policy.instance}.${s.serial}`),
  };
  s.writing = attempt;
  turn.effects.push({ kind: 'cas', attempt, timeoutMs: s.policy.timing.attemptMs });
  return attempt;
};

/** Keeps the phase beside the page, for the next guard of this boot; with a tenure also whom it must ask in failsafe. */
export const keepPhase = (turn: Turn, epoch: Epoch, phase: LeasePhase): void => {
  const { tenure } = turn.s;
  turn.effects.push({ kind: 'persist-phase', epoch, phase, ...(tenure === null ? {} : { members: tenure.membersKept }) });
};

/** Writes the lease page of the present tenure. */
export const writePage = (turn: Turn, state: PageState): void => {
  const { tenure, inSyncWish } = turn.s;
  if (tenure === null) return;
  const { epoch, deadlineMs, nonce } = tenure;
  const wished = inSyncWish?.change === 'add' ? [inSyncWish.peer] : [];
  // Never fewer than the record may have: whoever acknowledges by the page must ask everybody who could take over.
  const inSync = [...new Set([...tenure.inSync.map(({ id }) => id), ...tenure.inSyncSent, ...wished])];
  turn.effects.push({ kind: 'write-page', state, epoch, deadlineMs, nonce, inSync });
};

/** Takes in what a read or a conflict showed. The observation goes on only if nothing at all has changed. */
export const learn = (turn: Turn, found: Found, ordersRead: boolean): void => {
  const { s } = turn;
  const before = s.known;
  s.confirmedMs = s.nowMs;
  if (found.kind !== 'record') {
    s.known = found;
    return;
  }
  const { record, version } = found;
  const same =
    before.kind === 'record' &&
    before.version === version &&
    before.record.epoch === record.epoch &&
    before.record.seq === record.seq &&
    before.record.nonce === record.nonce;
  s.known = {
    kind: 'record',
    record,
    version,
    firstSeenMs: same ? before.firstSeenMs : s.nowMs,
    ordersRead: ordersRead || (same && before.ordersRead),
  };
  raiseMaxEpoch(turn, record.epoch);
};

export const raiseMaxEpoch = (turn: Turn, epoch: Epoch): void => {
  if (epoch <= turn.s.maxEpochSeen) return;
  turn.s.maxEpochSeen = epoch;
  turn.effects.push({ kind: 'persist-max-epoch', epoch });
};

/** Raises an alarm, or ends it; both are told once. */
export const alarm = (turn: Turn, sentence: string, raised: boolean): void => {
  const { s } = turn;
  const there = s.alarms.includes(sentence);
  if (raised === there) return;
  s.alarms = raised ? [...s.alarms, sentence] : s.alarms.filter((other) => other !== sentence);
  journal(turn, raised ? 'lease.alarm' : 'lease.alarm-ended', sentence);
};
