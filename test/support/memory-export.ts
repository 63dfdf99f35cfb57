// An NBD export in memory, for tests: a real small disk that knows which blocks were written, can be told to answer late, in
// another order, or with errors, and remembers what it was asked.
import type { NbdDone, NbdErrorName, NbdExport, NbdReadDone, ReadHole, StatusRun } from '../../plugins/disk-mirror/nbd/export.js';

export interface MemoryExportOptions {
  readonly name?: string;
  readonly description?: string;
  readonly sizeBytes?: number;
  readonly readOnly?: boolean;
  readonly minimumBlockBytes?: number;
  readonly maximumBlockBytes?: number;
  readonly contexts?: readonly string[];
  /** Reads tell what was never written as holes. */
  readonly holes?: boolean;
  /** Carries out an answer: at once (default), or whenever the test likes. */
  readonly answer?: (answer: () => void) => void;
  /** The error of the next request, null = none. */
  readonly failWith?: (kind: string, offset: number, length: number) => NbdErrorName | null;
  /** Why zeroes cannot be had fast. */
  readonly slowZeroes?: boolean;
}

const BLOCK = 512;

export class MemoryExport implements NbdExport {
  readonly name: string;
  readonly description: string;
  readonly readOnly: boolean;
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes = 4096;
  readonly maximumBlockBytes: number;
  readonly contexts: readonly string[];
  /** What it was asked lately, oldest first. */
  readonly asked: string[] = [];
  readonly attachments: boolean[] = [];
  bytes: Buffer;
  #written: Uint8Array;
  readonly #options: MemoryExportOptions;

  constructor(options: MemoryExportOptions = {}) {
    this.#options = options;
    this.name = options.name ?? 'vol';
    this.description = options.description ?? 'a disk in memory';
    this.readOnly = options.readOnly ?? false;
    this.minimumBlockBytes = options.minimumBlockBytes ?? 1;
    this.maximumBlockBytes = options.maximumBlockBytes ?? 2 ** 25;
    this.contexts = options.contexts ?? ['base:allocation', 'understudy:dirty-bitmap'];
    this.bytes = Buffer.alloc(options.sizeBytes ?? 64 * 1024);
    this.#written = new Uint8Array(Math.ceil(this.bytes.length / BLOCK));
  }

  sizeBytes(): number {
    return this.bytes.length;
  }

  grow(sizeBytes: number): void {
    const [bytes, written] = [Buffer.alloc(sizeBytes), new Uint8Array(Math.ceil(sizeBytes / BLOCK))];
    this.bytes.copy(bytes);
    written.set(this.#written);
    [this.bytes, this.#written] = [bytes, written];
  }

  read(into: Buffer, offset: number, done: NbdReadDone): void {
    const failed = this.#ask('read', offset, into.length);
    const holes = this.#options.holes === true && failed === null ? this.#holes(offset, into.length) : [];
    // A server that believes in what a hole leaves behind would show this.
    into.fill(0xee);
    let from = 0;
    for (const hole of [...holes, { at: into.length, length: 0 }]) {
      this.bytes.copy(into, from, offset + from, offset + hole.at);
      from = hole.at + hole.length;
    }
    this.#answer(() => done(failed, holes));
  }

  write(bytes: Buffer, offset: number, fua: boolean, done: NbdDone): void {
    const failed = this.#ask(fua ? 'write!' : 'write', offset, bytes.length);
    this.#answer(() => {
      // Only now: the bytes are ours until the answer.
      if (failed === null) {
        bytes.copy(this.bytes, offset);
        this.#mark(offset, bytes.length, 1);
      }
      done(failed);
    });
  }

  flush(done: NbdDone): void {
    const failed = this.#ask('flush', 0, 0);
    this.#answer(() => done(failed));
  }

  trim(offset: number, length: number, fua: boolean, done: NbdDone): void {
    this.#clear(fua ? 'trim!' : 'trim', offset, length, true, done);
  }

  zeroes(
    offset: number,
    length: number,
    { fua, noHole, fast }: { readonly fua: boolean; readonly noHole: boolean; readonly fast: boolean },
    done: NbdDone,
  ): void {
    const kind = `zeroes${noHole ? ' no-hole' : ''}${fast ? ' fast' : ''}${fua ? '!' : ''}`;
    if (!fast || this.#options.slowZeroes !== true) return this.#clear(kind, offset, length, !noHole, done);
    this.#ask(kind, offset, length);
    this.#answer(() => done('ENOTSUP'));
  }

  status(context: string, offset: number, length: number): Promise<readonly StatusRun[]> {
    const failed = this.#ask(`status ${context}`, offset, length);
    if (failed !== null) return Promise.reject(new Error(failed));
    const runs: StatusRun[] = [];
    for (let at = offset; at < offset + length; ) {
      const end = Math.min(offset + length, (Math.floor(at / BLOCK) + 1) * BLOCK);
      const written = this.#written[Math.floor(at / BLOCK)] === 1;
      runs.push({ length: end - at, flags: context === 'base:allocation' ? (written ? 0 : 3) : Number(written) });
      at = end;
    }
    return new Promise((resolve) => this.#answer(() => resolve(runs)));
  }

  attached(there: boolean): void {
    this.attachments.push(there);
  }

  #clear(kind: string, offset: number, length: number, hole: boolean, done: NbdDone): void {
    const failed = this.#ask(kind, offset, length);
    this.#answer(() => {
      if (failed === null) {
        this.bytes.fill(0, offset, offset + length);
        this.#mark(offset, length, hole ? 0 : 1);
      }
      done(failed);
    });
  }

  #ask(kind: string, offset: number, length: number): NbdErrorName | null {
    this.asked.push(`${kind} ${offset}+${length}`);
    // Enough for any test; a suite that runs for a minute must measure the server's memory, not this.
    if (this.asked.length > 10_000) this.asked.splice(0, 5_000);
    return this.#options.failWith?.(kind, offset, length) ?? null;
  }

  #answer(answer: () => void): void {
    (this.#options.answer ?? ((run) => run()))(answer);
  }

  /** Blocks that are written in part count as written; those cleared in part stay what they were. */
  #mark(offset: number, length: number, written: 0 | 1): void {
    const [from, to] = [offset / BLOCK, (offset + length) / BLOCK];
    if (written === 1) this.#written.fill(1, Math.floor(from), Math.ceil(to));
    else if (Math.floor(to) > Math.ceil(from)) this.#written.fill(0, Math.ceil(from), Math.floor(to));
  }

  #holes(offset: number, length: number): readonly ReadHole[] {
    const holes: { at: number; length: number }[] = [];
    for (let at = 0; at < length; ) {
      const end = Math.min(length, (Math.floor((offset + at) / BLOCK) + 1) * BLOCK - offset);
      const last = holes.at(-1);
      if (this.#written[Math.floor((offset + at) / BLOCK)] === 0) {
        if (last !== undefined && last.at + last.length === at) last.length += end - at;
        else holes.push({ at, length: end - at });
      }
      at = end;
    }
    return holes;
  }
}
