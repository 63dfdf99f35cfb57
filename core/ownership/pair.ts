// Two nodes without a store (SAFETY a.10). Each keeps its own durable copy of the record, and the right to the next epoch is the
// other member's consent in this very round, or proof that the other member is down in the boot in which it was last known.
// Invariants: silence is never a right, nor is W; a consent is durable in the record of who gives it before it is said; who
// has a question of its own outstanding, or an epoch, consents to nothing. So of two live nodes at most one ever holds.
import type { BootId, Epoch, NodeId } from '../model/ids.js';
import type { Timing } from '../model/timing.js';
import type { OwnershipEvent } from './events.js';
import { proofOf } from './proof.js';
import type { EarlierHolder, LeaseRecord, RecordMember } from './record.js';
import type { OwnershipState } from './state.js';
import type { Licence } from './takeover.js';
import { retryMs } from './timing.js';
import { type Turn, enter, journal, raiseMaxEpoch, sendCas, writePage } from './turn.js';

type Of<Kind extends OwnershipEvent['kind']> = Extract<OwnershipEvent, { readonly kind: Kind }>;

/** What does not change while this guard lives. */
export interface PairPolicy {
  readonly peer: NodeId;
  /** The lowest bit of every epoch this node makes: the two never make the same one. */
  readonly low: 0 | 1;
  /** So long the standby lets a silent peer fence it first; drawn anew by each guard. */
  readonly fenceDelayMs: number;
}

/** What the machine remembers of the other member. */
export interface PairState {
  /** Since when its silence counts; a guard begins with it, and gives the peer suspectAfter to be heard. null while it is heard. */
  readonly silentSinceMs: number | null;
  /** Since when it says without a gap that it holds nothing. */
  readonly freeSinceMs: number | null;
  /** This node's own question: it may acquire only while this stands. */
  readonly asking: { readonly round: number; readonly epoch: Epoch; readonly sentMs: number; readonly granted: boolean } | null;
  /** The consent given last; a repeated question of the same round has the same answer. */
  readonly given: { readonly epoch: Epoch; readonly round: number } | null;
  readonly askNotBeforeMs: number;
}

export const initialPair = (nowMs: number, { suspectAfterMs }: Timing): PairState => ({
  silentSinceMs: nowMs + suspectAfterMs,
  freeSinceMs: null,
  asking: null,
  given: null,
  askNotBeforeMs: Number.NEGATIVE_INFINITY,
});

/** The next epoch of this node behind all it has heard of. */
export const epochAfter = (seen: Epoch, low: 0 | 1): Epoch => ((seen + 1) % 2 === low ? seen + 1 : seen + 2);

/** The epoch that follows the record: one more in a store that both see, own low bit where there is none. */
export const nextEpoch = ({ policy, maxEpochSeen }: OwnershipState, record: LeaseRecord): Epoch =>
  policy.pair == null ? record.epoch + 1 : epochAfter(Math.max(maxEpochSeen, record.epoch), policy.pair.low);

/** A boot that was never heard of: only a person can speak for its end. */
export const UNHEARD: BootId = 'unheard';

/** Whose end would be proof for this node, as the fence and people name it. */
export const otherMember = (state: OwnershipState, record: LeaseRecord | null): EarlierHolder | null => {
  const { policy, peers } = state;
  if (policy.pair == null) return null;
  const { peer } = policy.pair;
  const noted = record?.members.find(({ id }) => id === peer)?.bootId ?? '';
  const held = record?.holder === peer ? record.bootId : '';
  return { node: peer, bootId: [peers[peer]?.bootId ?? '', noted, held].find((boot) => boot !== '') ?? UNHEARD, epoch: record?.epoch ?? 0 };
};

/** It was heard since this node booted, by this guard or by one before it: a node that comes up alone shoots nobody. */
const heardInThisBoot = ({ policy, peers }: OwnershipState, record: LeaseRecord): boolean => {
  const boot = (id: NodeId) => record.members.find((member) => member.id === id)?.bootId ?? '';
  const peer = policy.pair?.peer ?? '';
  return peers[peer] !== undefined || (boot(policy.self) === policy.bootId && boot(peer) !== '');
};

/** The only rights in this mode. */
export const pairLicence = (
  state: OwnershipState,
  record: LeaseRecord,
  rank: number,
): Licence | { readonly evidence: null; readonly because: string } => {
  const { pair, policy } = state;
  const other = otherMember(state, record);
  if (policy.pair == null || pair === null || other === null) return { evidence: null, because: 'this group has a store' };
  const { node } = other;
  if (pair.silentSinceMs === null)
    return pair.freeSinceMs === null
      ? { evidence: null, because: `${node} is heard and has not let go` }
      : { evidence: 'granted', atMs: pair.freeSinceMs, because: `${node} holds nothing and is asked for its consent` };
  const proof = proofOf(state, other);
  if (proof !== null) return { evidence: 'fenced', atMs: pair.silentSinceMs, because: proof.because };
  if (!heardInThisBoot(state, record))
    return {
      evidence: null,
      because: `there is no store, and ${node} was not heard since this node booted: nothing starts before it is heard, or a person says that it is off`,
    };
  // The active node, if it lives, has all this time to fence first; of two that wait, the preferred one.
  const turns = record.state === 'HELD' && record.holder === node ? 1 : 1 + rank;
  return {
    evidence: 'silent',
    atMs: pair.silentSinceMs + turns * policy.pair.fenceDelayMs,
    because: `${node} is silent on all networks, and there is no store: it must be proven down`,
  };
};

/** Asks, or waits for the answer. True when the consent is there and the epoch may be written. */
export const hasConsent = (turn: Turn, record: LeaseRecord): boolean => {
  const { s } = turn;
  const { pair, policy } = s;
  if (pair === null || policy.pair == null) return false;
  if (pair.asking !== null) return pair.asking.granted;
  if (s.nowMs < pair.askNotBeforeMs) return false;
  const epoch = nextEpoch(s, record);
  const round = Math.max(1, Math.floor(s.nowMs));
  s.serial += 1;
  // Never asked for twice: an answer to an earlier question can then not be taken for one to this.
  raiseMaxEpoch(turn, epoch);
  s.pair = { ...pair, asking: { round, epoch, sentMs: s.nowMs, granted: false } };
  turn.effects.push({ kind: 'ask', to: [policy.pair.peer], epoch, round, waitMs: policy.timing.takeoverWaitMs });
  return false;
};

/** The answer did not come in time: what comes later is nobody's. */
export const expireQuestion = (turn: Turn): void => {
  const { pair, policy, nowMs } = turn.s;
  if (pair?.asking == null || nowMs < pair.asking.sentMs + policy.timing.attemptMs) return;
  giveUp(turn, 0);
};

/** When this part wants the next tick; null where nothing is waited for. */
export const questionDueMs = ({ pair, policy }: OwnershipState): number | null =>
  pair?.asking == null ? null : pair.asking.sentMs + policy.timing.attemptMs;

const giveUp = (turn: Turn, knows: Epoch): void => {
  const { s } = turn;
  if (s.pair === null) return;
  raiseMaxEpoch(turn, knows);
  // Not the same pause on both: two that ask each other must not do so for ever.
  const pauseMs = retryMs(s.policy.timing) * (1 + 2 * (s.policy.pair?.low ?? 0));
  s.pair = { ...s.pair, asking: null, askNotBeforeMs: s.nowMs + pauseMs };
};

export const consentGranted = (turn: Turn, { from, epoch, round }: Of<'granted'>): void => {
  const { s } = turn;
  const asking = s.pair?.asking ?? null;
  if (s.pair === null || asking === null || from !== s.policy.pair?.peer || asking.epoch !== epoch || asking.round !== round) return;
  if (s.nowMs < asking.sentMs + s.policy.timing.attemptMs) s.pair = { ...s.pair, asking: { ...asking, granted: true } };
};

export const consentRefused = (turn: Turn, { from, epoch, round, knows }: Of<'refused'>): void => {
  const asking = turn.s.pair?.asking ?? null;
  if (from !== turn.s.policy.pair?.peer || asking?.epoch !== epoch || asking.round !== round || asking.granted) return;
  giveUp(turn, knows);
};

/** The other member wants the epoch. The consent is written down as its holding, and said when that is durable. */
export const consentAsked = (turn: Turn, { from, bootId, epoch, round }: Of<'asked'>): void => {
  const { s } = turn;
  const { pair, policy, known } = s;
  if (pair === null || !s.started || from !== policy.pair?.peer) return;
  if (s.peers[from]?.retired.some((retired) => retired.bootId === bootId) === true) return;
  if (s.writing?.purpose === 'consent' && s.writing.consent?.round === round) return;
  if (pair.given?.epoch === epoch && pair.given.round === round && s.tenure === null && pair.asking === null && s.writing === null)
    return sayConsent(turn, from, epoch, round);
  const because = against(s, epoch);
  if (because !== null) {
    turn.effects.push({ kind: 'refuse', to: from, epoch, round, knows: Math.max(s.maxEpochSeen, s.tenure?.epoch ?? 0), because });
    return;
  }
  raiseMaxEpoch(turn, epoch);
  const why = `${from} asked for epoch ${epoch} and has this node's consent`;
  sendCas(turn, 'consent', known.kind === 'record' ? known.version : null, why, (nonce) =>
    heldByPeer(s, { epoch, bootId, nonce, reason: why }),
  );
  if (s.writing !== null) s.writing = { ...s.writing, consent: { to: from, round } };
};

/** The consent is durable. */
export const consented = (turn: Turn, to: NodeId, epoch: Epoch, round: number): void => {
  const { s } = turn;
  if (s.pair === null) return;
  s.pair = { ...s.pair, given: { epoch, round } };
  journal(
    turn,
    'lease.consent',
    `${to} may take epoch ${epoch}: this node holds nothing and takes nothing without its consent`,
    undefined,
    epoch,
  );
  sayConsent(turn, to, epoch, round);
};

const sayConsent = (turn: Turn, to: NodeId, epoch: Epoch, round: number): void => {
  turn.effects.push({ kind: 'grant', promise: { to, epoch, untilMs: turn.s.nowMs }, round, sees: true });
};

const against = (s: OwnershipState, epoch: Epoch): string | null => {
  const { tenure, writing, unresolved, pair, known, maxEpochSeen } = s;
  if (tenure !== null) return `it has epoch ${tenure.epoch} itself`;
  if (writing !== null || unresolved !== null) return 'it is writing its own record';
  if (pair !== null && pair.asking !== null) return 'it asks for the lease itself';
  if (known.kind !== 'record' && known.kind !== 'absent')
    return known.kind === 'invalid' ? known.because : 'it has not read its own record yet';
  return epoch <= maxEpochSeen ? `it knows of epoch ${maxEpochSeen}` : null;
};

/**
 * Keeps this node's own record with what the peer says of itself, so that people and the planner see who holds. Never behind a
 * consent that was given: an old packet must not undo it.
 */
export const followPeer = (turn: Turn): boolean => {
  const { s } = turn;
  const { policy, known, peers, pair } = s;
  if (policy.pair == null || pair === null || pair.asking !== null) return false;
  const facts = peers[policy.pair.peer];
  if (facts === undefined || (known.kind !== 'record' && known.kind !== 'absent')) return false;
  const record = known.kind === 'record' ? known.record : null;
  const version = known.kind === 'record' ? known.version : null;
  const { held, stopped } = facts;
  const noted =
    record?.state === 'HELD' && record.holder === policy.pair.peer && record.epoch === held?.epoch && record.bootId === held.bootId;
  if (held !== null && !noted && held.epoch >= (record?.epoch ?? 0)) {
    const reason = `${policy.pair.peer} says that it holds epoch ${held.epoch}`;
    raiseMaxEpoch(turn, held.epoch);
    sendCas(turn, 'create', version, reason, (nonce) => heldByPeer(s, { ...held, nonce, reason }));
    return true;
  }
  if (record === null || stopped === null || record.holder !== policy.pair.peer || record.state !== 'HELD') return false;
  if (record.epoch !== stopped.epoch || record.bootId !== stopped.bootId) return false;
  const reason = `${policy.pair.peer} says that epoch ${record.epoch} is stopped there`;
  sendCas(turn, 'clear', version, reason, (nonce) => ({
    ...record,
    state: 'RELEASED',
    holder: null,
    prevHolder: record.holder,
    nonce,
    seq: record.seq + 1,
    successor: null,
    reason,
  }));
  return true;
};

/** The peer is heard while this node waits for the proof of its end: nothing was started, and the claim is taken back. */
export const withdraw = (turn: Turn): boolean => {
  const { s } = turn;
  const { tenure, pair } = s;
  if (pair === null || tenure?.current == null || s.phase !== 'fencing' || pair.silentSinceMs !== null || s.writing !== null) return false;
  const { record, version } = tenure.current;
  if (record.state !== 'FENCING') return false;
  const because = `${s.policy.pair?.peer ?? ''} is heard again: epoch ${tenure.epoch} is given up unused`;
  writePage(turn, 'RELEASED');
  s.tenure = null;
  s.release = null;
  s.reading = null;
  s.known = { kind: 'unread' };
  enter(turn, 'observe', because);
  turn.effects.push({ kind: 'persist-phase', epoch: tenure.epoch, phase: 'observe' });
  journal(turn, 'lease.withdrawn', because, undefined, tenure.epoch);
  const epoch = record.fencing[0]?.epoch ?? 0;
  sendCas(turn, 'create', version, because, (nonce) => ({
    ...record,
    epoch,
    state: 'HELD-UNKNOWN',
    holder: null,
    bootId: '',
    fencing: [],
    nonce,
    seq: record.seq + 1,
    watchdog: false,
    reason: because,
  }));
  return true;
};

/** Held, and the other member is silent: it may be about to fence this node, and is to be fenced first. */
export const fencesFirst = (state: OwnershipState): EarlierHolder | null => {
  const { tenure, pair, phase, fencedMembers, fenced, nowMs } = state;
  if (tenure?.current == null || phase !== 'held' || pair?.silentSinceMs == null || nowMs < pair.silentSinceMs) return null;
  const other = otherMember(state, tenure.current.record);
  if (other === null || other.bootId === UNHEARD || !heardInThisBoot(state, tenure.current.record)) return null;
  // Proven down for this very boot, before the epoch was taken or since: there is nobody to be faster than.
  const off = [...fencedMembers, ...fenced];
  return off.some(({ node, bootId }) => node === other.node && bootId === other.bootId) ? null : other;
};

/** The record of the group as this node writes it for its peer. */
const heldByPeer = (
  { policy, known, peers }: OwnershipState,
  { epoch, bootId, nonce, reason }: { readonly epoch: Epoch; readonly bootId: BootId; readonly nonce: string; readonly reason: string },
): LeaseRecord => {
  const peer = policy.pair?.peer ?? '';
  const before = known.kind === 'record' ? known.record : null;
  const members = bothBoots(policy.members, { [policy.self]: policy.bootId, [peer]: bootId });
  return {
    v: 1,
    epoch,
    holder: peer,
    bootId,
    nonce,
    seq: (before?.seq ?? 0) + 1,
    state: 'HELD',
    fencing: [],
    members,
    inSync: members,
    ttlW: policy.timing.takeoverWaitMs,
    d: policy.timing.selfFenceMs,
    successor: null,
    watchdog: false,
    reason,
    prevHolder: before?.holder ?? before?.prevHolder ?? null,
    cfgHash: peers[peer]?.cfgHash ?? before?.cfgHash ?? policy.cfgHash,
  };
};

const bothBoots = (ids: readonly NodeId[], boots: Readonly<Record<NodeId, BootId>>): readonly RecordMember[] =>
  ids.map((id) => ({ id, bootId: boots[id] ?? '' }));
