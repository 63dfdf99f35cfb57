// One process at a time on one metadata: two would each overwrite what the other promised. A block device is claimed by opening
// it with O_EXCL (the kernel refuses a second claim, and one of what is mounted). A file is locked by flock on its open file. A
// record beside the file names the holder, and refuses where a file system lets two have the lock.
import { readFileSync } from 'node:fs';
import { type FileHandle, open, readFile, unlink, writeFile } from 'node:fs/promises';
import { UnderstudyError, reasonOf } from 'understudy/plugin';
import { flock } from '../io/flock.js';
import { type KernelCalls, kernelCalls } from '../io/kernel-calls.js';

/** Who holds a file: pid and start time name one process of one boot. */
export interface Holder {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
}

export interface LockOptions {
  /** Default: by koffi where it is installed, else by the program flock(1). */
  readonly kernel?: KernelCalls | null;
  readonly self?: Holder;
  readonly isAlive?: (holder: Holder) => boolean;
}

export const recordOf = (path: string): string => `${path}.lock`;

/** Locks an opened regular file for as long as it is open. Returns what removes the record; throws REFUSED when another has it. */
export const lockAlone = async (path: string, handle: FileHandle, options: LockOptions = {}): Promise<() => Promise<void>> => {
  const { self = holderOf(process.pid), isAlive = lives } = options;
  const calls = options.kernel === undefined ? await kernelCalls() : options.kernel;
  const problem = await flock(handle.fd, typeof calls === 'string' ? null : calls);
  const record = recordOf(path);
  const before = await readRecord(record);
  if (problem !== null)
    throw new UnderstudyError('REFUSED', `cannot lock ${path}: ${problem}${before === null ? '' : `; process ${before.pid} has it`}`, {
      hint: `One volume has one mirror process. See: fuser -v ${path}`,
    });
  // Whoever the record names has lost the lock, so it has ended; unless this file system's locks are no locks.
  if (before !== null && isAlive(before) && !(before.pid === self.pid && before.startTime === self.startTime))
    throw new UnderstudyError('REFUSED', `process ${before.pid} uses ${path}, though this file system gave the lock to both`, {
      hint: 'End that process, and put the metadata on a local file system or a partition.',
    });
  await writeRecord(record, self);
  return () => unlink(record);
};

const readRecord = async (record: string): Promise<Holder | null> => {
  const text = await readFile(record, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new UnderstudyError('REFUSED', `cannot read ${record}: ${reasonOf(error)}`, { cause: error });
  });
  return text === null ? null : parseHolder(text);
};

/** null for what is no record: it was cut short when its writer died. */
export const parseHolder = (text: string): Holder | null => {
  const [pid = '', startTime = '', bootId = '', rest] = text.trimEnd().split(' ');
  return /^\d{1,10}$/.test(pid) && /^\d{1,20}$/.test(startTime) && bootId !== '' && rest === undefined
    ? { pid: Number(pid), startTime, bootId }
    : null;
};

// Under the lock nobody else writes it; O_EXCL shows whoever does all the same.
const writeRecord = async (record: string, { pid, startTime, bootId }: Holder): Promise<void> => {
  await unlink(record).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  const handle = await open(record, 'wx', 0o600).catch((error: unknown) => {
    throw new UnderstudyError('REFUSED', `cannot write ${record}: ${reasonOf(error)}`, { cause: error });
  });
  try {
    await writeFile(handle, `${pid} ${startTime} ${bootId}\n`);
  } finally {
    await handle.close();
  }
};

const readNow = (file: string): string => {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // Gone, or not to be seen from this namespace: the lock still holds.
  }
};
const kernelBootId = (): string => readNow('/proc/sys/kernel/random/boot_id').trim() || 'unknown';

/** Field 22 of /proc/PID/stat; the name before may hold spaces and parentheses. */
const startTimeOf = (pid: number): string => {
  const stat = readNow(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
};

const holderOf = (pid: number): Holder => ({ pid, startTime: startTimeOf(pid), bootId: kernelBootId() });
const lives = (holder: Holder): boolean => holder.bootId === kernelBootId() && startTimeOf(holder.pid) === holder.startTime;
