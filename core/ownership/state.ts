// What the ownership machine remembers of one group, and what it says of it to others. Data only; every change is made in
// machine.ts and its parts. All times are the guard's lease clock (CLOCK_BOOTTIME), milliseconds.
import type { BootId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { FencingPolicy } from '../model/desired.js';
import { type GroupOrders, type LeasePhase, NO_GROUP_ORDERS, NO_NODE_ORDERS, type NodeOrders, type Will } from '../model/lease.js';
import type { Timing } from '../model/timing.js';
import type { BeatGroup } from '../membership/contract.js';
import { type PairPolicy, type PairState, initialPair } from './pair.js';
import type { EarlierHolder, LeaseRecord, RecordMember } from './record.js';
import { isUnattended } from './please-stop.js';

/** What does not change while this guard lives. */
export interface OwnershipPolicy {
  readonly self: NodeId;
  readonly bootId: BootId;
  /** Unlike that of any other guard process, also of this boot: nonces begin with it. */
  readonly instance: string;
  readonly group: GroupId;
  /** The group's members as the config names them. */
  readonly members: readonly NodeId[];
  readonly timing: Timing;
  readonly fencing: FencingPolicy;
  readonly takeover: 'lease' | 'preempt';
  readonly confirm: 'renewal' | 'none';
  /** A watchdog is configured: it is armed before this node calls itself holder. */
  readonly watchdog: boolean;
  readonly cfgHash: string;
  readonly failsafe: FailsafePolicy;
  /** Two nodes without a store: the other member's consent or its proven end takes the place of W. Absent or null: there is a store. */
  readonly pair?: PairPolicy | null;
  /** The group's data is mirrored: who is in sync is a matter of boots. Absent = it is not, and members stay in sync over boots. */
  readonly mirrored?: boolean;
}

/** What the holder may do while the arbiter is silent (SAFETY a.8). */
export interface FailsafePolicy {
  /** `stop`: a member that does not answer ends the failsafe at D. `fence-then-continue`: a confirmed fence of it is its grant. */
  readonly peerLost: 'stop' | 'fence-then-continue';
  /** So long alone without the arbiter, while a ready peer sees it: the group is moved there. */
  readonly arbiterLossMoveMs: number;
}

/** The record as last read. `firstSeenMs`: when this very state of it was first received; any change restarts it. */
export type Known =
  | { readonly kind: 'unread' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'invalid'; readonly because: string; readonly version: string }
  | {
      readonly kind: 'record';
      readonly record: LeaseRecord;
      readonly version: string;
      readonly firstSeenMs: number;
      readonly ordersRead: boolean;
    };

/** One CAS under way, or one whose outcome is still to be read. `sentMs` was taken before it was sent. */
export interface Attempt {
  readonly id: number;
  /** `clear`: RELEASED for an own epoch of which nothing is left (a reboot, a verified stop). */
  readonly purpose: 'acquire' | 'create' | 'renew' | 'release' | 'clear' | 'consent';
  readonly sentMs: number;
  readonly expected: string | null;
  readonly record: LeaseRecord;
  readonly because: string;
  /** Of an acquisition without a proof: the holder that W, or its silence, alone speaks for. */
  readonly unproven?: { readonly holder: EarlierHolder; readonly preempted: boolean };
  /** Of a consent: whom to tell when it is durable. */
  readonly consent?: { readonly to: NodeId; readonly round: number };
}

/** An epoch this node won. */
export interface Tenure {
  readonly epoch: Epoch;
  /** Version and contents of the record as this node last wrote it; null after adoption, until read. */
  readonly current: { readonly version: string; readonly record: LeaseRecord } | null;
  readonly deadlineMs: number;
  /** When the last good renewal was sent. */
  readonly renewedMs: number;
  /** When the last renewal was sent, good or not. */
  readonly sentMs: number;
  /** No renewal before this: the pace after a failed one. */
  readonly notBeforeMs: number;
  readonly nonce: string;
  readonly inSync: readonly RecordMember[];
  /** Entries of records sent since the last good renewal that it did not have: any of those writes may have landed. */
  readonly inSyncSent: readonly NodeId[];
  /** The last renewals sent, newest last: an own nonce found later counts from its own send. */
  readonly attempts: readonly { readonly nonce: string; readonly sentMs: number }[];
  /** The earlier holder for which W alone spoke, or its silence: from then on it may be fenced in the background. */
  readonly unproven: (EarlierHolder & { readonly dueMs: number }) | null;
  /** `lease.renew-slow` was said and no renewal succeeded since. */
  readonly slow: boolean;
  /** The arbiter has said no to a renewal since the last good one: that is an answer, and no failsafe may follow. */
  readonly refused: string | null;
  /** Members of records sent since the last good renewal: any of those writes may have landed. */
  readonly membersSent: readonly NodeId[];
  /** Who may be a member by any record that this epoch has written, as kept beside the page: the next guard asks them too. */
  readonly membersKept: readonly NodeId[];
}

/** The holder's rounds among all members while the arbiter is silent (SAFETY a.8). */
export interface Failsafe {
  /** When the last good renewal was sent. */
  readonly sinceMs: number;
  /** Unlike any other round of this boot. */
  readonly round: number;
  /** Taken before the round was sent. */
  readonly sentMs: number;
  /** Everybody who must grant, this node left out. */
  readonly members: readonly NodeId[];
  readonly granted: readonly NodeId[];
  readonly refused: readonly NodeId[];
  /** The next round is not waited for: something has changed for the better. */
  readonly atOnce: boolean;
  /** Who said with its last grant that it reads the lease record itself, and since when it has said so with every one. */
  readonly seeing: readonly { readonly id: NodeId; readonly sinceMs: number }[];
  /** The send of the last full round, and who granted it; null before the first. */
  readonly full: { readonly sentMs: number; readonly by: readonly NodeId[] } | null;
  /** The last round got no further; a sentence, null when it was full. */
  readonly trouble: string | null;
}

/** A change of who is in sync that a mirror waits for. */
export interface InSyncWish {
  readonly askId: number;
  readonly change: 'add' | 'remove';
  readonly peer: NodeId;
  readonly bootId: BootId;
  readonly epoch: Epoch;
  readonly generation: string;
  readonly dueMs: number;
  /** A renewal is to be sent for it, now. */
  readonly pending: boolean;
  /** A renewal with it was sent: it may have happened. */
  readonly sent: boolean;
}

/** The word given to a holder in failsafe: no acquisition by time or suspicion before `untilMs`. */
export interface Promised {
  readonly to: NodeId;
  readonly epoch: Epoch;
  readonly untilMs: number;
}

/** What is known of a peer from its authentic heartbeats. */
export interface PeerFacts {
  readonly bootId: BootId;
  readonly cfgHash: string;
  /** The last STOPPED(e) it said. */
  readonly stopped: { readonly epoch: Epoch; readonly bootId: BootId; readonly atMs: number } | null;
  /** It says it holds this epoch, without a silence since then. */
  readonly held: { readonly epoch: Epoch; readonly bootId: BootId; readonly sinceMs: number; readonly seq: number } | null;
  /** It says that its controller is silent; since when it was first heard to say so. */
  readonly unattendedSinceMs: number | null;
  /** It holds nothing and observes or acquires. False after a silence. */
  readonly waits: boolean;
  /** The highest epoch it ever spoke of. */
  readonly announced: Epoch;
  /** Boots that it was heard with before its present one: gone for good. Newest last, at most 8. */
  readonly retired: readonly { readonly bootId: BootId; readonly atMs: number }[];
}

/** A node was observed off, or a person vouches for it: so this boot is gone, and with it what it held at this epoch. */
export interface Fenced extends EarlierHolder {
  readonly evidence: string;
  readonly atMs: number;
}

/** One edge of suspicion for `takeover: preempt`: one attempt, then lease mode again (SAFETY a.7b). */
export interface Suspicion {
  readonly peer: NodeId;
  readonly epoch: Epoch;
  readonly bootId: BootId;
  readonly lastHeardMs: number;
  readonly announcedSeq: number;
  /** The first read sent since then is the base of the attempt. */
  readonly edgeMs: number;
  readonly base: { readonly seq: number; readonly readyMs: number } | null;
}

export interface OwnershipState {
  readonly policy: OwnershipPolicy;
  /** What the last guard left is known; before that facts are taken in and nothing is decided. */
  readonly started: boolean;
  readonly phase: LeasePhase;
  readonly because: string;
  /** When this guard began. */
  readonly bornMs: number;
  readonly nowMs: number;
  readonly known: Known;
  /** When the record was last confirmed by a read or an own CAS; null when never. */
  readonly confirmedMs: number | null;
  readonly orders: { readonly group: GroupOrders; readonly node: NodeOrders };
  /** Numbers reads and attempts; a late answer is known by an old number. */
  readonly serial: number;
  readonly reading: { readonly id: number; readonly sentMs: number } | null;
  readonly writing: Attempt | null;
  /** An acquisition without an answer: the next read decides. */
  readonly unresolved: Attempt | null;
  readonly readWanted: boolean;
  readonly lastReadMs: number;
  /** No write before this: the pace after a failure while observing. */
  readonly writeNotBeforeMs: number;
  /** Since when nothing stands against an acquisition; null while something does. A rank's delay counts from here at the earliest. */
  readonly clearSinceMs: number | null;
  readonly tenure: Tenure | null;
  /** Set in `releasing`. `sent`: RELEASED may have been written, there is no way back. */
  readonly release: {
    /** Where it goes back to when the stop cannot be verified. */
    readonly from: 'held' | 'fencing';
    readonly verified: boolean;
    readonly sent: boolean;
    readonly successor: NodeId | null;
  } | null;
  readonly releaseNotBeforeMs: number;
  readonly inSyncWish: InSyncWish | null;
  /** Set in `fencing-self`. */
  readonly fencing: {
    readonly sinceMs: number;
    readonly running: boolean;
    readonly retryMs: number;
    readonly sayAgainMs: number;
    readonly resetMs: number;
  } | null;
  readonly will: { readonly will: Will; readonly atMs: number } | null;
  /** The controller has left on purpose until then. */
  readonly leaveUntilMs: number;
  /** When the holder's guard was last asked to stop. */
  readonly pleadedMs: number;
  /** Reasons of this host not to acquire: no leash, a watchdog that cannot be armed. */
  readonly gate: readonly string[];
  readonly dogArmed: boolean;
  readonly peers: Readonly<Record<NodeId, PeerFacts>>;
  /** Confirmed fences, each of one boot in one epoch; newest last, at most 8. */
  readonly fenced: readonly Fenced[];
  readonly suspicion: Suspicion | null;
  /** Set while this node holds and the arbiter is silent for longer than `soft`. */
  readonly failsafe: Failsafe | null;
  /** Members confirmed off while this node holds: each until it is heard again (`fence-then-continue`). */
  readonly fencedMembers: readonly { readonly node: NodeId; readonly bootId: BootId }[];
  readonly promise: Promised | null;
  /** Set where there is no store. */
  readonly pair: PairState | null;
  readonly maxEpochSeen: Epoch;
  /** The newest epoch of this boot that is dead here and verified stopped; 0 when none. */
  readonly stoppedEpoch: Epoch;
  /** What wants a person's attention; sentences. */
  readonly alarms: readonly string[];
}

export const initialState = (policy: OwnershipPolicy, nowMs: number, maxEpochSeen: Epoch): OwnershipState => ({
  policy,
  started: false,
  phase: 'idle',
  because: 'the guard has just started',
  bornMs: nowMs,
  nowMs,
  known: { kind: 'unread' },
  confirmedMs: null,
  orders: { group: NO_GROUP_ORDERS, node: NO_NODE_ORDERS },
  serial: 0,
  reading: null,
  writing: null,
  unresolved: null,
  readWanted: true,
  lastReadMs: Number.NEGATIVE_INFINITY,
  writeNotBeforeMs: Number.NEGATIVE_INFINITY,
  clearSinceMs: null,
  tenure: null,
  release: null,
  releaseNotBeforeMs: Number.NEGATIVE_INFINITY,
  inSyncWish: null,
  fencing: null,
  will: null,
  leaveUntilMs: Number.NEGATIVE_INFINITY,
  pleadedMs: Number.NEGATIVE_INFINITY,
  gate: [],
  dogArmed: false,
  peers: {},
  fenced: [],
  suspicion: null,
  failsafe: null,
  fencedMembers: [],
  promise: null,
  pair: policy.pair == null ? null : initialPair(nowMs, policy.timing),
  maxEpochSeen,
  stoppedEpoch: 0,
  alarms: [],
});

/** What heartbeats say of the group. */
export const beatOf = (state: OwnershipState): BeatGroup => {
  const { tenure, known, stoppedEpoch, phase, policy } = state;
  const { group } = policy;
  if (tenure !== null) {
    const { epoch, current } = tenure;
    const said = { group, phase, epoch, seq: current?.record.seq ?? 0, version: current?.version ?? '', stopped: false };
    return isUnattended(state) ? { ...said, unattended: true } : said;
  }
  const record = known.kind === 'record' ? known.record : null;
  const { seq, version } = known.kind === 'record' ? { seq: known.record.seq, version: known.version } : { seq: 0, version: '' };
  // Somebody waits for this node's end. Without a tenure nothing of the group runs here, whatever boot it was of.
  const awaited = state.started ? record?.fencing.find(({ node }) => node === policy.self) : undefined;
  if (awaited !== undefined) return { group, phase, epoch: awaited.epoch, seq, version, stopped: true };
  if (stoppedEpoch > 0 && (record === null || record.epoch <= stoppedEpoch))
    return { group, phase, epoch: stoppedEpoch, seq, version, stopped: true };
  return { group, phase, epoch: record?.epoch ?? 0, seq, version, stopped: false };
};
