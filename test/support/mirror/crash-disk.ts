// A disk for metadata that can lose power at any moment: a write is durable when it has answered; before that any of its 512-byte
// sectors may have been written or not. Answers come when the test lets them, in any order. `fork` is the disk after the crash.
import type { MetadataDevice } from '../../../plugins/disk-mirror/metadata/device.js';

const SECTOR = 512;
type Done = (error: Error | null) => void;

export interface PendingWrite {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly done: Done;
}

export class CrashDisk implements MetadataDevice {
  /** What is durable. */
  readonly image: Uint8Array;
  /** Writes that were asked for and have not answered. */
  readonly pending: PendingWrite[] = [];
  /** Writes asked for so far. */
  writes = 0;
  readonly #lengths: { readonly offset: number; readonly length: number }[] = [];
  /** Answers by itself, at once, in order: no test at the wheel. */
  automatic = false;
  /** The write with this number (from 0) and all after it fail. */
  failFrom = Number.POSITIVE_INFINITY;
  error = new Error('EIO: i/o error, write');
  /** Offsets of blocks that cannot be read. */
  readonly unreadable = new Set<number>();

  constructor(image: Uint8Array | number) {
    this.image = typeof image === 'number' ? new Uint8Array(image) : image;
  }

  get sizeBytes(): number {
    return this.image.length;
  }

  read(into: Uint8Array, offset: number, done: Done): void {
    const bad = [...this.unreadable].some((at) => at >= offset && at < offset + into.length);
    if (!bad) into.set(this.image.subarray(offset, offset + into.length));
    queueMicrotask(() => done(bad ? new Error(`EIO: i/o error, read at ${offset}`) : null));
  }

  write(bytes: Uint8Array, offset: number, done: Done): void {
    if (bytes.length % 4096 !== 0 || offset % 4096 !== 0 || offset + bytes.length > this.image.length)
      throw new RangeError(`${bytes.length} bytes at ${offset}`);
    const number = this.writes++;
    this.#lengths.push({ offset, length: bytes.length });
    if (number >= this.failFrom) {
      queueMicrotask(() => done(this.error));
      return;
    }
    const write = { offset, bytes: bytes.slice(), done };
    this.pending.push(write);
    if (this.automatic) queueMicrotask(() => this.answer(write));
  }

  /** The write is durable, and says so. */
  answer(write: PendingWrite): void {
    const at = this.pending.indexOf(write);
    if (at === -1) return;
    this.pending.splice(at, 1);
    this.image.set(write.bytes, write.offset);
    write.done(null);
  }

  /** Blocks that were written in a region so far. */
  blocksIn(from: number, to: number): number {
    return this.#lengths.filter(({ offset }) => offset >= from && offset < to).reduce((sum, { length }) => sum + length / 4096, 0);
  }

  /** Answers what is under way now, not what the answers ask for. */
  answerAll(): void {
    for (const write of this.pending.slice()) this.answer(write);
  }

  /** The disk as found after a power cut now: of each write under way the sectors that `keeps` names. */
  fork(keeps: (write: number, sector: number, sectors: number) => boolean): CrashDisk {
    const image = this.image.slice();
    this.pending.forEach(({ offset, bytes }, index) => {
      const sectors = bytes.length / SECTOR;
      for (let sector = 0; sector < sectors; sector++)
        if (keeps(index, sector, sectors)) image.set(bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR), offset + sector * SECTOR);
    });
    const disk = new CrashDisk(image);
    disk.automatic = true;
    return disk;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
