// What the ring of the activity log tells after a crash: which extents may hold writes whose bits are not on disk. Pure.
// Invariant: every extent whose activation was answered and which was not written out since is named, or `everything` is said.
import { BLOCK_BYTES } from './block.js';
import { FREE, decodeTransaction, type Transaction } from './log-block.js';
import { RING_BLOCKS } from './layout.js';

export interface Replayed {
  readonly active: readonly number[];
  /** The log has lost something that may have mattered: every chunk must count as changed. */
  readonly everything: boolean;
  /** The number after the highest found. */
  readonly next: number;
  /** Places whose block was damaged after it had been written (not merely torn), with what is wrong. */
  readonly damaged: readonly { readonly place: number; readonly problem: string }[];
}

/** `ring`: all its blocks. A place that could not be read is handed in as zeroes, which is a damaged block. */
export const replay = (ring: Uint8Array, volumeUuid: string, slots: number): Replayed => {
  const found: { readonly whole: boolean; readonly transaction: Transaction }[] = [];
  const damaged: { place: number; problem: string }[] = [];
  for (let place = 0; place < RING_BLOCKS; place++) {
    const read = decodeTransaction(ring.subarray(place * BLOCK_BYTES, (place + 1) * BLOCK_BYTES), place, volumeUuid);
    if (read.kind === 'damaged') damaged.push({ place, problem: read.problem });
    else found.push({ whole: read.kind === 'whole', transaction: read.transaction });
  }
  found.sort((one, other) => one.transaction.number - other.transaction.number);
  const highest = found.at(-1)?.transaction.number ?? -1;

  // Per slot: what the newest block that mentions it says, and which block that was. A cut-short block counts for its changes:
  // if it was answered they are needed, if not they do no harm (what it put out had been written to the bitmap before).
  const extents = new Uint32Array(slots).fill(FREE);
  const toldBy = new Float64Array(slots).fill(-1);
  const say = (slot: number, extent: number, number: number) => {
    if (slot >= slots) return;
    extents[slot] = extent;
    toldBy[slot] = number;
  };
  for (const { transaction } of found) {
    transaction.context.extents.forEach((extent, index) => say(transaction.context.first + index, extent, transaction.number));
    for (const { slot, extent } of transaction.changes) say(slot, extent, transaction.number);
  }

  // A damaged block may have been any one that belongs to its place, the one right after the highest included. It does no harm
  // only if every slot is told by a later one.
  const newestLost = damaged.reduce((newest, { place }) => Math.max(newest, numberAt(place, highest + 1)), -1);
  const everything = toldBy.some((number) => number === -1 || number < newestLost);
  return {
    active: [...new Set(extents)].filter((extent) => extent !== FREE),
    everything,
    next: highest + 1,
    damaged,
  };
};

/** The highest number not above `limit` that belongs to the place. */
const numberAt = (place: number, limit: number): number => limit - ((((limit - place) % RING_BLOCKS) + RING_BLOCKS) % RING_BLOCKS);
