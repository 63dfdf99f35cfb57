// The processes of one host: found, signalled and ended all together, by cgroup (netns) or by an environment mark (loopback).
// Used from three processes (the lab, its watchdog, its observer), so a handle is plain data. All calls are synchronous: a
// power cut must not be interleaved with anything.
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../system/clock.js';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { dropMounts } from './host-mounts.js';
import { tool } from './lab-process.js';

export interface CgroupHandle {
  readonly kind: 'cgroup';
  readonly cgroup: string;
  readonly namespace: string;
  readonly interfaces: readonly string[];
  /** Gone with the power: `<run>`, and with it the boot salt. */
  readonly volatile: readonly string[];
}

export interface MarkHandle {
  readonly kind: 'mark';
  /** `UNDERSTUDY_LAB_HOST=<lab>/<host>` */
  readonly mark: string;
  readonly volatile: readonly string[];
}

export type HostHandle = CgroupHandle | MarkHandle;

export const LAB_MARK = 'UNDERSTUDY_LAB';
export const HOST_MARK = 'UNDERSTUDY_LAB_HOST';

/** What a process that is already gone, or not ours to read, makes of a read of its /proc entry. */
const GONE = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM']);
const orNull = <T>(read: () => T): T | null => {
  try {
    return read();
  } catch (thrown) {
    if (GONE.has((thrown as NodeJS.ErrnoException).code ?? '')) return null;
    throw thrown;
  }
};

/** The environment a process was started with; empty for zombies and kernel threads, null when gone or not readable. */
export const environmentOf = (pid: number): string | null => orNull(() => readFileSync(`/proc/${pid}/environ`, 'latin1'));
export const commandLineOf = (pid: number): readonly string[] | null =>
  orNull(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1));
/** Field 3 of /proc/PID/stat; null when gone. */
export const processState = (pid: number): string | null =>
  orNull(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  });

export const allPids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Living processes whose environment holds exactly this `NAME=value`, this process left out. */
export const pidsWithMark = (mark: string): number[] =>
  allPids().filter((pid) => pid !== process.pid && `\0${environmentOf(pid) ?? ''}`.includes(`\0${mark}\0`));

const pidsInCgroup = (directory: string): number[] => {
  const own = orNull(() => readFileSync(join(directory, 'cgroup.procs'), 'utf8'));
  if (own === null) return [];
  const children = orNull(() => readdirSync(directory, { withFileTypes: true })) ?? [];
  return [
    ...own.split('\n').filter(Boolean).map(Number),
    ...children.filter((entry) => entry.isDirectory()).flatMap((entry) => pidsInCgroup(join(directory, entry.name))),
  ];
};

export const pidsOf = (handle: HostHandle): number[] =>
  handle.kind === 'cgroup' ? pidsInCgroup(handle.cgroup) : pidsWithMark(handle.mark);

/** Sends one signal to one process; one that is already gone is none. */
export const signalPid = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
  }
};

const STEP_MS = 2;
const wait = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};

/** Repeats until `done`, at most `limitMs`; tells whether it came true. */
const until = (limitMs: number, done: () => boolean): boolean => {
  const endMs = systemClock.nowMs() + limitMs;
  while (!done()) {
    if (systemClock.nowMs() > endMs) return false;
    wait(STEP_MS);
  }
  return true;
};

/** To every process of the host, and to those it forked meanwhile, until a look finds no new one. */
export const signalAll = (handle: HostHandle, signal: NodeJS.Signals): void => {
  const seen = new Set<number>();
  for (let round = 0; round < 20; round++) {
    const fresh = pidsOf(handle).filter((pid) => !seen.has(pid));
    if (fresh.length === 0) return;
    for (const pid of fresh) {
      seen.add(pid);
      signalPid(pid, signal);
    }
  }
};

const write = (file: string, value: string): void => writeFileSync(file, value);
const frozen = (cgroup: string): boolean =>
  /^frozen 1$/m.test(orNull(() => readFileSync(join(cgroup, 'cgroup.events'), 'utf8')) ?? 'frozen 1');

const killCgroup = (handle: CgroupHandle): void => {
  if (existsSync(join(handle.cgroup, 'cgroup.kill'))) write(join(handle.cgroup, 'cgroup.kill'), '1');
  else signalAll(handle, 'SIGKILL');
  // Linux before 5.14 ends frozen processes only when they thaw; later ones do not mind.
  write(join(handle.cgroup, 'cgroup.freeze'), '0');
};

const linksDown = (handle: CgroupHandle): void => {
  if (!existsSync(`/run/netns/${handle.namespace}`)) return;
  try {
    tool(['ip', '-n', handle.namespace, '-force', '-batch', '-'], handle.interfaces.map((name) => `link set ${name} down\n`).join(''));
  } catch (thrown) {
    // A wire that is no longer there is as dead as can be.
    if (!reasonOf(thrown).includes('Cannot find device')) throw thrown;
  }
};

/**
 * Cuts the power of a host: nothing in it acts any more, then its wires are dead (not even a FIN gets out), then everything
 * is killed and what does not outlive a boot is removed. Returns the monotonic milliseconds at which the host stood still.
 * Throws LAB_FAILED when something is still alive after five seconds.
 */
export const blackout = (handle: HostHandle): number => {
  if (handle.kind === 'mark') return blackoutByMark(handle);
  if (!existsSync(handle.cgroup)) return systemClock.nowMs();
  write(join(handle.cgroup, 'cgroup.freeze'), '1');
  const atMs = systemClock.nowMs();
  until(20, () => frozen(handle.cgroup));
  try {
    linksDown(handle);
  } finally {
    killCgroup(handle);
  }
  const gone = until(5000, () => pidsOf(handle).length === 0);
  removeVolatile(handle);
  if (!gone) throw new UnderstudyError('LAB_FAILED', `processes of ${handle.cgroup} outlived the power cut: ${pidsOf(handle).join(' ')}`);
  return atMs;
};

const blackoutByMark = (handle: MarkHandle): number => {
  signalAll(handle, 'SIGSTOP');
  const atMs = systemClock.nowMs();
  const gone = until(5000, () => {
    signalAll(handle, 'SIGKILL');
    return pidsOf(handle).length === 0;
  });
  removeVolatile(handle);
  if (!gone) throw new UnderstudyError('LAB_FAILED', `processes with ${handle.mark} outlived the power cut: ${pidsOf(handle).join(' ')}`);
  return atMs;
};

const removeVolatile = ({ volatile }: HostHandle): void => {
  for (const path of volatile) {
    dropMounts(path);
    rmSync(path, { recursive: true, force: true });
  }
};

/** Removes a cgroup and everything below it; its processes must be dead. */
export const removeCgroup = (directory: string): void => {
  const entries = orNull(() => readdirSync(directory, { withFileTypes: true }));
  if (entries === null) return;
  for (const entry of entries) if (entry.isDirectory()) removeCgroup(join(directory, entry.name));
  // A dead process leaves its cgroup a moment after the signal.
  const removed = until(2000, () => {
    try {
      rmdirSync(directory);
      return true;
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === 'ENOENT') return true;
      if (code === 'EBUSY') return false;
      throw thrown;
    }
  });
  if (!removed)
    throw new UnderstudyError(
      'LAB_FAILED',
      `could not remove cgroup ${directory}: still busy with ${pidsInCgroup(directory).join(' ') || 'nothing visible'}`,
    );
};

/** Ends every process of a lab but this one, whoever started it, by the lab's mark. Throws LAB_FAILED when one survives. */
export const killLab = (labId: string): void => {
  const mark = `${LAB_MARK}=${labId}`;
  const gone = until(5000, () => {
    const pids = pidsWithMark(mark);
    for (const pid of pids) signalPid(pid, 'SIGKILL');
    return pids.length === 0;
  });
  if (!gone) throw new UnderstudyError('LAB_FAILED', `processes of lab ${labId} cannot be killed: ${pidsWithMark(mark).join(' ')}`);
};
