// A simulated host: power, boots, its clocks, its disk, its watchdog, what runs on it, and the processes of understudy.
// Invariant: losing power ends every process at once and forgets everything volatile; a new boot has a new id.
import type { BootId, NodeId } from '../model/ids.js';
import type { Paths } from '../system/paths.js';
import type { Chance } from './chance.js';
import { SimSockets } from './sim-sockets.js';
import { SimDisk } from './sim-disk.js';
import { SimDog } from './sim-dog.js';
import { SimOs } from './sim-os.js';
import { SimProcess } from './sim-process.js';
import type { World } from './world.js';

export interface SimNodeOptions {
  readonly id: NodeId;
  /** How fast its monotonic clock runs. */
  readonly rate: number;
}

/** How long a process is kept in mind as "was not scheduled". */
const OFF_KEPT = 64;

export interface OffTime {
  readonly process: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export class SimNode {
  readonly world: World;
  readonly id: NodeId;
  readonly chance: Chance;
  readonly disk: SimDisk;
  readonly os: SimOs;
  readonly sockets: SimSockets;
  readonly dog: SimDog;
  readonly paths: Paths = { run: '/run', state: '/state', log: '/log' };
  readonly processes = new Map<string, SimProcess>();
  /** What the supervisor does at each boot, in this order; given once by who builds the world. */
  readonly units: { readonly name: string; readonly start: (process: SimProcess) => void; readonly restartMs: () => number }[] = [];
  /** What else of this host loses something with the power: after its processes have ended. */
  readonly onPowerLost: (() => void)[] = [];
  readonly #offTimes: OffTime[] = [];
  readonly #deadFromMs = new Map<string, number>();
  /** Chance that a process is paused at a system call, and for how long at most. */
  stallChance = 0;
  stallMs = 0;
  powered = false;
  asleep = false;
  /** True time at which it last woke from a sleep. */
  wokenMs = Number.NEGATIVE_INFINITY;
  boot = 0;
  /** The rate its clock has; may be changed beyond ρ by a fault. */
  #rate: number;
  /** CLOCK_MONOTONIC = #monoBaseMs + (true − #trueBaseMs) · rate. */
  #monoBaseMs = 0;
  #trueBaseMs = 0;
  #sleptMs = 0;
  #asleepFromMs = 0;
  #onWoken: (() => void)[] = [];

  constructor(world: World, { id, rate }: SimNodeOptions) {
    this.world = world;
    this.id = id;
    this.chance = world.chance.stream(`node ${id}`);
    this.#rate = rate;
    this.disk = new SimDisk(this);
    this.os = new SimOs(this);
    this.sockets = new SimSockets();
    this.dog = new SimDog(this);
  }

  get bootId(): BootId {
    return `${this.id}-boot-${this.boot}`;
  }

  get rate(): number {
    return this.#rate;
  }

  /** CLOCK_MONOTONIC of this host at a true time. */
  monoMs(trueMs: number): number {
    const untilMs = this.asleep ? this.#asleepFromMs : trueMs;
    return this.#monoBaseMs + (untilMs - this.#trueBaseMs) * this.#rate;
  }

  /** The true time at which CLOCK_MONOTONIC will say so, if the host does not sleep until then. */
  trueOfMono(monoMs: number): number {
    return this.#trueBaseMs + (monoMs - this.#monoBaseMs) / this.#rate;
  }

  /** CLOCK_BOOTTIME − CLOCK_MONOTONIC. */
  bootOffsetMs(): number {
    return this.#sleptMs;
  }

  powerOn(): void {
    if (this.powered) return;
    this.powered = true;
    this.boot += 1;
    this.#trueBaseMs = this.world.nowMs;
    // A host was switched on some time before understudy starts.
    this.#monoBaseMs = this.chance.between(5_000, 60_000);
    this.#sleptMs = 0;
    this.asleep = false;
    this.wokenMs = Number.NEGATIVE_INFINITY;
    this.#offTimes.length = 0;
    this.#deadFromMs.clear();
    this.world.say(this.id, 'power-on', `boot ${this.boot}`);
    for (const unit of this.units) this.startUnit(unit.name);
  }

  powerOff(because: string): void {
    if (!this.powered) return;
    this.world.say(this.id, 'power-off', because);
    this.powered = false;
    this.asleep = false;
    this.#onWoken = [];
    for (const process of Array.from(this.processes.values())) process.kill();
    this.processes.clear();
    this.sockets.clear();
    this.dog.powerLost();
    this.disk.powerLost();
    this.os.powerLost();
    for (const lose of this.onPowerLost) lose();
  }

  /** Off now, on again after a boot's time. */
  reset(because: string, offMs: number): void {
    if (!this.powered) return;
    this.powerOff(because);
    this.world.after(offMs, () => this.powerOn());
  }

  /** Starts a unit's process now, unless one lives. */
  startUnit(name: string): void {
    const unit = this.units.find((one) => one.name === name);
    if (unit === undefined || !this.powered || this.processes.has(name)) return;
    const process = new SimProcess(this, name, this.world.newPid());
    this.processes.set(name, process);
    this.world.say(`${this.id} ${name}`, 'started');
    process.enqueue('timer', 0, () => unit.start(process));
  }

  /** The supervisor's part: what ended is started again, while the host has power. */
  processEnded(process: SimProcess): void {
    if (this.processes.get(process.name) !== process) return;
    this.processes.delete(process.name);
    const unit = this.units.find(({ name }) => name === process.name);
    const { boot } = this;
    if (!this.powered || unit === undefined) return;
    const fromMs = process.offFromMs ?? this.world.nowMs;
    this.#deadFromMs.set(process.name, fromMs);
    const restart = (): void => {
      if (this.boot !== boot || !this.powered) return;
      // The supervisor sleeps with its host: a guard that ran meanwhile would see a clock that stands.
      if (this.asleep) return this.onWoken(restart);
      this.#deadFromMs.delete(process.name);
      this.wasOff(process.name, fromMs, this.world.nowMs);
      this.startUnit(process.name);
    };
    this.world.after(unit.restartMs(), restart);
  }

  /** The whole host does not run, and CLOCK_MONOTONIC stands; CLOCK_BOOTTIME goes on. */
  suspend(forMs: number): void {
    if (!this.powered || this.asleep) return;
    this.world.say(this.id, 'suspended', `for ${Math.round(forMs)} ms`);
    this.#asleepFromMs = this.world.nowMs;
    this.asleep = true;
    for (const process of this.processes.values()) process.pause(forMs);
    const { boot } = this;
    this.world.after(forMs, () => {
      if (!this.powered || this.boot !== boot || !this.asleep) return;
      const sleptMs = this.world.nowMs - this.#asleepFromMs;
      this.#monoBaseMs = this.monoMs(this.world.nowMs);
      this.#trueBaseMs = this.world.nowMs;
      this.asleep = false;
      this.wokenMs = this.world.nowMs;
      this.#sleptMs += sleptMs * this.#rate;
      this.world.say(this.id, 'woken', `after ${Math.round(sleptMs)} ms`);
      const waiting = this.#onWoken;
      this.#onWoken = [];
      for (const act of waiting) act();
    });
  }

  /** Called when the host goes on after its present sleep; never after a loss of power. */
  onWoken(act: () => void): void {
    this.#onWoken.push(act);
  }

  /** From now on its clock runs at another rate. */
  changeRate(rate: number): void {
    if (rate === this.#rate) return;
    // The clock stands: it changes when it goes on.
    if (this.asleep) return this.onWoken(() => this.changeRate(rate));
    this.#monoBaseMs = this.monoMs(this.world.nowMs);
    this.#trueBaseMs = this.world.nowMs;
    this.#rate = rate;
  }

  wasOff(process: string, fromMs: number, toMs: number): void {
    this.#offTimes.push({ process, fromMs, toMs });
    if (this.#offTimes.length > OFF_KEPT) this.#offTimes.shift();
  }

  /** The longest time since `sinceMs` in which a process of this name was not scheduled: stopped, dead, or just ended. */
  longestOffMs(name: string, sinceMs: number): number {
    const { nowMs } = this.world;
    const process = this.processes.get(name);
    const offFromMs = process === undefined ? (this.#deadFromMs.get(name) ?? sinceMs) : process.offFromMs;
    const current = offFromMs === null ? [] : [{ fromMs: offFromMs, toMs: nowMs }];
    const past = this.#offTimes.filter((off) => off.process === name && off.toMs > sinceMs);
    return Math.max(0, ...[...past, ...current].map(({ fromMs, toMs }) => toMs - Math.max(fromMs, sinceMs)));
  }
}
