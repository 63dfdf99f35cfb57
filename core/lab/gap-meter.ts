// What a client saw of a service: every request it sent, every answer it got, and the gaps between good answers. Pure; the
// probe process feeds it with CLOCK_MONOTONIC milliseconds. Invariant: a gap is measured from one good answer to the next,
// so that it holds the whole outage, never less.

export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
  readonly ms: number;
  /** Who answered last before, and first after. */
  readonly before: string;
  readonly after: string;
}

export interface ProbeReport {
  readonly sent: number;
  readonly answered: number;
  readonly longestGapMs: number;
  /** At most 1 000, in order: gaps of `noteGapMs` and more, and every change of node. */
  readonly gaps: readonly Gap[];
  readonly answersByNode: Readonly<Record<string, number>>;
  /** Since the last good answer, when asked; null before the first. */
  readonly silentMs: number | null;
  readonly lastNode: string | null;
}

const MAX_GAPS = 1000;

export class GapMeter {
  #sent = 0;
  #answered = 0;
  #longestGapMs = 0;
  #last: { readonly atMs: number; readonly node: string } | null = null;
  readonly #gaps: Gap[] = [];
  readonly #byNode = new Map<string, number>();

  /** Gaps shorter than `noteGapMs` in which the node did not change are counted into the longest, but not listed. */
  constructor(readonly noteGapMs: number) {}

  sent(): void {
    this.#sent += 1;
  }

  /** Returns the gap that this answer ended, if it was one worth noting. */
  answered(atMs: number, node: string): Gap | null {
    this.#answered += 1;
    this.#byNode.set(node, (this.#byNode.get(node) ?? 0) + 1);
    const previous = this.#last;
    // Answers of parallel requests may be told out of order; an older one ends no gap.
    if (previous && atMs < previous.atMs) return null;
    this.#last = { atMs, node };
    if (previous === null) return null;
    const gap = { fromMs: previous.atMs, toMs: atMs, ms: atMs - previous.atMs, before: previous.node, after: node };
    this.#longestGapMs = Math.max(this.#longestGapMs, gap.ms);
    if (gap.ms < this.noteGapMs && gap.before === gap.after) return null;
    if (this.#gaps.length < MAX_GAPS) this.#gaps.push(gap);
    return gap;
  }

  report(nowMs: number): ProbeReport {
    return {
      sent: this.#sent,
      answered: this.#answered,
      longestGapMs: this.#longestGapMs,
      gaps: [...this.#gaps],
      answersByNode: Object.fromEntries(this.#byNode),
      silentMs: this.#last === null ? null : nowMs - this.#last.atMs,
      lastNode: this.#last?.node ?? null,
    };
  }
}
