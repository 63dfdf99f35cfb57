// One piece of a resync on its way, and how it is said: runs of data, and runs of zeroes, which are said and not sent. Pure; what is
// zero it is told.
import type { Frame } from '../link/frames.js';
import type { Request } from './request.js';

export interface Piece {
  readonly id: number;
  readonly chunk: number;
  readonly chunks: number;
  readonly range: Request;
  /** Of the run's; its bytes lie at the front. */
  readonly memory: Uint8Array;
  /** Its hash is asked for: it stands still until the answer. */
  asked: boolean;
  /** Frames that the target has still to answer. */
  owed: number;
}

export interface Run {
  readonly from: number;
  readonly to: number;
  readonly zero: boolean;
}

/** Runs that together are [0, length), in whole chunks, neighbours of different kinds. */
export const runsOf = (length: number, chunkBytes: number, allZero: (from: number, to: number) => boolean): readonly Run[] => {
  const runs: { from: number; to: number; zero: boolean }[] = [];
  for (let from = 0; from < length; from += chunkBytes) {
    const to = Math.min(from + chunkBytes, length);
    const zero = allZero(from, to);
    const last = runs.at(-1);
    if (last?.zero === zero) last.to = to;
    else runs.push({ from, to, zero });
  }
  return runs;
};

/** The frames of what was read into `memory`; each is answered under the piece's id. */
export const framesOf = (
  { id, memory, range: { begin, end } }: Piece,
  epoch: number,
  chunkBytes: number,
  allZero: (bytes: Uint8Array, from: number, to: number) => boolean,
): readonly Frame[] =>
  runsOf(end - begin, chunkBytes, (from, to) => allZero(memory, from, to)).map(({ from, to, zero }) =>
    zero
      ? { t: 'sync-zero', epoch, id, offset: begin + from, length: to - from }
      : { t: 'sync-data', epoch, id, offset: begin + from, bytes: memory.subarray(from, to) },
  );
