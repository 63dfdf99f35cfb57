// The datagram network between simulated hosts: one medium per heartbeat network, with weather of its own in each
// direction. Nothing is ever told to the sender. Faults: loss, one-way cuts, delay with a heavy tail, duplicates,
// reordering, replay of old packets after minutes, corrupt bytes, a limit on the size that gets through.
import type { DatagramListeners, DatagramSockets } from '../membership/transport.js';
import type { Chance } from './chance.js';
import type { SimNode } from './sim-node.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

/** What happens to a packet on its way, each a probability of its own. */
export interface Weather {
  readonly loss: number;
  readonly duplicate: number;
  readonly corrupt: number;
  /** Of a delay from the heavy tail instead of the usual one; makes reordering. */
  readonly late: number;
  readonly lateMs: number;
  /** Sent once more after minutes. */
  readonly replay: number;
}

export const FAIR: Weather = { loss: 0, duplicate: 0, corrupt: 0, late: 0, lateMs: 0, replay: 0 };

/** Cuts, losses and limits from one host to another on one network, until a moment of the world. */
interface Way {
  cutUntilMs: number;
  lossyUntilMs: number;
  loss: number;
  /** Longer packets are lost. */
  mtuUntilMs: number;
  mtuBytes: number;
  /** Every packet is so late. */
  lateUntilMs: number;
  lateMs: number;
}

interface Bound {
  readonly node: SimNode;
  readonly owner: SimProcess;
  readonly network: number;
  readonly listeners: DatagramListeners;
}

export class Network {
  readonly #world: World;
  readonly #chance: Chance;
  /** By address, then by port. */
  readonly #bound = new Map<string, Map<number, Bound>>();
  /** By network, then by the hosts: from, to. */
  readonly #ways = new Map<number, Map<string, Map<string, Way>>>();
  weather: Weather = FAIR;
  /** Sees every datagram as it is sent. */
  onSend: ((from: SimNode, bytes: Uint8Array) => void) | null = null;

  constructor(world: World) {
    this.#world = world;
    this.#chance = world.chance.stream('network');
  }

  /** The state of the way from one host to another on one network; kept for good. */
  way(network: number, from: string, to: string): Way {
    const ways = within(within(this.#ways, network), from);
    let way = ways.get(to);
    if (way === undefined)
      ways.set(to, (way = { cutUntilMs: 0, lossyUntilMs: 0, loss: 0, mtuUntilMs: 0, mtuBytes: 0, lateUntilMs: 0, lateMs: 0 }));
    return way;
  }

  /** Everything goes through from now on. */
  heal(): void {
    this.weather = FAIR;
    this.#ways.clear();
  }

  /** The sockets of one process; `addresses` are those of its host, one per network. */
  forProcess(owner: SimProcess, addresses: readonly string[]): DatagramSockets {
    return {
      open: async (address, port, listeners) => {
        const network = addresses.indexOf(address);
        if (network < 0) throw Object.assign(new Error(`bind EADDRNOTAVAIL ${address}`), { code: 'EADDRNOTAVAIL' });
        const there = within(this.#bound, address);
        if (there.get(port)?.owner.alive === true)
          throw Object.assign(new Error(`bind EADDRINUSE ${address}:${port}`), { code: 'EADDRINUSE' });
        const bound: Bound = { node: owner.node, owner, network, listeners };
        there.set(port, bound);
        const close = () => {
          if (there.get(port) === bound) there.delete(port);
        };
        owner.onEnd(close);
        return {
          send: (bytes, toPort, toAddress) => this.#send(bound, address, toAddress, toPort, bytes),
          close: async () => close(),
        };
      },
      // One poll phase and one check phase: what waits in the sockets by now is read before.
      drained: (then) => void owner.enqueue('immediate', 0, () => owner.enqueue('immediate', 0, then)),
    };
  }

  #send({ node, owner, network }: Bound, address: string, to: string, port: number, bytes: Uint8Array): void {
    if (!owner.alive) return;
    owner.systemCall();
    this.onSend?.(node, bytes);
    const chance = this.#chance;
    const { weather } = this;
    const target = this.#bound.get(to)?.get(port)?.node;
    let sentMs = owner.trueMs;
    if (target !== undefined) {
      const way = this.way(network, node.id, target.id);
      if (sentMs < way.cutUntilMs) return;
      if (sentMs < way.lossyUntilMs && chance.happens(way.loss)) return;
      if (sentMs < way.mtuUntilMs && bytes.length > way.mtuBytes) return;
      if (sentMs < way.lateUntilMs) sentMs += way.lateMs;
    }
    if (chance.happens(weather.loss)) return;
    const delayMs = () => (chance.happens(weather.late) ? chance.heavyTail(1, weather.lateMs) : 0.1 + 0.4 * chance.next());
    this.#arrive(sentMs + delayMs(), address, to, port, network, bytes);
    if (chance.happens(weather.duplicate)) this.#arrive(sentMs + delayMs(), address, to, port, network, bytes);
    if (chance.happens(weather.replay)) this.#arrive(sentMs + chance.between(1_000, 300_000), address, to, port, network, bytes);
    if (chance.happens(weather.corrupt)) {
      const broken = Uint8Array.from(bytes);
      const place = chance.index(broken.length);
      broken[place] = (broken[place] ?? 0) ^ (1 << chance.index(8));
      this.#arrive(sentMs + delayMs(), address, to, port, network, broken);
    }
  }

  /** A cut does not catch what is on its way: it comes late, which is worse. */
  #arrive(atMs: number, from: string, to: string, port: number, network: number, bytes: Uint8Array): void {
    this.#world.at(atMs, () => {
      const bound = this.#bound.get(to)?.get(port);
      if (bound === undefined || bound.network !== network || !bound.node.powered) return;
      bound.owner.deliver('socket', () => bound.listeners.onMessage(bytes, from));
    });
  }
}

/** The inner map of a map of maps; made when it is missing. */
const within = <Key, Inner, Value>(maps: Map<Key, Map<Inner, Value>>, key: Key): Map<Inner, Value> => {
  let inner = maps.get(key);
  if (inner === undefined) maps.set(key, (inner = new Map()));
  return inner;
};
