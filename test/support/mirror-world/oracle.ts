// What a reader may see, sector by sector: a register with unique stamps. A write that was answered stays, and orders those that
// ended before it began; one that was not answered may be there or not, until somebody looks. `keeps` goes back to the last flush
// that was answered: what may be left when every copy that had more has lost its power.

interface Written {
  readonly stamp: number;
  readonly startedAt: number;
  /** Answered, failed, or forgotten with its server; infinite while under way. */
  endedAt: number;
  acked: boolean;
}

export class Oracle {
  readonly #may: Written[][];
  #keeps: Written[][];
  /** What was ruled out, and when: a read that had begun before may still show it. */
  readonly #gone: { readonly stamp: number; readonly at: number }[][];
  #clock = 0;

  constructor(sectors: number) {
    const nothing = (): Written[][] => Array.from({ length: sectors }, () => [{ stamp: 0, startedAt: 0, endedAt: 0, acked: true }]);
    this.#may = nothing();
    this.#keeps = nothing();
    this.#gone = Array.from({ length: sectors }, () => []);
  }

  now(): number {
    this.#clock += 1;
    return this.#clock;
  }

  begin(sector: number, stamp: number): Written {
    const written = { stamp, startedAt: this.now(), endedAt: Number.POSITIVE_INFINITY, acked: false };
    this.#may[sector]!.push(written);
    this.#keeps[sector]!.push(written);
    return written;
  }

  /** What had ended before it began cannot be seen any more. */
  acked(sector: number, written: Written): void {
    written.endedAt = this.now();
    written.acked = true;
    this.#ruleOut(sector, (other) => other === written || other.endedAt > written.startedAt);
  }

  /** It will not be carried out any further: it is there or not. */
  ended(written: Written): void {
    written.endedAt = Math.min(written.endedAt, this.now());
  }

  may(sector: number, stamp: number): boolean {
    return this.#may[sector]!.some((written) => written.stamp === stamp);
  }

  /** A read that began at `since` saw this. */
  saw(sector: number, stamp: number, since: number): boolean {
    if (this.may(sector, stamp)) {
      this.#ruleOut(sector, (other) => other.stamp === stamp || other.endedAt > since);
      return true;
    }
    return this.#gone[sector]!.some((gone) => gone.stamp === stamp && gone.at > since);
  }

  /** A flush that was asked at `since` is answered: what was answered before is kept, and buries what had ended before it. */
  flushed(since: number): void {
    this.#keeps = this.#keeps.map((written) => {
      const stable = written.filter(({ acked, endedAt }) => acked && endedAt < since);
      return written.filter((old) => !stable.some((newer) => newer !== old && old.endedAt < newer.startedAt));
    });
  }

  /** Nobody has all of it any more: each sector is as it was at some time since the last flush. */
  loseUnflushed(): void {
    this.#keeps.forEach((kept, sector) => {
      this.#may[sector] = [...kept];
      // Which of them it is nobody knows: none of them buries another any more.
      for (const written of kept) written.acked = false;
    });
  }

  /** Perhaps this is what there is. */
  doubt(cells: Float64Array): void {
    cells.forEach((stamp, sector) => {
      if (this.may(sector, stamp)) return;
      const written = { stamp, startedAt: 0, endedAt: this.now(), acked: false };
      this.#may[sector]!.push(written);
      this.#keeps[sector]!.push(written);
    });
  }

  /** Nothing is promised of what is there; what is, stays. */
  accept(cells: Float64Array): void {
    cells.forEach((stamp, sector) => {
      const known = [...this.#may[sector]!, ...this.#keeps[sector]!].find((written) => written.stamp === stamp);
      const now: Written = known ?? { stamp, startedAt: 0, endedAt: this.now(), acked: true };
      this.#may[sector] = [now];
      this.#keeps[sector] = [now];
    });
  }

  #ruleOut(sector: number, stays: (written: Written) => boolean): void {
    const at = this.now();
    const gone = this.#gone[sector]!;
    this.#may[sector] = this.#may[sector]!.filter((written) => {
      if (stays(written)) return true;
      gone.push({ stamp: written.stamp, at });
      return false;
    });
  }

  words(sector: number): string {
    return this.#may[sector]!.map(({ stamp }) => stamp).join(' ');
  }
}

export type { Written };
