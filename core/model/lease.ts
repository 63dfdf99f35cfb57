// What the guard tells and what the controller wills: the two halves of ownership (DESIGN 4). Facts and wishes only;
// the machine that decides is core/ownership, the record in the store is core/ownership/record.
import type { BootId, Epoch, GroupId, NetworkId, NodeId } from './ids.js';

/**
 * The guard's own state for one group (SAFETY a.6). `fencing`: it has won the epoch and waits for proof that an earlier holder
 * is down; nothing may start (SAFETY a.7).
 */
export type LeasePhase = 'idle' | 'observe' | 'acquiring' | 'fencing' | 'held' | 'releasing' | 'fencing-self';

/** What the lease record last said, in words. `unread` = not read since this guard started. */
export type RecordState = 'held' | 'held-unknown' | 'released' | 'fencing' | 'absent' | 'unread';

/** A holder of an earlier epoch, and what is known of its end. */
export interface EarlierHolderView {
  readonly node: NodeId;
  /** The boot that held; who says that the node is off means this boot. */
  readonly bootId: BootId;
  readonly epoch: Epoch;
  /** Why it is proven down; null while it is not. */
  readonly proof: string | null;
}

/** One group's ownership as this node's guard knows it. An observed fact: it may be old, never invented. */
export interface LeaseView {
  readonly group: GroupId;
  readonly phase: LeasePhase;
  /** While `fencing`, `held`, `releasing` or `fencing-self`: the epoch this node won. Otherwise the epoch of the record last read. */
  readonly epoch: Epoch;
  /** Who the record last read names; null when absent, unread or released. */
  readonly holder: NodeId | null;
  /** The boot under which it wrote that; whoever says that the holder is off means this boot. Absent = not known. */
  readonly holderBootId?: BootId | null;
  readonly record: RecordState;
  /** Earlier holders that must be proven down before whoever holds the record may start anything. Absent = none. */
  readonly fencing?: readonly EarlierHolderView[];
  /** Held: the earlier holder that only W, or its silence, speaks for, once it may be fenced in the background. Absent = none. */
  readonly unproven?: EarlierHolderView | null;
  /** Until this node must self-fence; 0 unless `fencing`, `held` or `releasing`. */
  readonly remainingMs: number;
  /** Since the record was last read or confirmed by an own CAS; null when never. */
  readonly recordAgeMs: number | null;
  readonly inSync: readonly NodeId[];
  /**
   * The group has a mirror. `stale`: of inSync, those whose entry is of an earlier boot and so counts no longer. `forced`: the
   * epoch was taken by an operator's order although the copy was not in sync. `lacks`: why this node's copy may not be used by
   * the record as it stands, null when it may, is, or was ordered to. Absent or null = it has none.
   */
  readonly mirror?: { readonly stale: readonly NodeId[]; readonly forced: boolean; readonly lacks: string | null } | null;
  /** Who the holder named to come next when it released (a planned move), else null. */
  readonly successor: NodeId | null;
  /** While the holder goes on without the arbiter, by the promises of all members (SAFETY a.8); else null or absent. */
  readonly failsafe?: FailsafeView | null;
  /**
   * Two nodes without a store: the other member, in the boot and at the epoch for which its end would be proof. `fence`: this
   * node holds the group and fences the silent other first. Absent or null = there is a store.
   */
  readonly withoutStore?: { readonly node: NodeId; readonly bootId: BootId; readonly epoch: Epoch; readonly fence: boolean } | null;
  /** Why the phase is what it is: the sentence of the last transition. */
  readonly because: string;
}

/** The lease of a holder whose arbiter is silent. */
export interface FailsafeView {
  /** Since the last good renewal was sent. */
  readonly silentMs: number;
  /** Whose promises extended the lease in the last full round; null before the first one. */
  readonly by: readonly NodeId[] | null;
  /** Why the last round extended nothing, else null. */
  readonly trouble: string | null;
  /** Silent members whose confirmed fence would count as their promise; empty with `peerLost: stop`. */
  readonly fence: readonly { readonly node: NodeId; readonly bootId: BootId }[];
  /** A member in sync that sees the arbiter and should have the group, since this node has been without it for too long. */
  readonly moveTo: NodeId | null;
}

/** The controller's will for one group on this node; sent each cycle and at least once a second (DESIGN 4). */
export interface Will {
  readonly group: GroupId;
  /** `release`: everything is stopped here, verify and give the lease back. `none`: neither. */
  readonly want: 'hold' | 'release' | 'none';
  /** 0 is first in line; the others wait rank × rankDelay. */
  readonly rank: number;
  /** Why this node must not acquire now. Empty when it may. */
  readonly blockers: readonly string[];
  /** Whether the controller allows takeover without W (SAFETY a.7b); the guard checks its own conditions as well. */
  readonly preemptOk: boolean;
  /** With `release`: the node that shall come next, else null. */
  readonly successor: NodeId | null;
  readonly because: string;
}

export type LinkState = 'up' | 'down' | 'unknown';

/** One heartbeat path to one peer. */
export interface LinkView {
  readonly network: NetworkId;
  readonly state: LinkState;
  /** Smoothed round trip; null until one was measured. */
  readonly rttMs: number | null;
  /** Losses or round trips are so bad that suspicion without cause is near: a sentence with the figures. Absent = they are not. */
  readonly poor?: string;
}

/** `unseen`: not heard since this guard started. `suspect`: silent for suspectAfter. `lost`: silent for W. */
export type PeerState = 'unseen' | 'member' | 'suspect' | 'lost';

/** What a peer's last heartbeat said of one group. */
export interface PeerGroupView {
  readonly group: GroupId;
  readonly epoch: Epoch;
  readonly phase: LeasePhase;
  /** The peer's guard states: every trace of this epoch is stopped and verified (SAFETY a.7). */
  readonly stopped: boolean;
}

export interface PeerView {
  readonly node: NodeId;
  readonly state: PeerState;
  readonly bootId: BootId | null;
  readonly links: readonly LinkView[];
  /** Heard over one network alone, of two or more: one failure from silence. Absent = no. */
  readonly jeopardy?: boolean;
  /** Since the last authentic heartbeat on any network; null when unseen. */
  readonly silentMs: number | null;
  readonly cfgHash: string | null;
  readonly groups: readonly PeerGroupView[];
}

/** `ok`; `silent`: no answer within the attempt time; `refused`: it answered, and said no (credentials, state). */
export interface ArbiterView {
  readonly state: 'unknown' | 'ok' | 'silent' | 'refused';
  /** Since the last good answer; null when never. */
  readonly ageMs: number | null;
  readonly because: string;
  /** There is no store: the state is that of this node's own records, and `because` says what is not promised. */
  readonly store?: 'none';
}

/** What an operator ordered for a group, kept in the arbiter (SAFETY a.4, orders record). */
export interface GroupOrders {
  readonly want: 'online' | 'offline';
  /** A planned move under way: the holder stops, releases and names `to`; whoever acquires removes it. */
  readonly move: { readonly id: string; readonly to: NodeId; readonly by: string; readonly why: string } | null;
  /** No takeover, no restart, no start: what runs is left running and watched. */
  readonly frozen: boolean;
  /** No agent writes at all; the lease is still renewed. */
  readonly maintenance: boolean;
  /** With `maintenance`: the watchdog is not needed for this group while it lasts. Absent in records of older versions. */
  readonly unwatched?: boolean;
  /**
   * The copy of this node is used although it may lack what only others had (`start --force --accept-data-loss`). Of the lease
   * record's epoch at that time, and of no other: what changes since makes the order void. Absent = none.
   */
  readonly forced?: { readonly node: NodeId; readonly epoch: Epoch; readonly by: string; readonly why: string } | null;
  /** Raised by `understudy clear`: failures counted before it no longer count. */
  readonly clears: number;
  /** The last failovers, newest last, at most 16. */
  readonly failovers: readonly FailoverEntry[];
  /** Who gave the last order and why; for people only. */
  readonly by: string;
  readonly why: string;
}

/** What a mirror wants of inSync (SAFETY a.11), as the holder of `epoch`. */
export interface InSyncRequest {
  readonly group: GroupId;
  readonly change: 'add' | 'remove';
  readonly peer: NodeId;
  /** With `add`: the boot in which the peer has the data. */
  readonly bootId: BootId | null;
  readonly epoch: Epoch;
  /** The generation of the data, for the journal. */
  readonly generation: string;
  /** So long the guard tries. */
  readonly limitMs: number;
}

/**
 * What became of a change of inSync. `refused`: it did not happen. `unknown`: it may have happened or happens yet; the lease page,
 * or asking again, tells.
 */
export type InSyncAnswer =
  | { readonly kind: 'ok'; readonly seq: number }
  | { readonly kind: 'refused'; readonly because: string }
  | { readonly kind: 'unknown'; readonly because: string };

export interface FailoverEntry {
  readonly epoch: Epoch;
  readonly from: NodeId | null;
  readonly to: NodeId;
  readonly because: string;
}

/** What an operator ordered for a node. */
export interface NodeOrders {
  readonly standby: boolean;
  readonly maintenance: boolean;
  readonly by: string;
  readonly why: string;
}

export const NO_GROUP_ORDERS: GroupOrders = {
  want: 'online',
  move: null,
  frozen: false,
  maintenance: false,
  clears: 0,
  failovers: [],
  by: 'default',
  why: 'no order was given',
};

export const NO_NODE_ORDERS: NodeOrders = { standby: false, maintenance: false, by: 'default', why: 'no order was given' };

/** Everything this node's guard knows, as one value. Sent to the controller on each change and at least each second. */
export interface GuardView {
  readonly self: NodeId;
  readonly bootId: BootId;
  readonly cfgHash: string;
  readonly peers: readonly PeerView[];
  readonly arbiter: ArbiterView;
  readonly leases: readonly LeaseView[];
  readonly groupOrders: Readonly<Record<GroupId, GroupOrders>>;
  readonly nodeOrders: Readonly<Record<NodeId, NodeOrders>>;
  /** `driver` is `none` where no watchdog is configured. */
  readonly watchdog: { readonly driver: string; readonly armed: boolean };
  /** Since the leash last beat; null when there is none. */
  readonly leashAgeMs: number | null;
  /** Heartbeat frames that were not believed, by reason, since the guard began. */
  readonly dropped?: Readonly<Record<string, number>>;
  /** Sentences for people, each a state that wants attention. */
  readonly alarms: readonly string[];
}
