// Writes pages of the bitmap, neighbours together, one write after the other. The bits are those of the moment in which each
// write is handed on; what changes later marks the page again.
import { BLOCK_BYTES } from './block.js';
import { encodePage } from './bitmap-page.js';
import type { ChunkBits } from './chunk-bits.js';
import type { MetadataDevice } from './device.js';
import { pageAt } from './layout.js';

/** Pages that go in one write: 256 KiB. */
const RUN_PAGES = 64;

export class PageWriter {
  readonly #buffer = new Uint8Array(RUN_PAGES * BLOCK_BYTES);
  #writeSeq: number;

  /** `writeSeq`: the highest on disk. */
  constructor(
    readonly device: MetadataDevice,
    readonly bits: ChunkBits,
    readonly volumeUuid: string,
    writeSeq: number,
  ) {
    this.#writeSeq = writeSeq;
  }

  /** Writes these pages, in ascending order, and answers when all are durable, or the first error. Not while it is at work. */
  write(pages: readonly number[], done: (error: Error | null) => void): void {
    const runs = runsOf(pages);
    const next = (index: number): void => {
      const run = runs[index];
      if (run === undefined) return done(null);
      for (let offset = 0; offset < run.count; offset++) {
        const page = run.first + offset;
        const block = this.#buffer.subarray(offset * BLOCK_BYTES, (offset + 1) * BLOCK_BYTES);
        encodePage(block, this.bits.page(page), { page, volumeUuid: this.volumeUuid }, ++this.#writeSeq);
        this.bits.written(page);
      }
      this.device.write(this.#buffer.subarray(0, run.count * BLOCK_BYTES), pageAt(run.first), (error) =>
        error === null ? next(index + 1) : done(error),
      );
    };
    next(0);
  }
}

interface Run {
  readonly first: number;
  readonly count: number;
}

const runsOf = (pages: readonly number[]): Run[] => {
  const runs: { first: number; count: number }[] = [];
  for (const page of pages) {
    const last = runs.at(-1);
    if (last !== undefined && page === last.first + last.count && last.count < RUN_PAGES) last.count++;
    else runs.push({ first: page, count: 1 });
  }
  return runs;
};
