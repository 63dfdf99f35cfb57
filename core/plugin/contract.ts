// The plugin contract: everything a plugin may contribute and everything it is given. Built-in plugins use this door and
// no other. Meaning of every member: docs/reference/plugin-api.md.
import type { z } from 'zod';
import type { OutputWhere } from '../config/catalogue.js';
import type { Epoch, GroupId, NodeId, ResourceId } from '../model/ids.js';
import type { HookPoint, Operations } from '../model/desired.js';
import type { MirrorStatus } from '../model/mirror.js';
import type { ResourceState } from '../model/observed.js';
import type { Arbiter } from '../ownership/arbiter.js';
import type { FenceDefinition } from './fence-contract.js';
import type { LocalResource } from './local-resource.js';
import type { LabServiceDefinition } from './lab-contract.js';
import type { ProcessDefinition } from './process-contract.js';
import type { RunOptions, RunResult } from '../system/exec.js';

export type * from './fence-contract.js';
export type * from './lab-contract.js';
export type * from './process-contract.js';

/** The version of this contract. A plugin names the one it was written for. */
export const API_VERSION = 1;

/** A logger with static messages and metadata. */
export interface Log {
  debug(message: string, data?: Record<string, unknown>): void;
  info(message: string, data?: Record<string, unknown>): void;
  warn(message: string, data?: Record<string, unknown>): void;
  error(message: string, data?: Record<string, unknown>): void;
}

/** What monitor may see: read-only. It must change nothing, in no state of the cluster. */
export interface MonitorContext<Options> {
  readonly node: NodeId;
  readonly group: GroupId;
  readonly resource: ResourceId;
  readonly options: Options;
  /** Whether this node holds the group now: an overlay-ip looks at the routes only where it is the holder. */
  readonly active: boolean;
  /** Fires at the deadline; a late answer is `unknown`. */
  readonly signal: AbortSignal;
  /** Until the deadline, at the time of the call. */
  readonly limitMs: number;
  /** Runs a command bounded by the deadline; throws on an exit status that is not in `okExit` (default [0]). */
  readonly run: (
    file: string,
    args: readonly string[],
    options?: Partial<RunOptions> & { readonly okExit?: readonly number[] },
  ) => Promise<RunResult>;
  readonly log: Log;
  /** Directory of the cgroup for this resource's processes; null where there are no cgroups. */
  readonly cgroup: string | null;
  /** Directory for this resource's own volatile files; made before the first start, so it may be missing for monitor. */
  readonly runDir: string;
}

/** What start, stop, promote and demote may see. */
export interface ActionContext<Options> extends MonitorContext<Options> {
  readonly epoch: Epoch;
  /** Throws when the lease page does not say HELD at this epoch with at least `reserveMs` left. Call it before every outside effect. */
  readonly checkLease: (reserveMs?: number) => void;
  /** Milliseconds until the self-fence deadline: no call may be allowed to outlast it. Infinity for stop without a lease. */
  readonly leaseRemainingMs: () => number;
  /** S (SAFETY I6): every outside call must have ended so long before the self-fence deadline. Absent = 0. */
  readonly stopBudgetMs?: number;
  /** This epoch was taken by an operator's order with a copy that was not in sync, accepting the loss of what only others have. Absent = no. */
  readonly forced?: boolean;
  /** `UNDERSTUDY_*` for children: cluster, node, group, resource, epoch, and UNDERSTUDY_RESOURCE=group/resource as the kill mark. */
  readonly environment: Readonly<Record<string, string>>;
  /** File to which a long-lived process of this resource appends its output. */
  readonly logFile: string;
}

export interface MonitorResult {
  readonly state: ResourceState;
  readonly reason?: string;
  /** Online, but this much of the job is missing; the group stays online and the words are shown. */
  readonly degraded?: string;
  /** For promotable resources. */
  readonly role?: 'primary' | 'secondary';
  /** Why this node must not take the group now, in whole sentences, although nothing is wrong here (`data on b is Inconsistent: resync 43 %`). */
  readonly blockers?: readonly string[];
  /** Of a mirror: shown by status, told to the peers. */
  readonly mirror?: MirrorStatus;
  /** Facts for status and timeline. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** What start and stop may tell beyond "done". */
export interface ActionReport {
  /** The job is done only in part, and a later monitor will say when the rest is (an unreachable route table). */
  readonly degraded?: string;
  /** Facts for the timeline: request ids, what was changed. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** One effect that an operation would have: shown by `understudy plan`. */
export interface SideEffect {
  /** `api` call, `command` line, `address`, `file`, `process`. */
  readonly kind: 'api' | 'command' | 'address' | 'file' | 'process';
  /** The exact call or command. */
  readonly what: string;
  /** On what: a route table, an interface. */
  readonly on?: string;
  /** The right it needs, e.g. `ec2:ReplaceRoute`. */
  readonly permission?: string;
}

/** One statement of rights an agent needs outside the host; the vendor's own words stay in the plugin. */
export interface PermissionStatement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  /** Narrows the right, in the vendor's own words: operator, key, values. */
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly why: string;
}

export type Operation = 'start' | 'stop' | 'promote' | 'demote';

/** What `hardStop` is told: where the resource lives on this host. */
export interface HardStopContext<Options> {
  readonly options: Options;
  readonly group: GroupId;
  readonly resource: ResourceId;
  readonly cgroup: string | null;
  readonly runDir: string;
  /** `Addresses.hardStopLine` of this host: the line that takes an address away. */
  readonly addressLine: (interfaceName: string, address: string, prefixLength: number) => string;
}

/**
 * The code behind a resource type. Either a plain object or an instance that the container builds.
 * Idempotent: monitor, start, stop, promote, demote. Every call is bounded by `signal`.
 */
export interface Agent<Options = unknown> {
  /** Is it doing its job? A string is the state alone. A throw or a late answer is `unknown`, never a fault. */
  monitor(context: MonitorContext<Options>): Promise<MonitorResult | ResourceState>;
  /** Makes it run here; returns when it serves. A throw means failed. */
  start?(context: ActionContext<Options>): Promise<ActionReport | void>;
  /** Makes "offline" true here, even when the world has already moved on. A throw means not stopped. */
  stop?(context: ActionContext<Options>): Promise<ActionReport | void>;
  promote?(context: ActionContext<Options>): Promise<ActionReport | void>;
  demote?(context: ActionContext<Options>): Promise<ActionReport | void>;
  /** The effects `op` would have on this node. Touches nothing. */
  plan?(op: Operation, context: MonitorContext<Options>): Promise<readonly SideEffect[]>;
  /** Calls `changed` when a monitor is worth running now. Returns the way to end it. */
  watch?(context: MonitorContext<Options>, changed: () => void): () => void;
  /**
   * Called by the holder after each monitor that found something missing, between polls and on `watch`: puts right what
   * belongs to an online resource (a deleted address). Never called in maintenance or without the lease. The level-triggered half.
   */
  reassert?(context: ActionContext<Options>, found: MonitorResult): Promise<ActionReport | void>;
}

/** A resource type: its description, and how to get its agent. */
export interface AgentDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly summary: string;
  /** One schema gives types, checks, reference and editor completion. Made with the builders of `understudy/plugin`. */
  readonly options: Schema;
  /** Default `on-off`. */
  readonly operations?: Operations;
  readonly promotable?: boolean;
  /** Its data is kept in copies: who is in sync is kept in the lease record (SAFETY a.4), by boots. Built-in plugins alone. */
  readonly mirror?: boolean;
  /** Each of its resources has this long-lived process, a key of `processes`, on every node of its group. Built-in plugins alone. */
  readonly process?: string;
  /** Pure: what other resources of the group may refer to as `${id.KEY}`. */
  readonly outputs?: (where: OutputWhere<z.output<Schema>>) => Readonly<Record<string, string>>;
  /** Whether a late effect of an old epoch is harmless (SAFETY a.7b); may depend on the options (`lingerSafe`). */
  readonly fencedByEpoch?: boolean | ((options: z.output<Schema>) => boolean);
  /** Defaults that differ from the general ones, milliseconds. */
  readonly defaults?: Partial<Record<'everyMs' | 'monitorTimeoutMs' | 'startTimeoutMs' | 'stopTimeoutMs', number>>;
  /** `where`: what that node alone needs; absent = what any node may need. */
  readonly permissions?: (options: z.output<Schema>, where?: { readonly node: NodeId }) => readonly PermissionStatement[];
  /** The programs it would run that the options name: `check` judges them by the rules for what root runs. */
  readonly programs?: (options: z.output<Schema>) => readonly string[];
  /** Pure: the lines of the hard-stop list (SAFETY a.6) that make this resource harmless without Node, scripts or luck. */
  readonly hardStop?: (where: HardStopContext<z.output<Schema>>) => readonly string[];
  /** An object of functions, or a class that the container builds (`@injectable()`, or `static inject = [Token, …] as const`). Loaded when first used. */
  readonly agent: AgentSource<z.output<Schema>>;
}

export type AgentClass<Options> = { new (...dependencies: never[]): Agent<Options>; readonly inject?: readonly unknown[] };
export type AgentSource<Options> = Agent<Options> | AgentClass<Options> | (() => Promise<Agent<Options> | AgentClass<Options>>);

/** What a hook is told; scripts get the same as UNDERSTUDY_* in the environment. */
export interface HookContext {
  readonly point: HookPoint;
  readonly cluster: string;
  readonly node: NodeId;
  readonly group: GroupId | null;
  readonly resource: ResourceId | null;
  readonly epoch: Epoch;
  readonly from: NodeId | null;
  readonly to: NodeId | null;
  readonly incident: string | null;
  readonly because: string;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface HookDefinition {
  /** `pre`, normal, `post`; within each the order of the config. Default normal. */
  readonly order?: 'pre' | 'normal' | 'post';
  /** Milliseconds; the hook is told by `signal` and no longer waited for. */
  readonly limitMs: number;
  /** Default `ignore`. `abort` only where the point is a `before…`. */
  readonly onFailure?: 'ignore' | 'abort' | 'fault';
  readonly on?: 'active' | 'standby' | 'all';
  run(context: HookContext): Promise<void>;
}

/** What an arbiter implementation is built from. */
export interface ArbiterContext {
  readonly cluster: string;
  readonly node: NodeId;
  /** The cluster key's bytes, for stores that authenticate by it. */
  readonly key: Uint8Array;
  readonly ports: Readonly<Record<string, number>>;
  readonly log: Log;
}

export interface ArbiterDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly summary: string;
  readonly options: Schema;
  /** The shortest renew period (ms) that the store's latency allows; `check` refuses less. */
  readonly minRenewMs?: number;
  readonly permissions?: (options: z.output<Schema>, where: { readonly cluster: string }) => readonly PermissionStatement[];
  open(options: z.output<Schema>, context: ArbiterContext): Promise<Arbiter>;
}

/** A subcommand of `understudy`. */
export interface CommandDefinition {
  readonly summary: string;
  /** commander option specs: flags, help, and a default if any. */
  readonly options?: readonly { readonly flags: string; readonly help: string; readonly default?: string }[];
  readonly arguments?: readonly { readonly name: string; readonly help: string }[];
  readonly example: string;
  /** Of this type of resource: its last argument is GROUP.RESOURCE, it takes the options of a daemon, and `run` is told of it as this node has it. */
  readonly resource?: string;
  /** Exit status. */
  run(options: Readonly<Record<string, unknown>>, positional: readonly string[], resource?: LocalResource): Promise<number>;
}

/** The one shape of a plugin. Contributions are lazy so that listing plugins loads nothing heavy. */
export interface Plugin {
  readonly name: string;
  readonly api: typeof API_VERSION;
  readonly version?: string;
  readonly agents?: Readonly<Record<string, AgentDefinition<any>>>;
  readonly hooks?: Partial<Record<HookPoint, HookDefinition>>;
  readonly arbiters?: Readonly<Record<string, () => Promise<ArbiterDefinition<any>>>>;
  readonly fences?: Readonly<Record<string, () => Promise<FenceDefinition<any>>>>;
  readonly commands?: Readonly<Record<string, () => Promise<CommandDefinition>>>;
  /** Long-lived processes, by the names under which the plugin's agents ask for them. Built-in plugins alone. */
  readonly processes?: Readonly<Record<string, () => Promise<ProcessDefinition<any>>>>;
  readonly labServices?: Readonly<Record<string, () => Promise<LabServiceDefinition>>>;
  /** Schema of the top-level config key of the plugin's own name (`aws:`). */
  readonly settings?: z.ZodType;
  /** Registers what the plugin's agents are injected with; called once with the parsed settings. */
  readonly provide?: (register: Register, settings: unknown) => void | Promise<void>;
}

/** What a plugin may add to the container: a value or a class under a token. */
export interface Register {
  value<T>(token: symbol, value: T): void;
  class<T>(token: symbol, constructor: new (...dependencies: never[]) => T): void;
}

/** Checks nothing at run time: it gives the compiler the contract. The loader checks the shape of whatever arrives. */
export const definePlugin = <const P extends Plugin>(plugin: P): P => plugin;

/** Keeps an agent definition's option types while it is written apart from its plugin. */
export const defineAgent = <Schema extends z.ZodType>(definition: AgentDefinition<Schema>): AgentDefinition<Schema> => definition;
export const defineArbiter = <Schema extends z.ZodType>(definition: ArbiterDefinition<Schema>): ArbiterDefinition<Schema> => definition;
export const defineFence = <Schema extends z.ZodType>(definition: FenceDefinition<Schema>): FenceDefinition<Schema> => definition;
