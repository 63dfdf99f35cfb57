// Opens the backing of a copy: a regular file or a block device, whole, alone, and with the space that it promises. What is
// wrong with it is said here, before anything is served from it.
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { type Clock, systemClock, UnderstudyError } from 'understudy/plugin';
import type { BlockFile } from './block-file.js';
import { directCalls } from './direct-calls.js';
import { flock } from './flock.js';
import { holesOf } from './holes.js';
import { type InstantCalls, livesInMemory, memoryCalls, noCalls, nowaitCalls } from './instant-calls.js';
import { type KernelCalls, kernelCalls } from './kernel-calls.js';
import { poolThreads } from './lane.js';
import { LocalBlockFile } from './local-block-file.js';
import { bufferedCalls } from './pool-calls.js';

export interface BlockFileOptions {
  /** Past the page cache (O_DIRECT). Default: through it, durable at a flush. */
  readonly direct?: boolean;
  /** The file may have holes, and space may be given back. Default: all of it must be allocated, so that no write can meet a full disk. */
  readonly sparse?: boolean;
  /** Requests on threads at once. Default: two less than the pool has (UV_THREADPOOL_SIZE), at least 1. */
  readonly lanes?: number;
  /** Calls in the event loop where they cannot wait. Default true; false for comparison. */
  readonly instant?: boolean;
  /** Default: by koffi where it is installed; null goes without. */
  readonly kernel?: KernelCalls | null;
  readonly clock?: Clock;
}

/** Opens it for this process alone. Throws NOT_FOUND or REFUSED, with what to do. */
export const openBlockFile = async (path: string, options: BlockFileOptions = {}): Promise<BlockFile> => {
  const kernel = options.kernel === undefined ? orNull(await kernelCalls()) : options.kernel;
  const fd = openAlone(path);
  try {
    const stats = fstatSync(fd);
    const sizeBytes = sizeOf(path, stats);
    if (stats.isFile() && options.sparse !== true) refuseHoles(path, stats);
    await lock(path, fd, kernel);
    const lanes = options.lanes ?? Math.max(1, poolThreads() - 2);
    return new LocalBlockFile({
      fd,
      sizeBytes,
      lanes,
      instant: instantOf(path, fd, stats, options, kernel),
      pool: options.direct === true ? directCalls(path, fd, sizeBytes, lanes, kernel) : bufferedCalls(fd),
      holes: holesOf(fd, options.sparse === true, kernel),
      clock: options.clock ?? systemClock,
    });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
};

const orNull = (calls: KernelCalls | string): KernelCalls | null => (typeof calls === 'string' ? null : calls);

const instantOf = (path: string, fd: number, stats: Stats, options: BlockFileOptions, kernel: KernelCalls | null): InstantCalls => {
  if (options.instant === false || options.direct === true) return noCalls;
  if (stats.isFile() && livesInMemory(path)) return memoryCalls(fd);
  return kernel === null ? noCalls : nowaitCalls(fd, kernel);
};

/** A block device that is mounted or otherwise in use refuses O_EXCL; for files the lock does that work. */
const openAlone = (path: string): number => {
  try {
    const flags = statSync(path).isBlockDevice() ? constants.O_RDWR | constants.O_EXCL : constants.O_RDWR;
    return openSync(path, flags);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new UnderstudyError('NOT_FOUND', `cannot open ${path}: it does not exist`, {
        cause,
        hint: `Make it with: fallocate -l SIZE ${path}`,
      });
    const why = code === 'EBUSY' ? 'it is mounted, or another program has it open' : String(code);
    throw new UnderstudyError('REFUSED', `cannot open ${path}: ${why}`, { cause });
  }
};

const sizeOf = (path: string, stats: Stats): number => {
  if (!stats.isFile() && !stats.isBlockDevice()) throw new UnderstudyError('REFUSED', `${path} is neither a file nor a block device`);
  const sizeBytes = stats.isFile() ? stats.size : deviceSize(path, stats.rdev);
  if (sizeBytes > 0 && sizeBytes % 512 === 0) return sizeBytes;
  throw new UnderstudyError('REFUSED', `${path} has ${sizeBytes} bytes: a volume is a multiple of 512, and not empty`, {
    hint: `Make it with: fallocate -l SIZE ${path}`,
  });
};

/** Source: Linux, Documentation/ABI/stable/sysfs-block (`size` counts 512 bytes whatever the device's step); makedev(3). */
const deviceSize = (path: string, rdev: number): number => {
  const device = BigInt(rdev);
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
  const file = `/sys/dev/block/${major}:${minor}/size`;
  try {
    return Number(readFileSync(file, 'latin1')) * 512;
  } catch (cause) {
    throw new UnderstudyError('REFUSED', `cannot tell the size of ${path}: ${file} cannot be read`, { cause });
  }
};

const refuseHoles = (path: string, { size, blocks }: Stats): void => {
  if (blocks * 512 >= size) return;
  throw new UnderstudyError('REFUSED', `${path} has holes: ${blocks * 512} of its ${size} bytes are allocated`, {
    hint: `Run: fallocate -l ${size} ${path}, or say \`sparse: true\` and watch the space yourself.`,
  });
};

const lock = async (path: string, fd: number, kernel: KernelCalls | null): Promise<void> => {
  const problem = await flock(fd, kernel);
  if (problem === null) return;
  throw new UnderstudyError('REFUSED', `${path} cannot be locked: ${problem}`, {
    hint: `One volume has one mirror process. See: fuser -v ${path}`,
  });
};
