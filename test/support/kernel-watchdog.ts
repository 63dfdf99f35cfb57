// A watchdog device of the kernel as its source describes it (drivers/watchdog/watchdog_dev.c): opening starts and pets it, a
// write pets it, the magic character and a close stop it unless nowayout, a close without it pets it and leaves it running.
import { FakeClock } from './fake-clock.js';
import type { OpenedWatchdog, WatchdogDoor, WatchdogFacts } from '../../core/system/watchdog-door.js';

export class KernelWatchdog implements WatchdogDoor {
  readonly path = '/dev/watchdog';
  running = false;
  nowayout = false;
  timeoutSeconds = 60;
  opened = 0;
  pets = 0;
  pettedMs = 0;
  wdctl: number[] = [];
  /** What goes wrong. */
  ioctl = true;
  busy = false;
  /** It makes another value of what it is told. */
  keeps = (seconds: number): number => seconds;
  deaf = false;
  tellsLeft = true;
  stopsWhenTold = true;

  constructor(readonly clock: FakeClock) {}

  get bitesAtMs(): number | null {
    return this.running ? this.pettedMs + this.timeoutSeconds * 1000 : null;
  }

  facts(): WatchdogFacts {
    return {
      identity: 'test',
      running: this.running,
      nowayout: this.nowayout,
      timeoutSeconds: this.timeoutSeconds,
      timeLeftSeconds: null,
      resetLast: false,
    };
  }

  canSet(): Promise<boolean> {
    return Promise.resolve(this.ioctl);
  }

  setClosed(seconds: number): Promise<void> {
    if (this.opened > 0) return Promise.reject(new Error('wdctl: cannot open: busy'));
    this.wdctl.push(seconds);
    this.timeoutSeconds = this.keeps(seconds);
    return Promise.resolve();
  }

  open(): OpenedWatchdog {
    if (this.busy || this.opened > 0) throw Object.assign(new Error('EBUSY: resource busy, open /dev/watchdog'), { code: 'EBUSY' });
    this.opened = 1;
    this.running = true;
    this.#pet();
    return {
      pet: () => this.#pet(),
      setSeconds: (seconds) => (this.ioctl ? (this.timeoutSeconds = this.keeps(seconds)) : null),
      timeLeft: () => (this.ioctl && this.tellsLeft ? Math.floor(this.timeoutSeconds - (this.clock.nowMs() - this.pettedMs) / 1000) : null),
      close: (stop) => {
        this.opened = 0;
        if (stop && !this.nowayout && this.stopsWhenTold) this.running = false;
        else this.#pet();
      },
    };
  }

  /** The process that has it open is killed. */
  killed(): void {
    this.opened = 0;
    this.#pet();
  }

  #pet(): void {
    if (this.deaf) return;
    this.pets += 1;
    this.pettedMs = this.clock.nowMs();
  }
}
