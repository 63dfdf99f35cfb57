// Where a file has data and where it has holes, by SEEK_DATA and SEEK_HOLE. A file that cannot tell is data all over.
import type { AllocatedRun } from './block-file.js';
import { ERRNO, type KernelCalls, SEEK } from './kernel-calls.js';

/** So many runs are told of a range; what follows in it is called data, which is always true enough. */
const MAX_RUNS = 65_536;

/** The runs of the range, in order, without gaps. Rejects with the system's error when the disk cannot be asked. */
export const allocatedRuns = async (
  seek: (offset: number, whence: number) => Promise<number>,
  offset: number,
  length: number,
): Promise<readonly AllocatedRun[]> => {
  const end = offset + length;
  const runs: AllocatedRun[] = [];
  let at = offset;
  while (at < end && runs.length < MAX_RUNS - 1) {
    const data = await seek(at, SEEK.data);
    if (data === -ERRNO.EINVAL || data === -ERRNO.EOPNOTSUPP) break;
    if (data < 0 && data !== -ERRNO.ENXIO) throw new Error(`SEEK_DATA at ${at}: errno ${-data}`);
    const hole = data === -ERRNO.ENXIO ? end : Math.min(end, data);
    if (hole > at) runs.push({ offset: at, length: hole - at, hole: true });
    at = hole;
    if (at >= end) break;
    const next = await seek(at, SEEK.hole);
    // Whatever this says now, the byte at `at` was data a moment ago.
    const until = next > at ? Math.min(end, next) : end;
    runs.push({ offset: at, length: until - at, hole: false });
    at = until;
  }
  if (at < end) runs.push({ offset: at, length: end - at, hole: false });
  return runs;
};

export const seeksOf =
  (fd: number, kernel: KernelCalls) =>
  (offset: number, whence: number): Promise<number> =>
    new Promise((resolve) => kernel.seek(fd, offset, whence, resolve));
