// One life of a process on a simulated node: guard, controller, leash. Everything that happens to it comes through
// `enqueue`, so that killing it is to forget it: every callback of a dead life is void. While it is stopped (SIGSTOP, a
// blocked loop) what is for it waits, and then comes in Node's order: overdue timers before what waits in the sockets.
import type { Clock, Timer } from '../system/clock.js';
import type { Chance } from './chance.js';
import type { Scheduled } from './event-queue.js';
import type { SimNode } from './sim-node.js';

/** Where in a turn of Node's loop something runs. */
export type Phase = 'timer' | 'socket' | 'immediate';

const ORDER: Readonly<Record<Phase, number>> = { timer: 0, socket: 1, immediate: 2 };
/** A socket buffer of 256 KiB holds about so many datagrams; more are dropped. */
const MAX_WAITING_SOCKETS = 300;
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Waiting {
  readonly phase: Phase;
  readonly atMs: number;
  readonly run: () => void;
}

export class SimProcess {
  readonly name: string;
  readonly node: SimNode;
  /** Unlike any other life's, on every node. */
  readonly pid: number;
  readonly chance: Chance;
  readonly bornMs: number;
  alive = true;
  /** The next system call is preceded by a pause of so long. */
  stallNextMs = 0;
  readonly #ended: (() => void)[] = [];
  #waiting: Waiting[] = [];
  #waitingSockets = 0;
  /** True time until which it does not run. */
  #blockedUntilMs = 0;
  #wake: Scheduled | null = null;
  /** How far it is behind the world within the present event: it was paused between two instructions. */
  #aheadMs = 0;
  #running = false;
  /** When it last began to be not scheduled, for the oracle. */
  #offFromMs: number | null = null;

  constructor(node: SimNode, name: string, pid: number) {
    this.node = node;
    this.name = name;
    this.pid = pid;
    this.bornMs = node.world.nowMs;
    this.chance = node.chance.stream(`${name} ${pid}`);
  }

  /** True time as this process lives it: later than the world's after a pause within an event. */
  get trueMs(): number {
    return this.node.world.nowMs + this.#aheadMs;
  }

  get blocked(): boolean {
    return this.node.world.nowMs < this.#blockedUntilMs;
  }

  /** Until when it does not run. */
  get blockedUntilMs(): number {
    return this.#blockedUntilMs;
  }

  /** Since when it is stopped or dead; null while it runs. */
  get offFromMs(): number | null {
    return this.#offFromMs;
  }

  /** Called once when this life ends, however. */
  onEnd(act: () => void): void {
    if (this.alive) this.#ended.push(act);
    else act();
  }

  /** SIGKILL, or the power goes: nothing of it runs any more. */
  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    this.#waiting = [];
    this.#wake = null;
    this.#offFromMs ??= this.node.world.nowMs;
    for (const act of this.#ended) act();
    this.node.processEnded(this);
  }

  /** SIGSTOP for so long, from now; a second one lengthens the first. */
  pause(forMs: number): void {
    this.#block(this.node.world.nowMs + forMs);
  }

  /** SIGCONT: also ends a longer pause. Does nothing to a process that was stalled within an event. */
  resume(): void {
    if (!this.alive || !this.blocked) return;
    this.#blockedUntilMs = this.node.world.nowMs;
    this.#planWake();
  }

  /**
   * A pause between two instructions of the present event: what it does from here on happens so much later, and its clock
   * says so. Outside of an own event it is an ordinary pause.
   */
  stall(forMs: number): void {
    if (!this.#running) return this.pause(forMs);
    this.#aheadMs += forMs;
    this.node.world.say(`${this.node.id} ${this.name}`, 'stalled', `${Math.round(forMs)} ms between two instructions`);
    this.#block(this.trueMs);
  }

  /** Before a system call: a planned stall, or one by chance (a page fault, a throttled cgroup, a stopped machine). */
  systemCall(): void {
    if (this.stallNextMs > 0) {
      const forMs = this.stallNextMs;
      this.stallNextMs = 0;
      this.stall(forMs);
    } else if (this.node.stallChance > 0 && this.chance.happens(this.node.stallChance)) {
      this.node.world.mark('stall');
      this.stall(this.chance.heavyTail(10, this.node.stallMs));
    }
  }

  /** An effect on the host: now, or when this process is through a pause within the present event. A kill meanwhile prevents it. */
  act(run: () => void): void {
    if (!this.alive) return;
    if (this.#aheadMs === 0) return run();
    this.node.world.at(this.trueMs, () => this.alive && run());
  }

  /** Lets `run` happen as an event of this process, `afterMs` from its now at the earliest. */
  enqueue(phase: Phase, afterMs: number, run: () => void): Scheduled {
    const { world } = this.node;
    return world.at(this.trueMs + Math.max(0, afterMs), () => this.deliver(phase, run));
  }

  /** Hands over what arrives at this very moment. False when it is lost (dead, or the socket buffer is full). */
  deliver(phase: Phase, run: () => void): boolean {
    if (!this.alive) return false;
    if (this.blocked) {
      if (phase === 'socket' && (this.#waitingSockets += 1) > MAX_WAITING_SOCKETS) return false;
      this.#waiting.push({ phase, atMs: this.node.world.nowMs, run });
      return true;
    }
    this.#aheadMs = 0;
    this.#running = true;
    try {
      run();
    } finally {
      this.#running = false;
      this.#settle();
    }
    return true;
  }

  /** The clock that its code is given: CLOCK_MONOTONIC of its node, and timers as coarse and late as Node's. */
  readonly clock: Clock = {
    nowMs: () => this.node.monoMs(this.trueMs),
    wallIso: (atMs) => wallText(atMs ?? this.node.monoMs(this.trueMs)),
    after: (afterMs, fire) => this.#timer(afterMs, fire),
    every: (periodMs, fire) => {
      let timer: Timer | null = null;
      const arm = () => {
        timer = this.#timer(periodMs, () => {
          arm();
          fire();
        });
      };
      arm();
      return { cancel: () => timer?.cancel() };
    },
    soon: (act) => void this.enqueue('immediate', 0, act),
    sleep: (afterMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error);
        const stop = () => {
          timer.cancel();
          reject(signal?.reason as Error);
        };
        const timer = this.#timer(afterMs, () => {
          signal?.removeEventListener('abort', stop);
          resolve();
        });
        signal?.addEventListener('abort', stop, { once: true });
      }),
  };

  /** `setTimeout`: whole milliseconds, up to one early by the loop's own coarse clock, and a little late. */
  #timer(afterMs: number, fire: () => void): Timer {
    const { world } = this.node;
    const wholeMs = Math.min(MAX_TIMER_MS, Math.max(1, Math.trunc(afterMs)));
    const dueMonoMs = this.node.monoMs(this.trueMs) + wholeMs - 0.5 * this.chance.next();
    let cancelled = false;
    let scheduled: Scheduled | null = null;
    const plan = () => {
      scheduled = world.at(this.node.trueOfMono(dueMonoMs) + 0.3 * this.chance.next(), () => {
        if (cancelled || !this.alive) return;
        // The host sleeps or slept: CLOCK_MONOTONIC did not go on.
        if (this.node.asleep) return this.node.onWoken(plan);
        if (this.node.monoMs(world.nowMs) < dueMonoMs - 1) return plan();
        this.deliver('timer', () => cancelled || fire());
      });
    };
    plan();
    return {
      cancel: () => {
        cancelled = true;
        if (scheduled !== null) scheduled.cancelled = true;
      },
    };
  }

  #block(untilMs: number): void {
    if (!this.alive || untilMs <= this.#blockedUntilMs) return;
    const { nowMs } = this.node.world;
    if (this.#blockedUntilMs < nowMs) this.#offFromMs = nowMs;
    this.#blockedUntilMs = untilMs;
    if (!this.#running) this.#planWake();
  }

  #settle(): void {
    if (this.#aheadMs > 0) this.#planWake();
  }

  #planWake(): void {
    if (this.#wake !== null) this.#wake.cancelled = true;
    this.#wake = null;
    if (!Number.isFinite(this.#blockedUntilMs)) return;
    this.#wake = this.node.world.at(this.#blockedUntilMs, () => this.#woken());
  }

  #woken(): void {
    this.#wake = null;
    if (!this.alive) return;
    const { world } = this.node;
    if (this.#offFromMs !== null) this.node.wasOff(this.name, this.#offFromMs, world.nowMs);
    this.#offFromMs = null;
    const waiting = this.#waiting.sort((one, other) => ORDER[one.phase] - ORDER[other.phase] || one.atMs - other.atMs);
    this.#waiting = [];
    this.#waitingSockets = 0;
    this.#aheadMs = 0;
    for (const { phase, run } of waiting) world.at(world.nowMs, () => this.deliver(phase, run));
  }
}

/** For people only, and the same on every run. */
const wallText = (monoMs: number): string => {
  const seconds = Math.floor(monoMs / 1_000);
  const two = (value: number) => String(value % 60).padStart(2, '0');
  const hours = String(Math.floor(seconds / 3_600) % 24).padStart(2, '0');
  const millis = String(Math.floor(monoMs % 1_000)).padStart(3, '0');
  return `2000-01-01T${hours}:${two(Math.floor(seconds / 60))}:${two(seconds)}.${millis}Z`;
};
