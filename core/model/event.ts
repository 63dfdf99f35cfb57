// One line of the journal: a fact that happened, for machines, replay and `explain`. Append-only.
import type { BootId, Epoch, GroupId, NodeId, ResourceId } from './ids.js';

/** Which story the event belongs to: one failover, switchover, fault or order has one id on all nodes where it can be known. */
export type IncidentId = string;

export interface JournalEvent {
  /** Grows by one in each journal file set. */
  readonly seq: number;
  /** ISO wall time, for people only; never compared. */
  readonly at: string;
  /** Monotonic milliseconds of this boot (CLOCK_MONOTONIC): comparable between processes of one host and boot. */
  readonly monoMs: number;
  readonly node: NodeId;
  readonly bootId: BootId;
  /** `guard`, `controller`, `cli`, `lab` … */
  readonly source: string;
  /** What happened: dotted words, listed in docs/reference/events.md, e.g. `lease.held`, `action.done`, `peer.suspect`. */
  readonly kind: string;
  readonly incident?: IncidentId;
  readonly group?: GroupId;
  readonly resource?: ResourceId;
  readonly epoch?: Epoch;
  readonly because?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** What callers give; seq, times, node, boot and source are added by the journal. */
export type NewEvent = Omit<JournalEvent, 'seq' | 'at' | 'monoMs' | 'node' | 'bootId' | 'source'> & {
  /** When it happened, if that was earlier than now (a heartbeat last heard, say). */
  readonly monoMs?: number;
};
