// The disk under one copy's data: a cache over a platter, in sectors that tear from one another. What was not flushed is lost with
// the power, in any subset; what had been asked and not answered happened or not. It outlives processes and boots. A sector holds
// one stamp (stamps.ts), so that judges can say whose write lies where. Faults: EIO and ENOSPC for a while, a flush that fails
// once and loses what it should have kept, a slow disk.
import type { SimNode } from '../../../core/simulation/sim-node.js';
import type { SimProcess } from '../../../core/simulation/sim-process.js';
import type { BlockFile, Done } from '../../../plugins/disk-mirror/io/block-file.js';
import { DiskTrouble } from './disk-trouble.js';
import { SECTOR, stampAt } from './stamps.js';

interface Unflushed {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Asked of the kernel and not carried out: looked at when it happens, as the contract allows. */
interface Asked {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class SimVolume {
  readonly node: SimNode;
  readonly trouble: DiskTrouble;
  /** What a reader sees. */
  readonly cells: Buffer;
  readonly durable: Buffer;
  /** Every stamp that was ever written here. */
  readonly seen = new Set<number>();
  /** Somebody is about to change sectors here. */
  onWrite: ((bytes: Buffer) => void) | null = null;
  readonly #chance;
  #unflushed: Unflushed[] = [];
  /** Writes that have left the list, ever. */
  #left = 0;
  readonly #asked = new Set<Asked>();

  constructor(node: SimNode, sizeBytes: number) {
    this.node = node;
    this.#chance = node.chance.stream('volume');
    this.trouble = new DiskTrouble(node.world, node.chance.stream('data disk'));
    this.cells = Buffer.alloc(sizeBytes);
    this.durable = Buffer.alloc(sizeBytes);
  }

  get sectors(): number {
    return this.cells.length / SECTOR;
  }

  /** The door of one process to it. */
  forProcess(owner: SimProcess): BlockFile {
    owner.onEnd(() => this.#settle());
    const put = (offset: number, bytes: Uint8Array, done: Done) => {
      if (!owner.alive) return;
      this.onWrite?.(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      const asked = { offset, bytes };
      this.#asked.add(asked);
      this.#carryOut(owner, 'write', done, () => this.#asked.delete(asked) && this.#put(asked, bytes.length));
    };
    return {
      sizeBytes: this.cells.length,
      read: (into, offset, done) => this.#carryOut(owner, 'read', done, () => into.set(this.cells.subarray(offset, offset + into.length))),
      write: (bytes, offset, done) => put(offset, bytes, done),
      zero: (offset, length, _mayPunch, done) => put(offset, Buffer.alloc(length), done),
      trim: (offset, length, done) => put(offset, Buffer.alloc(length), done),
      flush: (done) => {
        const covered = this.#left + this.#unflushed.length;
        this.#carryOut(owner, 'flush', done, () => this.#persist(covered));
      },
      allocated: (offset, length) => Promise.resolve([{ offset, length, hole: false }]),
      close: () => Promise.resolve(),
    };
  }

  /** Of what was not flushed some sectors are there, in any mixture, each as it was at some moment. */
  powerLost(): void {
    const share = this.#chance.next();
    for (const { offset, bytes } of this.#unflushed)
      for (let at = 0; at < bytes.length; at += SECTOR)
        if (this.#chance.next() < share) bytes.copy(this.durable, offset + at, at, at + SECTOR);
    this.#left += this.#unflushed.length;
    this.#unflushed = [];
    this.durable.copy(this.cells);
  }

  /** It is another disk. */
  replaced(): void {
    this.#forget();
    this.cells.fill(0);
    this.durable.fill(0);
    this.seen.clear();
  }

  #carryOut(owner: SimProcess, what: 'read' | 'write' | 'flush', done: Done, run: () => void): void {
    if (!owner.alive) return;
    const { world } = this.node;
    world.at(owner.trueMs + this.trouble.takesMs(what), () => {
      if (!owner.alive) return;
      const error = this.trouble.error(what);
      if (error === null) run();
      // The kernel calls what it could not keep clean, and never writes it again (fsync, 2018).
      else if (what === 'flush') this.#forget();
      owner.deliver('socket', () => done(error));
    });
  }

  /** The process has ended: what it had asked for happens or not; with the power, some of its first sectors. */
  #settle(): void {
    const { powered } = this.node;
    for (const asked of this.#asked) {
      const sectors = asked.bytes.length / SECTOR;
      if (!powered) this.#put(asked, SECTOR * this.#chance.index(sectors + 1));
      else if (this.#chance.happens(0.5)) this.#put(asked, asked.bytes.length);
    }
    this.#asked.clear();
  }

  #put({ offset, bytes }: Asked, length: number): void {
    if (length === 0) return;
    const kept = Buffer.from(bytes.subarray(0, length));
    kept.copy(this.cells, offset);
    this.#unflushed.push({ offset, bytes: kept });
    for (let at = 0; at < length; at += SECTOR) this.seen.add(stampAt(kept, at));
  }

  /** Flushes overlap: each covers what there was when it was asked. */
  #persist(upTo: number): void {
    const covered = this.#unflushed.splice(0, Math.max(0, upTo - this.#left));
    this.#left += covered.length;
    for (const { offset, bytes } of covered) bytes.copy(this.durable, offset);
  }

  #forget(): void {
    this.#left += this.#unflushed.length;
    this.#unflushed = [];
  }
}
