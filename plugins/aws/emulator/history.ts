// The states the VPC went through, newest last, so that a read may be answered with an old one. EC2 is eventually
// consistent: a Describe may show what was true before the last change. Pure but for its own counters; bounded.
import type { Vpc } from './vpc.js';

/** How late a reader sees: a change shows only after so many milliseconds, or only after so many reads missed it. */
export interface Staleness {
  readonly ms?: number | undefined;
  readonly reads?: number | undefined;
}

interface Entry {
  readonly vpc: Vpc;
  readonly atMs: number;
  missed: number;
}

const KEPT = 200;

export class History {
  private readonly entries: Entry[];

  constructor(initial: Vpc) {
    this.entries = [{ vpc: initial, atMs: Number.NEGATIVE_INFINITY, missed: Number.POSITIVE_INFINITY }];
  }

  get now(): Vpc {
    return this.entries.at(-1)!.vpc;
  }

  add(vpc: Vpc, atMs: number): void {
    if (vpc === this.now) return;
    this.entries.push({ vpc, atMs, missed: 0 });
    if (this.entries.length > KEPT) this.entries.shift();
  }

  /** What a reader that is so stale sees; counts this read for every change it misses. */
  seen({ ms = 0, reads = 0 }: Staleness, nowMs: number): Vpc {
    const hidden = (entry: Entry) => nowMs - entry.atMs < ms || entry.missed < reads;
    const first = this.entries.findIndex((entry, index) => index > 0 && hidden(entry));
    if (first === -1) return this.now;
    for (const entry of this.entries.slice(first)) entry.missed += 1;
    return this.entries[first - 1]!.vpc;
  }
}
