// Whether this node may take the lease, and when: the licences of SAFETY a.7 and a.7b, and what stands against using one.
// Heartbeats give suspicion; only the record, a statement, a changed boot, a confirmed fence or W gives a right.
import type { Epoch, NodeId } from '../model/ids.js';
import { promiseInForce } from './failsafe.js';
import { isForced, lacksSync } from './in-sync.js';
import { otherMember, pairLicence } from './pair.js';
import { proofOf } from './proof.js';
import type { EarlierHolder, LeaseRecord } from './record.js';
import type { OwnershipState } from './state.js';
import { WILL_MAX_AGE_MS, candidateDelayMs } from './timing.js';

/** `granted` and `silent` only without a store (pair.ts): the peer's consent, and a silence whose proof is still owed. */
export type Evidence = 'released' | 'stopped' | 'rebooted' | 'fenced' | 'waited' | 'preempt' | 'granted' | 'silent';

export interface Licence {
  readonly evidence: Evidence;
  /** From then on an acquisition may be sent. */
  readonly atMs: number;
  readonly because: string;
}

/** The earliest licence for the record as known, or why there is none at all. */
export const licenceFor = (state: OwnershipState): Licence | { readonly evidence: null; readonly because: string } => {
  const { known, policy, will } = state;
  if (known.kind !== 'record')
    return { evidence: null, because: known.kind === 'invalid' ? known.because : 'the lease record has not been read' };
  const { record } = known;
  const rank = will?.will.rank ?? 0;
  const successor = record.state !== 'RELEASED' || record.successor === null ? 'none' : record.successor === policy.self ? 'self' : 'other';
  const delayMs = candidateDelayMs(policy.timing, rank, successor) + firstStartMs(state, record, rank);
  if (policy.pair != null) {
    const licence = pairLicence(state, record, rank);
    return licence.evidence === null ? licence : { ...licence, atMs: Math.max(licence.atMs, state.clearSinceMs ?? licence.atMs) + delayMs };
  }
  const candidates = licences(state, record, known.firstSeenMs);
  const first = candidates.reduce((best, next) => (next.atMs < best.atMs ? next : best));
  // A licence that is old when the last obstacle falls (a group ordered online again) must not cancel the ranks.
  const { evidence, because } = first;
  return { evidence, atMs: Math.max(first.atMs, state.clearSinceMs ?? first.atMs) + delayMs, because };
};

/** Why this node must not acquire although it may have a licence; null when nothing stands against it. */
export const obstacleFor = (state: OwnershipState): string | null => {
  const { known, policy, will, orders, gate } = state;
  if (known.kind !== 'record') return 'the lease record is not known';
  const { record, ordersRead } = known;
  if (will === null || state.nowMs - will.atMs > WILL_MAX_AGE_MS) return 'the controller has said nothing for too long';
  if (will.will.want !== 'hold') return `the controller does not want it: ${will.will.because}`;
  if (will.will.blockers.length > 0) return will.will.blockers.join('; ');
  if (gate.length > 0) return gate.join('; ');
  if (!ordersRead) return 'the orders could not be read together with the lease record';
  if (orders.group.want !== 'online') return `ordered offline by ${orders.group.by}`;
  if (orders.group.frozen) return `frozen by ${orders.group.by}`;
  if (orders.group.maintenance || orders.node.maintenance) return 'in maintenance';
  if (orders.node.standby) return `this node is in standby by ${orders.node.by}`;
  if (!record.members.some(({ id }) => id === policy.self)) return 'this node is no member in the lease record';
  if (policy.pair == null && record.epoch < state.maxEpochSeen)
    return `the record went back to epoch ${record.epoch} behind ${state.maxEpochSeen}`;
  // A read on its way will show it; or the store went back, and then whoever spoke of it may be active with it. Without a store an
  // epoch may be claimed and given up: there the peer's consent, or its proven end, says all.
  const ahead = policy.pair == null ? aheadOf(state, record.epoch) : null;
  if (ahead !== null) return `${ahead.id} knows of epoch ${ahead.announced}, the record is at ${record.epoch}`;
  const lacks = lacksSync(state, record);
  if (lacks !== null && !isForced(state, record)) return lacks;
  if (!sameConfig(state, record))
    return `this node's configuration is not the one of the lease record, written by ${record.holder ?? record.prevHolder ?? 'nobody'}`;
  return null;
};

/** The first peer that has spoken of a later epoch. */
const aheadOf = ({ peers }: OwnershipState, epoch: Epoch): { readonly id: NodeId; readonly announced: Epoch } | null => {
  for (const id in peers) {
    const { announced = 0 } = peers[id] ?? {};
    if (announced > epoch) return { id, announced };
  }
  return null;
};

/** What a node without the lease is waiting for; one sentence for people. */
export const waitingFor = (state: OwnershipState): string => {
  const obstacle = obstacleFor(state);
  if (obstacle !== null) return obstacle;
  const licence = licenceFor(state);
  return licence.evidence === null
    ? licence.because
    : `may acquire in ${Math.max(0, Math.round(licence.atMs - state.nowMs))} ms: ${licence.because}`;
};

/**
 * The record carries the hash of who wrote it last, who may be dead. Equal to it, or the same on every member and all of
 * them heard: otherwise a cluster that was stopped, changed and started again would never start.
 */
export const sameConfig = (state: OwnershipState, record: LeaseRecord): boolean => {
  const { cfgHash, members, self } = state.policy;
  return record.cfgHash === cfgHash || members.every((id) => id === self || state.peers[id]?.cfgHash === cfgHash);
};

/**
 * First start: nobody was ever active, so there is time for a preferred member that is heard and not ready yet (its controller
 * comes up last): W once more, and no longer than it is heard.
 */
const firstStartMs = ({ policy, peers }: OwnershipState, record: LeaseRecord, rank: number): number => {
  if (record.state !== 'HELD-UNKNOWN' || rank === 0) return 0;
  const preferred = policy.members.slice(0, Math.max(0, policy.members.indexOf(policy.self)));
  return preferred.some((id) => peers[id]?.waits === true) ? record.ttlW : 0;
};

const licences = (state: OwnershipState, record: LeaseRecord, firstSeenMs: number): readonly Licence[] => {
  if (record.state === 'RELEASED')
    return [
      { evidence: 'released', atMs: firstSeenMs, because: `${record.prevHolder ?? 'the last holder'} released epoch ${record.epoch}` },
    ];
  const { holder } = record;
  const found: Licence[] = [waited(state, record, firstSeenMs)];
  const add = (licence: Licence | null) => void (licence === null || found.push(licence));
  add(ownEnd(state, record, firstSeenMs));
  if (holder === null) return found;
  add(statement(state, record, holder, firstSeenMs));
  add(reboot(state, record, holder, firstSeenMs));
  add(fence(state, record, firstSeenMs));
  add(preempt(state, record));
  return found;
};

/** A right to the next epoch. Whether it is also proof that the last holder is down, `owed` says. */
const waited = ({ promise }: OwnershipState, record: LeaseRecord, firstSeenMs: number): Licence => ({
  evidence: 'waited',
  // Whatever the record says: who has given its word waits.
  atMs: Math.max(firstSeenMs + record.ttlW, promise?.untilMs ?? 0),
  because: `the record of epoch ${record.epoch} (${record.holder ?? 'holder unknown'}) has not changed for W = ${record.ttlW} ms`,
});

/**
 * Who must be proven down before the next epoch may start anything, if it is taken on this evidence (SAFETY a.7). A holder in
 * state FENCING never started anything, so nobody need prove its end, but the list it was waiting for goes on.
 */
export const owed = (state: OwnershipState, record: LeaseRecord, evidence: Evidence): readonly EarlierHolder[] => {
  const { policy } = state;
  if (policy.pair != null) {
    const other = evidence === 'silent' ? otherMember(state, record) : null;
    return other === null ? [] : [other];
  }
  const inherited = record.fencing.filter((earlier) => proofOf(state, earlier) === null);
  const { holder, bootId, epoch } = record;
  if (holder === null || holder === policy.self || isProof(policy, record, evidence)) return inherited;
  return [...inherited.filter(({ node }) => node !== holder), { node: holder, bootId, epoch }];
};

const isProof = (policy: OwnershipState['policy'], { state, watchdog }: LeaseRecord, evidence: Evidence): boolean =>
  (evidence !== 'waited' && evidence !== 'preempt') ||
  state !== 'HELD' ||
  policy.fencing === 'none' ||
  // W is longer than the watchdog of whoever has one armed (I4): then it has bitten.
  (policy.fencing === 'watchdog' && watchdog);

/** This node held it: in an earlier boot, or in this one and verified its stop. */
const ownEnd = (state: OwnershipState, record: LeaseRecord, firstSeenMs: number): Licence | null => {
  if (!ownAndGone(state, record)) return null;
  const rebooted = record.bootId !== state.policy.bootId;
  return {
    evidence: rebooted ? 'rebooted' : 'stopped',
    atMs: firstSeenMs,
    because: `this node's own epoch ${record.epoch} ${rebooted ? 'was of an earlier boot' : 'is stopped and verified'}`,
  };
};

/** Whether the record says that this node holds an epoch of which nothing is left here. */
export const ownAndGone = ({ policy, stoppedEpoch }: OwnershipState, record: LeaseRecord): boolean =>
  (record.state === 'HELD' || record.state === 'FENCING') &&
  record.holder === policy.self &&
  (record.bootId !== policy.bootId || (stoppedEpoch > 0 && record.epoch === stoppedEpoch));

const statement = ({ peers }: OwnershipState, record: LeaseRecord, holder: NodeId, firstSeenMs: number): Licence | null => {
  const stopped = peers[holder]?.stopped;
  if (!stopped || stopped.epoch !== record.epoch || stopped.bootId !== record.bootId) return null;
  return {
    evidence: 'stopped',
    atMs: Math.max(firstSeenMs, stopped.atMs),
    because: `${holder} says that epoch ${record.epoch} is stopped there`,
  };
};

const reboot = ({ peers }: OwnershipState, record: LeaseRecord, holder: NodeId, firstSeenMs: number): Licence | null => {
  const gone = peers[holder]?.retired.find(({ bootId }) => bootId === record.bootId);
  return gone === undefined
    ? null
    : {
        evidence: 'rebooted',
        atMs: Math.max(firstSeenMs, gone.atMs),
        because: `${holder} has rebooted since it held epoch ${record.epoch}`,
      };
};

const fence = ({ fenced }: OwnershipState, record: LeaseRecord, firstSeenMs: number): Licence | null => {
  const off = fenced.find(({ node, bootId, epoch }) => node === record.holder && bootId === record.bootId && epoch === record.epoch);
  return off === undefined
    ? null
    : {
        evidence: 'fenced',
        atMs: Math.max(firstSeenMs, off.atMs),
        because: `${off.node} is fenced for epoch ${record.epoch}: ${off.evidence}`,
      };
};

/** The base was read after the edge; the CAS on exactly its version fails if the holder wrote since. */
const preempt = (state: OwnershipState, record: LeaseRecord): Licence | null => {
  const { suspicion, will } = state;
  if (promiseInForce(state)) return null;
  if (suspicion?.base == null || will?.will.preemptOk !== true) return null;
  if (suspicion.epoch !== record.epoch || suspicion.bootId !== record.bootId || suspicion.base.seq !== record.seq) return null;
  return {
    evidence: 'preempt',
    atMs: suspicion.base.readyMs,
    because: `${suspicion.peer} fell silent on all networks while it held epoch ${record.epoch}`,
  };
};

/** What a suspicion needs of the record to count at all (SAFETY a.7b, licence): HELD by that boot, with a watchdog armed. */
export const preemptible = (record: LeaseRecord, peer: NodeId, epoch: Epoch, bootId: string): boolean =>
  record.state === 'HELD' && record.watchdog && record.holder === peer && record.epoch === epoch && record.bootId === bootId;
