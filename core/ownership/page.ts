// The lease page (SAFETY a.2): the guard's one-line answer to "may I still act?", in <run>/lease/GROUP. Written by the guard
// alone; read by controller, mirror and leash. Pure: the codec is page-codec, the file descriptor is core/system/page-file.
import type { BootId, Epoch, NodeId } from '../model/ids.js';

export type PageState = 'HELD' | 'STOPPING' | 'RELEASED' | 'DEAD';

export interface LeasePage {
  readonly epoch: Epoch;
  readonly state: PageState;
  /** CLOCK_MONOTONIC nanoseconds at which the holder must have self-fenced. */
  readonly deadlineMonoNs: bigint;
  /** The same moment on CLOCK_BOOTTIME, milliseconds, for readers that only have /proc/uptime. */
  readonly deadlineBootMs: number;
  /** boottime − monotonic when written: a larger difference now means the host slept. */
  readonly bootOffsetMs: number;
  readonly bootId: BootId;
  readonly nonce: string;
  readonly inSync: readonly NodeId[];
}

/** What a reader concludes. `held` is true only with every check of SAFETY a.2 passed. */
export interface PageReading {
  readonly held: boolean;
  /** State STOPPING and deadline not passed: stops may go on, starts may not. */
  readonly stopping: boolean;
  /** This epoch holds no more, for good: STOPPING, RELEASED, DEAD, of another boot, or ended by the leash. False when it merely ran out. */
  readonly over: boolean;
  readonly epoch: Epoch;
  readonly remainingMs: number;
  readonly inSync: readonly NodeId[];
  readonly because: string;
}
