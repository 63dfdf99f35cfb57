// How large an opened file or block device is. A block device's own size field is zero: the kernel says it in /sys.
import type { FileHandle } from 'node:fs/promises';
import { readFile } from 'node:fs/promises';
import { UnderstudyError, reasonOf } from 'understudy/plugin';

/** The unit of /sys/dev/block/M:N/size whatever the device's own sector is. Source: Documentation/ABI/stable/sysfs-block. */
const SYS_SECTOR_BYTES = 512;

export const sizeOfOpened = async (handle: FileHandle, path: string): Promise<number> => {
  const stats = await handle.stat();
  if (stats.isFile()) return stats.size;
  if (!stats.isBlockDevice()) throw new UnderstudyError('METADATA', `${path} is neither a file nor a block device`);
  const { major, minor } = deviceNumbers(stats.rdev);
  const file = `/sys/dev/block/${major}:${minor}/size`;
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UnderstudyError('METADATA', `cannot learn the size of ${path} from ${file}: ${reasonOf(error)}`, { cause: error });
  });
  const sizeBytes = Number(text.trim()) * SYS_SECTOR_BYTES;
  if (!Number.isSafeInteger(sizeBytes))
    throw new UnderstudyError('METADATA', `cannot learn the size of ${path}: ${file} says ${text.trim()}`);
  return sizeBytes;
};

/** The two numbers in glibc's dev_t: 12 bits of minor and major low, the rest above. */
export const deviceNumbers = (rdev: number): { readonly major: number; readonly minor: number } => {
  const wide = BigInt(rdev);
  return {
    major: Number(((wide >> 8n) & 0xfffn) | ((wide >> 32n) & 0xffff_f000n)),
    minor: Number((wide & 0xffn) | ((wide >> 12n) & 0xffff_ff00n)),
  };
};
