// Which sequence numbers of one sender's boot were seen. Pure. Invariant: no number is accepted twice, and none below the
// window or below the one that opened it is ever accepted.

const WIDTH = 1024;

export class ReplayWindow {
  readonly #openedAt: number;
  readonly #seen = new Uint8Array(WIDTH);
  #top: number;

  /** Opens with the number of a frame already accepted: it and all before it count as seen. */
  constructor(seq: number) {
    this.#openedAt = seq;
    this.#top = seq;
  }

  /** True exactly once for each number that is new enough. */
  accept(seq: number): boolean {
    if (seq <= this.#openedAt || seq <= this.#top - WIDTH) return false;
    if (seq > this.#top) {
      if (seq - this.#top >= WIDTH) this.#seen.fill(0);
      else for (let skipped = this.#top + 1; skipped <= seq; skipped++) this.#seen[skipped % WIDTH] = 0;
      this.#top = seq;
    } else if (this.#seen[seq % WIDTH] === 1) return false;
    this.#seen[seq % WIDTH] = 1;
    return true;
  }
}
