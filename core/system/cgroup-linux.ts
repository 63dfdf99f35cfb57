// Cgroups on a cgroup2 file system (unified or hybrid). Reads and writes are synchronous: kernel memory, microseconds.
// Invariant: `kill` says true only after `populated 0` was read; a frozen cgroup is always thawed again.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, watch as watchFile, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inject, injectable } from 'tsyringe';
import { APPS_UNIT, basesFrom, type Cgroups, cgroup2Mount, directoryName, ownCgroup } from './cgroup.js';
import { Clock } from './clock.js';

const KILL_AGAIN_MS = 2;
/** Measured on Linux 6.18: a move within 10 ms of the last one takes 0.1 ms, a later one 5 to 20 ms. */
const READY_EVERY_MS = 7;
const READY_AT_MOST_MS = 2000;

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

  keepReady(forMs: number): void {
    if (this.base === null) return;
    this.readyUntilMs = Math.max(this.readyUntilMs, this.clock.nowMs() + Math.min(forMs, READY_AT_MOST_MS));
    this.keeping ??= this.keep().finally(() => (this.keeping = null));
  }
  private readyUntilMs = 0;
  private keeping: Promise<void> | null = null;

  /** Moves this process to where it already is. Beside the loop: the first write waits for the kernel. */
  private async keep(): Promise<void> {
    while (this.clock.nowMs() < this.readyUntilMs) {
      const own = ownDirectory();
      const moved = own !== null && (await this.moveSelf(own));
      // Where that is not allowed, starts take the time they take.
      if (!moved) return;
      await this.clock.sleep(READY_EVERY_MS);
    }
  }

  private moveSelf(directory: string): Promise<boolean> {
    return writeFile(join(directory, 'cgroup.procs'), String(process.pid), { flag: 'r+' }).then(
      () => true,
      () => false,
    );
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

/** Where this process is now; it may be moved from outside. */
const ownDirectory = (): string | null => {
  const [mount, own] = [cgroup2Mount(read('/proc/mounts')), ownCgroup(read('/proc/self/cgroup'))];
  return mount === null || own === null ? null : mount + (own === '/' ? '' : own);
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
