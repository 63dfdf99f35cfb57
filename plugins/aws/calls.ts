// How long and how often a call may be made: never longer than the lease allows (SAFETY I6), never faster than AWS bears.
// The only place of the plugin where calls are repeated.
import type { ActionContext, Clock, MonitorContext, Random } from 'understudy/plugin';
import type { CallLimits } from './ec2.js';
import type { Ec2Failure } from './failures.js';

const CALL_MS = 3_000;
/** Below this a call is not worth sending. */
const CALL_MIN_MS = 50;
const RENEWAL_POLL_MS = 20;

/** The limits of calls that only read: the monitor's own deadline. */
export const readLimits = ({ signal, limitMs }: MonitorContext<unknown>, within = CALL_MS): CallLimits => ({
  signal,
  timeoutMs: Math.max(CALL_MIN_MS, Math.min(within, limitMs)),
});

/**
 * The limits of one call made under the lease. It ends so long before the self-fence deadline that the group can still be
 * stopped in time; while there is no room for a call, the next renewal is waited for. Rejects when the lease is gone.
 */
export const leasedLimits = async (context: ActionContext<unknown>, clock: Clock, signal: AbortSignal): Promise<CallLimits> => {
  const reserveMs = context.stopBudgetMs ?? 0;
  for (;;) {
    context.checkLease();
    const leftMs = context.leaseRemainingMs() - reserveMs;
    // An aborted signal ends the call before it is sent.
    if (leftMs >= CALL_MIN_MS || signal.aborted) return { signal, timeoutMs: Math.min(CALL_MS, leftMs) };
    await clock.sleep(RENEWAL_POLL_MS, signal).catch(() => undefined); // Aborted: see above.
  }
};

/** Between two repetitions of throttled calls: 0.33 a second in the long run, with room for a fence's looks below 0.5 (SAFETY a.7). */
const [THROTTLED_FIRST_MS, THROTTLED_MS] = [250, 3_000];

/**
 * Who was told "too often" waits in one line: the bucket is the account's, so what three tables may ask is no more than what one
 * may. Whoever is answered lets all the others go on at once.
 */
export class Throttled {
  private inRow = 0;
  private lastMs = 0;
  private answer = new AbortController();

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
  ) {}

  /** Waits for the next place in the line; ends early when the signal fires, or somebody was answered. */
  async wait(signal: AbortSignal): Promise<void> {
    const meanMs = Math.min(THROTTLED_MS, THROTTLED_FIRST_MS * 2 ** Math.min(this.inRow, 10));
    this.inRow += 1;
    const nowMs = this.clock.nowMs();
    this.lastMs = Math.max(nowMs, this.lastMs) + meanMs * (0.75 + 0.5 * this.random.next());
    const over = AbortSignal.any([signal, this.answer.signal]);
    await this.clock.sleep(this.lastMs - nowMs, over).catch(() => undefined); // Ended early: see above.
  }

  answered(): void {
    if (this.inRow === 0) return;
    this.inRow = 0;
    this.lastMs = 0;
    this.answer.abort(new Error('EC2 answers again'));
    this.answer = new AbortController();
  }
}

/** Full jitter, so that two nodes or three tables do not ask in step; in one line where AWS said "too often". */
export class Backoff {
  private inRow = 0;

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly throttled: Throttled,
  ) {}

  /** Waits before the next attempt; may reject when the signal fires. */
  async wait(after: Ec2Failure | 'stale', signal: AbortSignal): Promise<void> {
    if (after !== 'stale' && after.kind === 'throttled') return this.throttled.wait(signal);
    const [baseMs, capMs] = after === 'stale' ? [20, 500] : [50, 1_000];
    const ceilingMs = Math.min(capMs, baseMs * 2 ** Math.min(this.inRow, 10));
    this.inRow += 1;
    await this.clock.sleep(ceilingMs * (0.1 + 0.9 * this.random.next()), signal);
  }

  reset(): void {
    this.inRow = 0;
  }
}

/**
 * Resolves when the lease was renewed by a request sent after this call: by then no other holder can exist that wrote what
 * was read before (SAFETY a.7b). The deadline rises once with every renewal; the first rise may be of one sent before.
 */
export const renewedSince = async (context: ActionContext<unknown>, clock: Clock): Promise<void> => {
  const deadline = () => clock.nowMs() + context.leaseRemainingMs();
  let last = deadline();
  for (let rises = 0; rises < 2; ) {
    await clock.sleep(RENEWAL_POLL_MS, context.signal);
    context.checkLease();
    // Less than the jitter of two clock readings is no rise.
    if (deadline() > last + 5) {
      last = deadline();
      rises += 1;
    }
  }
};
