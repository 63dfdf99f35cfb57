// The files of this host behind the door of files.ts. Whole files are replaced by atomic-file.ts; the small ones that are
// kept open are here. Invariant: nothing is written through a link, or into a file that another user could have put there.
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { writeAtomic, writeAtomicSync } from './atomic-file.js';
import type { Files, FixedReader, FixedWriter } from './files.js';

// A file that an earlier process of this host left is taken over in place, so that its readers see the next write. Anything
// else under that name (a link, another owner, another size) is replaced.
const openInPlace = (path: string, size: number): number | null => {
  try {
    const fd = openSync(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
    const found = fstatSync(fd);
    const ours = process.platform === 'win32' || ((found.mode & 0o777) === 0o600 && found.uid === process.getuid?.() && found.nlink === 1);
    if (ours && found.size === size) return fd;
    closeSync(fd);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'EACCES' || code === 'EISDIR') return null;
    throw error;
  }
};

const openNew = (path: string, size: number): number => {
  const draft = join(dirname(path), `.${basename(path)}.new`); // Hidden: the leash takes every plain name beside a page for a page.
  const fd = openSync(draft, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0), 0o600);
  try {
    writeSync(fd, Buffer.from(`${' '.repeat(size - 1)}\n`), 0, size, 0);
    renameSync(draft, path);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
};

const openFixed = (path: string, size: number): FixedWriter => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = openInPlace(path, size) ?? openNew(path, size);
  return {
    write(bytes) {
      const written = writeSync(fd, bytes, 0, size, 0);
      if (written !== size) throw new Error(`${path}: only ${written} of ${size} bytes were written`);
    },
    close: () => closeSync(fd),
  };
};

const followFixed = (path: string): FixedReader => {
  let fd: number | null = null;
  let inode = 0n;
  const close = () => {
    if (fd !== null) closeSync(fd);
    fd = null;
  };
  return {
    refresh() {
      const found = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (fd === null ? found === undefined : found?.ino === inode) return false;
      close();
      if (found === undefined) return true;
      fd = openSync(path, 'r');
      inode = fstatSync(fd, { bigint: true }).ino;
      return true;
    },
    read: (into) => (fd === null ? null : readSync(fd, into, 0, into.length, 0)),
    close,
  };
};

export const systemFiles: Files = {
  read(path) {
    try {
      return readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  },
  exists: existsSync,
  stamp(path) {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    return found === undefined ? null : `${found.ino} ${found.mtimeNs} ${found.size}`;
  },
  makeDirectory: (path) => void mkdirSync(path, { recursive: true, mode: 0o700 }),
  remove: (path) => rmSync(path, { force: true }),
  replace: writeAtomic,
  replaceSync: writeAtomicSync,
  openFixed,
  followFixed,
};
