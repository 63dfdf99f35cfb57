// Who is in sync (SAFETY a.4, a.7b, a.11): the entries of the lease record that say whose copy of a mirrored group may be used.
// Changed by the holder alone, as a renewal with other entries: one chain of seq, so that a takeover and a change race on the same
// record and one of them wins. Invariants: only under HELD at the asker's epoch; an entry is of one boot; `ok` only behind a
// renewal that is known to have happened, and behind the page that shows it; a write without an answer stays `unknown`; the page
// never shows fewer than the record may have: an addition when it is asked for, a removal only when it is known to have happened.
import type { BootId, NodeId } from '../model/ids.js';
import type { InSyncAnswer } from '../model/lease.js';
import type { OwnershipEvent } from './events.js';
import type { LeaseRecord, RecordMember } from './record.js';
import type { InSyncWish, OwnershipState } from './state.js';
import { type Turn, journal, writePage } from './turn.js';

type Of<Kind extends OwnershipEvent['kind']> = Extract<OwnershipEvent, { readonly kind: Kind }>;

/** Nobody waits longer for an answer. */
export const MAX_LIMIT_MS = 60_000;

/** Why this node's copy may not be used by the record as it stands; null when it may, or the group has no mirror. */
export const lacksSync = (state: OwnershipState, record: LeaseRecord): string | null => {
  const { policy } = state;
  if (policy.mirrored !== true) return null;
  const own = record.inSync.find(({ id }) => id === policy.self);
  const those = record.inSync.map(({ id }) => id).join(', ') || 'nobody';
  if (own === undefined) return `the copy of ${policy.self} is not in sync by the lease record (in sync: ${those})`;
  if (own.bootId === policy.bootId || neverHeld(record)) return null;
  // What it had not flushed is lost with the boot, and a copy that was in sync beside it may have it (SAFETY b.3, rows 3, 7 and 8).
  const earlier = `the copy of ${policy.self} was in sync in an earlier boot`;
  if ((record.holder ?? record.prevHolder) !== policy.self) return `${earlier}, and ${policy.self} was not the last holder`;
  const better = record.inSync.filter((entry) => entry.id !== policy.self && !isGone(state, entry)).map(({ id }) => id);
  return better.length === 0 ? null : `${earlier}, and ${better.join(' and ')} may have a better one`;
};

/** An operator's order to use this node's copy all the same, given for the very record as it stands. */
export const isForced = ({ policy, orders }: OwnershipState, record: LeaseRecord): boolean =>
  orders.group.forced?.node === policy.self && orders.group.forced.epoch === record.epoch;

/** Who is in sync by the record of an acquisition. With a mirror it is inherited: nobody may be added by taking over. */
export const inheritedSync = (state: OwnershipState, record: LeaseRecord, members: readonly RecordMember[]): readonly RecordMember[] => {
  const { policy, peers } = state;
  const self = { id: policy.self, bootId: policy.bootId };
  if (policy.mirrored !== true) return members;
  if (lacksSync(state, record) !== null) return [self];
  // Nobody ever wrote: the copies are as they were made, and whoever is heard has its own in this boot.
  const unheard = neverHeld(record);
  return record.inSync.map((entry) =>
    entry.id === policy.self ? self : unheard && entry.bootId === '' ? { id: entry.id, bootId: peers[entry.id]?.bootId ?? '' } : entry,
  );
};

/** Of the record's entries, those of a boot that is over: not in sync until they are added anew. */
export const staleSync = (state: OwnershipState, record: LeaseRecord): readonly NodeId[] =>
  record.inSync.filter((entry) => isStale(state, entry) && !neverHeld(record)).map(({ id }) => id);

/** A mirror asks for another set. What was asked before and has no answer yet gets one now. */
export const inSyncAsked = (turn: Turn, event: Of<'in-sync'>): void => {
  const { s } = turn;
  settle(turn, 'another change was asked for');
  const { askId, change, peer, bootId, epoch, generation, limitMs } = event;
  const because = refusal(s, event);
  if (because !== null) return answer(turn, askId, { kind: 'refused', because });
  const dueMs = s.nowMs + Math.min(limitMs, MAX_LIMIT_MS);
  s.inSyncWish = { askId, change, peer, bootId: bootId ?? '', epoch, generation, dueMs, pending: true, sent: false };
  // From now on: it may be sent at any time, also when whoever asked has ended.
  if (change === 'add') writePage(turn, 'HELD');
};

/** The entries of the next renewal. */
export const wishedSync = ({ s }: Pick<Turn, 's'>, inSync: readonly RecordMember[]): readonly RecordMember[] => {
  const wish = s.inSyncWish;
  if (wish === null || s.phase !== 'held' || isSatisfied(wish, inSync)) return inSync;
  const others = inSync.filter(({ id }) => id !== wish.peer);
  return wish.change === 'remove' ? others : [...others, { id: wish.peer, bootId: wish.bootId }];
};

/** A renewal with the entries that were asked for is on its way. */
export const sentSync = ({ s }: Turn): void => {
  if (s.inSyncWish !== null && s.phase === 'held') s.inSyncWish = { ...s.inSyncWish, pending: false, sent: true };
};

/** This record is known to stand, and the page shows it. */
export const confirmedSync = (turn: Turn, { inSync, seq }: LeaseRecord): void => {
  const { s } = turn;
  const wish = s.inSyncWish;
  if (wish === null || s.phase !== 'held') return;
  if (!isSatisfied(wish, inSync)) {
    s.inSyncWish = { ...wish, pending: true };
    return;
  }
  s.inSyncWish = null;
  const { change, peer, bootId, generation } = wish;
  const because = change === 'remove' ? `${peer} is no longer in sync` : `${peer} is in sync in its boot ${bootId}`;
  journal(turn, 'lease.in-sync', because, { change, peer, bootId, generation, inSync: inSync.map(({ id }) => id) });
  answer(turn, wish.askId, { kind: 'ok', seq });
};

/** Time passed, or the epoch is over: whoever waits hears that it waits for nothing. */
export const expireSync = (turn: Turn): void => {
  const { s } = turn;
  const wish = s.inSyncWish;
  if (wish === null) return;
  if (s.phase !== 'held' || s.tenure?.epoch !== wish.epoch) settle(turn, `epoch ${wish.epoch} is no longer held here: ${s.because}`);
  else if (s.nowMs >= wish.dueMs) settle(turn, 'no renewal with it succeeded in time');
};

const settle = (turn: Turn, because: string): void => {
  const wish = turn.s.inSyncWish;
  if (wish === null) return;
  turn.s.inSyncWish = null;
  // What was sent may have landed, or lands yet: only a read, or the next change, tells.
  answer(turn, wish.askId, wish.sent ? { kind: 'unknown', because } : { kind: 'refused', because });
};

const answer = (turn: Turn, askId: number, said: InSyncAnswer): void => {
  turn.effects.push({ kind: 'in-sync-answer', askId, answer: said });
};

const refusal = ({ policy, phase, tenure, peers }: OwnershipState, { change, peer, bootId, epoch }: Of<'in-sync'>): string | null => {
  if (policy.mirrored !== true) return `${policy.group} has no mirror by the configuration of ${policy.self}`;
  if (policy.pair != null) return 'without a store nobody but the holder would hear of it';
  if (tenure === null || phase !== 'held') return `${policy.group} is not held here`;
  if (tenure.epoch !== epoch) return `epoch ${tenure.epoch} is held here, not ${epoch}`;
  if (tenure.current === null) return 'the lease record was not read since this guard began: ask again';
  if (peer === policy.self) return `${policy.self} is the holder itself`;
  if (!tenure.current.record.members.some(({ id }) => id === peer)) return `${peer} is no member of ${policy.group}`;
  if (change === 'remove') return null;
  const heard = peers[peer]?.bootId ?? null;
  if (bootId === null || bootId === '') return 'to be added it must be known in which boot';
  return heard === bootId ? null : `${peer} is ${heard === null ? 'not heard' : `heard in its boot ${heard}`}, not in ${bootId}`;
};

const isSatisfied = ({ change, peer, bootId }: InSyncWish, inSync: readonly RecordMember[]): boolean => {
  const entry = inSync.find(({ id }) => id === peer);
  return change === 'remove' ? entry === undefined : entry?.bootId === bootId;
};

/** Of a record in which no epoch ever was held: nothing was ever written through the mirror. */
const neverHeld = ({ state, epoch, holder, prevHolder }: LeaseRecord): boolean =>
  state === 'HELD-UNKNOWN' && epoch === 0 && holder === null && prevHolder === null;

/** Heard in another boot: the transport proves each new boot, and none comes back. */
const isGone = (state: OwnershipState, { id, bootId }: RecordMember): boolean => bootId !== '' && isStale(state, { id, bootId });

const isStale = ({ policy, peers }: OwnershipState, { id, bootId }: RecordMember): boolean => {
  const heard: BootId | undefined = id === policy.self ? policy.bootId : peers[id]?.bootId;
  return bootId === '' || (heard !== undefined && heard !== bootId);
};
