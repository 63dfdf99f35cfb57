// Cgroups on a cgroup2 file system (unified or hybrid). Reads and writes are synchronous: kernel memory, microseconds.
// Invariant: `kill` says true only after `populated 0` was read; a frozen cgroup is always thawed again.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, watch as watchFile, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject, injectable } from 'tsyringe';
import { APPS_UNIT, basesFrom, type Cgroups, directoryName } from './cgroup.js';
import { Clock } from './clock.js';

const KILL_AGAIN_MS = 2;

/** `freeze`: for kernels before 5.14, which have no cgroup.kill. */
type KillMethod = 'at-once' | 'freeze';

@injectable()
export class LinuxCgroups implements Cgroups {
  constructor(@inject(Clock) private readonly clock: Clock) {}

  /** Found once, at the first question: where the process is does not change while it lives. */
  get base(): string | null {
    this.found ??= { base: findBase() };
    return this.found.base;
  }
  private found: { readonly base: string | null } | undefined;

  make(group: string, resource: string): string | null {
    if (this.base === null) return null;
    const directory = join(this.base, directoryName(group), directoryName(resource));
    mkdirSync(directory, { recursive: true });
    return directory;
  }

  remove(directory: string): boolean {
    if (!existsSync(directory)) return true;
    const below = children(directory).map((child) => this.remove(child));
    return below.every((gone) => gone) && attempt(() => rmdirSync(directory), ['ENOENT', 'EBUSY']) !== 'EBUSY';
  }

  populated(directory: string): boolean {
    return /^populated 1$/m.test(read(join(directory, 'cgroup.events')));
  }

  members(directory: string): readonly number[] {
    const own = read(join(directory, 'cgroup.procs')).split('\n').filter(Boolean).map(Number);
    return [...own, ...children(directory).flatMap((child) => this.members(child))];
  }

  async kill(directory: string, limitMs: number, method: KillMethod = killMethod(directory)): Promise<boolean> {
    if (!this.populated(directory)) return true;
    const endMs = this.clock.nowMs() + limitMs;
    const atOnce = method === 'at-once';
    if (atOnce) attempt(() => writeFileSync(join(directory, 'cgroup.kill'), '1'), GONE);
    else attempt(() => writeFileSync(join(directory, 'cgroup.freeze'), '1'), GONE);
    try {
      while (this.populated(directory)) {
        if (!atOnce) this.killMembers(directory);
        if (this.clock.nowMs() >= endMs) return false;
        await this.clock.sleep(KILL_AGAIN_MS);
      }
      return true;
    } finally {
      if (!atOnce) attempt(() => writeFileSync(join(directory, 'cgroup.freeze'), '0'), GONE);
    }
  }

  watch(directory: string, changed: () => void): () => void {
    const watcher = watchFile(join(directory, 'cgroup.events'), { persistent: false }, () => changed());
    // The directory was removed under the watch: that is a change too, and the last one.
    watcher.on('error', () => {
      watcher.close();
      changed();
    });
    return () => watcher.close();
  }

  private killMembers(directory: string): void {
    for (const pid of this.members(directory)) attempt(() => process.kill(pid, 'SIGKILL'), ['ESRCH']);
  }
}

const killMethod = (directory: string): KillMethod => (existsSync(join(directory, 'cgroup.kill')) ? 'at-once' : 'freeze');

const GONE = ['ENOENT', 'ENODEV'];

/** Does it, and tells the code of an expected error instead of throwing it. */
const attempt = (effect: () => void, expected: readonly string[]): string | null => {
  try {
    effect();
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && expected.includes(code)) return code;
    throw error;
  }
};

/** Contents, or nothing when the cgroup does not exist (any more). */
const read = (path: string): string => {
  let text = '';
  attempt(() => (text = readFileSync(path, 'utf8')), GONE);
  return text;
};

const children = (directory: string): readonly string[] => {
  let names: readonly string[] = [];
  attempt(() => {
    names = readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  }, GONE);
  return names.map((name) => join(directory, name));
};

const UNWRITABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOENT'];

/** The first candidate that is ours to write; the unit's directory is systemd's to make, never ours. */
const findBase = (): string | null => {
  if (process.platform !== 'linux') return null;
  const candidates = basesFrom(read('/proc/mounts'), read('/proc/self/cgroup'), process.env['UNDERSTUDY_CGROUP']);
  const usable = (directory: string) =>
    (directory.endsWith(`/${APPS_UNIT}`) || attempt(() => mkdirSync(directory, { recursive: true }), UNWRITABLE) === null) &&
    existsSync(join(directory, 'cgroup.procs')) &&
    attempt(() => probe(directory), UNWRITABLE) === null;
  return candidates.find(usable) ?? null;
};

/** Whether directories can be made there and processes moved: making and removing one is the only honest test. */
const probe = (directory: string): void => {
  const path = join(directory, `probe-${process.pid}`);
  mkdirSync(path);
  rmdirSync(path);
};
