// The lease record (SAFETY a.4): one durable, linearizable value per group in the arbiter. Changed only by CAS, never deleted.
import type { BootId, Epoch, NodeId } from '../model/ids.js';

/** A member as the record knows it; bootId is empty until it was heard. */
export interface RecordMember {
  readonly id: NodeId;
  readonly bootId: BootId;
}

/** A holder of an earlier epoch of which it is not known that everything has stopped. */
export interface EarlierHolder {
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly epoch: Epoch;
}

export interface LeaseRecord {
  /** Format version of the record. */
  readonly v: 1;
  readonly epoch: Epoch;
  readonly holder: NodeId | null;
  /** The holder's boot. */
  readonly bootId: BootId;
  /** New with every write: tells an own success from a stranger's (SAFETY a.4, backend traps). */
  readonly nonce: string;
  /** Grows with every write; with epoch it names the record's state for ever. */
  readonly seq: number;
  /** `HELD-UNKNOWN`: created by a member that holds nothing; counts as held by somebody else, so everyone waits W. */
  readonly state: 'HELD' | 'HELD-UNKNOWN' | 'RELEASED' | 'FENCING';
  /**
   * With FENCING: earlier holders that must be proven down before anything may start; the holder waits and runs nothing. With
   * RELEASED: what is left of that list, for whoever comes next. Empty with every other state.
   */
  readonly fencing: readonly EarlierHolder[];
  /** The holder's own W and D; the observer uses these, not its config's. */
  readonly ttlW: number;
  readonly d: number;
  readonly members: readonly RecordMember[];
  /** Who may be promoted: entries carry the boot (SAFETY a.7b). */
  readonly inSync: readonly RecordMember[];
  /** This epoch was taken by an operator's order with a copy that was not in sync: what only others had may be lost. */
  readonly forced?: true;
  /** With RELEASED: the node a planned move names as next, else null. */
  readonly successor: NodeId | null;
  /** The holder has a watchdog armed. */
  readonly watchdog: boolean;
  readonly reason: string;
  readonly prevHolder: NodeId | null;
  readonly cfgHash: string;
}

/** The key of a group's lease record in any arbiter. */
export const leaseKey = (cluster: string, group: string): string => `understudy/${cluster}/${group}`;
export const groupOrdersKey = (cluster: string, group: string): string => `understudy/${cluster}/${group}/orders`;
export const nodeOrdersKey = (cluster: string, node: string): string => `understudy/${cluster}/nodes/${node}`;
