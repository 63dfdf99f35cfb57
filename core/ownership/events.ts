// What may happen to the ownership machine, and what it may want done. The guard turns answers, messages and timers into
// events and carries the effects out in their order; nothing else passes between them.
import type { BootId, Epoch, NodeId } from '../model/ids.js';
import type { GroupOrders, InSyncAnswer, LeasePhase, NodeOrders, Will } from '../model/lease.js';
import type { BeatGroup } from '../membership/contract.js';
import type { Leftover } from './adoption.js';
import type { PageState } from './page.js';
import type { LeaseRecord } from './record.js';
import type { Attempt, Promised } from './state.js';

/** The lease record's key as a read or a conflict found it. */
export type Found =
  | { readonly kind: 'absent' }
  | { readonly kind: 'invalid'; readonly because: string; readonly version: string }
  | { readonly kind: 'record'; readonly record: LeaseRecord; readonly version: string };

type Happening =
  /** First of all: what the last guard of this host left, and the word it gave. */
  | { readonly kind: 'start'; readonly leftover: Leftover; readonly promise?: Promised | null }
  /** Time passed. `gapMs`: since the tick before. */
  | { readonly kind: 'tick'; readonly gapMs: number }
  | {
      readonly kind: 'read-done';
      readonly readId: number;
      readonly found: Found;
      readonly orders: { readonly group: GroupOrders; readonly node: NodeOrders } | { readonly invalid: string };
    }
  | { readonly kind: 'read-failed'; readonly readId: number; readonly because: string; readonly refused?: boolean }
  | { readonly kind: 'cas-done'; readonly attemptId: number; readonly version: string }
  | { readonly kind: 'cas-conflict'; readonly attemptId: number; readonly found: Found }
  /** No answer, a late one, or a refusal (`refused`): it may or may not have happened. */
  | { readonly kind: 'cas-unknown'; readonly attemptId: number; readonly because: string; readonly refused?: boolean }
  /** `saidMs`, lease clock: a guard that did not run reads late what a controller that has died since had said. */
  | { readonly kind: 'will'; readonly will: Will; readonly saidMs: number }
  /** The controller leaves on purpose and is waited for until then: its silence is no sign. */
  | { readonly kind: 'leave'; readonly untilMs: number }
  | { readonly kind: 'gate'; readonly blockers: readonly string[] }
  | { readonly kind: 'dog'; readonly armed: boolean }
  | { readonly kind: 'beat'; readonly from: NodeId; readonly bootId: BootId; readonly cfgHash: string; readonly group: BeatGroup | null }
  /** The peer was heard as boot `from` and is now proven alive as `to`. */
  | { readonly kind: 'boot-changed'; readonly peer: NodeId; readonly from: BootId; readonly to: BootId }
  /** All heartbeat networks to the peer are silent. `steadyMs`: heard without a gap so long before. */
  | {
      readonly kind: 'peer-suspect';
      readonly peer: NodeId;
      readonly steadyMs: number;
      readonly lastHeardMs: number;
      readonly jeopardy?: boolean;
    }
  /** The store hints at a change, or a peer nudges: read now. */
  | { readonly kind: 'hint' }
  | { readonly kind: 'please-stop'; readonly from: NodeId; readonly epoch: Epoch }
  /** A holder without the arbiter asks for a promise. `waitMs`: the W of its record. */
  | {
      readonly kind: 'asked';
      readonly from: NodeId;
      readonly bootId: BootId;
      readonly epoch: Epoch;
      readonly round: number;
      readonly waitMs: number;
    }
  /** `sees`: the peer reads the lease record itself. */
  | { readonly kind: 'granted'; readonly from: NodeId; readonly epoch: Epoch; readonly round: number; readonly sees: boolean }
  | {
      readonly kind: 'refused';
      readonly from: NodeId;
      readonly epoch: Epoch;
      readonly round: number;
      readonly knows: Epoch;
      readonly because: string;
    }
  | { readonly kind: 'fenced'; readonly node: NodeId; readonly bootId: BootId; readonly forEpoch: Epoch; readonly evidence: string }
  /** A mirror of this host wants another set of who is in sync, as the holder of `epoch`. `generation`: of its data, for people. */
  | {
      readonly kind: 'in-sync';
      readonly askId: number;
      readonly change: 'add' | 'remove';
      readonly peer: NodeId;
      /** With `add`: the boot in which the peer has the data. */
      readonly bootId: BootId | null;
      readonly epoch: Epoch;
      readonly generation: string;
      readonly limitMs: number;
    }
  /** A mirror of this host met a peer that knows of this epoch. */
  | { readonly kind: 'higher-epoch'; readonly epoch: Epoch; readonly because: string }
  /** The leash has fired for this epoch. */
  | { readonly kind: 'tombstone'; readonly epoch: Epoch }
  /** Nobody can act for the group here any more (a controller that never comes back): stop it and give it up. */
  | { readonly kind: 'give-up'; readonly because: string }
  /** The answer to `verify-stopped`. */
  | { readonly kind: 'stop-verified'; readonly epoch: Epoch; readonly verified: boolean; readonly because: string }
  /** The answer to `hard-stop`. */
  | { readonly kind: 'hard-stopped'; readonly epoch: Epoch; readonly verified: boolean; readonly because: string };

/** `nowMs`: when the guard began to handle it; never earlier than the answer or message was received. */
export type OwnershipEvent = Happening & { readonly nowMs: number };

export type OwnershipEffect =
  /** Read lease and orders in one go. Give up `timeoutMs` from now. */
  | { readonly kind: 'read'; readonly readId: number; readonly timeoutMs: number }
  | { readonly kind: 'cas'; readonly attempt: Attempt; readonly timeoutMs: number }
  | {
      readonly kind: 'write-page';
      readonly state: PageState;
      readonly epoch: Epoch;
      readonly deadlineMs: number;
      readonly nonce: string;
      readonly inSync: readonly NodeId[];
    }
  /** Outlives the process, not the boot: no fsync. */
  | { readonly kind: 'persist-phase'; readonly epoch: Epoch; readonly phase: LeasePhase; readonly members?: readonly NodeId[] }
  /** Durable, but nobody waits for it. */
  | { readonly kind: 'persist-max-epoch'; readonly epoch: Epoch }
  | { readonly kind: 'verify-stopped'; readonly epoch: Epoch }
  | { readonly kind: 'hard-stop'; readonly epoch: Epoch; readonly limitMs: number }
  /** The group could not be stopped: only a reset of the host helps. */
  | { readonly kind: 'reset-host'; readonly because: string }
  /** A beat out of turn: the phase has changed. */
  | { readonly kind: 'beat' }
  /** Tell others to read the record now. */
  | { readonly kind: 'nudge'; readonly to: NodeId | 'all'; readonly epoch: Epoch }
  /** Asks the guard of a holder that nobody looks after to stop the group. */
  | { readonly kind: 'please-stop'; readonly to: NodeId; readonly epoch: Epoch }
  /** Failsafe: asks every other member. */
  | { readonly kind: 'ask'; readonly to: readonly NodeId[]; readonly epoch: Epoch; readonly round: number; readonly waitMs: number }
  /** Writes the promise down, for the next guard of this boot, and only then says so. */
  | { readonly kind: 'grant'; readonly promise: Promised; readonly round: number; readonly sees: boolean }
  | {
      readonly kind: 'refuse';
      readonly to: NodeId;
      readonly epoch: Epoch;
      readonly round: number;
      readonly knows: Epoch;
      readonly because: string;
    }
  | { readonly kind: 'in-sync-answer'; readonly askId: number; readonly answer: InSyncAnswer }
  | {
      readonly kind: 'journal';
      readonly event: string;
      readonly epoch: Epoch;
      readonly because: string;
      readonly data?: Readonly<Record<string, unknown>>;
    };
