// Compares both copies by hash while they are in use, chunk by chunk under its lock (SAFETY b.6). What differs becomes dirty and
// an alarm; nothing is mended unless that was asked for, by a resync afterwards.
import type { Core } from './core.js';
import { Rate } from './rate.js';
import type { Request } from './request.js';

/** Ids of verify begin here, far from those of a resync. */
const OURS = 2 ** 40;
const WINDOW = 8;

interface Run {
  readonly repair: boolean;
  readonly answer: (refused: string | null) => void;
  readonly differ: number[];
  next: number;
}

export class Verify {
  readonly #core: Core;
  readonly #asked = new Map<number, { readonly chunk: number; readonly range: Request }>();
  readonly #rate: Rate;
  #run: Run | null = null;
  #nextId = OURS;
  #lastSerial = 0;

  constructor(core: Core) {
    this.#core = core;
    this.#rate = new Rate(core.options.resync);
  }

  get progress(): { readonly doneBytes: number; readonly ofBytes: number } | null {
    if (this.#run === null) return null;
    const { chunkBytes, bits } = this.#core;
    return { doneBytes: (this.#run.next - this.#asked.size) * chunkBytes, ofBytes: bits.chunks * chunkBytes };
  }

  begin(repair: boolean, answer: (refused: string | null) => void): void {
    const { role, session, standing } = this.#core;
    if (this.#run !== null) return answer('a verify is under way');
    if (role !== 'primary' || session.state !== 'mirroring' || !standing.counted)
      return answer('verify runs on the primary, while both copies are in sync');
    this.#run = { repair, answer, differ: [], next: 0 };
    return this.#pump();
  }

  owns(id: number): boolean {
    return id >= OURS;
  }

  answer(id: number, same: boolean): void {
    const asked = this.#asked.get(id);
    if (asked === undefined || this.#run === null) return;
    this.#asked.delete(id);
    if (!same) this.#differs(asked.chunk);
    this.#core.writes.unlock(asked.range);
    this.#pump();
  }

  /** The connection is gone. */
  stop(because: string): void {
    const run = this.#run;
    if (run === null) return;
    this.#run = null;
    for (const { range } of this.#asked.values()) if (range.slot >= 0) this.#core.writes.unlock(range);
    this.#asked.clear();
    run.answer(`ended before its end: ${because}`);
  }

  tick(): void {
    if (this.#run === null) return;
    const { writes, nowMs } = this.#core;
    this.#rate.sample(writes.underWay);
    this.#rate.tick(nowMs, writes.serial - this.#lastSerial);
    this.#lastSerial = writes.serial;
    this.#pump();
  }

  #pump(): void {
    const run = this.#run;
    if (run === null) return;
    const { bits, chunkBytes } = this.#core;
    while (run.next < bits.chunks && this.#asked.size < WINDOW && this.#rate.take(chunkBytes)) this.#ask(run, run.next++);
    if (run.next < bits.chunks || this.#asked.size > 0) return;
    this.#run = null;
    this.#core.ports.tell({
      kind: 'mirror.verified',
      because: `${run.differ.length} chunks differ`,
      data: { chunks: bits.chunks, differ: run.differ.slice(0, 100) },
    });
    run.answer(null);
    if (run.repair && run.differ.length > 0) this.#core.source.begin('bitmap', false, true);
  }

  #ask(run: Run, chunk: number): void {
    const { writes, ports, session, chunkBytes } = this.#core;
    const id = this.#nextId++;
    const read = () => {
      if (this.#run !== run) return writes.unlock(range);
      const bytes = new Uint8Array(range.end - range.begin);
      return ports.data.read(bytes, range.begin, (error) => {
        if (this.#run !== run) return;
        if (error !== null) return this.#core.fail(`the disk cannot read at ${range.begin}: ${error.message}`);
        return ports.hash(bytes, (hash) => {
          if (this.#run === run) ports.send({ t: 'hash', epoch: session.epoch, id, offset: range.begin, length: bytes.length, hash });
        });
      });
    };
    const range = writes.range(read);
    range.begin = chunk * chunkBytes;
    range.end = range.begin + this.#core.chunkLength(chunk);
    this.#asked.set(id, { chunk, range });
    if (writes.lock(range)) read();
  }

  /** Dirty, durably: the next resync sends it. */
  #differs(chunk: number): void {
    this.#run?.differ.push(chunk);
    this.#core.activity.keepDirty(chunk);
    this.#core.ports.tell({ kind: 'mirror.differs', because: `chunk ${chunk} is not the same on both copies` });
  }
}
