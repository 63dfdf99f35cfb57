// The end of an application's processes: TERM to the main process, or to all when none is known; then KILL to everything.
// Invariant: `end` resolves to what is still alive; an empty list was read from the system after the last signal.
import type { Cgroups, Clock, Processes, ProcessIdentity } from 'understudy/plugin';
import type { Traces, Where } from './traces.js';

/** Looking at a cgroup costs microseconds, looking for a mark reads all of /proc. */
const LOOK_CGROUP_MS = 3;
const LOOK_MARKS_MS = 20;

export class Ending {
  constructor(
    private readonly clock: Clock,
    private readonly processes: Processes,
    private readonly cgroups: Cgroups,
    private readonly traces: Traces,
  ) {}

  async end(
    where: Where,
    { graceMs, limitMs, signal }: { graceMs: number; limitMs: number; signal?: AbortSignal },
  ): Promise<readonly ProcessIdentity[]> {
    const endMs = this.clock.nowMs() + limitMs;
    if (graceMs > 0) await this.terminate(where, Math.min(graceMs, limitMs / 2), signal);
    const leftMs = () => Math.max(0, endMs - this.clock.nowMs());
    if (where.cgroup !== null) await this.cgroups.kill(where.cgroup, leftMs());
    return this.processes.killAll(() => this.traces.all(where), leftMs());
  }

  /** Asks, and waits as long as it may. An abort ends the waiting, not the killing. */
  private async terminate(where: Where, graceMs: number, signal: AbortSignal | undefined): Promise<void> {
    const main = this.traces.main(where);
    const termAll = () => this.traces.all(where).forEach((process) => this.processes.signal(process, 'SIGTERM'));
    if (main === null) termAll();
    else this.processes.signal(main, 'SIGTERM');
    const endMs = this.clock.nowMs() + graceMs;
    let mainSeen = main !== null;
    while (this.living(where) && this.clock.nowMs() < endMs && !signal?.aborted) {
      if (mainSeen && main !== null && !this.processes.alive(main)) {
        // What the main process left behind is asked as well, once.
        mainSeen = false;
        termAll();
      }
      await this.clock.sleep(where.cgroup === null ? LOOK_MARKS_MS : LOOK_CGROUP_MS);
    }
  }

  private living(where: Where): boolean {
    return this.traces.any(where) || this.traces.main(where) !== null;
  }
}
