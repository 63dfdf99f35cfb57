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
  /** For each action, how many of its reads missed this state. */
  readonly missed: Map<string, number>;
}

const KEPT = 200;
const SEEN = Number.POSITIVE_INFINITY;

export class History {
  private readonly entries: Entry[];

  constructor(initial: Vpc) {
    this.entries = [{ vpc: initial, atMs: Number.NEGATIVE_INFINITY, missed: new Map() }];
  }

  get now(): Vpc {
    return this.entries.at(-1)!.vpc;
  }

  add(vpc: Vpc, atMs: number): void {
    if (vpc === this.now) return;
    this.entries.push({ vpc, atMs, missed: new Map() });
    if (this.entries.length > KEPT) this.entries.shift();
  }

  /** What a read by this action sees when it is so stale; counts it for every change it misses. What was seen stays seen. */
  seen(action: string, { ms = 0, reads = 0 }: Staleness, nowMs: number): Vpc {
    const missed = (entry: Entry) => entry.missed.get(action) ?? 0;
    const hidden = (entry: Entry) => missed(entry) !== SEEN && (nowMs - entry.atMs < ms || missed(entry) < reads);
    const firstHidden = this.entries.findIndex((entry, index) => index > 0 && hidden(entry));
    const visible = firstHidden === -1 ? this.entries.length : firstHidden;
    for (const [index, entry] of this.entries.entries()) entry.missed.set(action, index < visible ? SEEN : missed(entry) + 1);
    return this.entries[visible - 1]!.vpc;
  }
}
