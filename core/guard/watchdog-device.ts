// Watchdog driver `device:PATH`: the kernel's own (/dev/watchdog), by the door of core/system/watchdog-door.ts. It is armed only
// with a timeout that was read back, petted by a write, and stopped by the magic character after the last verified stop.
// Invariant: nothing here opens the device unless asked to arm or disarm, because opening pets it, and so does closing: a guard
// that is killed leaves it armed and petted, which the timing counts (Timing.watchdogLingerMs).
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { Clock } from '../system/clock.js';
import type { OpenedWatchdog, WatchdogDoor, WatchdogFacts } from '../system/watchdog-door.js';
import type { Watchdog } from './watchdog.js';

export interface DeviceWatchdogOptions {
  readonly door: WatchdogDoor;
  readonly clock: Clock;
}

export const deviceWatchdog = (options: DeviceWatchdogOptions): Watchdog => new DeviceWatchdog(options);

class DeviceWatchdog implements Watchdog {
  readonly driver = 'device';
  readonly present = true;
  readonly #door: WatchdogDoor;
  readonly #clock: Clock;
  #device: OpenedWatchdog | null = null;
  #timeoutMs = 0;
  #pettedMs = Number.NaN;
  /** It went on running after it was told to stop, whatever nowayout says. */
  #stuck = false;

  constructor({ door, clock }: DeviceWatchdogOptions) {
    this.#door = door;
    this.#clock = clock;
  }

  get lasts(): boolean {
    const { nowayout, running } = this.#facts();
    return running && (nowayout || this.#stuck);
  }

  async arm(timeoutMs: number): Promise<void> {
    const seconds = timeoutMs / 1000;
    if (!Number.isInteger(seconds) || seconds < 1) throw this.#refused(`its timeout must be whole seconds, and is ${timeoutMs} ms`);
    const before = this.#facts();
    if (this.#device === null) {
      // Without ioctl the timeout is set before the device is ours: it can be opened once only.
      if (!(await this.#door.canSet()) && before.timeoutSeconds !== seconds) await this.#door.setClosed(seconds);
      this.#device = this.#open();
    }
    try {
      this.#verify(seconds, this.#device.setSeconds(seconds));
      this.#touch(this.#device, timeoutMs);
    } catch (error) {
      // Nobody may rely on it. What was not running before is stopped again; what an earlier guard armed stays armed.
      this.#drop(!before.running);
      throw error;
    }
  }

  async pet(): Promise<number> {
    if (this.#device === null) throw this.#refused('it is not armed by this guard');
    const ageMs = this.#clock.nowMs() - this.#pettedMs;
    this.#touch(this.#device, this.#timeoutMs);
    return ageMs;
  }

  async disarm(): Promise<void> {
    if (this.#device === null) {
      if (!this.#facts().running) return;
      // An earlier guard of this host armed it and is gone.
      this.#device = this.#open();
    }
    this.#drop(true);
    if (!this.#facts().running) return;
    this.#stuck = true;
    this.#device = this.#open();
    throw this.#refused('it goes on running after it was told to stop; it is petted until this host goes down');
  }

  close(): void {
    this.#drop(false);
  }

  /** Writes, and lets the device say that it was written. */
  #touch(device: OpenedWatchdog, timeoutMs: number): void {
    const atMs = this.#clock.nowMs();
    device.pet();
    const leftSeconds = device.timeLeft() ?? this.#facts().timeLeftSeconds;
    // It tells whole seconds, rounded down, and some time has passed since the write. Devices that do not count tell 0.
    const tookMs = this.#clock.nowMs() - atMs;
    if (leftSeconds !== null && leftSeconds > 0 && leftSeconds * 1000 < timeoutMs - tookMs - 2_000)
      throw this.#refused(`it was petted and says that only ${leftSeconds} s of ${timeoutMs / 1000} s are left`);
    this.#pettedMs = atMs;
    this.#timeoutMs = timeoutMs;
  }

  /** What it was told against what it says, by every way in which it can be asked; at least one must answer. */
  #verify(seconds: number, told: number | null): void {
    const { timeoutSeconds, running } = this.#facts();
    const known = [told, timeoutSeconds].filter((value) => value !== null);
    if (known.length === 0) throw this.#refused('its timeout cannot be read: install koffi beside understudy');
    const wrong = known.find((value) => value !== seconds);
    if (wrong !== undefined)
      throw this.#refused(`it was told to bite after ${seconds} s and says ${wrong} s; choose a timing whose WD it can keep`);
    if (!running) throw this.#refused('it was opened and does not run');
  }

  #open(): OpenedWatchdog {
    try {
      return this.#door.open();
    } catch (error) {
      const busy = (error as NodeJS.ErrnoException).code === 'EBUSY';
      throw new UnderstudyError('REFUSED', `the watchdog ${this.#door.path} cannot be opened: ${reasonOf(error)}`, {
        cause: error,
        hint: busy
          ? 'another process has it: switch off RuntimeWatchdogSec= of systemd, watchdogd, sbd or corosync on this device, or name another one'
          : 'the guard must run as root, and the driver of the device be loaded',
      });
    }
  }

  #facts(): WatchdogFacts {
    return this.#door.facts();
  }

  #drop(stop: boolean): void {
    const device = this.#device;
    this.#device = null;
    device?.close(stop);
  }

  #refused(why: string): UnderstudyError {
    return new UnderstudyError('REFUSED', `the watchdog ${this.#door.path} is not relied on: ${why}`);
  }
}
