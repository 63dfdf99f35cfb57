// What Node's fs has no name for: reads and writes that refuse to wait, holes, locks, and where a buffer lies. Through libc by
// koffi, an optional dependency; without it every user here has another way. Calls that may wait run on a thread, never here.
import { reasonOf } from 'understudy/plugin';

/** Failures are negative errnos, so that the caller can tell "not now" from "broken" without an exception. */
export interface KernelCalls {
  /** Bytes that the page cache had at once, perhaps fewer than wanted; or a negative errno. */
  readNow(fd: number, into: Uint8Array, offset: number): number;
  /** Bytes that the page cache took at once, perhaps fewer than wanted; or a negative errno. */
  writeNow(fd: number, bytes: Uint8Array, offset: number): number;
  /** `mode`: one of FALLOCATE. Answers 0 or a negative errno. */
  fallocate(fd: number, mode: number, offset: number, length: number, done: (result: number) => void): void;
  /** `whence`: one of SEEK. Answers the position or a negative errno. */
  seek(fd: number, offset: number, whence: number, done: (result: number) => void): void;
  /** Takes the exclusive lock of the open file, for as long as it is open; 0 or a negative errno. */
  lock(fd: number): number;
  /** Where the bytes lie in memory, modulo `alignment`. */
  misalignment(bytes: Uint8Array, alignment: number): number;
}

export const ERRNO = { EINTR: 4, EIO: 5, ENXIO: 6, EAGAIN: 11, EINVAL: 22, ENOSPC: 28, ENOSYS: 38, EOPNOTSUPP: 95 } as const;
export const SEEK = { data: 3, hole: 4 } as const;
/** KEEP_SIZE with PUNCH_HOLE, and with ZERO_RANGE. Source: fallocate(2). */
export const FALLOCATE = { punch: 0x01 | 0x02, zero: 0x01 | 0x10 } as const;

const RWF_NOWAIT = 0x8;
const LOCK_EX_NB = 2 | 4;

let loaded: Promise<KernelCalls | string> | undefined;

/** The calls, or a sentence why there are none. Loaded once (20 to 40 ms). */
export const kernelCalls = (): Promise<KernelCalls | string> => {
  loaded ??= load().catch((problem) => `koffi could not be loaded: ${reasonOf(problem)}`);
  return loaded;
};

const load = async (): Promise<KernelCalls | string> => {
  if (process.platform !== 'linux') return `these calls are Linux's, this is ${process.platform}`;
  const { default: koffi } = await import('koffi');
  const libc = koffi.load('libc.so.6');
  const preadv2 = libc.func('long preadv2(int fd, void *vector, int count, long offset, int flags)');
  const pwritev2 = libc.func('long pwritev2(int fd, void *vector, int count, long offset, int flags)');
  const fallocate = libc.func('int fallocate(int fd, int mode, long offset, long length)');
  const lseek = libc.func('long lseek(int fd, long offset, int whence)');
  const flock = libc.func('int flock(int fd, int operation)');
  const result = (returned: unknown): number => (Number(returned) < 0 ? -koffi.errno() : Number(returned));
  const onThread = (call: typeof fallocate, args: readonly number[], done: (result: number) => void) =>
    call.async(...args, (error: unknown, returned: unknown) => done(error ? -ERRNO.EIO : result(returned)));

  // One struct iovec, filled anew for each call: half the price of having koffi build it (0.6 against 1.0 µs a call).
  const vector = new BigUint64Array(2);
  const point = (bytes: Uint8Array) => {
    vector[0] = koffi.address(bytes);
    vector[1] = BigInt(bytes.length);
    return vector;
  };
  return {
    readNow: (fd, into, offset) => result(preadv2(fd, point(into), 1, offset, RWF_NOWAIT)),
    writeNow: (fd, bytes, offset) => result(pwritev2(fd, point(bytes), 1, offset, RWF_NOWAIT)),
    fallocate: (fd, mode, offset, length, done) => onThread(fallocate, [fd, mode, offset, length], done),
    seek: (fd, offset, whence, done) => onThread(lseek, [fd, offset, whence], done),
    lock: (fd) => result(flock(fd, LOCK_EX_NB)),
    misalignment: (bytes, alignment) => Number(koffi.address(bytes) % BigInt(alignment)),
  };
};
