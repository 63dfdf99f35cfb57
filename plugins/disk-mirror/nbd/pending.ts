// One request on its way through the export. Objects and their callbacks are used again: at a hundred thousand requests a
// second each thing that is made anew is paid for. Invariant: between `take` and its one answer it belongs to one request.
import type { NbdErrorName, NbdReadDone, ReadHole } from './export.js';
import type { Slab } from './slabs.js';

export interface PendingOwner {
  answered(pending: Pending, error: NbdErrorName | null, holes: readonly ReadHole[] | undefined): void;
}

/** The header of a request. */
export interface Head {
  readonly cookieHigh: number;
  readonly cookieLow: number;
  readonly command: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
}

/** All that one client ever had under way at a time. */
export class PendingPool {
  readonly #owner: PendingOwner;
  readonly #all: Pending[] = [];
  readonly #idle: Pending[] = [];

  constructor(owner: PendingOwner) {
    this.#owner = owner;
  }

  take(head: Head, countedBytes: number): Pending {
    let pending = this.#idle.pop();
    if (pending === undefined) {
      pending = new Pending(this.#owner);
      this.#all.push(pending);
    }
    pending.begin(head, countedBytes);
    return pending;
  }

  back(pending: Pending): void {
    this.#idle.push(pending);
  }

  /** Those that the export has and whose client was not told anything yet. */
  waiting(): readonly Pending[] {
    return this.#all.filter(({ busy, told }) => busy && !told);
  }
}

export class Pending {
  /** What the export calls. */
  readonly done: NbdReadDone;
  cookieHigh = 0;
  cookieLow = 0;
  command = 0;
  flags = 0;
  offset = 0;
  length = 0;
  /** Bytes that are counted against the session until its answer is sent. */
  countedBytes = 0;
  /** Holds the payload of a write, or the place of a read's data. */
  slab: Slab | null = null;
  /** Where the header of a read's reply begins in the slab. */
  at = 0;
  /** The client was told already (ESHUTDOWN), the export still works on it. */
  told = false;
  #busy = false;

  constructor(owner: PendingOwner) {
    this.done = (error, holes) => {
      if (!this.#busy) throw new Error('the export answered one request twice');
      this.#busy = false;
      owner.answered(this, error, holes);
    };
  }

  /** The export has not answered. */
  get busy(): boolean {
    return this.#busy;
  }

  /** For the pool alone. */
  begin({ cookieHigh, cookieLow, command, flags, offset, length }: Head, countedBytes: number): void {
    this.#busy = true;
    this.told = false;
    this.cookieHigh = cookieHigh;
    this.cookieLow = cookieLow;
    this.command = command;
    this.flags = flags;
    this.offset = offset;
    this.length = length;
    this.countedBytes = countedBytes;
  }

  /** It never came to the export. */
  abandon(): void {
    this.#busy = false;
  }
}
