// What is: every fact with its source and its age. Made by core/scheduler/observe, read by core/planner.
import type { GroupId, NodeId, ResourceId } from './ids.js';
import type { MirrorStatus } from './mirror.js';
import type { ActionKind } from './plan.js';
import type { ArbiterView, GroupOrders, LeaseView, NodeOrders, PeerState } from './lease.js';

/** `unknown` is a value of its own: never folded into `offline` (DESIGN 7). */
export const RESOURCE_STATES = ['online', 'offline', 'faulted', 'unknown'] as const;
export type ResourceState = (typeof RESOURCE_STATES)[number];

/** One resource on this node, as its agent last said or as the last action left it. */
export interface ObservedResource {
  readonly state: ResourceState;
  /** Why, in the agent's words. Empty when there is nothing to say. */
  readonly reason: string;
  /** Online, but part of the job is not done yet (one route table of three, say): named here, else null. */
  readonly degraded: string | null;
  /** `monitor`, `start`, `stop`, `probe`, `watch`: what the state was learnt from. */
  readonly source: string;
  readonly ageMs: number;
  /** Bad (faulted or unexpectedly offline) and unknown results in a row. */
  readonly badRow: number;
  readonly unknownRow: number;
  /** Local failures of this resource still inside its restart window (each a fault that was or will be restarted). */
  readonly failures: number;
  /** A start failed on this node and no `clear` came since: why, else null. */
  readonly startFailed: string | null;
  /** A stop failed: the group is blocked here until an operator or a reset. Why, else null. */
  readonly stopFailed: string | null;
  /** Role of a promotable resource on this node. */
  readonly role: 'primary' | 'secondary' | null;
  /** Why this node must not take the group although nothing is wrong with the resource here, in the agent's words. Absent = nothing. */
  readonly blockers?: readonly string[];
  /** Of a mirror. */
  readonly mirror?: MirrorStatus;
}

/** An action that the executor has begun and not ended. */
export interface InFlight {
  readonly kind: ActionKind;
  readonly resource: ResourceId | null;
  readonly sinceMs: number;
}

/** What a peer's controller last reported of one group (cluster link). Safety never depends on it. */
export interface PeerGroupReport {
  readonly resources: Readonly<
    Record<ResourceId, { readonly state: ResourceState; readonly reason: string; readonly mirror?: MirrorStatus }>
  >;
  /** Why that node could not take the group now; empty = ready. */
  readonly blockers: readonly string[];
}

export interface ObservedNode {
  readonly id: NodeId;
  /** This node itself is always `member`. */
  readonly state: PeerState;
  readonly orders: NodeOrders;
  readonly cfgHash: string | null;
  /** Since its controller last reported; null = never. */
  readonly reportAgeMs: number | null;
  readonly groups: Readonly<Record<GroupId, PeerGroupReport>>;
}

/** What the group is in the middle of, remembered by the scheduler for one epoch. */
export interface Transition {
  /** `failover`: unplanned, from a holder that did not release. `switchover`: a planned move. `start`: anything else. */
  readonly kind: 'failover' | 'switchover' | 'start';
  readonly from: NodeId | null;
  /** Group-level hook points that have run in this transition on this node. */
  readonly hooksDone: readonly string[];
  /** A hook with `onFailure: abort` failed: why, else null. */
  readonly aborted: string | null;
  /** Evidence that `from` is down, for this epoch: STOPPED(e), a changed boot, a confirmed fence. Told to people; the guard alone decides by it. */
  readonly fenced?: string | null;
}

export interface ObservedGroup {
  readonly id: GroupId;
  readonly lease: LeaseView;
  readonly orders: GroupOrders;
  /** Unplanned failovers inside the group's window, as this node counts them. */
  readonly failovers: number;
  readonly transition: Transition | null;
  readonly resources: Readonly<Record<ResourceId, ObservedResource>>;
  readonly inFlight: readonly InFlight[];
}

/** What this controller's attempts to power a node off came to, for the boot that is waited for now. */
export interface FenceFact {
  /** An attempt is under way. */
  readonly running: boolean;
  /** What the attempt under way has seen last, in a device's words. */
  readonly seen?: string;
  /** Attempts that have ended without a confirmation. */
  readonly failures: number;
  /** Why the last one failed; null when none did. */
  readonly because: string | null;
  /** Until the next attempt may begin; 0 = now. */
  readonly waitMs: number;
}

export interface ObservedState {
  readonly self: NodeId;
  /** Monotonic time of the observation; only differences mean anything. */
  readonly nowMs: number;
  readonly nodes: Readonly<Record<NodeId, ObservedNode>>;
  readonly groups: Readonly<Record<GroupId, ObservedGroup>>;
  readonly arbiter: ArbiterView;
  /** Nodes that this controller tries to power off. Absent = none. */
  readonly fences?: Readonly<Record<NodeId, FenceFact>>;
  /** Why this node is unfit to take anything (loop lag, disk, plugins), from health checks and plugins. */
  readonly selfBlockers: readonly string[];
}
