// The lease page as a file (SAFETY a.2): one writer, the guard, and readers in other processes that ask it before every
// effect. Both keep the descriptor open and do one system call each time; nothing here is asynchronous or waits.
// Invariant: what a reader cannot prove to be held now is not held.
import { closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import type { BootId } from '../model/ids.js';
import { PAGE_BYTES, decodePage, encodePage } from '../ownership/page-codec.js';
import type { LeasePage, PageReading } from '../ownership/page.js';
import { bootOffsetMs } from './boot.js';

export interface PageWriter {
  /** Replaces the whole page with one write. Throws when the page cannot be written: then nothing may be assumed held. */
  write(page: LeasePage): void;
  close(): void;
}

export interface PageReader {
  /** What the page says at this moment: about a microsecond. Never throws. */
  read(): PageReading;
  close(): void;
}

/** The clocks a reader compares the page with. */
export interface PageClocks {
  readonly bootId: BootId;
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly monoNs: () => bigint;
  /** CLOCK_BOOTTIME − CLOCK_MONOTONIC now; asked at most once per 10 ms. */
  readonly bootOffsetMs: () => number;
}

/** This host's clocks. */
export const systemPageClocks = (bootId: BootId): PageClocks => ({ bootId, monoNs: process.hrtime.bigint, bootOffsetMs });

const SLEPT_MS = 50;
const SLOW_CHECK_NS = 10_000_000n;

// A page that an earlier guard of this host left is taken over in place: a new file would leave readers with the old one
// for up to 10 ms. Anything else under that name (a link, another owner, another size) is replaced.
const openInPlace = (path: string): number | null => {
  try {
    const fd = openSync(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
    const { mode, uid, size, nlink } = fstatSync(fd);
    const ours = process.platform === 'win32' || ((mode & 0o777) === 0o600 && uid === process.getuid?.() && nlink === 1);
    if (ours && size === PAGE_BYTES) return fd;
    closeSync(fd);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'EACCES' || code === 'EISDIR') return null;
    throw error;
  }
};

const openNew = (path: string): number => {
  const draft = join(dirname(path), `.${basename(path)}.new`); // Hidden: the leash takes every plain name here for a page.
  const fd = openSync(draft, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0), 0o600);
  try {
    writeSync(fd, Buffer.from(`${' '.repeat(PAGE_BYTES - 1)}\n`), 0, PAGE_BYTES, 0); // Blank: no page yet, and so not held.
    renameSync(draft, path);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
};

/** Opens the page of one group for the guard, mode 0600; makes its directory. Throws REFUSED when it cannot. */
export const openPageWriter = (path: string): PageWriter => {
  let fd: number;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    fd = openInPlace(path) ?? openNew(path);
  } catch (error) {
    throw new UnderstudyError('REFUSED', `cannot open the lease page ${path} for writing: ${reasonOf(error)}`, { cause: error });
  }
  return {
    write(page) {
      const written = writeSync(fd, encodePage(page), 0, PAGE_BYTES, 0);
      if (written !== PAGE_BYTES)
        throw new UnderstudyError('REFUSED', `lease page ${path}: only ${written} of ${PAGE_BYTES} bytes were written`);
    },
    close: () => closeSync(fd),
  };
};

const lost = (because: string, epoch = 0): PageReading => ({ held: false, stopping: false, epoch, remainingMs: 0, inSync: [], because });

/**
 * Opens the page of one group for asking. A missing page is no error: it reads as not held until there is one.
 * Not held: bad checksum twice, another boot, state other than HELD, deadline passed, the host slept, or a tombstone of
 * the leash for its epoch. Sleep, tombstone and replacement of the file are looked for once per 10 ms.
 */
export const openPageReader = (path: string, clocks: PageClocks): PageReader => {
  let bytes = Buffer.alloc(PAGE_BYTES);
  let previous = Buffer.alloc(PAGE_BYTES);
  let page: LeasePage | null = null;
  let fd: number | null = null;
  let inode = 0n;
  let slowAtNs: bigint | null = null;
  let slowPage: LeasePage | null = null;
  let slowLoss: string | null = null;

  const reopen = (): void => {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (fd !== null && found?.ino === inode) return;
    if (fd !== null) closeSync(fd);
    fd = null;
    page = null;
    if (found === undefined) return;
    fd = openSync(path, 'r');
    inode = fstatSync(fd, { bigint: true }).ino;
  };

  const load = (): LeasePage | null => {
    if (fd === null) return null;
    for (let attempt = 0; attempt < 2; attempt++) {
      const length = readSync(fd, bytes, 0, PAGE_BYTES, 0);
      if (length === PAGE_BYTES && page !== null && bytes.equals(previous)) return page;
      page = length === PAGE_BYTES ? decodePage(bytes) : null;
      if (page === null) continue; // Perhaps in the middle of a write: once more, at once.
      [bytes, previous] = [previous, bytes];
      return page;
    }
    return null;
  };

  const slowCheck = (found: LeasePage): string | null => {
    if (clocks.bootOffsetMs() > found.bootOffsetMs + SLEPT_MS) return 'the host slept since the page was written';
    for (const kind of ['dead', 'stopped']) if (existsSync(`${path}.${kind}.${found.epoch}`)) return `the leash ended epoch ${found.epoch}`;
    return null;
  };

  const read = (): PageReading => {
    // Taken before the page: a pause between the two makes the answer older, so the deadline is compared again below.
    const startNs = clocks.monoNs();
    const slow = slowAtNs === null || startNs - slowAtNs >= SLOW_CHECK_NS;
    if (slow) reopen();
    const found = load();
    if (found === null) return lost(fd === null ? 'there is no lease page' : 'the lease page cannot be read');
    if (slow || found !== slowPage) {
      slowLoss = slowCheck(found);
      slowPage = found;
      if (slow) slowAtNs = startNs;
    }
    if (found.bootId !== clocks.bootId) return lost('the lease page is of another boot', found.epoch);
    if (slowLoss !== null) return lost(slowLoss, found.epoch);
    const remainingMs = Number(found.deadlineMonoNs - clocks.monoNs()) / 1e6;
    if (remainingMs <= 0) return lost('the lease page has run out', found.epoch);
    if (found.state === 'HELD')
      return { held: true, stopping: false, epoch: found.epoch, remainingMs, inSync: found.inSync, because: 'held' };
    const stopping = found.state === 'STOPPING';
    return {
      held: false,
      stopping,
      epoch: found.epoch,
      remainingMs: stopping ? remainingMs : 0,
      inSync: found.inSync,
      because: `the lease page says ${found.state}`,
    };
  };

  return {
    read() {
      try {
        return read();
      } catch (error) {
        return lost(`the lease page cannot be read: ${reasonOf(error)}`);
      }
    },
    close() {
      if (fd !== null) closeSync(fd);
      fd = null;
    },
  };
};
