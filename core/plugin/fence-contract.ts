// What a plugin contributes to power nodes off, and what such a device is given. Part of the plugin contract: contract.ts
// passes it on. Invariant: a device confirms by what it observes, never by an answer that a request was taken.
import type { z } from 'zod';
import type { BootId, Epoch, NodeId } from '../model/ids.js';
import type { Clock } from '../system/clock.js';
import type { RunOptions, RunResult } from '../system/exec.js';
import type { Log, PermissionStatement } from './contract.js';

/** A node as a fence sees it: what the configuration says of it. */
export interface FenceNode {
  readonly id: NodeId;
  readonly zone: string | null;
  readonly serviceAddress: string | null;
}

/** What a fence is built from. Everything it may use beyond its own options. */
export interface FenceContext {
  readonly cluster: string;
  /** The node this controller runs on. A fence refuses to touch it. */
  readonly node: NodeId;
  /** All nodes of the cluster, this one included. */
  readonly nodes: readonly FenceNode[];
  readonly log: Log;
  /** Runs a command, ended with its whole group after `timeoutMs`; an exit status is an answer, not an error. Rejects with COMMAND_FAILED only when it could not be started. */
  readonly run: (file: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;
  readonly clock: Clock;
  /** What the plugin's own `provide` registered under this token, or a service of the host. Throws when there is none. */
  readonly service: <T>(token: symbol) => T;
}

export interface FenceRequest {
  /** Whom to power off. */
  readonly node: NodeId;
  /** The boot that must be gone: a node that is up again in another boot is not to be shot. */
  readonly bootId: BootId;
  /** The epoch that boot held. */
  readonly epoch: Epoch;
  /** 1 for the first attempt for this node, boot and epoch; grows with each. */
  readonly attempt: number;
  /** Fires when the attempt's time is over. */
  readonly signal: AbortSignal;
  /** Until the attempt's time is over, at the time of the call. */
  readonly limitMs: number;
  /** Takes what the device sees while it waits (`i-0a1 is stopping`), for status: no times in it, so that it changes only with the facts. */
  readonly tell?: (seen: string) => void;
}

/** One way to power a node off. Calls for one node never overlap. */
export interface FenceDevice {
  /**
   * Resolves only when the node was *observed* off after this request was made, never because a request was accepted: what it
   * resolves with is what people are shown as the proof. Rejects otherwise. May be called again for a node that is off already.
   */
  fence(request: FenceRequest): Promise<{ readonly evidence: string }>;
  /** Could it fence now (credentials, reachability)? null when it could, else why not. Changes nothing; called at a slow pace. */
  check?(signal: AbortSignal): Promise<string | null>;
  close(): Promise<void>;
}

/** Whom a node may be asked to power off by a device: never itself. */
export interface FenceReach {
  readonly node: NodeId;
  readonly targets: readonly NodeId[];
}

export interface FenceDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly summary: string;
  /** Keys that understudy owns in every device: use, timeout, nodes. */
  readonly options: Schema;
  /** Milliseconds one attempt may take where the config does not say. Default 120 000. */
  readonly limitMs?: number;
  /** `where`: what `node` alone needs to power `targets` off; absent = what any node may need. */
  readonly permissions?: (options: z.output<Schema>, where?: FenceReach) => readonly PermissionStatement[];
  /** The programs it would run that the options name: `check` judges them by the rules for what root runs. */
  readonly programs?: (options: z.output<Schema>) => readonly string[];
  open(options: z.output<Schema>, context: FenceContext): Promise<FenceDevice>;
}
