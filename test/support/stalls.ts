// How long the machine stood still under a drill: its processor for this process or a guard, or its disk for a write that the
// arbiter of the lab must have on it before it answers. Whoever cannot renew for longer than D rightly stops: that excuses
// what did not move as it should, and never two nodes at once. Invariant: what is under way counts as long as it lasts by now.
import { closeSync, fdatasync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../core/system/clock.js';
import type { DrillLab } from './drill-lab.js';

const [TICK_MS, WRITE_EVERY_MS] = [20, 100];
const BYTES = Buffer.alloc(512, 'x');

export class Stalls {
  #lastMs = systemClock.nowMs();
  #longestMs = 0;
  #writeBeganMs: number | null = null;
  #stopped = false;
  readonly #path: string;
  readonly #file: number;
  readonly #timers = [systemClock.every(TICK_MS, () => this.#tick()), systemClock.every(WRITE_EVERY_MS, () => this.#write())];

  /** Writes beside the state of the lab's arbiter, on the same file system. */
  constructor(private readonly lab: DrillLab) {
    this.#path = join(lab.topology.directory, 'services', 'stalls');
    this.#file = openSync(this.#path, 'w');
    writeSync(this.#file, BYTES);
  }

  /** Since it was asked last; of what the guards noticed, since `sinceMs`. */
  async longestMs(sinceMs: number): Promise<number> {
    const guards = (await Promise.all(this.lab.nodes.map((node) => this.lab.events(node, 'pause', sinceMs)))).flat();
    if (this.#writeBeganMs !== null) this.#saw(this.#writeBeganMs);
    const longest = Math.max(this.#longestMs, ...guards.map(({ data }) => Number(data?.['gapMs'] ?? 0)));
    this.#longestMs = 0;
    return longest;
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#stopped = true;
    if (this.#writeBeganMs === null) closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  #saw(sinceMs: number): void {
    this.#longestMs = Math.max(this.#longestMs, systemClock.nowMs() - sinceMs);
  }

  #tick(): void {
    this.#saw(this.#lastMs);
    this.#lastMs = systemClock.nowMs();
  }

  #write(): void {
    if (this.#writeBeganMs !== null) return;
    const beganMs = systemClock.nowMs();
    this.#writeBeganMs = beganMs;
    // In place, as the witness writes.
    writeSync(this.#file, BYTES, 0, BYTES.length, 0);
    fdatasync(this.#file, (error) => {
      this.#writeBeganMs = null;
      if (error === null) this.#saw(beganMs);
      if (this.#stopped) closeSync(this.#file);
    });
  }
}
