// The config file after parsing: checked, defaults filled in, milliseconds, but resources still as their agents' own raw
// options. The guard lives on this alone (it loads no agent); core/config/to-desired makes the DesiredState from it.
import type { ClusterId, GroupId, NodeId, ResourceId } from '../model/ids.js';
import type { DesiredHook, FencingPolicy, WindowedLimit } from '../model/desired.js';
import type { Timing } from '../model/timing.js';

export interface NodeConfig {
  readonly id: NodeId;
  readonly zone: string | null;
  readonly networks: {
    readonly service: string | null;
    /** One address per heartbeat network; the networks are called heartbeat-1, heartbeat-2, … in this order on every node. */
    readonly heartbeat: readonly string[];
    /** One address per mirror network, in the same order on every node; empty = the heartbeat networks carry it. */
    readonly mirror: readonly string[];
  };
}

export interface ResourceConfig {
  readonly id: ResourceId;
  readonly use: string;
  readonly after: readonly ResourceId[] | null;
  /** Only what the file says; the agent's defaults come in to-desired. Milliseconds. */
  readonly critical: boolean;
  readonly everyMs: number | null;
  readonly monitorTimeoutMs: number | null;
  readonly startTimeoutMs: number | null;
  readonly stopTimeoutMs: number | null;
  readonly tolerance: number;
  readonly unknownLimit: number;
  readonly restart: WindowedLimit;
  /** Keys that are not understudy's own: the agent's options, unparsed. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Per-node overrides of options: `on: { a: { eni: eni-1 } }`. */
  readonly on: Readonly<Record<NodeId, Readonly<Record<string, unknown>>>>;
}

export interface GroupConfig {
  readonly id: GroupId;
  readonly prefer: readonly NodeId[];
  readonly failback: 'never' | 'manual' | 'immediate';
  readonly takeover: 'lease' | 'preempt';
  /** How preempt makes sure (SAFETY a.7b). */
  readonly confirm: 'renewal' | 'none';
  readonly failover: WindowedLimit;
  readonly resources: readonly ResourceConfig[];
  readonly hooks: readonly DesiredHook[];
}

/** One device of one level. */
export interface FenceDeviceConfig {
  readonly use: string;
  /** Of one attempt; null: what the fence itself says. */
  readonly limitMs: number | null;
  /** Which nodes it can power off; null: all. */
  readonly nodes: readonly NodeId[] | null;
  /** The fence's own options, unparsed. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Where a plugin is; with `integrity` its entry file must have this fingerprint. */
export type PluginReference = string | { readonly use: string; readonly integrity: string };

export interface ClusterConfig {
  readonly cluster: ClusterId;
  /** The file it came from; relative paths in it are relative to its directory. */
  readonly file: string;
  /** Absolute path of the key file. */
  readonly keyFile: string;
  readonly nodes: readonly NodeConfig[];
  readonly arbiter: { readonly use: string; readonly options: Readonly<Record<string, unknown>> };
  readonly fencing: {
    readonly policy: FencingPolicy;
    readonly unsafe: boolean;
    /** Tried in order; all devices of a level must confirm, and the first level that confirms is enough. */
    readonly levels: readonly (readonly FenceDeviceConfig[])[];
    /** Of a cluster without a store, where two nodes may want to fence each other at once: the standby waits. */
    readonly delay: { readonly standbyMs: number; readonly randomMs: number };
  };
  readonly timing: Timing;
  /** While the arbiter is silent (SAFETY a.8). */
  readonly failsafe: { readonly peerLost: 'stop' | 'fence-then-continue'; readonly arbiterLossMoveMs: number };
  readonly ports: {
    readonly heartbeat: number;
    readonly link: number;
    readonly witness: number;
    readonly api: number;
    readonly mirror: number;
  };
  /** `device`: the kernel's. `socket`: the lab's, one process outside the host; `{node}` in the path is this node. */
  readonly watchdog: { readonly driver: 'none' } | { readonly driver: 'device' | 'socket'; readonly path: string };
  /** `table`: addresses are entries in a file instead of the OS (the lab without root); `{node}` in the path is this node. */
  readonly addresses: { readonly kind: 'system' } | { readonly kind: 'table'; readonly path: string };
  /** As written: paths and package names, pinned or not. */
  readonly plugins: readonly PluginReference[];
  readonly groups: readonly GroupConfig[];
  /** Top-level keys that belong to plugins (`aws:`), unparsed. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly cfgHash: string;
}
