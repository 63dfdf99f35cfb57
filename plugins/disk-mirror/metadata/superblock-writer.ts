// Writes superblocks, each into the copy that is the older one. Calls are carried out in order; of what waits while one is
// under way the last value is written, and all are answered by it.
import { BLOCK_BYTES } from './block.js';
import type { SuperblockState } from './contract.js';
import type { MetadataDevice } from './device.js';
import { SUPERBLOCK_AT } from './layout.js';
import { encodeSuperblock, type Superblock } from './superblock.js';

export type Done = (error: Error | null) => void;

export class SuperblockWriter {
  readonly #device: MetadataDevice;
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #written: Superblock;
  #waiting: { state: SuperblockState; dones: Done[] } | null = null;
  #busy = false;

  /** `written`: the newest on disk. */
  constructor(device: MetadataDevice, written: Superblock) {
    this.#device = device;
    this.#written = written;
  }

  get busy(): boolean {
    return this.#busy || this.#waiting !== null;
  }

  /** Throws a RangeError for a state that no superblock can hold. */
  write(state: SuperblockState, done: Done): void {
    encodeSuperblock(new Uint8Array(BLOCK_BYTES), { ...this.#written, state });
    this.#waiting = { state, dones: [...(this.#waiting?.dones ?? []), done] };
    if (!this.#busy) this.#start();
  }

  /** Gives up what waits; what is under way answers when it ends. */
  abandon(): Done[] {
    const dones = this.#waiting?.dones ?? [];
    this.#waiting = null;
    return dones;
  }

  #start(): void {
    const job = this.#waiting;
    if (job === null) return;
    this.#waiting = null;
    this.#busy = true;
    const next: Superblock = { ...this.#written, seq: this.#written.seq + 1, state: job.state };
    encodeSuperblock(this.#block, next);
    this.#device.write(this.#block, SUPERBLOCK_AT[(next.seq % 2) as 0 | 1], (error) => {
      this.#busy = false;
      if (error === null) this.#written = next;
      for (const done of job.dones) done(error);
      // An answer may have asked for the next one.
      if (!this.#busy) this.#start();
    });
  }
}
