// Giving space back and reading as zeroes: by fallocate where the kernel and the file system can, else by writing zeroes. A
// step that the kernel refuses for want of support is not asked again; any other failure is the disk's and goes up.
import type { AllocatedRun, Done } from './block-file.js';
import { allocatedRuns, seeksOf } from './allocated-runs.js';
import { ERRNO, FALLOCATE, type KernelCalls } from './kernel-calls.js';
import type { PoolCalls } from './pool-calls.js';

export interface Holes {
  zero(offset: number, length: number, mayPunch: boolean, pool: PoolCalls, done: Done): void;
  /** Does nothing, successfully, where space cannot or may not be given back. */
  trim(offset: number, length: number, done: Done): void;
  allocated(offset: number, length: number): Promise<readonly AllocatedRun[]>;
}

/** Written piece by piece, so that a zeroed terabyte neither fills memory nor holds a thread. */
const ZEROES = new Uint8Array(1024 * 1024);
/** One call covers at most this much: an extent list of any length is walked in bounded steps. */
const STEP_BYTES = 1024 * 1024 * 1024;
/** ENOSPC and EINTR too: writing zeroes over what is allocated needs no space, and tells by itself what is wrong. */
const TRY_WRITING = [ERRNO.EOPNOTSUPP, ERRNO.ENOSYS, ERRNO.EINVAL, ERRNO.ENOSPC, ERRNO.EINTR];

/** `sparse`: space may be given back; else it stays reserved for the volume whatever is asked. */
export const holesOf = (fd: number, sparse: boolean, kernel: KernelCalls | null): Holes => {
  const unsupported = new Set<number>();
  const deallocate = (mode: number, offset: number, length: number, otherwise: () => void, done: Done): void => {
    if (kernel === null || unsupported.has(mode)) return otherwise();
    const go = (at: number): void => {
      if (at >= length) return done(null);
      kernel.fallocate(fd, mode, offset + at, Math.min(STEP_BYTES, length - at), (result) => {
        if (result === 0) return go(at + STEP_BYTES);
        if (result === -ERRNO.EOPNOTSUPP || result === -ERRNO.ENOSYS) unsupported.add(mode);
        if (TRY_WRITING.some((errno) => result === -errno)) return otherwise();
        done(new Error(`fallocate of ${length} bytes at ${offset}, mode ${mode}: errno ${-result}`));
      });
    };
    go(0);
  };
  return {
    zero: (offset, length, mayPunch, pool, done) => {
      const write = () => writeZeroes(pool, offset, length, done);
      const keep = () => deallocate(FALLOCATE.zero, offset, length, write, done);
      if (mayPunch && sparse) deallocate(FALLOCATE.punch, offset, length, keep, done);
      else keep();
    },
    trim: (offset, length, done) => {
      const nothing = () => setImmediate(done, null);
      if (sparse) deallocate(FALLOCATE.punch, offset, length, nothing, done);
      else nothing();
    },
    allocated: (offset, length) =>
      kernel === null ? Promise.resolve([{ offset, length, hole: false }]) : allocatedRuns(seeksOf(fd, kernel), offset, length),
  };
};

const writeZeroes = (pool: PoolCalls, offset: number, length: number, done: Done): void => {
  if (length === 0) return void setImmediate(done, null);
  const bytes = Math.min(ZEROES.length, length);
  pool.write(ZEROES.subarray(0, bytes), offset, (error) => {
    if (error !== null || bytes === length) return done(error);
    writeZeroes(pool, offset + bytes, length - bytes, done);
  });
};
