// What the scheduler needs of other rooms, as narrow as it needs it. Each interface has a token of the same name; the
// composition root (core/daemon/compose) says who stands behind it, a test says something smaller.
import type { DesiredState } from '../model/desired.js';
import type { BootId, ClusterId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { GroupOrders, GuardView, NodeOrders, Will } from '../model/lease.js';
import type { PeerGroupReport } from '../model/observed.js';
import type { OrdersRequest } from '../guard/protocol.js';
import type { PageReading } from '../ownership/page.js';
import type { Agent, AgentDefinition, FenceDevice, Log } from '../plugin/contract.js';
import type { Capture, Planner as PlannerFunction } from '../journal/replay.js';

/** Who and where this controller is. */
export interface Self {
  readonly cluster: ClusterId;
  readonly node: NodeId;
  readonly bootId: BootId;
  /** Volatile directory, logs: core/system/paths. */
  readonly runDir: string;
  readonly logDir: string;
  readonly platform: NodeJS.Platform;
}
export const Self: unique symbol = Symbol('Self');

/** Desired state as it is now: a reload replaces it. */
export interface DesiredSource {
  desired(): DesiredState;
}
export const DesiredSource: unique symbol = Symbol('DesiredSource');

export type Planner = PlannerFunction;
export const Planner: unique symbol = Symbol('Planner');

/** The guard of this node, from the controller's side. */
export interface GuardDoor {
  /** The last view; null while the guard was never heard. */
  view(): GuardView | null;
  wills(wills: readonly Will[], loopLagMs: number): void;
  /** Rejects with ARBITER_UNREACHABLE, ARBITER_REFUSED, REFUSED or GUARD_UNREACHABLE. */
  orders(request: OrdersRequest): Promise<GroupOrders | NodeOrders>;
  /** An operator puts a lost lease record back; the epoch it has now. Rejects as `orders`. */
  restore(group: GroupId, epoch: Epoch | null, why: string): Promise<Epoch>;
  fenced(evidence: { group: GroupId; node: NodeId; bootId: BootId; forEpoch: Epoch; evidence: string }): void;
}
export const GuardDoor: unique symbol = Symbol('GuardDoor');

/** The lease pages of this host: asked before and after every effect. */
export interface LeasePages {
  read(group: GroupId): PageReading;
}
export const LeasePages: unique symbol = Symbol('LeasePages');

/** Agents by resource type, loaded before the first cycle so that no start waits for an import. */
export interface Agents {
  definition(type: string): AgentDefinition | undefined;
  /** The built agent, or why there is none: a plugin that cannot be loaded faults only its own resources. */
  agent(type: string): Agent | { readonly unusable: string };
}
export const Agents: unique symbol = Symbol('Agents');

/** What the controllers of the other nodes last reported over the cluster link. */
export interface PeerReports {
  of(
    node: NodeId,
  ): { readonly ageMs: number; readonly cfgHash: string; readonly groups: Readonly<Record<GroupId, PeerGroupReport>> } | null;
}
export const PeerReports: unique symbol = Symbol('PeerReports');

/** Keeps a planner's input. */
export interface CaptureStore {
  keep(capture: Capture): void;
}
export const CaptureStore: unique symbol = Symbol('CaptureStore');

/** Gives each component its own log. */
export interface Logs {
  child(component: string): Log;
}
export const Logs: unique symbol = Symbol('Logs');

/** One configured fence device. */
export interface FenceHandle {
  /** For people, e.g. `power (a)`. */
  readonly name: string;
  /** Whom it can power off; null: every node. */
  readonly nodes: readonly NodeId[] | null;
  /** The device and the limit of one attempt, milliseconds. Rejects with PLUGIN_INVALID. */
  open(): Promise<{ readonly device: FenceDevice; readonly limitMs: number }>;
  close(): Promise<void>;
}

/** What stands behind `fencing.levels`: all devices of a level must confirm, the first level that confirms is enough. */
export interface Fence {
  readonly levels: readonly (readonly FenceHandle[])[];
}
export const Fence: unique symbol = Symbol('Fence');

/** Where no fence is configured. */
export const noFence = (): Fence => ({ levels: [] });
