// One fact in the cloud made true: written, read back until a read shows it, written again where the first time went wrong.
// Knows nothing of what the fact is. Bounded by its signal and by a number of calls; the only loop of the plugin that writes.
import type { Clock, Random } from 'understudy/plugin';
import { Backoff, type Throttled } from './calls.js';
import type { CallLimits } from './ec2.js';
import { Ec2Failure, failureOf } from './failures.js';

export interface Fact {
  /** Idempotent. Rejects with whatever the call threw. */
  readonly write: (limits: CallLimits) => Promise<void>;
  readonly shown: (limits: CallLimits) => Promise<boolean>;
  /** The limits of one call now; rejects when the lease is gone, and then so does `makeTrue`. */
  readonly limits: () => Promise<CallLimits>;
  readonly signal: AbortSignal;
}

export interface Pacing {
  readonly clock: Clock;
  readonly random: Random;
  /** One for all facts of an agent. */
  readonly throttled: Throttled;
}

/** `shown`: a read showed it. `refused`: final until somebody changes something. `pending`: time ran out. */
export interface Made {
  readonly state: 'shown' | 'refused' | 'pending';
  /** What went wrong last; null when nothing did, or when only no read has shown it yet. */
  readonly failure: Ec2Failure | null;
  readonly calls: number;
}

/** So many reads may miss a write that was answered before it is written again. */
const STALE_READS = 6;
const MAX_CALLS = 1_000;

/** Resolves in every case but one: it rejects when `limits` does. */
export const makeTrue = async ({ write, shown, limits, signal }: Fact, { clock, random, throttled }: Pacing): Promise<Made> => {
  const backoff = new Backoff(clock, random, throttled);
  let failure: Ec2Failure | null = null;
  let readsLeft = 0; // Write while none is left.
  let calls = 0;
  while (calls < MAX_CALLS && !signal.aborted) {
    const now = await limits();
    calls += 1;
    const step = readsLeft === 0 ? await written(write, now) : await seen(shown, now);
    if (typeof step === 'string') throttled.answered();
    if (step === 'shown') return { state: 'shown', failure: null, calls };
    if (step === 'written') {
      readsLeft = STALE_READS;
      backoff.reset();
      continue;
    }
    if (step === 'stale') {
      readsLeft -= 1;
    } else {
      // What the end of our own time cut off says less than what went wrong before.
      if (failure === null || !signal.aborted) failure = step;
      if (step.final) return { state: 'refused', failure, calls };
      // Perhaps it was done and only the answer lost: one read tells.
      if (readsLeft === 0 && step.mayHaveHappened) readsLeft = 1;
    }
    await backoff.wait(step, signal).catch(() => undefined); // Aborted: the loop's condition ends it.
  }
  return { state: 'pending', failure, calls };
};

const written = async (write: Fact['write'], limits: CallLimits): Promise<'written' | Ec2Failure> => {
  try {
    await write(limits);
    return 'written';
  } catch (thrown) {
    return failureOf('write', thrown);
  }
};

const seen = async (shown: Fact['shown'], limits: CallLimits): Promise<'shown' | 'stale' | Ec2Failure> => {
  try {
    return (await shown(limits)) ? 'shown' : 'stale';
  } catch (thrown) {
    return failureOf('read', thrown);
  }
};
