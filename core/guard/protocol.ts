// What is said on <run>/guard.sock: JSON messages, each behind a 4-byte big-endian length (at most 1 MiB). The controller
// speaks and listens; a mirror asks for changes of inSync; a reader (the CLI while no controller is there) only asks for the view.
import type { BootId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { GroupOrders, GuardView, InSyncAnswer, InSyncRequest, NodeOrders, Will } from '../model/lease.js';
import type { NewEvent } from '../model/event.js';

/** A change to an orders record. The guard reads, applies `set`, and CASes; on conflict it reads and applies again, 5 times at most. */
export type OrdersRequest =
  | {
      readonly key: 'group';
      readonly group: GroupId;
      readonly set: Partial<GroupOrders> & {
        readonly addClear?: boolean;
        readonly addFailover?: GroupOrders['failovers'][number];
        readonly removeMove?: string;
      };
    }
  | { readonly key: 'node'; readonly node: NodeId; readonly set: Partial<NodeOrders> };

export type ToGuard =
  | { readonly t: 'hello'; readonly role: 'controller' | 'reader' | 'mirror'; readonly pid: number; readonly startTime: string }
  /** Each cycle and at least every second: the wills, and the proof that the controller makes progress. `saidMs`: CLOCK_MONOTONIC. */
  | { readonly t: 'wills'; readonly wills: readonly Will[]; readonly loopLagMs: number; readonly saidMs: number }
  /** Evidence that a holder is down, for exactly that boot and epoch (SAFETY a.2). */
  | {
      readonly t: 'fenced';
      readonly group: GroupId;
      readonly node: NodeId;
      readonly bootId: BootId;
      readonly forEpoch: Epoch;
      readonly evidence: string;
    }
  | { readonly t: 'orders'; readonly id: number; readonly request: OrdersRequest }
  /** A mirror asks the holder's guard to change who is in sync; `bootId` of the peer with `add`. */
  | ({ readonly t: 'in-sync'; readonly id: number } & InSyncRequest)
  /** A mirror met a peer that knows of a higher epoch: whoever holds a lower one is stopped at once (SAFETY a.6, a.11). */
  | { readonly t: 'higher-epoch'; readonly group: GroupId; readonly epoch: Epoch; readonly because: string }
  /** The answer to `ended?`: from this turn of its loop on the controller finds what the lease page says. */
  | { readonly t: 'ended'; readonly id: number }
  /** An operator puts a lost lease record back: HELD-UNKNOWN, behind every epoch known here and at least `epoch`. */
  | { readonly t: 'restore'; readonly id: number; readonly group: GroupId; readonly epoch: Epoch | null; readonly why: string }
  /** The controller leaves on purpose (an upgrade): the adoption budget stands still for so long, at most 10 min. */
  | { readonly t: 'leave'; readonly forMs: number }
  /** Tell the guard of the peer to read the record now; sent with a planned release. */
  | { readonly t: 'view?' };

export type FromGuard =
  | { readonly t: 'view'; readonly view: GuardView }
  /** The page of this epoch no longer says HELD: will you begin nothing of it any more? The controller alone is asked. */
  | { readonly t: 'ended?'; readonly id: number; readonly group: GroupId; readonly epoch: Epoch }
  /** What happened, for the journal and `explain`; sent to the controller as it happens. */
  | { readonly t: 'event'; readonly event: NewEvent & { readonly monoMs: number } }
  | { readonly t: 'in-sync-answer'; readonly id: number; readonly answer: InSyncAnswer }
  | { readonly t: 'reply'; readonly id: number; readonly ok: true; readonly value: GroupOrders | NodeOrders | { readonly restored: Epoch } }
  | {
      readonly t: 'reply';
      readonly id: number;
      readonly ok: false;
      readonly code: 'ARBITER_UNREACHABLE' | 'ARBITER_REFUSED' | 'REFUSED';
      readonly message: string;
    };
