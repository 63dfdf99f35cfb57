// O_DIRECT: past the page cache, on threads. Address, offset and length must be multiples of the device's step; what lies
// askew in memory goes through a buffer that does not, what lies askew on the disk goes through a second, buffered descriptor
// of the same file (the kernel keeps the two in step; requests that overlap are the asker's to order, as ever).
import { closeSync, constants, fdatasync, openSync, readSync } from 'node:fs';
import { UnderstudyError } from 'understudy/plugin';
import type { Done } from './block-file.js';
import type { KernelCalls } from './kernel-calls.js';
import { type PoolCalls, readAll, writeAll } from './pool-calls.js';

/** Bytes that one bounce buffer holds; longer requests go through it piece by piece. */
const BOUNCE_BYTES = 1024 * 1024;
const STEPS = [512, 4096] as const;

/** Throws REFUSED where the file system or the device does not do O_DIRECT. `lanes`: requests under way at once. */
export const directCalls = (path: string, bufferedFd: number, sizeBytes: number, lanes: number, kernel: KernelCalls | null): PoolCalls => {
  const fd = openDirect(path);
  try {
    return callsOn(fd, bufferedFd, { path, sizeBytes, lanes, kernel });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
};

interface DirectFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly lanes: number;
  readonly kernel: KernelCalls | null;
}

const callsOn = (fd: number, bufferedFd: number, { path, sizeBytes, lanes, kernel }: DirectFile): PoolCalls => {
  const step = STEPS.find((bytes) => readsAt(fd, alignedBuffer(bytes, bytes, kernel, fd), bytes));
  if (step === undefined)
    throw new UnderstudyError('REFUSED', `cannot read ${path} past the page cache: neither in steps of 512 nor of 4096 bytes`, {
      hint: HINT,
    });
  // No longer than the file, for without koffi a buffer is tried by reading all of it.
  const bounceBytes = Math.min(BOUNCE_BYTES, sizeBytes - (sizeBytes % step));
  const spare = Array.from({ length: lanes }, () => alignedBuffer(bounceBytes, step, kernel, fd));
  const askew = (offset: number, length: number) => offset % step !== 0 || length % step !== 0;
  const straight = (bytes: Uint8Array) => kernel !== null && kernel.misalignment(bytes, step) === 0;
  const bounced = (length: number, done: Done, piece: (bounce: Uint8Array, at: number, next: Done) => void) => {
    const bounce = spare.pop() ?? alignedBuffer(bounceBytes, step, kernel, fd);
    const end: Done = (error) => {
      if (spare.length < lanes) spare.push(bounce);
      done(error);
    };
    const go = (at: number): void => {
      if (at >= length) return end(null);
      const bytes = Math.min(bounceBytes, length - at);
      piece(bounce.subarray(0, bytes), at, (error) => (error === null ? go(at + bytes) : end(error)));
    };
    go(0);
  };
  return {
    read: (into, offset, done) => {
      if (askew(offset, into.length)) return readAll(bufferedFd, into, offset, done);
      if (straight(into)) return readAll(fd, into, offset, done);
      bounced(into.length, done, (bounce, at, next) =>
        readAll(fd, bounce, offset + at, (error) => {
          if (error === null) into.set(bounce, at);
          next(error);
        }),
      );
    },
    write: (bytes, offset, done) => {
      if (askew(offset, bytes.length)) return writeAll(bufferedFd, bytes, offset, done);
      if (straight(bytes)) return writeAll(fd, bytes, offset, done);
      bounced(bytes.length, done, (bounce, at, next) => {
        bounce.set(bytes.subarray(at, at + bounce.length));
        writeAll(fd, bounce, offset + at, next);
      });
    },
    flush: (done) => fdatasync(fd, done),
    close: () => closeSync(fd),
  };
};

const HINT = 'Leave out `direct`: then writes go through the page cache, and a flush makes them durable all the same.';

const openDirect = (path: string): number => {
  try {
    return openSync(path, constants.O_RDWR | constants.O_DIRECT);
  } catch (cause) {
    throw new UnderstudyError('REFUSED', `cannot open ${path} past the page cache (O_DIRECT)`, { cause, hint: HINT });
  }
};

const readsAt = (fd: number, buffer: Uint8Array, bytes: number): boolean => {
  try {
    return readSync(fd, buffer, 0, bytes, 0) === bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw error;
  }
};

/**
 * A buffer whose first byte lies on a multiple of `step`: looked up where that is possible, else found by reading into all of
 * it, for a few bytes inside one page pass with any start.
 */
const alignedBuffer = (bytes: number, step: number, kernel: KernelCalls | null, fd: number): Uint8Array => {
  const wide = Buffer.allocUnsafeSlow(bytes + step);
  const from = (start: number) => wide.subarray(start, start + bytes);
  if (kernel !== null) return from((step - kernel.misalignment(wide, step)) % step);
  for (let start = 0; start < step; start += 8) if (readsAt(fd, from(start), bytes)) return from(start);
  return from(0); // Nothing fits: the step is not this one, and the first read says so.
};
