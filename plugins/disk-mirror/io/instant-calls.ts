// File calls made in the event loop itself, only where they cannot wait for a device: on a file system that lives in memory,
// or with RWF_NOWAIT, which answers "not now" instead of waiting. What is not done here is done on a thread (pool-calls).
// Measured (docs/adr/0012): the thread's round trip is 8 to 15 µs, the call itself 1 to 5.
import { readFileSync, readSync, statfsSync, writeSync } from 'node:fs';
import { ERRNO, type KernelCalls } from './kernel-calls.js';

export interface InstantCalls {
  /** For `status` and the bench. */
  readonly kind: 'memory' | 'nowait' | 'none';
  /** Bytes read at once: none up to all. An error is not told here: the thread meets it again. */
  read(into: Uint8Array, offset: number): number;
  /** Bytes written at once: none up to all; or the error, which no one may try again (SAFETY b.1). */
  write(bytes: Uint8Array, offset: number): number | Error;
}

/** TMPFS_MAGIC, RAMFS_MAGIC. Source: statfs(2). */
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);

/** A tmpfs whose pages may be swapped out waits for the swap device like any other. */
const swapIsUsed = (): boolean => readFileSync('/proc/swaps', 'latin1').trim().split('\n').length > 1;

/** Whether the file's bytes lie in memory and nowhere else. */
export const livesInMemory = (path: string): boolean =>
  process.platform === 'linux' && IN_MEMORY.has(statfsSync(path).type >>> 0) && !swapIsUsed();

export const memoryCalls = (fd: number): InstantCalls => ({
  kind: 'memory',
  read: (into, offset) => {
    try {
      return readSync(fd, into, 0, into.length, offset);
    } catch {
      return 0; // Told by the thread that reads it again.
    }
  },
  write: (bytes, offset) => {
    try {
      const written = writeSync(fd, bytes, 0, bytes.length, offset);
      return written === bytes.length ? written : new Error(`short write: ${written} of ${bytes.length} bytes at ${offset}`);
    } catch (error) {
      return error as Error;
    }
  },
});

/** The file system does not know the flag for this kind of call: it is not asked again. */
const never = (result: number): boolean => [ERRNO.EOPNOTSUPP, ERRNO.ENOSYS, ERRNO.EINVAL].some((errno) => result === -errno);

export const nowaitCalls = (fd: number, kernel: KernelCalls): InstantCalls => {
  let reads = true;
  let writes = true;
  return {
    kind: 'nowait',
    read: (into, offset) => {
      if (!reads) return 0;
      const result = kernel.readNow(fd, into, offset);
      if (never(result)) reads = false;
      return Math.max(0, result);
    },
    write: (bytes, offset) => {
      if (!writes) return 0;
      const result = kernel.writeNow(fd, bytes, offset);
      if (result >= 0) return result;
      if (never(result)) writes = false;
      return never(result) || result === -ERRNO.EAGAIN ? 0 : new Error(`write of ${bytes.length} bytes at ${offset}: errno ${-result}`);
    },
  };
};

export const noCalls: InstantCalls = { kind: 'none', read: () => 0, write: () => 0 };
