// Which life of the host this is, and how its two clocks stand to each other (SAFETY a.3, a.4). A changed bootId is
// evidence for a fast takeover, so no environment variable and no clock may change it: only a boot can.
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { dirname, join } from 'node:path';
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import type { BootId } from '../model/ids.js';
import { type Paths, bootSalt } from './paths.js';
import { type Random, systemRandom } from './random.js';

const KERNEL_BOOT_ID = '/proc/sys/kernel/random/boot_id';

const readIfThere = (file: string): string | null => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new UnderstudyError('REFUSED', `cannot read ${file}, which names this boot: ${reasonOf(error)}`, { cause: error });
  }
};

// Where the kernel gives no boot id (Windows, macOS), a random one is kept in the run directory, which there must be one
// that every boot empties. A boot time computed from the wall clock is no identity: setting the clock would change it.
// `link` makes one winner of two first readers.
const keptBootId = (paths: Paths, random: Random): string => {
  const file = join(paths.run, 'boot-id');
  const kept = readIfThere(file);
  if (kept !== null && kept !== '') return kept;
  const draft = `${file}.${random.hex(8)}`;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(draft, random.hex(16), { mode: 0o600, flush: true });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readIfThere(file) ?? '';
};

/** 32 hex digits: the same for every process of one boot of this host (or of one power-on of a lab host), and never again. */
export const readBootId = (
  paths: Paths,
  { random = systemRandom, kernelFile = KERNEL_BOOT_ID }: { random?: Random; kernelFile?: string } = {},
): BootId => {
  const boot = readIfThere(kernelFile)?.trim() || keptBootId(paths, random);
  const salt = readIfThere(bootSalt(paths)) ?? '';
  return createHash('sha256').update(`${boot}\n${salt}`).digest('hex').slice(0, 32);
};

/**
 * CLOCK_BOOTTIME minus CLOCK_MONOTONIC in milliseconds, good to the 10 ms step of /proc/uptime. It grows only while the
 * host sleeps: a growth of more than 50 ms is a suspend gap.
 */
export const bootOffsetMs = (): number => uptime() * 1000 - Number(process.hrtime.bigint()) / 1e6;
