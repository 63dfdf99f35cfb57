// Who still uses a mount: processes that are proven to be inside, by what the kernel says of each of them (working directory, root,
// program, mapped and open files). Nothing is asked of the filesystem itself, which may hang; and nobody is guilty by its parent
// or its mount namespace alone (fuser -m ends bystanders: resource-agents #1304, #1944). The readers of /proc are arguments.
import { type Mount, parseMounts } from './mounts.js';

export interface User {
  readonly pid: number;
  readonly startTime: string;
  readonly command: string;
  /** How it uses it, e.g. `cwd /data/pg`, `fd 7 /data/pg/base/1`. */
  readonly how: string;
  /** The group that started it, by its environment; null when none did. */
  readonly group: string | null;
}

/** /proc, as far as it is needed. Every call answers null, or nothing, for what has ended or may not be read. */
export interface Proc {
  pids(): readonly number[];
  text(path: string): string | null;
  link(path: string): string | null;
  names(path: string): readonly string[];
  startTime(pid: number): string | null;
}

/** Every process inside, each once. */
export const usersOf = (mount: Mount, proc: Proc): readonly User[] => {
  const spaces = new Map<string, boolean>();
  return proc.pids().flatMap((pid) => {
    const startTime = proc.startTime(pid);
    if (startTime === null) return [];
    const how = usage(pid, mount, proc, spaces);
    return how === null ? [] : [{ pid, startTime, command: commandOf(pid, proc), how, group: groupOf(pid, proc) }];
  });
};

/** Another mount namespace in which the filesystem is still mounted: it is alive there, whatever is unmounted here. One process of each. */
export const mountedElsewhere = (mount: Mount, proc: Proc, self: number): readonly User[] => {
  const own = proc.link(`/proc/${self}/ns/mnt`);
  const seen = new Set([own]);
  return proc.pids().flatMap((pid) => {
    const space = proc.link(`/proc/${pid}/ns/mnt`);
    if (space === null || seen.has(space)) return [];
    seen.add(space);
    const there = parseMounts(proc.text(`/proc/${pid}/mountinfo`) ?? '').find(
      ({ device, source }) => device === mount.device && source === mount.source,
    );
    const startTime = proc.startTime(pid);
    if (there === undefined || startTime === null) return [];
    const how = `mounted at ${there.at} in its own mount namespace`;
    return [{ pid, startTime, command: commandOf(pid, proc), how, group: groupOf(pid, proc) }];
  });
};

const commandOf = (pid: number, { text }: Proc): string => {
  const words = (text(`/proc/${pid}/cmdline`) ?? '').split('\0').filter((word) => word !== '');
  return (words.join(' ') || (text(`/proc/${pid}/comm`) ?? '').trim()).replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 120);
};

const groupOf = (pid: number, { text }: Proc): string | null =>
  /(?:^|\0)UNDERSTUDY_RESOURCE=([^/\0]+)\//.exec(text(`/proc/${pid}/environ`) ?? '')?.[1] ?? null;

const usage = (pid: number, mount: Mount, proc: Proc, spaces: Map<string, boolean>): string | null => {
  const within = (path: string | null): path is string => path !== null && (path === mount.at || path.startsWith(`${mount.at}/`));
  const places = (['cwd', 'root', 'exe'] as const).flatMap((what) => {
    const path = proc.link(`/proc/${pid}/${what}`);
    return within(path) ? [`${what} ${path}`] : [];
  });
  // A path proves it only where this very filesystem is at that path for the process too.
  if (places.length > 0 && sees(pid, mount, proc, spaces)) return places[0] ?? null;
  for (const fd of proc.names(`/proc/${pid}/fd`)) {
    const info = proc.text(`/proc/${pid}/fdinfo/${fd}`) ?? '';
    if (new RegExp(`^mnt_id:\\s*${mount.id}$`, 'm').test(info)) return `fd ${fd} ${proc.link(`/proc/${pid}/fd/${fd}`) ?? ''}`.trim();
  }
  return mapped(pid, mount, proc, within, spaces);
};

const sees = (pid: number, mount: Mount, proc: Proc, spaces: Map<string, boolean>): boolean => {
  const space = proc.link(`/proc/${pid}/ns/mnt`) ?? `pid ${pid}`;
  const known = spaces.get(space);
  if (known !== undefined) return known;
  const found = parseMounts(proc.text(`/proc/${pid}/mountinfo`) ?? '').some(({ device, at }) => device === mount.device && at === mount.at);
  spaces.set(space, found);
  return found;
};

/** A line of maps: `address perms offset dev inode path`; dev is hexadecimal. */
const mapped = (
  pid: number,
  mount: Mount,
  proc: Proc,
  within: (path: string | null) => path is string,
  spaces: Map<string, boolean>,
): string | null => {
  const [major = 0, minor = 0] = mount.device.split(':').map(Number);
  for (const line of (proc.text(`/proc/${pid}/maps`) ?? '').split('\n')) {
    const [, , , dev = '', inode = '0', ...rest] = line.trim().split(/\s+/);
    const [high, low] = dev.split(':').map((part) => Number.parseInt(part, 16));
    if (inode === '0' || high !== major || low !== minor) continue;
    const path = rest.join(' ').replace(/ \(deleted\)$/, '');
    if (within(path) && sees(pid, mount, proc, spaces)) return `map ${path}`;
  }
  return null;
};
