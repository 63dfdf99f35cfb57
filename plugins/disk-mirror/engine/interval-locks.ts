// W4: whoever touches overlapping bytes waits for its turn, in the order of asking. Those who hold lie in dense typed arrays: with
// the hundred requests a client has under way a scan costs less than any tree.

export interface Interval {
  begin: number;
  end: number;
  /** Where it stands among the holders, -1 = it does not hold. Kept by `IntervalLocks`. */
  slot: number;
}

export class IntervalLocks<T extends Interval> {
  readonly #granted: (interval: T) => void;
  #begins = new Float64Array(64);
  #ends = new Float64Array(64);
  readonly #holders: T[] = [];
  #waiting: T[] = [];

  constructor(granted: (interval: T) => void) {
    this.#granted = granted;
  }

  get held(): number {
    return this.#holders.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** True: it holds from now on. False: `granted` will be called. */
  acquire(interval: T): boolean {
    if (this.#blocked(interval, this.#waiting, this.#waiting.length)) {
      this.#waiting.push(interval);
      return false;
    }
    this.#hold(interval);
    return true;
  }

  release(interval: T): void {
    const last = this.#holders.pop()!;
    if (last !== interval) {
      const { slot } = interval;
      last.slot = slot;
      this.#holders[slot] = last;
      this.#begins[slot] = last.begin;
      this.#ends[slot] = last.end;
    }
    interval.slot = -1;
    if (this.#waiting.length > 0) this.#grantWhatMay();
  }

  overlapped(begin: number, end: number): boolean {
    const { length } = this.#holders;
    for (let slot = 0; slot < length; slot++) if (begin < this.#ends[slot]! && this.#begins[slot]! < end) return true;
    return false;
  }

  forEachHolder(see: (interval: T) => void): void {
    for (const holder of this.#holders) see(holder);
  }

  forEachWaiter(see: (interval: T) => void): void {
    for (const waiter of this.#waiting) see(waiter);
  }

  /** Takes everybody out who waits: they are told otherwise. */
  dismiss(): readonly T[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  #blocked(interval: T, before: readonly T[], count: number): boolean {
    if (this.overlapped(interval.begin, interval.end)) return true;
    for (let at = 0; at < count; at++) {
      const waiter = before[at]!;
      if (interval.begin < waiter.end && waiter.begin < interval.end) return true;
    }
    return false;
  }

  #hold(interval: T): void {
    const slot = this.#holders.length;
    if (slot === this.#begins.length) this.#grow();
    this.#begins[slot] = interval.begin;
    this.#ends[slot] = interval.end;
    interval.slot = slot;
    this.#holders.push(interval);
  }

  #grantWhatMay(): void {
    const may: T[] = [];
    const still: T[] = [];
    for (const waiter of this.#waiting) {
      if (this.#blocked(waiter, still, still.length)) still.push(waiter);
      else {
        this.#hold(waiter);
        may.push(waiter);
      }
    }
    this.#waiting = still;
    for (const interval of may) this.#granted(interval);
  }

  #grow(): void {
    const begins = new Float64Array(this.#begins.length * 2);
    const ends = new Float64Array(begins.length);
    begins.set(this.#begins);
    ends.set(this.#ends);
    this.#begins = begins;
    this.#ends = ends;
  }
}
