// The lease page as a file (SAFETY a.2): one writer, the guard, and readers in other processes that ask it before every
// effect. Both keep the file open and do one call each time; nothing here is asynchronous or waits.
// Invariant: what a reader cannot prove to be held now is not held.
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import type { BootId } from '../model/ids.js';
import { PAGE_BYTES, decodePage, encodePage } from '../ownership/page-codec.js';
import type { LeasePage, PageReading } from '../ownership/page.js';
import { bootOffsetMs } from './boot.js';
import type { Files, FixedWriter } from './files.js';

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

/** Opens the page of one group for the guard, mode 0600; makes its directory. Throws REFUSED when it cannot. */
export const openPageWriter = (path: string, files: Files): PageWriter => {
  let file: FixedWriter;
  try {
    // Taken over in place where an earlier guard left one: a new file would leave readers with the old one for up to 10 ms.
    file = files.openFixed(path, PAGE_BYTES);
  } catch (error) {
    throw new UnderstudyError('REFUSED', `cannot open the lease page ${path} for writing: ${reasonOf(error)}`, { cause: error });
  }
  return { write: (page) => file.write(encodePage(page)), close: () => file.close() };
};

interface Loss {
  readonly because: string;
  readonly over: boolean;
}

const lost = (because: string, epoch = 0, over = false): PageReading => ({
  held: false,
  stopping: false,
  over,
  epoch,
  remainingMs: 0,
  inSync: [],
  because,
});

/**
 * Opens the page of one group for asking. A missing page is no error: it reads as not held until there is one.
 * Not held: bad checksum twice, another boot, state other than HELD, deadline passed, the host slept, or a tombstone of
 * the leash for its epoch. Sleep, tombstone and replacement of the file are looked for once per 10 ms.
 */
export const openPageReader = (path: string, clocks: PageClocks, files: Files): PageReader => {
  const file = files.followFixed(path);
  let bytes = Buffer.alloc(PAGE_BYTES);
  let previous = Buffer.alloc(PAGE_BYTES);
  let page: LeasePage | null = null;
  let missing = true;
  let slowAtNs: bigint | null = null;
  let slowPage: LeasePage | null = null;
  let slowLoss: Loss | null = null;

  const load = (): LeasePage | null => {
    for (let attempt = 0; attempt < 2; attempt++) {
      const length = file.read(bytes);
      missing = length === null;
      if (missing) return null;
      if (length === PAGE_BYTES && page !== null && bytes.equals(previous)) return page;
      page = length === PAGE_BYTES ? decodePage(bytes) : null;
      if (page === null) continue; // Perhaps in the middle of a write: once more, at once.
      [bytes, previous] = [previous, bytes];
      return page;
    }
    return null;
  };

  const slowCheck = (found: LeasePage): Loss | null => {
    for (const kind of ['dead', 'stopped'])
      if (files.exists(`${path}.${kind}.${found.epoch}`)) return { because: `the leash ended epoch ${found.epoch}`, over: true };
    if (clocks.bootOffsetMs() > found.bootOffsetMs + SLEPT_MS) return { because: 'the host slept since the page was written', over: false };
    return null;
  };

  const read = (): PageReading => {
    // Taken before the page: a pause between the two makes the answer older, so the deadline is compared again below.
    const startNs = clocks.monoNs();
    const slow = slowAtNs === null || startNs - slowAtNs >= SLOW_CHECK_NS;
    if (slow && file.refresh()) page = null;
    const found = load();
    if (found === null) return lost(missing ? 'there is no lease page' : 'the lease page cannot be read');
    if (slow || found !== slowPage) {
      slowLoss = slowCheck(found);
      slowPage = found;
      if (slow) slowAtNs = startNs;
    }
    if (found.bootId !== clocks.bootId) return lost('the lease page is of another boot', found.epoch, true);
    if (slowLoss !== null) return lost(slowLoss.because, found.epoch, slowLoss.over);
    const remainingMs = Number(found.deadlineMonoNs - clocks.monoNs()) / 1e6;
    if (remainingMs <= 0) return lost('the lease page has run out', found.epoch, found.state !== 'HELD');
    if (found.state === 'HELD')
      return { held: true, stopping: false, over: false, epoch: found.epoch, remainingMs, inSync: found.inSync, because: 'held' };
    const stopping = found.state === 'STOPPING';
    return {
      held: false,
      stopping,
      over: true,
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
    close: () => file.close(),
  };
};
