// Writes transactions into the ring: up to 64 changes a block, several blocks in one write, the window over all slots rolling on
// with each block. Numbers and places follow one another without gaps.
import { BLOCK_BYTES } from './block.js';
import type { MetadataDevice } from './device.js';
import { CONTEXT_PER_BLOCK, encodeTransaction, type SlotChange, UPDATES_PER_BLOCK } from './log-block.js';
import { RING_BLOCKS, ringAt } from './layout.js';

/** Blocks of one commit. What stays of the ring meanwhile tells all slots several times over. */
const COMMIT_BLOCKS = 16;
/** Changes of one commit. */
export const COMMIT_CHANGES = COMMIT_BLOCKS * UPDATES_PER_BLOCK;

export class LogWriter {
  readonly #buffer = new Uint8Array(COMMIT_BLOCKS * BLOCK_BYTES);
  #next: number;
  #window = 0;

  /** `extents`: what the slots hold, read at each commit. `next`: the number of the first transaction. */
  constructor(
    readonly device: MetadataDevice,
    readonly extents: Uint32Array,
    readonly volumeUuid: string,
    next: number,
  ) {
    this.#next = next;
  }

  /** Writes these changes, which `extents` shows already, at most COMMIT_CHANGES. Not while it is at work. */
  commit(changes: readonly SlotChange[], done: (error: Error | null) => void): void {
    this.#write(Math.max(1, Math.ceil(changes.length / UPDATES_PER_BLOCK)), changes, done);
  }

  /** Writes what the slots hold until every slot is told by a new block: with `whole` in every place of the ring. */
  restate({ whole = false }: { readonly whole?: boolean }, done: (error: Error | null) => void): void {
    const blocks = whole ? RING_BLOCKS : Math.ceil(this.extents.length / CONTEXT_PER_BLOCK);
    this.#window = 0;
    const next = (left: number): void => {
      if (left <= 0) return done(null);
      const count = Math.min(left, COMMIT_BLOCKS);
      this.#write(count, [], (error) => (error === null ? next(left - count) : done(error)));
    };
    next(blocks);
  }

  #write(blocks: number, changes: readonly SlotChange[], done: (error: Error | null) => void): void {
    const first = this.#next;
    for (let index = 0; index < blocks; index++) {
      const context = { first: this.#window, extents: this.extents.subarray(this.#window, this.#window + CONTEXT_PER_BLOCK) };
      this.#window += context.extents.length;
      if (this.#window >= this.extents.length) this.#window = 0;
      encodeTransaction(
        this.#buffer.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
        { number: this.#next++, changes: changes.slice(index * UPDATES_PER_BLOCK, (index + 1) * UPDATES_PER_BLOCK), context },
        this.volumeUuid,
      );
    }
    const place = first % RING_BLOCKS;
    const untilEnd = Math.min(blocks, RING_BLOCKS - place);
    this.device.write(this.#buffer.subarray(0, untilEnd * BLOCK_BYTES), ringAt(place), (error) => {
      if (error !== null || untilEnd === blocks) return done(error);
      this.device.write(this.#buffer.subarray(untilEnd * BLOCK_BYTES, blocks * BLOCK_BYTES), ringAt(0), done);
    });
  }
}
