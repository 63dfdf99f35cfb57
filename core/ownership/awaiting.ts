// The phase `fencing` (SAFETY a.7, order: epoch e+1, then the fence, then the start): the epoch is won, and an earlier holder is
// not proven down. The lease is renewed, the page says STOPPING, nothing starts. Each renewal carries what is still owed; the
// one that owes nothing says HELD. Invariant: the page says HELD only behind a renewal that said HELD and came back fresh.
import type { Epoch } from '../model/ids.js';
import { fenceSelf } from './fencing.js';
import { proofOf } from './proof.js';
import type { EarlierHolder, LeaseRecord } from './record.js';
import { type Turn, enter, journal, keepPhase, writePage } from './turn.js';

/** The epoch is won and owes proofs. */
export const beginToWait = (turn: Turn, record: LeaseRecord, because: string): void => {
  enter(turn, 'fencing', `${because}; ${owing(record.fencing)}`);
  writePage(turn, 'STOPPING');
  keepPhase(turn, record.epoch, 'fencing');
  journal(turn, 'lease.fencing', turn.s.because, { waitsFor: record.fencing });
};

/** The epoch is won by an answer older than a pet may be: the watchdog's bite is bounded only from a fresh renewal on (I4). */
export const beginToConfirm = (turn: Turn, record: LeaseRecord, because: string): void => {
  enter(turn, 'fencing', `${because}; the answer was late, nothing starts before one renewal`);
  writePage(turn, 'STOPPING');
  keepPhase(turn, record.epoch, 'fencing');
  journal(turn, 'lease.fencing', turn.s.because, { waitsFor: [] });
};

/** What the next renewal says of what is owed. Unchanged in every phase but `fencing`. */
export const onward = ({ s }: Turn, record: LeaseRecord): Pick<LeaseRecord, 'state' | 'fencing' | 'reason'> => {
  const { state, fencing, reason } = record;
  if (s.phase !== 'fencing' || state !== 'FENCING') return { state, fencing, reason };
  const left = fencing.filter((earlier) => proofOf(s, earlier) === null);
  // Without a store: whoever is heard is not down, whatever was seen before.
  const heard = s.pair !== null && s.pair.silentSinceMs === null;
  if (left.length > 0 || heard) return { state, fencing: heard ? fencing : left, reason };
  // HELD is said only with the watchdog armed, as after every acquisition.
  if (s.policy.watchdog && !s.dogArmed) return { state, fencing, reason };
  return { state: 'HELD', fencing: [], reason: reasonsOf(s, fencing) };
};

/** A proof has come that the record does not know yet: the renewal need not wait for its time. */
export const hasNews = (turn: Turn, record: LeaseRecord): boolean => {
  const next = onward(turn, record);
  return next.state !== record.state || next.fencing.length !== record.fencing.length;
};

/** An own renewal succeeded while waiting. `before`: the record it replaced, null after adoption. Returns whether to renew again at once. */
export const waited = (turn: Turn, record: LeaseRecord, before: LeaseRecord | null, sentMs: number): boolean => {
  const { s } = turn;
  for (const gone of (before?.fencing ?? []).filter(({ node }) => !record.fencing.some((left) => left.node === node)))
    journal(turn, 'lease.proof', proofOf(s, gone)?.because ?? record.reason, {
      node: gone.node,
      bootId: gone.bootId,
      forEpoch: gone.epoch,
    });
  if (record.state !== 'HELD') {
    if (before !== null && before.fencing.length !== record.fencing.length) s.because = owing(record.fencing);
    writePage(turn, 'STOPPING');
    return false;
  }
  if (s.policy.watchdog && !s.dogArmed) {
    fenceSelf(turn, 'the watchdog could not be armed');
    return false;
  }
  // Petted as long as nothing runs: the watchdog's bite is bounded only from an answer that is no older than a pet may be.
  if (s.nowMs - sentMs > s.policy.timing.petMaxAgeMs) {
    writePage(turn, 'STOPPING');
    return true;
  }
  begin(turn, record.epoch, record.reason);
  return false;
};

const begin = (turn: Turn, epoch: Epoch, because: string): void => {
  enter(turn, 'held', because);
  // The phase before the page: whoever finds a page that says HELD never finds the phase of the wait beside it.
  keepPhase(turn, epoch, 'held');
  writePage(turn, 'HELD');
  journal(turn, 'lease.held', because, { proven: true });
};

const reasonsOf = (s: Turn['s'], fencing: readonly EarlierHolder[]): string =>
  fencing.map((earlier) => proofOf(s, earlier)?.because ?? '').join('; ') || 'every earlier holder is proven down';

const owing = (fencing: readonly EarlierHolder[]): string =>
  `nothing starts before ${fencing.map(({ node, epoch }) => `${node} (epoch ${epoch})`).join(' and ')} ${fencing.length === 1 ? 'is' : 'are'} proven down`;
