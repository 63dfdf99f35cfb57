// W1: the bits of a write are set in memory, and the extents that hold them are in the durable log, before any byte of it leaves
// or is written. Extents of what is under way may not be evicted; what only waits for its turn holds none, or the log could fill
// with those who wait for each other. Group commit: one transaction at a time, what comes meanwhile shares the next.
import type { Core } from './core.js';
import type { Request } from './request.js';

export class Activity {
  readonly #core: Core;
  /** Requests under way for each extent. */
  readonly #uses: Uint32Array;
  #waiting: Request[] = [];
  /** Extents of the transaction under way. */
  #asked = new Set<number>();
  /** Of chunks that were found to differ. */
  readonly #kept = new Set<number>();
  #asking = false;
  /** The log had no room: asked again when something has ended, one request at a time. */
  #full = false;
  #alone = false;
  readonly #mayEvict = (extent: number): boolean => this.#uses[extent] === 0 && !this.#asked.has(extent);

  constructor(core: Core) {
    this.#core = core;
    this.#uses = new Uint32Array(Math.ceil(core.ports.data.sizeBytes / core.extentBytes));
  }

  /** Sets the bits. True: they are durable, go on. False: `writes.marked` will be called. */
  mark(request: Request): boolean {
    const { bits, rounds } = this.#core;
    const first = this.#core.chunkOf(request.begin);
    const count = this.#core.chunksIn(request.begin, request.end);
    bits.set(first, count);
    rounds.mark(first, count);
    if (this.#take(request)) return true;
    this.#waiting.push(request);
    this.#ask();
    return false;
  }

  /** The request has ended. */
  release(request: Request): void {
    const last = this.#extentOf(request.end - 1);
    for (let extent = this.#extentOf(request.begin); extent <= last; extent++) this.#uses[extent]! -= 1;
    this.tick();
  }

  /** A chunk that was found to differ: its bit is set, and its extent in the log, so that a crash does not forget it. */
  keepDirty(chunk: number): void {
    const { bits, rounds, chunkBytes, ports } = this.#core;
    bits.set(chunk, 1);
    rounds.mark(chunk, 1);
    const extent = this.#extentOf(chunk * chunkBytes);
    if (ports.metadata.isActive(extent)) return;
    this.#kept.add(extent);
    this.#ask();
  }

  /** Also where nothing ended: a log that was full may have got room by a checkpoint. */
  tick(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#ask();
  }

  #extentOf(offset: number): number {
    return Math.floor(offset / this.#core.extentBytes);
  }

  /** All of its extents are active: they stay so until it has ended. */
  #take(request: Request): boolean {
    const { metadata } = this.#core.ports;
    const first = this.#extentOf(request.begin);
    const last = this.#extentOf(request.end - 1);
    for (let extent = first; extent <= last; extent++) if (!metadata.isActive(extent)) return false;
    for (let extent = first; extent <= last; extent++) this.#uses[extent]! += 1;
    return true;
  }

  #ask(): void {
    if (this.#asking || this.#full || (this.#waiting.length === 0 && this.#kept.size === 0)) return;
    this.#asking = true;
    const requests = this.#batch();
    this.#core.ports.metadata.activate([...this.#asked], this.#mayEvict, (error) => {
      this.#asking = false;
      this.#asked = new Set();
      this.#alone = error?.message === 'busy';
      if (this.#alone) this.#full = true;
      else if (error !== null) return this.#failed(requests, error);
      const still = requests.filter((request) => {
        if (this.#alone || !this.#take(request)) return true;
        this.#core.writes.marked(request);
        return false;
      });
      this.#waiting = still.concat(this.#waiting);
      return this.#ask();
    });
  }

  /** As many of those who wait as one transaction takes, at least one; their extents in `asked`. */
  #batch(): Request[] {
    const { maxExtents } = this.#core.ports.metadata;
    for (const extent of this.#kept) {
      if (this.#asked.size >= maxExtents) break;
      this.#asked.add(extent);
      this.#kept.delete(extent);
    }
    const most = this.#alone ? 1 : this.#waiting.length;
    let count = 0;
    while (count < most) {
      const { begin, end } = this.#waiting[count]!;
      const [first, last] = [this.#extentOf(begin), this.#extentOf(end - 1)];
      if (this.#asked.size + last - first + 1 > maxExtents && this.#asked.size > 0) break;
      for (let extent = first; extent <= last; extent++) this.#asked.add(extent);
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #failed(requests: readonly Request[], error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#core.fail(`the activity log cannot be written: ${error.message}`);
    for (const request of [...requests, ...waiting]) this.#core.writes.neverMarked(request);
  }
}
