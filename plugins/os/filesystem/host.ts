// The host under filesystem: the table of mounts, device numbers and /proc. A door, so that the agent can be tried without root.
import { mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { readStat } from 'understudy/plugin';
import { type Mount, parseMounts, type Wanted } from './mounts.js';
import { mountedElsewhere, type Proc, type User, usersOf } from './users.js';

export interface MountHost {
  /** Of this process's namespace, which is the host's. Throws when the table cannot be read. */
  mounts(): readonly Mount[];
  wanted(device: string): Wanted;
  makeDirectory(path: string): void;
  isDirectory(path: string): boolean;
  users(mount: Mount): readonly User[];
  elsewhere(mount: Mount): readonly User[];
  /** Processes that are never ended for a mount: this one, and whoever started it. */
  ours(): ReadonlySet<number>;
}
export const MountHost: unique symbol = Symbol('MountHost');

export const linuxMountHost: MountHost = {
  mounts: () => parseMounts(readFileSync('/proc/self/mountinfo', 'utf8')),
  wanted: (device) => {
    const path = device.startsWith('/') ? orNull(() => realpathSync(device)) : null;
    const stats = path === null ? null : orNull(() => statSync(path));
    return { device, path, number: stats?.isBlockDevice() === true ? numberOf(stats.rdev) : null };
  },
  makeDirectory: (path) => void mkdirSync(path, { recursive: true, mode: 0o755 }),
  isDirectory: (path) => orNull(() => statSync(path).isDirectory()) === true,
  users: (mount) => usersOf(mount, linuxProc),
  elsewhere: (mount) => mountedElsewhere(mount, linuxProc, process.pid),
  ours: () => {
    const found = new Set([1, process.pid]);
    for (let pid = process.ppid; pid > 1 && !found.has(pid); pid = parentOf(pid)) found.add(pid);
    return found;
  },
};

const parentOf = (pid: number): number => {
  const line = orNull(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? '';
  return Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[1] ?? 1);
};

/** glibc's makedev turned round: 12 bits of the major number below, the rest above. */
const numberOf = (rdev: number): string => {
  const device = BigInt(rdev);
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
};

const GONE = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'ENOTDIR', 'ELOOP', 'EINVAL']);

/** null for what is not there, has ended, or is not ours to see. */
const orNull = <T>(look: () => T): T | null => {
  try {
    return look();
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
};

const linuxProc: Proc = {
  pids: () =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number),
  text: (path) => orNull(() => readFileSync(path, 'utf8')),
  link: (path) => orNull(() => readlinkSync(path)),
  names: (path) => orNull(() => readdirSync(path)) ?? [],
  startTime: (pid) => {
    const stat = readStat(pid);
    return stat === null || stat.dead ? null : stat.startTime;
  },
};
