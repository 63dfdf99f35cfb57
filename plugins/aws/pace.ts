// How often a fence asks EC2: its requests share one bucket of the account and region with everything else there, and a fence that
// loops is what throttles the answers it waits for. At most one question in two seconds; after failures up to five minutes.
import type { Clock, Random } from 'understudy/plugin';

const EVERY_MS = 2_000;
const JITTER_MS = 500;
const CAP_MS = 300_000;

export class Pace {
  private failures = 0;

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
  ) {}

  /** Waits before the next question; rejects when the signal fires. Each failure in a row doubles it, with full jitter above 2 s. */
  async wait(after: 'answer' | 'failure', signal: AbortSignal): Promise<void> {
    this.failures = after === 'failure' ? this.failures + 1 : 0;
    const ceilingMs = this.failures === 0 ? EVERY_MS + JITTER_MS : Math.min(CAP_MS, 2 * EVERY_MS * 2 ** Math.min(this.failures - 1, 10));
    await this.clock.sleep(EVERY_MS + (ceilingMs - EVERY_MS) * this.random.next(), signal);
  }
}
