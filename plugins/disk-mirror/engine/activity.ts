// W1: the bits of a write are set in memory, and the extents that hold them are in the durable log, before any byte of it leaves
// or is written. Extents in use may not be evicted. Group commit: one transaction at a time, what comes meanwhile shares the next.
import type { Core } from './core.js';
import type { Request } from './request.js';

export class Activity {
  readonly #core: Core;
  /** Requests under way for each extent. */
  readonly #uses: Uint32Array;
  #waiting: Request[] = [];
  #wanted = new Set<number>();
  #asking = false;
  /** The log had no room: asked again when a request has ended. */
  #full = false;
  readonly #mayEvict = (extent: number): boolean => this.#uses[extent] === 0;

  constructor(core: Core) {
    this.#core = core;
    this.#uses = new Uint32Array(Math.ceil(core.ports.data.sizeBytes / core.extentBytes));
  }

  /** Sets the bits. True: they are durable, go on. False: `writes.marked` will be called. */
  mark(request: Request): boolean {
    const { bits, rounds, ports, extentBytes } = this.#core;
    const first = this.#core.chunkOf(request.begin);
    const count = this.#core.chunksIn(request.begin, request.end);
    bits.set(first, count);
    rounds.mark(first, count);
    const last = Math.floor((request.end - 1) / extentBytes);
    let active = true;
    for (let extent = Math.floor(request.begin / extentBytes); extent <= last; extent++) {
      this.#uses[extent]! += 1;
      if (ports.metadata.isActive(extent)) continue;
      active = false;
      this.#wanted.add(extent);
    }
    if (active) return true;
    this.#waiting.push(request);
    this.#ask();
    return false;
  }

  /** The request has ended. */
  release(request: Request): void {
    const { extentBytes } = this.#core;
    const last = Math.floor((request.end - 1) / extentBytes);
    for (let extent = Math.floor(request.begin / extentBytes); extent <= last; extent++) this.#uses[extent]! -= 1;
    if (this.#full) {
      this.#full = false;
      this.#ask();
    }
  }

  /** A chunk that was found to differ: its bit is set, and its extent in the log, so that a crash does not forget it. */
  keepDirty(chunk: number): void {
    const { bits, rounds, chunkBytes, extentBytes, ports } = this.#core;
    bits.set(chunk, 1);
    rounds.mark(chunk, 1);
    const extent = Math.floor((chunk * chunkBytes) / extentBytes);
    if (ports.metadata.isActive(extent)) return;
    this.#wanted.add(extent);
    this.#ask();
  }

  /** Also where nothing ended: a log that was full may have got room by a checkpoint. */
  tick(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#ask();
  }

  #ask(): void {
    if (this.#asking || this.#full || this.#wanted.size === 0) return;
    const requests = this.#waiting;
    const extents = [...this.#wanted];
    this.#waiting = [];
    this.#wanted = new Set();
    this.#asking = true;
    this.#core.ports.metadata.activate(extents, this.#mayEvict, (error) => {
      this.#asking = false;
      if (error?.message === 'busy') return this.#again(requests, extents);
      if (error !== null) return this.#core.fail(`the activity log cannot be written: ${error.message}`);
      for (const request of requests) this.#core.writes.marked(request);
      return this.#ask();
    });
  }

  #again(requests: Request[], extents: readonly number[]): void {
    this.#waiting = requests.concat(this.#waiting);
    for (const extent of extents) this.#wanted.add(extent);
    this.#full = true;
  }
}
