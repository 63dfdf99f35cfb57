// Keeps the node's watchdog: armed with the first acquisition, petted only while every group of the node allows it, disarmed
// after the last verified stop (SAFETY a.6). Once a reset is wanted it is never petted again. Without a watchdog it does
// nothing.
import { reasonOf } from '../errors/errors.js';
import type { Clock } from '../system/clock.js';
import type { Watchdog } from './watchdog.js';

export interface DogKeeperOptions {
  readonly watchdog: Watchdog;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Not petted more often than this. */
  readonly petEveryMs: number;
  /** Every group allows it, at this very moment. */
  readonly mayPet: () => boolean;
  /** Some group needs it armed. */
  readonly needed: () => boolean;
  /** Called after each pet, when the checks must be made again: there may have been a pause before it. */
  readonly petted: () => void;
  /** Verified armed, or verified disarmed. */
  readonly changed: (armed: boolean, because: string) => void;
  readonly failed: (because: string) => void;
}

export class DogKeeper {
  readonly #options: DogKeeperOptions;
  /** null: not known yet, an earlier guard of this host may have armed it. */
  #armed: boolean | null = null;
  #busy: Promise<void> | null = null;
  #pettedMs = Number.NEGATIVE_INFINITY;
  #resetWanted = false;

  constructor(options: DogKeeperOptions) {
    this.#options = options;
  }

  get armed(): boolean {
    return this.#armed === true;
  }

  /** Arms it if it is not armed; never rejects. True when it is verified armed, or when there is none to arm. */
  async arm(): Promise<boolean> {
    if (!this.#options.watchdog.present) return true;
    while (this.#busy !== null) await this.#busy;
    // To arm is to pet: not where a group forbids it.
    if (this.#armed !== true && !this.#resetWanted && this.#options.mayPet()) await this.#run('arm', () => this.#arm());
    return this.armed;
  }

  /** Arms, pets or disarms it, if that is right now. Called after each renewal and with every tick. */
  consider(): void {
    const { clock, needed, mayPet, petEveryMs, watchdog } = this.#options;
    if (!watchdog.present || this.#busy !== null || this.#resetWanted || !mayPet()) return;
    if (!needed() && !this.#lasts()) {
      if (this.#armed !== false) void this.#run('disarm', () => this.#disarm());
    } else if (this.#armed !== true) void this.#run('arm', () => this.#arm());
    else if (clock.nowMs() - this.#pettedMs >= petEveryMs) void this.#run('pet', () => this.#pet());
  }

  /** From now on it is not petted: it bites unless something else resets the host before. */
  wantReset(): void {
    this.#resetWanted = true;
  }

  close(): void {
    this.#options.watchdog.close();
  }

  /** One that cannot be stopped is petted also while no group needs it. */
  #lasts(): boolean {
    if (this.#armed === false) return false;
    try {
      return this.#options.watchdog.lasts === true;
    } catch {
      // It cannot be asked: disarming it is tried, and says why.
      return false;
    }
  }

  async #arm(): Promise<void> {
    const { watchdog, clock, timeoutMs, changed } = this.#options;
    const startMs = clock.nowMs();
    await watchdog.arm(timeoutMs);
    this.#armed = true;
    this.#pettedMs = startMs;
    changed(true, `the watchdog is armed with ${timeoutMs} ms`);
  }

  async #pet(): Promise<void> {
    const startMs = this.#options.clock.nowMs();
    await this.#options.watchdog.pet();
    this.#pettedMs = startMs;
    this.#options.petted();
  }

  async #disarm(): Promise<void> {
    const known = this.#armed === true;
    await this.#options.watchdog.disarm();
    this.#armed = false;
    if (known) this.#options.changed(false, 'every group of this node is stopped and verified');
  }

  /** One request at a time. An armed watchdog that does not answer is still armed: it is asked again, until it bites. */
  #run(what: string, act: () => Promise<void>): Promise<void> {
    const busy = act()
      .catch((error: unknown) => this.#options.failed(`cannot ${what} the watchdog: ${reasonOf(error)}`))
      .finally(() => (this.#busy = null));
    this.#busy = busy;
    return busy;
  }
}
