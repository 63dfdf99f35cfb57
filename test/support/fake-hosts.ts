// Hosts on one fake clock and one fake network. Each runs an event loop as Node does: timers, then the sockets, then
// immediates; a paused host runs nothing, keeps what arrives in its socket buffers, and on resuming runs its overdue
// timers BEFORE it reads the sockets. That order is what a paused observer must survive (SAFETY a.3).
import { type DatagramListeners, type DatagramSockets, canonicalAddress } from '../../core/membership/transport.js';
import { FakeClock } from '../../core/plugin/testkit/fake-clock.js';
import type { Clock, Timer } from '../../core/system/clock.js';

export interface Datagram {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

/** What the network does with a datagram: the delays of its copies in ms; none = lost. */
export type Weather = (datagram: Datagram) => readonly number[];

export class FakeNetwork {
  readonly clock = new FakeClock();
  readonly sent: Datagram[] = [];
  weather: Weather = () => [1];
  readonly #bound = new Map<string, { readonly host: FakeHost; readonly listeners: DatagramListeners }>();

  bind(address: string, host: FakeHost, listeners: DatagramListeners): () => void {
    if (this.#bound.has(address)) throw new Error(`EADDRINUSE ${address}`);
    this.#bound.set(address, { host, listeners });
    return () => void this.#bound.delete(address);
  }

  send(datagram: Datagram): void {
    this.sent.push(datagram);
    for (const delayMs of this.weather(datagram)) this.inject(datagram, delayMs);
  }

  /** Delivers a datagram whatever the weather: what somebody recorded, or made up. */
  inject({ from, to, bytes }: Datagram, delayMs = 0): void {
    this.clock.after(delayMs, () => {
      const bound = this.#bound.get(to);
      bound?.host.arrived(() => this.#bound.get(to) === bound && bound.listeners.onMessage(bytes, from));
    });
  }
}

export class FakeHost implements DatagramSockets {
  readonly clock: Clock;
  readonly #network: FakeNetwork;
  #paused = false;
  #running = false;
  #timers: (() => void)[] = [];
  #datagrams: (() => void)[] = [];
  #immediates: (() => void)[] = [];

  constructor(network: FakeNetwork) {
    this.#network = network;
    const world = network.clock;
    const after = (afterMs: number, fire: () => void): Timer => {
      let cancelled = false;
      const timer = world.after(afterMs, () => this.#enqueue(this.#timers, () => cancelled || fire()));
      return { cancel: () => ((cancelled = true), timer.cancel()) };
    };
    this.clock = {
      nowMs: () => world.nowMs(),
      wallIso: () => world.wallIso(),
      sleep: (afterMs, signal) => world.sleep(afterMs, signal),
      after,
      soon: (fire) => this.#enqueue(this.#immediates, fire),
      every: (periodMs, fire) => {
        let timer: Timer | null = null;
        const arm = () => void (timer = after(periodMs, () => (arm(), fire())));
        arm();
        return { cancel: () => timer?.cancel() };
      },
    };
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#turn();
  }

  arrived(read: () => void): void {
    this.#enqueue(this.#datagrams, read);
  }

  async open(address: string, port: number, listeners: DatagramListeners) {
    const own = canonicalAddress(address) ?? address;
    const unbind = this.#network.bind(own, this, listeners);
    return {
      send: (bytes: Uint8Array, _port: number, to: string) => this.#network.send({ from: own, to, bytes }),
      close: async () => unbind(),
    };
  }

  drained(then: () => void): void {
    this.#enqueue(this.#immediates, () => this.#enqueue(this.#immediates, then));
  }

  #enqueue(queue: (() => void)[], job: () => void): void {
    queue.push(job);
    this.#turn();
  }

  #turn(): void {
    if (this.#paused || this.#running) return;
    this.#running = true;
    for (let turns = 0; this.#timers.length + this.#datagrams.length + this.#immediates.length > 0; turns++) {
      if (turns > 1000) throw new Error('the event loop of a fake host never came to rest');
      for (const queue of [this.#timers, this.#datagrams, this.#immediates]) for (const job of queue.splice(0)) job();
    }
    this.#running = false;
  }
}
