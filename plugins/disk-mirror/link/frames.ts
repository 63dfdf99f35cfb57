// What the two mirror processes of a volume say to each other. Every frame carries the epoch under which it was sent; one of
// another epoch than the connection's is refused and ends it (SAFETY a.11). Numbers are safe integers; offsets are bytes.
import type { CopyState, Generation } from '../words.js';

export type Frame =
  /**
   * First, from both sides: who I am and what my copy is worth. Said again on the same connection when a role changes: `session`
   * counts the sender's, `answers` names the peer's session that it replies to, 0 = it opens one.
   */
  | {
      readonly t: 'hello';
      readonly epoch: number;
      readonly protocol: number;
      readonly features: readonly string[];
      readonly session: number;
      readonly answers: number;
      readonly copy: CopyState;
    }
  /** The receiver knows a newer epoch: the sender must fence itself. */
  | { readonly t: 'refuse-stale'; readonly epoch: number; readonly maxEpochSeen: number }
  /** What the sender decided from both hellos, in words and as a rule's name; both sides must have come to the same. */
  | { readonly t: 'decision'; readonly epoch: number; readonly rule: string; readonly because: string }
  /** Dirty chunks of the sender: one run of the bitmap, bit 0 of byte 0 = chunk `first`. The last one says so. */
  | {
      readonly t: 'bitmap';
      readonly epoch: number;
      readonly chunkBytes: number;
      readonly first: number;
      readonly bits: Uint8Array;
      readonly last: boolean;
    }
  // --- the writes of the application, in order; `seq` grows by one with each of these four
  | { readonly t: 'write'; readonly epoch: number; readonly seq: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly t: 'trim'; readonly epoch: number; readonly seq: number; readonly offset: number; readonly length: number }
  | {
      readonly t: 'zero';
      readonly epoch: number;
      readonly seq: number;
      readonly offset: number;
      readonly length: number;
      readonly mayPunch: boolean;
    }
  /** Everything before `seq` must be durable before anything after it is applied (barrier), and is answered by `flushed`. */
  | { readonly t: 'flush'; readonly epoch: number; readonly seq: number }
  /** Semi-sync: everything up to `seq` has arrived. */
  | { readonly t: 'received'; readonly epoch: number; readonly seq: number }
  /** Everything up to `seq` is written (perhaps only in the page cache). */
  | { readonly t: 'applied'; readonly epoch: number; readonly seq: number }
  /** Everything up to `seq` is durable. */
  | { readonly t: 'flushed'; readonly epoch: number; readonly seq: number }
  /** The secondary's disk failed: nothing more will be applied. */
  | { readonly t: 'failed'; readonly epoch: number; readonly because: string }
  // --- resync and verify: chunk by chunk, from the source
  /**
   * The pass begins: the target marks itself Inconsistent (durably, under the source's generation) unless `kind` is verify, then
   * says `sync-ready`.
   */
  | {
      readonly t: 'sync-begin';
      readonly epoch: number;
      readonly kind: 'bitmap' | 'full' | 'checksum' | 'verify';
      readonly chunks: number;
      readonly current: Generation;
    }
  | { readonly t: 'sync-ready'; readonly epoch: number }
  /** One or more whole chunks; `id` comes back in the answer. */
  | { readonly t: 'sync-data'; readonly epoch: number; readonly id: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly t: 'sync-zero'; readonly epoch: number; readonly id: number; readonly offset: number; readonly length: number }
  | { readonly t: 'sync-done'; readonly epoch: number; readonly id: number }
  /** Compare by hash: the target answers whether its chunk has the same. */
  | {
      readonly t: 'hash';
      readonly epoch: number;
      readonly id: number;
      readonly offset: number;
      readonly length: number;
      readonly hash: Uint8Array;
    }
  | { readonly t: 'hash-answer'; readonly epoch: number; readonly id: number; readonly same: boolean }
  /** W7 and a primary that lost its disk: the peer's bytes are wanted. */
  | { readonly t: 'read'; readonly epoch: number; readonly id: number; readonly offset: number; readonly length: number }
  | { readonly t: 'read-data'; readonly epoch: number; readonly id: number; readonly bytes: Uint8Array }
  /** All chunks are durable at the target: it becomes UpToDate under this generation, durably, and says `sync-ended`. */
  | { readonly t: 'sync-end'; readonly epoch: number; readonly current: Generation; readonly history: readonly Generation[] }
  | { readonly t: 'sync-ended'; readonly epoch: number }
  // --- standing
  /** The receiver is no longer in sync by the record: it marks itself Outdated, durably, and says so. */
  | { readonly t: 'outdate'; readonly epoch: number; readonly id: number }
  | { readonly t: 'outdated'; readonly epoch: number; readonly id: number };

export type FrameKind = Frame['t'];
/** The version of this vocabulary; both sides must speak the same. */
export const PROTOCOL = 1;
/** Bytes that one frame may carry; longer writes are cut before. */
export const MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;
