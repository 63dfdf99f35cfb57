// Small files that are either the old or the new whole, never a part. A file is written beside its place and renamed into
// it; with `fsync` both the bytes and the directory entry are on disk before the call ends. No other way to write state.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { WriteOptions } from './files.js';

/** Replaces the file's whole contents; makes its directory (0700) when missing. Rejects with the system's error. */
export const writeAtomic = async (path: string, text: string, { fsync, mode = 0o600 }: WriteOptions): Promise<void> => {
  const beside = temporaryName(path);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const file = await open(beside, 'wx', mode);
    try {
      await file.writeFile(text);
      if (fsync) await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  if (fsync) await syncDirectory(dirname(path));
};

/** The same, before it returns. Throws the system's error. */
export const writeAtomicSync = (path: string, text: string, { fsync, mode = 0o600 }: WriteOptions): void => {
  const beside = temporaryName(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const file = openSync(beside, 'wx', mode);
    try {
      const bytes = Buffer.from(text);
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
      if (fsync) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  if (fsync) syncDirectorySync(dirname(path));
};

/** The text of a file, or null when there is none. Throws any other error of the system. */
export const readTextSync = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
};

let written = 0;
/** Unlike any other writer's: two processes may replace the same file, and the later rename wins. */
const temporaryName = (path: string): string => `${path}.${process.pid}.${(written += 1)}.tmp`;

// Windows has no way to sync a directory; NTFS orders the rename itself.
const syncDirectory = async (directory: string): Promise<void> => {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

const syncDirectorySync = (directory: string): void => {
  if (process.platform === 'win32') return;
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
};
