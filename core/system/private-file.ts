// Files whose content nobody else may see: keys and passwords. Opened once, judged by what was opened, bounded, read whole.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { reasonOf, UnderstudyError } from '../errors/errors.js';

const MAX_BYTES = 64 * 1024;

/** The content. Throws KEY_UNUSABLE when it is missing, no file, too long, somebody else's, or can be read by others, as ssh does. */
export const readPrivateFile = (file: string, what: string, maxBytes = MAX_BYTES): Buffer => {
  const unusable = (why: string, cause?: unknown) => new UnderstudyError('KEY_UNUSABLE', `cannot use ${what} ${file}: ${why}`, { cause });
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    throw unusable(reasonOf(error), error);
  }
  try {
    const stat = fstatSync(fd);
    const { mode, uid } = stat;
    if (!stat.isFile()) throw unusable('it is not a file');
    // Rights are not in the mode on Windows.
    if (process.platform !== 'win32') {
      if ((mode & 0o077) !== 0) throw unusable(`its mode ${(mode & 0o777).toString(8)} lets others read it: chmod 0400 ${file}`);
      if (uid !== 0 && uid !== process.getuid?.())
        throw unusable(`it belongs to user ${uid}: chown it to root or to the user who runs understudy`);
    }
    const bytes = Buffer.alloc(maxBytes + 1);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    if (length > maxBytes) throw unusable(`it is longer than ${maxBytes} bytes`);
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
};
