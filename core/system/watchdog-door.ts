// The kernel's watchdog device as files and ioctls (linux/watchdog.h, Documentation/watchdog/watchdog-api.rst, sysfs class
// `watchdog`): what it tells, and the few things that can be done to it. Decides nothing; core/guard/watchdog-device.ts does.
// Invariant: opening pets and starts it, closing without the magic character pets it and leaves it running.
import { closeSync, openSync, readdirSync, readFileSync, realpathSync, statSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { Exec } from './exec.js';

/** What the kernel tells of a watchdog without opening it. null: its driver does not say. */
export interface WatchdogFacts {
  readonly identity: string;
  /** It counts: unpetted, it resets the host. */
  readonly running: boolean;
  /** Once started it can never be stopped. */
  readonly nowayout: boolean;
  readonly timeoutSeconds: number | null;
  readonly timeLeftSeconds: number | null;
  /** The last reset of this host came from it. */
  readonly resetLast: boolean | null;
}

/** One opening of the device. All calls are synchronous: a pet that waits in a queue could come after the lease is gone. */
export interface OpenedWatchdog {
  pet(): void;
  /** Sets the timeout and reads it back from the device; null where there is no way to call ioctl. Throws with errno. */
  setSeconds(seconds: number): number | null;
  /** Seconds until it bites; null where it cannot be asked. */
  timeLeft(): number | null;
  /** Closes it. `stop`: with the magic character before, so that it stops, unless it is nowayout. */
  close(stop: boolean): void;
}

export interface WatchdogDoor {
  readonly path: string;
  /** Throws REFUSED where the kernel does not tell its state: what cannot be verified is not relied on. */
  facts(): WatchdogFacts;
  /** Whether `setSeconds` will have ioctl. Resolves soon; asked early. */
  canSet(): Promise<boolean>;
  /** Sets the timeout of the closed device by `wdctl`, for hosts without ioctl. */
  setClosed(seconds: number): Promise<void>;
  /** Throws the system's error (EBUSY: another process has it). */
  open(): OpenedWatchdog;
}

export interface WatchdogDoorOptions {
  readonly path: string;
  readonly exec: Exec;
  /** Default /sys/class/watchdog. */
  readonly classDirectory?: string;
  /** Default: by koffi, an optional dependency. Tests hand in another. */
  readonly ioctl?: () => Promise<Ioctl | null>;
}

/** Calls ioctl with one int, in and out. Throws with errno. */
export type Ioctl = (fd: number, request: number, value: number) => number;

/** _IOR and _IOWR of 'W', int, as all architectures but mips, powerpc, sparc and alpha encode them. */
const WDIOC_SETTIMEOUT = 0xc0045706;
const WDIOC_GETTIMEOUT = 0x80045707;
const WDIOC_GETTIMELEFT = 0x8004570a;
const OTHER_ENCODING: readonly string[] = ['mips', 'mipsel', 'ppc', 'ppc64', 'sparc'];
/** WDIOF_CARDRESET of bootstatus. */
const CARD_RESET = 0x20;
const WDCTL_LIMIT_MS = 2_000;
/** Any byte but the magic one pets. */
const PET = Buffer.from([0]);
const MAGIC = Buffer.from('V');

export const systemWatchdogDoor = ({
  path,
  exec,
  classDirectory = '/sys/class/watchdog',
  ioctl: load = koffiIoctl,
}: WatchdogDoorOptions): WatchdogDoor => {
  let ioctl: Ioctl | null = null;
  const loaded = load().then(
    (found) => (ioctl = found) !== null,
    () => false, // koffi is optional: `wdctl` and the timeout that stands there are the other ways.
  );
  return {
    path,
    facts: () => factsIn(path, classDirectory),
    canSet: () => loaded,
    setClosed: async (seconds) => {
      const { exitCode, stderr } = await exec.run('wdctl', ['--settimeout', String(seconds), path], { timeoutMs: WDCTL_LIMIT_MS });
      if (exitCode !== 0)
        throw new UnderstudyError('COMMAND_FAILED', `wdctl could not set the timeout of ${path} to ${seconds} s: ${stderr.trim()}`);
    },
    open: () => opened(openSync(path, 'w'), () => ioctl),
  };
};

const opened = (fd: number, ioctl: () => Ioctl | null): OpenedWatchdog => ({
  pet: () => void writeSync(fd, PET),
  setSeconds: (seconds) => {
    const call = ioctl();
    if (call === null) return null;
    call(fd, WDIOC_SETTIMEOUT, seconds);
    return call(fd, WDIOC_GETTIMEOUT, 0);
  },
  timeLeft: () => {
    try {
      return ioctl()?.(fd, WDIOC_GETTIMELEFT, 0) ?? null;
    } catch {
      // Most drivers cannot tell it (EOPNOTSUPP, ENOTTY); the caller then has only its own clock.
      return null;
    }
  },
  close: (stop) => {
    try {
      if (stop) writeSync(fd, MAGIC);
    } finally {
      closeSync(fd);
    }
  },
});

const factsIn = (path: string, classDirectory: string): WatchdogFacts => {
  const directory = join(classDirectory, nameOf(path, classDirectory));
  const told = (name: string): string | null => {
    try {
      return readFileSync(join(directory, name), 'utf8').trim();
    } catch {
      // An attribute that its driver does not have is not there, or cannot be read (EOPNOTSUPP).
      return null;
    }
  };
  const number = (name: string): number | null => {
    const text = told(name);
    return text === null || !/^\d+$/.test(text) ? null : Number(text);
  };
  const state = told('state');
  const nowayout = told('nowayout');
  if (state === null || nowayout === null) {
    throw new UnderstudyError(
      'REFUSED',
      `the watchdog ${path} cannot be used: the kernel does not tell its state in ${directory} (is its driver loaded, with CONFIG_WATCHDOG_SYSFS?)`,
    );
  }
  const boot = number('bootstatus');
  return {
    identity: told('identity') ?? 'unknown',
    running: state === 'active',
    nowayout: nowayout !== '0',
    timeoutSeconds: number('timeout'),
    timeLeftSeconds: number('timeleft'),
    resetLast: boot === null ? null : (boot & CARD_RESET) !== 0,
  };
};

/** The name in sysfs behind a device file: by its number, and `watchdog0` behind the old name /dev/watchdog. */
const nameOf = (path: string, classDirectory: string): string => {
  const named = basename(realPathOf(path));
  const number = deviceNumber(path);
  const match = number === null ? undefined : classesOf(classDirectory).find((name) => numberIn(join(classDirectory, name)) === number);
  return match ?? (named === 'watchdog' ? 'watchdog0' : named);
};

const realPathOf = (path: string): string => {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new UnderstudyError('REFUSED', `there is no watchdog device ${path}: ${reasonOf(error)}`, {
      hint: 'load the driver of the hardware, or softdog, before understudy starts',
    });
  }
};

/** `MAJOR:MINOR` of a device file; null for anything else. The bits are those of glibc's makedev. */
const deviceNumber = (path: string): string | null => {
  const found = statSync(path);
  if (!found.isCharacterDevice()) return null;
  return `${(found.rdev >> 8) & 0xfff}:${(found.rdev & 0xff) | ((found.rdev >> 12) & 0xfff00)}`;
};

const classesOf = (classDirectory: string): readonly string[] => {
  try {
    return readdirSync(classDirectory);
  } catch {
    // No class at all: the caller finds no state there and says so.
    return [];
  }
};

const numberIn = (directory: string): string | null => {
  try {
    return readFileSync(join(directory, 'dev'), 'utf8').trim();
  } catch {
    // Not a device of its own.
    return null;
  }
};

/** ioctl of the C library; null where the numbers above would mean something else. */
export const koffiIoctl = async (): Promise<Ioctl | null> => {
  if (process.platform !== 'linux' || OTHER_ENCODING.includes(process.arch)) return null;
  const { default: koffi } = await import('koffi');
  const call = koffi.load('libc.so.6').func('int ioctl(int fd, unsigned long request, _Inout_ int *value)');
  return (fd, request, value) => {
    const cell = [value];
    if ((call(fd, request, cell) as number) < 0) throw new Error(`ioctl 0x${request.toString(16)}: errno ${koffi.errno()}`);
    return cell[0]!;
  };
};
