// The metadata on a file or a block device: O_DIRECT|O_DSYNC, so that a write that has answered is on the disk and nothing else
// was flushed for it; O_DSYNC alone where the file system knows no O_DIRECT (tmpfs of older kernels). Every call goes through
// libuv's pool, one at a time over one buffer, so that the event loop never waits for a disk. No decision is made here.
import { constants, read, type Stats, write } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { UnderstudyError, reasonOf } from 'understudy/plugin';
import { BLOCK_BYTES } from './block.js';
import type { MetadataDevice } from './device.js';
import { type LockOptions, lockAlone } from './lock-alone.js';
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

/** Opens what exists, for this process alone. Throws METADATA when it cannot be opened, REFUSED when another process has it. */
export const openFileDevice = async (path: string, options: LockOptions = {}): Promise<FileDevice> => {
  const isBlockDevice = (await statOf(path)).isBlockDevice();
  const flags = constants.O_RDWR | constants.O_DSYNC | (isBlockDevice ? constants.O_EXCL : 0);
  const direct = await openWith(path, flags | constants.O_DIRECT);
  const handle = direct ?? (await openWith(path, flags));
  if (handle === null) throw new UnderstudyError('METADATA', `cannot open ${path}: it knows no O_DSYNC`);
  try {
    const sizeBytes = await sizeOfOpened(handle, path);
    const unlock = isBlockDevice ? () => Promise.resolve() : await lockAlone(path, handle, options);
    const mode = direct === null ? 'dsync' : 'direct';
    return deviceOf(handle, { sizeBytes, mode, unlock });
  } catch (error) {
    await handle.close();
    throw error;
  }
};

const cannotOpen = (path: string, error: unknown): UnderstudyError => {
  if ((error as NodeJS.ErrnoException).code === 'EBUSY')
    return new UnderstudyError('REFUSED', `cannot open ${path}: it is mounted, or another mirror process has it`, { cause: error });
  return new UnderstudyError('METADATA', `cannot open ${path}: ${reasonOf(error)}`, {
    cause: error,
    hint: 'Put right the path of the metadata in the config of this node, or make the copy: understudy mirror create.',
  });
};

const statOf = (path: string): Promise<Stats> =>
  stat(path).catch((error: unknown) => {
    throw cannotOpen(path, error);
  });

/** null when the file system does not know the flags. */
const openWith = async (path: string, flags: number): Promise<FileHandle | null> => {
  try {
    return await open(path, flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return null;
    throw cannotOpen(path, error);
  }
};

/**
 * A buffer that O_DIRECT takes. Nobody tells where V8 puts one, so the first calls find it: EINVAL means that nothing was done, and
 * the next place is tried. Reading alone does not find it: where a file has no written blocks it is satisfied with any place.
 */
class AlignedBuffer {
  readonly #spare = Buffer.allocUnsafeSlow(TRANSFER_BYTES + BLOCK_BYTES);
  #offset = 0;

  get bytes(): Buffer {
    return this.#spare.subarray(this.#offset, this.#offset + TRANSFER_BYTES);
  }

  /** Whether the error says that the place is wrong and there is another one. */
  moves(error: NodeJS.ErrnoException): boolean {
    if (error.code !== 'EINVAL' || this.#offset + ALIGNMENT_STEP > BLOCK_BYTES) return false;
    this.#offset += ALIGNMENT_STEP;
    return true;
  }
}

interface Opened {
  readonly sizeBytes: number;
  readonly mode: FileDevice['mode'];
  readonly unlock: () => Promise<void>;
}

const deviceOf = (handle: FileHandle, { sizeBytes, mode, unlock }: Opened): FileDevice => {
  const buffer = new AlignedBuffer();
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
  const close = async (): Promise<void> => {
    await new Promise<void>((resolve) =>
      enqueue((ended) => {
        ended();
        resolve();
      }),
    );
    try {
      await unlock();
    } finally {
      await handle.close();
    }
  };
  let closed: Promise<void> | null = null;
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
    close: () => (closed ??= close()),
  };
};

interface Piece {
  readonly bytes: Uint8Array;
  readonly offset: number;
}

// A short write is an error as any other: the rest would not have fitted either, and is not tried (SAFETY b.1).
const writeAll = (fd: number, buffer: AlignedBuffer, { bytes, offset }: Piece, done: (error: Error | null) => void): void => {
  const length = Math.min(TRANSFER_BYTES, bytes.length);
  buffer.bytes.set(bytes.subarray(0, length), 0);
  write(fd, buffer.bytes, 0, length, offset, (error, written) => {
    if (error !== null) return buffer.moves(error) ? writeAll(fd, buffer, { bytes, offset }, done) : done(error);
    if (written !== length) return done(new Error(`short write: ${written} of ${length} bytes at ${offset}`));
    if (length === bytes.length) return done(null);
    writeAll(fd, buffer, { bytes: bytes.subarray(length), offset: offset + length }, done);
  });
};

const readAll = (fd: number, buffer: AlignedBuffer, { bytes, offset }: Piece, done: (error: Error | null) => void): void => {
  const length = Math.min(TRANSFER_BYTES, bytes.length);
  read(fd, buffer.bytes, 0, length, offset, (error, count) => {
    if (error !== null) return buffer.moves(error) ? readAll(fd, buffer, { bytes, offset }, done) : done(error);
    if (count !== length) return done(new Error(`short read: ${count} of ${length} bytes at ${offset}`));
    bytes.set(buffer.bytes.subarray(0, length), 0);
    if (length === bytes.length) return done(null);
    readAll(fd, buffer, { bytes: bytes.subarray(length), offset: offset + length }, done);
  });
};
