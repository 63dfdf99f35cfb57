// One transmission session without sockets: a test gives it fragments and looks at what it answers, step by step. Time and
// the socket stand still until the test says `settle`, so that back-pressure can be seen.
import type { NbdExport } from '../../plugins/disk-mirror/nbd/export.js';
import { SlabPool } from '../../plugins/disk-mirror/nbd/slabs.js';
import { type SessionLimits, Transmission } from '../../plugins/disk-mirror/nbd/transmission.js';

export interface SessionSetUp {
  readonly structured?: boolean;
  readonly contexts?: readonly string[];
  readonly limits?: SessionLimits;
  readonly pool?: SlabPool;
}

export class SessionDriver {
  readonly session: Transmission;
  readonly pool: SlabPool;
  /** What the client received. */
  readonly out: Buffer[] = [];
  ended = false;
  cut: string | null = null;
  left = 0;
  readonly troubles: string[] = [];
  finished = 0;
  /** Bytes the session did not take in yet. */
  #queue: Buffer[] = [];
  #paused = false;
  #sent: (() => void)[] = [];
  #soon: (() => void)[] = [];

  constructor(
    served: NbdExport,
    { structured = false, contexts = [], limits = { requests: 64, bytes: 1 << 26 }, pool = new SlabPool(1 << 26) }: SessionSetUp = {},
  ) {
    this.pool = pool;
    this.session = new Transmission({
      agreed: { served, structured, contexts },
      sizeBytes: served.sizeBytes(),
      limits,
      pool: this.pool,
      way: {
        send: (pieces, sent) => {
          // The copy stands for the kernel's: what is changed afterwards does not arrive.
          this.out.push(...pieces.map((piece) => Buffer.from(piece)));
          this.#sent.push(sent);
        },
        resume: () => {
          this.#paused = false;
          this.#pump();
        },
        end: () => (this.ended = true),
        cut: (because) => (this.cut = because),
      },
      soon: (run) => this.#soon.push(run),
      trouble: (because) => this.troubles.push(because),
      leaving: () => (this.left += 1),
      finished: () => (this.finished += 1),
    });
  }

  get waitingBytes(): number {
    return this.#queue.reduce((sum, { length }) => sum + length, 0);
  }

  /** From the client; an empty fragment is none. */
  push(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#pump();
  }

  /** Runs what was put off, and lets the socket take everything, until nothing is left to do. */
  settle(): void {
    for (let turn = 0; turn < 10_000 && this.#soon.length + this.#sent.length > 0; turn += 1) {
      for (const run of [...this.#soon.splice(0), ...this.#sent.splice(0)]) run();
    }
  }

  bytes(): Buffer {
    return Buffer.concat(this.out);
  }

  #pump(): void {
    for (let first = this.#queue[0]; first !== undefined && !this.#paused; first = this.#queue[0]) {
      const count = first.copy(this.session.target());
      if (count === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(count);
      if (count > 0 && !this.session.received(count)) this.#paused = true;
    }
  }
}
