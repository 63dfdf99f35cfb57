// The metadata on a file or a block device: O_DIRECT|O_DSYNC, so that a write that has answered is on the disk and nothing else
// was flushed for it; O_DSYNC alone where the file system knows no O_DIRECT (tmpfs of older kernels). Every call goes through
// libuv's pool, one at a time over one buffer, so that the event loop never waits for a disk. No decision is made here.
import { constants, read, write } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { UnderstudyError, reasonOf } from 'understudy/plugin';
import { BLOCK_BYTES } from './block.js';
import type { MetadataDevice } from './device.js';
import { sizeOfOpened } from './opened-size.js';

/** What one call to the kernel carries at most. */
const TRANSFER_BYTES = 256 * 1024;
/** Where V8 puts a buffer is a multiple of 16; O_DIRECT wants one of the disk's sector. */
const ALIGNMENT_STEP = 16;

type Task = (ended: () => void) => void;

export interface FileDevice extends MetadataDevice {
  /** How writes reach the disk: for `status` and measurements. */
  readonly mode: 'direct' | 'dsync';
}

/** Opens what exists; throws METADATA with the reason when it cannot be opened. */
export const openFileDevice = async (path: string): Promise<FileDevice> => {
  const direct = await openWith(path, constants.O_RDWR | constants.O_DSYNC | constants.O_DIRECT);
  const handle = direct ?? (await openWith(path, constants.O_RDWR | constants.O_DSYNC));
  if (handle === null) throw new UnderstudyError('METADATA', `cannot open ${path}: it knows no O_DSYNC`);
  try {
    const sizeBytes = await sizeOfOpened(handle, path);
    const spare = Buffer.allocUnsafeSlow(TRANSFER_BYTES + BLOCK_BYTES);
    const buffer = direct === null ? spare.subarray(0, TRANSFER_BYTES) : await alignedIn(spare, handle);
    if (buffer !== null) return deviceOf(handle, { sizeBytes, buffer, mode: direct === null ? 'dsync' : 'direct' });
    throw new UnderstudyError('METADATA', `${path}: no buffer is aligned well enough for O_DIRECT`);
  } catch (error) {
    await handle.close();
    throw error;
  }
};

/** null when the file system does not know the flags. */
const openWith = async (path: string, flags: number): Promise<FileHandle | null> => {
  try {
    return await open(path, flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return null;
    throw new UnderstudyError('METADATA', `cannot open ${path}: ${reasonOf(error)}`, {
      cause: error,
      hint: 'Put right the path of the metadata in the config of this node, or make the copy: understudy mirror create.',
    });
  }
};

/** The part of the buffer that O_DIRECT takes: found by reading, for nobody tells where a buffer lies. */
const alignedIn = async (spare: Buffer, handle: FileHandle): Promise<Buffer | null> => {
  for (let offset = 0; offset < BLOCK_BYTES; offset += ALIGNMENT_STEP) {
    try {
      await handle.read(spare, offset, BLOCK_BYTES, 0);
      return spare.subarray(offset, offset + TRANSFER_BYTES);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    }
  }
  return null;
};

interface Opened {
  readonly sizeBytes: number;
  readonly buffer: Buffer;
  readonly mode: FileDevice['mode'];
}

const deviceOf = (handle: FileHandle, { sizeBytes, buffer, mode }: Opened): FileDevice => {
  const tasks: Task[] = [];
  let running = false;
  const run = (): void => {
    const task = tasks.shift();
    running = task !== undefined;
    task?.(run);
  };
  const enqueue = (task: Task): void => {
    tasks.push(task);
    if (!running) run();
  };
  const check = (length: number, offset: number): void => {
    if (length % BLOCK_BYTES !== 0 || offset % BLOCK_BYTES !== 0) throw new RangeError(`${length} bytes at ${offset}: not whole blocks`);
  };
  return {
    sizeBytes,
    mode,
    read(into, offset, done) {
      check(into.length, offset);
      enqueue((ended) =>
        readAll(handle.fd, buffer, { bytes: into, offset }, (error) => {
          ended();
          done(error);
        }),
      );
    },
    write(bytes, offset, done) {
      check(bytes.length, offset);
      enqueue((ended) =>
        writeAll(handle.fd, buffer, { bytes, offset }, (error) => {
          ended();
          done(error);
        }),
      );
    },
    close: () =>
      new Promise<void>((resolve, reject) =>
        enqueue((ended) => {
          ended();
          handle.close().then(resolve, reject);
        }),
      ),
  };
};

interface Piece {
  readonly bytes: Uint8Array;
  readonly offset: number;
}

// A short write is an error as any other: the rest would not have fitted either, and is not tried (SAFETY b.1).
const writeAll = (fd: number, buffer: Buffer, { bytes, offset }: Piece, done: (error: Error | null) => void): void => {
  const length = Math.min(buffer.length, bytes.length);
  buffer.set(bytes.subarray(0, length), 0);
  write(fd, buffer, 0, length, offset, (error, written) => {
    if (error !== null) return done(error);
    if (written !== length) return done(new Error(`short write: ${written} of ${length} bytes at ${offset}`));
    if (length === bytes.length) return done(null);
    writeAll(fd, buffer, { bytes: bytes.subarray(length), offset: offset + length }, done);
  });
};

const readAll = (fd: number, buffer: Buffer, { bytes, offset }: Piece, done: (error: Error | null) => void): void => {
  const length = Math.min(buffer.length, bytes.length);
  read(fd, buffer, 0, length, offset, (error, count) => {
    if (error !== null) return done(error);
    if (count !== length) return done(new Error(`short read: ${count} of ${length} bytes at ${offset}`));
    bytes.set(buffer.subarray(0, length), 0);
    if (length === bytes.length) return done(null);
    readAll(fd, buffer, { bytes: bytes.subarray(length), offset: offset + length }, done);
  });
};
