// What the API answers, word for word what `--json` prints: shared by server, client, CLI and console. Types only. Names and
// shapes are a promise to scripts: they grow, they do not change.
import type { ErrorCode } from '../errors/errors.js';
import type { GroupId, NodeId } from '../model/ids.js';
import type { ArbiterView, LinkView, PeerState } from '../model/lease.js';
import type { MirrorStatus } from '../model/mirror.js';
import type { FenceFact, ResourceState } from '../model/observed.js';
import type { GroupState } from '../model/plan.js';
import type { SideEffect } from '../plugin/contract.js';
import type { FoundPlugin } from '../plugin/registry.js';
import type { DeviceState } from '../scheduler/fence-check.js';
import type { ListedHook } from '../scheduler/hooks.js';

export interface StatusView {
  readonly cluster: string;
  /** Whose view this is. */
  readonly node: NodeId;
  readonly nodes: readonly NodeView[];
  readonly arbiter: Pick<ArbiterView, 'state' | 'ageMs' | 'because' | 'store'>;
  readonly groups: readonly GroupView[];
  readonly mirrors: readonly MirrorView[];
  /** Sentences that want attention. */
  readonly alarms: readonly string[];
  readonly watchdog: { readonly driver: string; readonly armed: boolean } | null;
  /** Heartbeat frames that this node's guard did not believe, by reason: another key, a replay, another cluster. */
  readonly dropped: Readonly<Record<string, number>>;
  /** The fence devices of the config, and the nodes this controller tries to power off; absent when the controller is away. */
  readonly fences?: { readonly devices: readonly DeviceState[]; readonly nodes: Readonly<Record<NodeId, FenceFact>> };
  /** `controller`: everything. `guard`: the controller is away, only ownership is known. */
  readonly source: 'controller' | 'guard';
}

export interface NodeView {
  readonly id: NodeId;
  readonly state: PeerState;
  readonly links: readonly LinkView[];
  /** Heard over one network alone, of two or more. */
  readonly jeopardy?: boolean;
  readonly standby: boolean;
  readonly maintenance: boolean;
}

export interface GroupView {
  readonly id: GroupId;
  readonly state: GroupState;
  readonly active: NodeId | null;
  readonly epoch: number;
  readonly leaseRemainingMs: number;
  readonly because: string;
  readonly resources: readonly ResourceView[];
  readonly standbys: readonly StandbyView[];
  readonly frozen: boolean;
  readonly maintenance: boolean;
  /** What an operator types next when the state is bad. */
  readonly nextCommand?: string;
}

export interface ResourceView {
  readonly id: string;
  readonly type: string;
  /** Where it was seen so: the active node, else this one. */
  readonly node: NodeId;
  readonly state: ResourceState;
  /** ISO time, for people; null when it is another node's, or nobody knows. */
  readonly since: string | null;
  readonly reason?: string;
  /** Online, but this is missing. */
  readonly degraded?: string;
}

export interface StandbyView {
  readonly node: NodeId;
  readonly ready: boolean;
  readonly blockers: readonly string[];
}

/** One mirrored volume, as the node that serves it says, else as the nearest that is heard. */
export interface MirrorView extends Omit<MirrorStatus, 'resync' | 'suspended'> {
  /** `GROUP/RESOURCE`. */
  readonly id: string;
  /** Who may take over by the lease record, in the boot it is in. */
  readonly inSync: readonly NodeId[];
  /** Why writes wait. */
  readonly suspended?: string;
  readonly resync?: NonNullable<MirrorStatus['resync']>;
}

/** What an operation would do, step by step, touching nothing. */
export interface PlanView {
  readonly operation: PlanOperation;
  readonly group: GroupId;
  readonly from: NodeId | null;
  readonly to: NodeId | null;
  readonly steps: readonly PlanStep[];
  /** What stands in the way of it now; empty when it could be done. */
  readonly blockers: readonly string[];
}

export const PLAN_OPERATIONS = ['start', 'stop', 'switchover', 'failover'] as const;
export type PlanOperation = (typeof PLAN_OPERATIONS)[number];

export interface PlanStep {
  readonly node: NodeId;
  /** `stop app`, `release the lease`, `run beforeSwitchover hooks`. */
  readonly what: string;
  readonly because: string;
  readonly effects: readonly SideEffect[];
}

export const VERBS = [
  'switchover',
  'start',
  'stop',
  'freeze',
  'unfreeze',
  'maintenance-on',
  'maintenance-off',
  'standby',
  'unstandby',
  'clear',
  'fence',
  'fence-confirm',
  'arbiter-restore',
] as const;
export type Verb = (typeof VERBS)[number];

export interface OrderRequest {
  readonly verb: string;
  readonly group?: string | undefined;
  /** `self` is the node that is asked. */
  readonly node?: string | undefined;
  readonly to?: string | undefined;
  readonly why?: string | undefined;
  readonly by?: string | undefined;
  /** The name of the node once more, typed: for what can do harm (`fence`, `fence-confirm`). */
  readonly confirm?: string | undefined;
  /** With `arbiter-restore`: at least this epoch. */
  readonly epoch?: number | undefined;
  /** With `fence`: also a node that is heard and holds a group. With `start`: an operator vouches that the other node is off. */
  readonly force?: boolean | undefined;
  /** With `start` of a group with a mirror: on `node` (default: the node that is asked), although its copy is not in sync. */
  readonly acceptDataLoss?: boolean | undefined;
  /** With `maintenance-on` of a group: without the watchdog. */
  readonly unwatched?: boolean | undefined;
  /** Answer when it is done, not when it is recorded. */
  readonly wait?: boolean | undefined;
  /** With `wait`; default 60 s, at most 10 min. */
  readonly timeoutMs?: number | undefined;
}

export interface OrderAnswer {
  readonly message: string;
  /** Set with `wait`. */
  readonly elapsedMs?: number;
  /** The incident that tells its story, when it makes one. */
  readonly incident?: string;
}

export interface PluginsView {
  readonly plugins: readonly FoundPlugin[];
  readonly quarantined: readonly { readonly type: string; readonly because: string }[];
}

export type HooksView = readonly ListedHook[];

/** Every error of the API. `exit` is the exit status of a command that ends with it. */
export interface ErrorView {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly exit: number;
}
