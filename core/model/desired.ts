// What shall be: the configuration after parsing, defaults filled in, everything in milliseconds and in start order.
import type { ClusterId, GroupId, NodeId, ResourceId } from './ids.js';
import type { Timing } from './timing.js';

export interface DesiredState {
  readonly cluster: ClusterId;
  /** Hash over the meaning of the config (secrets excluded); nodes compare it. */
  readonly cfgHash: string;
  readonly nodes: readonly NodeId[];
  readonly timing: Timing;
  readonly fencing: FencingPolicy;
  /** The nodes that some configured fence can power off. Absent = none. */
  readonly fenceable?: readonly NodeId[];
  readonly groups: readonly DesiredGroup[];
}

/** `required`: nothing starts before a fence is confirmed. `watchdog`: W is proof. `none`: unsafe, said so everywhere. */
export type FencingPolicy = 'required' | 'watchdog' | 'none';

/** The unit of failover: all its resources run on one node. */
export interface DesiredGroup {
  readonly id: GroupId;
  /** Candidate nodes in order of preference. */
  readonly prefer: readonly NodeId[];
  readonly failback: 'never' | 'manual' | 'immediate';
  readonly takeover: 'lease' | 'preempt';
  /** Start order: a resource stands behind everything it comes `after`. */
  readonly resources: readonly DesiredResource[];
  /** More unplanned failovers than `max` within `withinMs`: give up and wait for `understudy clear`. */
  readonly failover: WindowedLimit;
  readonly hooks: readonly DesiredHook[];
}

export interface WindowedLimit {
  readonly max: number;
  readonly withinMs: number;
}

/** `on-off`: started and stopped. `on-only`: started, never stopped. `none`: only watched (a NIC, say). */
export type Operations = 'on-off' | 'on-only' | 'none';

export interface DesiredResource {
  readonly id: ResourceId;
  /** The agent's type, e.g. `overlay-ip`. */
  readonly type: string;
  /** As the agent's schema parsed them, `on:` overrides of this node already applied by whoever runs the agent. */
  readonly options: unknown;
  /** Direct predecessors: started before, stopped after. */
  readonly after: readonly ResourceId[];
  /** Whether its fault moves the group. */
  readonly critical: boolean;
  readonly operations: Operations;
  readonly promotable: boolean;
  /** The epoch keeps a late holder's effects harmless (SAFETY a.7b). */
  readonly fencedByEpoch: boolean;
  readonly everyMs: number;
  readonly monitorTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  /** So many bad monitors in a row before `faulted` counts; 1 = at once. */
  readonly tolerance: number;
  /** So many `unknown` in a row (timeouts included) before it is treated as faulted; 0 = never. */
  readonly unknownLimit: number;
  /** Local restarts before the group moves. */
  readonly restart: WindowedLimit;
}

export const HOOK_POINTS = [
  'beforeStart',
  'afterStart',
  'beforeStop',
  'afterStop',
  'beforePromote',
  'afterPromote',
  'beforeDemote',
  'afterDemote',
  'beforeFailover',
  'afterFailover',
  'beforeSwitchover',
  'afterSwitchover',
  'onMonitor',
  'onFault',
  'onUnknown',
  'onRestart',
  'onFence',
  'onSelfFence',
  'onPeerLost',
  'onPeerJoined',
  'onArbiterLost',
  'onSplitBrain',
  'onResyncStart',
  'onResyncEnd',
  'onMaintenance',
] as const;
export type HookPoint = (typeof HOOK_POINTS)[number];

/** One hook as it will run; `run` is argv of a script, or the name of a plugin's function hook. */
export interface DesiredHook {
  readonly point: HookPoint;
  /** Name shown to people: the script's path or `plugin:NAME`. */
  readonly name: string;
  readonly run: { readonly kind: 'script'; readonly argv: readonly string[] } | { readonly kind: 'plugin'; readonly plugin: string };
  readonly order: 'pre' | 'normal' | 'post';
  readonly timeoutMs: number;
  readonly onFailure: 'ignore' | 'abort' | 'fault';
  readonly on: 'active' | 'standby' | 'all';
  readonly platform: 'any' | 'linux' | 'win32';
}
