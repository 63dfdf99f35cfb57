// What an operator is shown before anything is decided: both copies as they would meet, and what of this one may differ. Changes
// nothing.
import type { Engine } from '../engine/ports.js';
import type { DirtyBits } from '../metadata/contract.js';
import { dirtyRuns } from './exported.js';
import type { BothCopies, DirtyPart } from './protocol.js';

export const lookAt = (engine: Engine, { chunkBytes }: DirtyBits): Promise<BothCopies> =>
  new Promise((resolve) => engine.look(({ mine, peer, now }) => resolve({ mine, peer, peerNow: now, chunkBytes })));

/** One answer's worth of dirty runs. */
export const dirtyPart = (bits: DirtyBits, from: number, sizeBytes: number): DirtyPart => {
  const runs: (readonly [number, number])[] = [];
  let at = from;
  for (const { length, flags } of from < sizeBytes ? dirtyRuns(bits, from, sizeBytes - from) : []) {
    if (flags !== 0) runs.push([at, length]);
    at += length;
  }
  return { runs, next: at < sizeBytes ? at : null };
};
