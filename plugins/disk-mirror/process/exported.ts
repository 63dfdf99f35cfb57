// A volume as the NBD server’s export: requests go to the engine as they are, nothing is kept here. Block status: what is
// allocated comes from the file, what may differ from the peer's copy from the bitmap.
import type { Engine, RequestDone } from '../engine/ports.js';
import type { BlockFile } from '../io/block-file.js';
import type { DirtyBits } from '../metadata/contract.js';
import type { NbdDone, NbdExport, StatusRun } from '../nbd/export.js';
import { SECTOR_BYTES } from '../words.js';

export interface ExportedOptions {
  readonly name: string;
  readonly description: string;
  readonly engine: Engine;
  readonly data: BlockFile;
  readonly bits: DirtyBits;
  /** A client is there, or gone. */
  readonly attached: (there: boolean) => void;
}

export const ALLOCATION = 'base:allocation';
export const DIRTY = 'understudy:dirty-bitmap';
/** Flags of base:allocation: the run is a hole, and reads as zeroes. */
const [HOLE, ZERO] = [1, 2];
const MAXIMUM_BLOCK_BYTES = 32 * 1024 * 1024;
/** Runs of one answer: a client that wants more asks again from where it ends. */
const MAX_RUNS = 4_096;

export const exportedVolume = ({ name, description, engine, data, bits, attached }: ExportedOptions): NbdExport => ({
  name,
  description,
  sizeBytes: () => data.sizeBytes,
  readOnly: false,
  minimumBlockBytes: 512,
  preferredBlockBytes: SECTOR_BYTES,
  maximumBlockBytes: MAXIMUM_BLOCK_BYTES,
  contexts: [ALLOCATION, DIRTY],
  read: (into, offset, done) => engine.read(into, offset, done as RequestDone),
  write: (bytes, offset, fua, done) => engine.write(bytes, offset, fua, done as RequestDone),
  flush: (done) => engine.flush(done as RequestDone),
  trim: (offset, length, fua, done) => engine.trim(offset, length, fua, done as RequestDone),
  zeroes: (offset, length, { fua, noHole, fast }, done: NbdDone) =>
    // Nothing here is sure to be quicker than writing zeroes, and a promise that may be broken is worse than none.
    fast ? queueMicrotask(() => done('ENOTSUP')) : engine.zero(offset, length, !noHole, fua, done as RequestDone),
  status: async (context, offset, length) => (context === DIRTY ? dirtyRuns(bits, offset, length) : allocatedRuns(data, offset, length)),
  attached,
});

const allocatedRuns = async (data: BlockFile, offset: number, length: number): Promise<readonly StatusRun[]> => {
  const runs = await data.allocated(offset, length);
  return runs.slice(0, MAX_RUNS).map(({ length: bytes, hole }) => ({ length: bytes, flags: hole ? HOLE | ZERO : 0 }));
};

/** Flag 1: the chunk may differ from the peer's copy. */
export const dirtyRuns = (bits: DirtyBits, offset: number, length: number): readonly StatusRun[] => {
  const { chunkBytes } = bits;
  const end = offset + length;
  const runs: StatusRun[] = [];
  for (let at = offset; at < end && runs.length < MAX_RUNS; ) {
    const chunk = Math.floor(at / chunkBytes);
    const dirty = bits.has(chunk);
    const next = dirty ? firstClean(bits, chunk, end) : bits.next(chunk);
    const until = next === -1 ? end : Math.min(end, next * chunkBytes);
    runs.push({ length: until - at, flags: dirty ? 1 : 0 });
    at = until;
  }
  return runs;
};

const firstClean = (bits: DirtyBits, from: number, endByte: number): number => {
  let chunk = from;
  while (chunk * bits.chunkBytes < endByte && bits.has(chunk)) chunk += 1;
  return chunk;
};
