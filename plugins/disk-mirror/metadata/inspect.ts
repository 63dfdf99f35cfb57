// Reads a copy's metadata without touching it: for looking at a volume whose process does not run, and at a file that came from the
// other node. Nothing is locked, repaired or proved; what is bad is said, and counts as changed as it does when it is attached.
import { read } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { reasonOf, UnderstudyError } from 'understudy/plugin';
import { foldLog } from './attach.js';
import { ChunkBits } from './chunk-bits.js';
import type { DirtyBits, SuperblockState } from './contract.js';
import type { MetadataDevice } from './device.js';
import { sizeOfOpened } from './opened-size.js';
import { readBitmap } from './read-bitmap.js';
import { readSuperblocks } from './read-superblocks.js';

export interface Inspected {
  readonly superblock: SuperblockState;
  readonly bits: DirtyBits;
  readonly repairs: readonly string[];
}

/** Rejects with METADATA. */
export const inspectMetadata = async (path: string): Promise<Inspected> => {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw new UnderstudyError('METADATA', `cannot read the metadata ${path}: ${reasonOf(error)}`, { cause: error });
  });
  try {
    const device = readOnlyDevice(handle, await sizeOfOpened(handle, path));
    const { newest, repairs } = await readSuperblocks(device, path);
    const { layout, state } = newest;
    if (device.sizeBytes < layout.metadataBytes)
      throw new UnderstudyError(
        'METADATA',
        `${path} has ${device.sizeBytes} bytes; its metadata needs ${layout.metadataBytes}: it was cut short`,
      );
    const { volumeUuid } = state.identity;
    const bits = new ChunkBits(layout);
    const pages = await readBitmap(device, layout, { bits, volumeUuid });
    const log = await foldLog(device, layout, { bits, volumeUuid });
    if (state.fullSyncNeeded) bits.set(0, bits.chunks);
    return { superblock: state, bits, repairs: [...repairs, ...pages.repairs, ...log.repairs] };
  } finally {
    await handle.close();
  }
};

const readOnlyDevice = ({ fd }: FileHandle, sizeBytes: number): MetadataDevice => ({
  sizeBytes,
  read: (into, offset, done) => readAll(fd, into, offset, done),
  write: (_bytes, _offset, done) => queueMicrotask(() => done(new Error('it is only looked at'))),
  close: () => Promise.resolve(),
});

const readAll = (fd: number, into: Uint8Array, offset: number, done: (error: Error | null) => void): void =>
  read(fd, into, 0, into.length, offset, (error, count) => {
    if (error !== null) return done(error);
    if (count === 0 && into.length > 0) return done(new Error(`it ends at byte ${offset}`));
    if (count === into.length) return done(null);
    readAll(fd, into.subarray(count), offset + count, done);
  });
