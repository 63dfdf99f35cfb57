// A disk with a volatile cache, in sectors that tear from one another. What was written and not flushed is lost by a power cut in
// any subset of sectors; what had been asked and not been answered may or may not have happened. `cells` are stamps, one a sector.
import type { BlockFile, Done } from '../../../plugins/disk-mirror/io/block-file.js';
import type { Events, Life } from './events.js';

/** A sector is eight bytes here: room for one stamp. */
export const SECTOR = 8;

export const stampsOf = (bytes: Uint8Array): Float64Array =>
  new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
export const bytesOf = (stamps: Float64Array): Uint8Array => new Uint8Array(stamps.buffer, stamps.byteOffset, stamps.byteLength);

interface Unflushed {
  readonly sector: number;
  readonly stamp: number;
}

interface Asked {
  readonly sector: number;
  readonly stamps: Float64Array;
}

export class FakeDisk {
  readonly sectors: number;
  readonly #events: Events;
  /** What a reader sees. */
  readonly cells: Float64Array;
  readonly durable: Float64Array;
  #unflushed: Unflushed[] = [];
  /** Sectors that have left the list, ever. */
  #persisted = 0;
  readonly #asked = new Set<Asked>();
  /** Every stamp that was ever written here. */
  readonly seen = new Set<number>();
  /** The next so many calls answer with an error, from then on. */
  broken = false;

  constructor(sectors: number, events: Events) {
    this.sectors = sectors;
    this.#events = events;
    this.cells = new Float64Array(sectors);
    this.durable = new Float64Array(sectors);
  }

  /** The door of one process to it. `before` is told of each write as it is asked. */
  open(life: Life, before: (sector: number, count: number) => void): BlockFile {
    const events = this.#events;
    const answer = (done: Done, run: () => void) =>
      events.later(null, () => {
        if (this.broken) return events.later(life, () => done(new Error('EIO')));
        run();
        return events.later(life, () => done(null));
      });
    const put = (stamps: Float64Array, offset: number, done: Done) => {
      if (!life.alive) return;
      const asked = { sector: offset / SECTOR, stamps };
      before(asked.sector, stamps.length);
      this.#asked.add(asked);
      answer(done, () => this.#asked.delete(asked) && this.#put(asked, stamps.length));
    };
    return {
      sizeBytes: this.sectors * SECTOR,
      read: (into, offset, done) =>
        answer(done, () => into.set(bytesOf(this.cells.slice(offset / SECTOR, (offset + into.length) / SECTOR)))),
      // The bytes are looked at when it happens: who changes them before it was answered is found out.
      write: (bytes, offset, done) => {
        if (!life.alive) return;
        const asked = { sector: offset / SECTOR, stamps: stampsOf(bytes) };
        before(asked.sector, asked.stamps.length);
        this.#asked.add(asked);
        answer(done, () => {
          if (this.#asked.delete(asked)) this.#put({ sector: asked.sector, stamps: stampsOf(bytes) }, asked.stamps.length);
        });
      },
      zero: (offset, length, _mayPunch, done) => put(new Float64Array(length / SECTOR), offset, done),
      trim: (offset, length, done) => put(new Float64Array(length / SECTOR), offset, done),
      flush: (done) => {
        if (!life.alive) return;
        const covered = this.#persisted + this.#unflushed.length;
        answer(done, () => this.#persist(covered));
      },
      allocated: (offset, length) => Promise.resolve([{ offset, length, hole: false }]),
      close: () => Promise.resolve(),
    };
  }

  /** The process is gone: what it had asked of the kernel happens or not. */
  settleAsked(): void {
    for (const asked of this.#asked) if (this.#events.chance.next() < 0.5) this.#put(asked, asked.stamps.length);
    this.#asked.clear();
  }

  /** Power is gone: of what was not flushed some sectors are there, in any mixture, each as it was at some moment. */
  cutPower(): void {
    const { chance } = this.#events;
    for (const asked of this.#asked) this.#put(asked, Math.floor(chance.next() * (asked.stamps.length + 1)));
    this.#asked.clear();
    const share = chance.next();
    for (const { sector, stamp } of this.#unflushed) if (chance.next() < share) this.durable[sector] = stamp;
    this.#persisted += this.#unflushed.length;
    this.#unflushed = [];
    this.cells.set(this.durable);
  }

  #put({ sector, stamps }: Asked, count: number): void {
    for (let at = 0; at < count; at++) {
      const stamp = stamps[at]!;
      this.cells[sector + at] = stamp;
      this.#unflushed.push({ sector: sector + at, stamp });
      this.seen.add(stamp);
    }
  }

  /** Flushes overlap: each covers what there was when it was asked. */
  #persist(upTo: number): void {
    const covered = this.#unflushed.splice(0, Math.max(0, upTo - this.#persisted));
    this.#persisted += covered.length;
    for (const { sector, stamp } of covered) this.durable[sector] = stamp;
  }
}
