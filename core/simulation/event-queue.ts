// What is to happen, in the order of time and, at one moment, in the order in which it was asked for: a binary heap. What
// is cancelled stays in it until its time and is then skipped; nothing is searched for.

export interface Scheduled {
  /** True time of the world, milliseconds. */
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export class EventQueue {
  readonly #heap: Scheduled[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  add(atMs: number, run: () => void): Scheduled {
    const added: Scheduled = { atMs, order: (this.#order += 1), run, cancelled: false };
    const heap = this.#heap;
    let place = heap.length;
    heap.push(added);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above]!;
      if (before(parent, added)) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = added;
    return added;
  }

  /** The next that is not cancelled; undefined when there is none. */
  next(): Scheduled | undefined {
    for (;;) {
      const first = this.#pop();
      if (first === undefined || !first.cancelled) return first;
    }
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (before(last, heap[child]!)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

const before = (one: Scheduled, other: Scheduled): boolean => one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
