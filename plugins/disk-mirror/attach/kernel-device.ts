// `attach: nbd`: a device of the kernel’s NBD driver in front of this process. It lives in the mirror's process, because the
// other end of the socket does: a new process takes the device up again, and what the application asked meanwhile has only
// waited. Invariants: a device that somebody else has set up is never touched; which one is ours is written down before it is
// set up, and the kernel's word (/sys/block/nbdN) is asked each time.
import { constants, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { UnderstudyError } from 'understudy/plugin';
import type { KernelDoor } from './kernel-door.js';
import type { DeviceSetup } from './nbd-netlink.js';

export interface KernelDeviceOptions {
  /** Where it is written down which device this volume has. */
  readonly runDir: string;
  /** The device the config names, e.g. `/dev/nbd3`; null = the first that nobody uses. */
  readonly wanted: string | null;
  readonly backend: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly serverFlags: number;
  /** So long the application waits for the next process before it sees errors. */
  readonly deadConnectionS: number;
  readonly door: () => Promise<KernelDoor>;
  /** Serves the transmission phase of NBD on a socket's descriptor, which is its own from then on; `closed` is told at its end. */
  readonly serve: (fd: number, closed: (because: string) => void) => void;
  /** A connection that was to stay has ended: the driver waits for the next one, and so does the application. */
  readonly lost: (because: string) => void;
  /** Where block devices are shown; tests have a tree of their own. */
  readonly sysBlock?: string;
  /** Whether somebody has claimed it for himself. Default: the kernel's answer to an exclusive open. */
  readonly isHeld?: (device: string) => Promise<boolean>;
}

/**
 * So often the driver looks at a request that has no answer: one that went to a connection that has died meanwhile is sent again
 * on the next one, any other one goes on waiting and gets a line in the kernel's log (Linux 6.1, nbd_xmit_timeout). By itself it
 * looks after 30 s, and so long the application would wait for a process that is back after one.
 */
const LOOK_AGAIN_MS = 2_000;
const MODULE_HINT = 'Load the module with enough devices: modprobe nbd nbds_max=16; or use attach: nbdfuse.';

export class KernelDevice {
  readonly #options: KernelDeviceOptions;
  readonly #sys: string;
  readonly #isHeld: (device: string) => Promise<boolean>;
  #connected = false;
  #connection = 0;

  constructor(options: KernelDeviceOptions) {
    this.#options = options;
    this.#sys = options.sysBlock ?? '/sys/block';
    this.#isHeld = options.isHeld ?? refusesExclusive;
  }

  /** The device of this volume that the kernel still has set up, connected or waiting; null when there is none. */
  there(): string | null {
    const device = this.#noted();
    return device !== null && this.#isSetUp(device) && this.#isOurs(device) ? device : null;
  }

  /** Sets a device up, or takes up the one that an earlier process of this volume left. Rejects with AGENT_FAILED. */
  async attach(): Promise<string> {
    const there = this.there();
    if (there !== null && this.#connected) return there;
    const door = await this.#options.door();
    const device = there ?? this.#free();
    if (there === null) writeFileSync(this.#note(), `${device}\n`, { mode: 0o600 });
    this.#connect(door, device, there !== null);
    return device;
  }

  /** Resolves when the kernel no longer has it. Rejects when it is mounted or open: the driver would cut it off under its user. */
  async detach(): Promise<void> {
    const device = this.there();
    if (device !== null) {
      if (await this.#isHeld(device))
        throw new UnderstudyError('AGENT_FAILED', `${device} is mounted or held by another device: it would be cut off under its user`, {
          hint: `See: findmnt ${device}; ls /sys/block/${nameOf(device)}/holders`,
        });
      const door = await this.#options.door();
      // Its end is wanted now: nobody is told.
      this.#connected = false;
      door.disconnect(indexOf(device));
    }
    if (this.there() !== null) throw new UnderstudyError('AGENT_FAILED', `${device} is still set up after its disconnect`);
    this.#connected = false;
    rmSync(this.#note(), { force: true });
  }

  #connect(door: KernelDoor, device: string, again: boolean): void {
    const { backend, sizeBytes, blockBytes, serverFlags, deadConnectionS, serve } = this.#options;
    const { ours, kernels } = door.pair();
    const setup: DeviceSetup = { index: indexOf(device), sizeBytes, blockBytes, serverFlags, deadConnectionS, backend, socketFd: kernels };
    // Before the driver sends its first request (it reads the partition table within the call).
    const generation = (this.#connection += 1);
    serve(ours, (because) => {
      if (this.#connection !== generation || !this.#connected) return;
      this.#connected = false;
      this.#options.lost(because);
    });
    this.#connected = true;
    try {
      if (again) door.reconnect(setup);
      else door.connect(setup);
      this.#lookOften(device);
    } catch (error) {
      this.#connected = false;
      throw error;
    } finally {
      // The driver has a reference of its own; without one this ends the other side too.
      door.closeFd(kernels);
    }
  }

  #free(): string {
    const { wanted } = this.#options;
    const devices = readdirSync(this.#sys)
      .filter((name) => /^nbd\d+$/.test(name))
      .sort((one, other) => Number(one.slice(3)) - Number(other.slice(3)))
      .map((name) => `/dev/${name}`);
    const refuse = (why: string, hint: string) => new UnderstudyError('AGENT_FAILED', why, { hint });
    if (devices.length === 0) throw refuse('the kernel has no NBD devices', MODULE_HINT);
    const device = wanted ?? devices.find((one) => !this.#isSetUp(one));
    if (device === undefined) throw refuse(`all ${devices.length} NBD devices are in use`, MODULE_HINT);
    if (!devices.includes(device)) throw refuse(`there is no ${device}`, MODULE_HINT);
    if (this.#isSetUp(device)) throw refuse(`${device} is set up by somebody else`, 'See who: nbd-client -c, or name another nbdDevice.');
    return device;
  }

  /** Where the kernel has no such setting (before 5.0) its own 30 s stay. */
  #lookOften(device: string): void {
    const setting = join(this.#sys, nameOf(device), 'queue', 'io_timeout');
    if (existsSync(setting)) writeFileSync(setting, `${LOOK_AGAIN_MS}\n`);
  }

  #note(): string {
    return join(this.#options.runDir, 'nbd-device');
  }

  #noted(): string | null {
    if (!existsSync(this.#note())) return null;
    const text = readFileSync(this.#note(), 'utf8').trim();
    return /^\/dev\/nbd\d+$/.test(text) ? text : null;
  }

  /** The driver shows `pid` while a device is set up. */
  #isSetUp(device: string): boolean {
    return existsSync(join(this.#sys, nameOf(device), 'pid'));
  }

  /** Since Linux 5.12 the driver shows who set it up; before, the note of this boot's run directory has to do. */
  #isOurs(device: string): boolean {
    const backend = join(this.#sys, nameOf(device), 'backend');
    return !existsSync(backend) || readFileSync(backend, 'utf8').trim() === this.#options.backend;
  }
}

/**
 * A mount, a loop device, a volume manager: whoever claims a block device keeps others from claiming it (open(2), O_EXCL). On a
 * thread: the first one to open the device has the kernel read its partition table, and it is this very process that answers.
 */
const refusesExclusive = async (device: string): Promise<boolean> => {
  try {
    const handle = await open(device, constants.O_RDONLY | constants.O_EXCL);
    await handle.close();
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return true;
    throw error;
  }
};

const nameOf = (device: string): string => device.slice('/dev/'.length);
const indexOf = (device: string): number => Number(device.slice('/dev/nbd'.length));
