// What the machine takes from peers: beats, STOPPED(e), changed boots, silence (SAFETY a.7, a.7b). All of it was
// authenticated before; none of it gives a right by itself, it is matched with the record in takeover.ts.
import type { NodeId } from '../model/ids.js';
import { isCandidate } from './candidate.js';
import { memberFenced } from './failsafe.js';
import { fenceSelf } from './fencing.js';
import type { OwnershipEvent } from './events.js';
import { renewNow } from './holder.js';
import { otherMember } from './pair.js';
import type { EarlierHolder, LeaseRecord } from './record.js';
import type { PeerFacts } from './state.js';
import { preemptible } from './takeover.js';
import { type Turn, journal, raiseMaxEpoch, sendRead } from './turn.js';

const RETIRED_KEPT = 8;
const FENCED_KEPT = 8;

type Of<Kind extends OwnershipEvent['kind']> = Extract<OwnershipEvent, { readonly kind: Kind }>;

export const heard = (turn: Turn, { from, bootId, cfgHash, group }: Of<'beat'>): void => {
  const { s } = turn;
  const before = s.peers[from];
  // A late packet of a boot that is gone.
  if (before?.retired.some((retired) => retired.bootId === bootId)) return;
  const same = before?.bootId === bootId ? before : null;
  const stopped =
    group?.stopped === true
      ? same?.stopped?.epoch === group.epoch
        ? same.stopped
        : { epoch: group.epoch, bootId, atMs: s.nowMs }
      : (same?.stopped ?? null);
  const holds = group?.phase === 'held';
  const sinceMs = same?.held?.epoch === group?.epoch ? same?.held?.sinceMs : undefined;
  const held = holds ? { epoch: group.epoch, bootId, sinceMs: sinceMs ?? s.nowMs, seq: group.seq } : null;
  const unattendedSinceMs = group?.unattended === true ? (same?.unattendedSinceMs ?? s.nowMs) : null;
  const waits = group !== null && isCandidate(group.phase);
  const announced = Math.max(before?.announced ?? 0, group?.epoch ?? 0);
  remember(turn, from, { bootId, cfgHash, stopped, held, unattendedSinceMs, waits, announced, retired: before?.retired ?? [] });
  // Whoever is heard is not off.
  if (s.fencedMembers.some(({ node }) => node === from)) s.fencedMembers = s.fencedMembers.filter(({ node }) => node !== from);
  if (s.suspicion?.peer === from) {
    s.suspicion = null;
    journal(turn, 'lease.suspicion-ended', `${from} is heard again`);
  }
  pairHeard(turn, from, waits);
  if (group === null) return;
  // Without a store an epoch may be asked for and not taken, or claimed and given up: only who says HELD has it.
  if (s.pair !== null) raiseMaxEpoch(turn, group.epoch);
  if (s.pair !== null && !holds) return;
  if (s.tenure !== null && s.phase !== 'fencing-self' && group.epoch > s.tenure.epoch) {
    journal(turn, 'lease.conflict', `${from} knows of epoch ${group.epoch}, this node holds ${s.tenure.epoch}`);
    return fenceSelf(turn, `${from} knows of epoch ${group.epoch}: epoch ${s.tenure.epoch} is over`);
  }
  // News that the next poll would bring anyway: a CAS on what is known would only be refused.
  if (s.tenure !== null || s.known.kind !== 'record') return;
  const { epoch, seq } = s.known.record;
  if (group.epoch > epoch || (group.stopped && group.epoch === epoch && group.seq > seq)) s.readWanted = true;
};

export const bootChanged = (turn: Turn, { peer, from, to }: Of<'boot-changed'>): void => {
  const { s } = turn;
  const before = s.peers[peer];
  const retired = [
    ...(before?.retired ?? []).filter(({ bootId }) => bootId !== from && bootId !== to),
    { bootId: from, atMs: s.nowMs },
  ].slice(-RETIRED_KEPT);
  remember(turn, peer, {
    bootId: to,
    cfgHash: before?.cfgHash ?? '',
    stopped: null,
    held: null,
    unattendedSinceMs: null,
    waits: false,
    announced: before?.announced ?? 0,
    retired,
  });
  pairHeard(turn, peer, false);
  s.readWanted = true;
};

/** An edge: it counts once, and only after the peer was steadily heard as holder of this very epoch. */
export const fellSilent = (turn: Turn, { peer, steadyMs, lastHeardMs, jeopardy }: Of<'peer-suspect'>): void => {
  const { s } = turn;
  const { policy, known } = s;
  const facts = s.peers[peer];
  const held = facts?.held ?? null;
  if (facts !== undefined) remember(turn, peer, { ...facts, held: null, unattendedSinceMs: null, waits: false });
  if (s.pair !== null && peer === policy.pair?.peer) s.pair = { ...s.pair, silentSinceMs: s.nowMs, freeSinceMs: null, asking: null };
  if (policy.takeover !== 'preempt') return;
  // A holder that no longer hears its peer wants to know at once whether it still holds.
  if (s.phase === 'held') return renewNow(turn);
  if (held === null || known.kind !== 'record' || !preemptible(known.record, peer, held.epoch, held.bootId)) return;
  if (jeopardy === true) {
    // One cut cable looks the same: two independent networks that fall silent at once do not.
    journal(turn, 'lease.suspicion-weak', `${peer} was heard over one network alone (jeopardy): W applies`);
    return;
  }
  const steadyForMs = Math.min(steadyMs, lastHeardMs - held.sinceMs);
  if (steadyForMs < policy.timing.steadyMs) {
    journal(turn, 'lease.suspicion-weak', `${peer} was heard as holder for ${Math.round(steadyForMs)} ms only: W applies`, {
      steadyMs: policy.timing.steadyMs,
    });
    return;
  }
  s.suspicion = { peer, epoch: held.epoch, bootId: held.bootId, lastHeardMs, announcedSeq: held.seq, edgeMs: s.nowMs, base: null };
  if (s.writing === null) sendRead(turn);
};

/** A read has been answered: it is the base of the attempt, or it shows that the holder lives. */
export const weigh = (turn: Turn, record: LeaseRecord | null, sentMs: number): void => {
  const { s } = turn;
  const { suspicion, policy } = s;
  if (suspicion === null || sentMs < suspicion.edgeMs) return;
  if (
    record === null ||
    !preemptible(record, suspicion.peer, suspicion.epoch, suspicion.bootId) ||
    (suspicion.base !== null && suspicion.base.seq !== record.seq)
  ) {
    s.suspicion = null;
    journal(turn, 'lease.suspicion-ended', `${suspicion.peer} still writes the lease record, or no longer holds it: no preemption`);
    return;
  }
  if (suspicion.base !== null) return;
  const { renewMs, arbiterRttMs } = policy.timing;
  // A renewal written after the last beat counts from when it was seen.
  const aliveMs = record.seq > suspicion.announcedSeq ? s.nowMs : suspicion.lastHeardMs;
  s.suspicion = {
    ...suspicion,
    base: { seq: record.seq, readyMs: policy.confirm === 'none' ? s.nowMs : aliveMs + renewMs + arbiterRttMs },
  };
};

/** Evidence counts for a holder that is waited for, in that boot and epoch, and for nobody else. */
export const fenced = (turn: Turn, { node, bootId, forEpoch, evidence }: Of<'fenced'>): void => {
  const { s } = turn;
  if (s.tenure?.epoch === forEpoch && memberFenced(turn, node, bootId)) return;
  const record = s.tenure?.current?.record ?? (s.known.kind === 'record' ? s.known.record : null);
  const { tenure } = s;
  const other = otherMember(s, record);
  if (other !== null && tenure !== null && s.phase === 'held' && other.node === node && other.bootId === bootId) {
    s.fencedMembers = [{ node, bootId }];
    return;
  }
  const named: readonly EarlierHolder[] = [
    ...(record === null ? [] : record.fencing),
    ...(record === null || record.holder === null ? [] : [{ node: record.holder, bootId: record.bootId, epoch: record.epoch }]),
    ...(tenure === null || tenure.unproven === null ? [] : [tenure.unproven]),
    ...(other === null || tenure !== null ? [] : [other]),
  ];
  const fits = named.some((one) => one.node === node && one.bootId === bootId && one.epoch === forEpoch);
  if (!fits || node === s.policy.self) {
    journal(turn, 'lease.fence-ignored', `a fence of ${node} for epoch ${forEpoch} does not fit the lease record`);
    return;
  }
  const others = s.fenced.filter((one) => one.node !== node || one.bootId !== bootId || one.epoch !== forEpoch);
  s.fenced = [...others, { node, bootId, epoch: forEpoch, evidence, atMs: s.nowMs }].slice(-FENCED_KEPT);
};

/** Without a store: whoever is heard is not down, and its consent can be had. */
const pairHeard = (turn: Turn, from: NodeId, waits: boolean): void => {
  const { s } = turn;
  if (s.pair === null || from !== s.policy.pair?.peer) return;
  s.pair = { ...s.pair, silentSinceMs: null, freeSinceMs: waits ? (s.pair.freeSinceMs ?? s.nowMs) : null };
  if (s.fenced.some(({ node }) => node === from)) s.fenced = s.fenced.filter(({ node }) => node !== from);
};

const remember = (turn: Turn, peer: NodeId, facts: PeerFacts): void => {
  turn.s.peers = { ...turn.s.peers, [peer]: facts };
};
