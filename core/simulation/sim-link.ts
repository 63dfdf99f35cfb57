// The cluster link between simulated controllers, as TCP gives it: in order, late rather than lost, half-open when a host
// loses power or a way is cut, and reset when the host answers again. It takes the same ways through the network as the
// heartbeats. Who shares the key is not its business: all do.
import { UnderstudyError } from '../errors/errors.js';
import type { LinkListeners, LinkNetwork } from '../link/network.js';
import type { FramedConnection } from '../system/framed-socket.js';
import type { Network } from './network.js';
import type { SimNode } from './sim-node.js';
import type { SimProcess } from './sim-process.js';

interface Listening {
  readonly owner: SimProcess;
  readonly network: number;
  readonly listeners: LinkListeners;
}

const HOP_MS = 0.3;
/** A segment that was not acknowledged is sent again so much later. */
const AGAIN_MS = 200;
/** So many bytes as messages wait unread or unsent; then the connection is given up. */
const MAX_WAITING = 2_000;

export class SimLinks {
  readonly #network: Network;
  readonly #listening = new Map<string, Listening>();

  constructor(network: Network) {
    this.#network = network;
  }

  /** The link's network of one process; `addresses` are those of its host, one per network. */
  forProcess(owner: SimProcess, addresses: readonly string[]): LinkNetwork {
    return {
      listen: async (address, port, listeners) => {
        const network = addresses.indexOf(address);
        const name = `${address} ${port}`;
        if (network < 0 || this.#listening.get(name)?.owner.alive === true) throw new Error(`cannot listen on ${name}`);
        const listening = { owner, network, listeners };
        this.#listening.set(name, listening);
        const close = () => {
          if (this.#listening.get(name) === listening) this.#listening.delete(name);
        };
        owner.onEnd(close);
        return { close: async () => close() };
      },
      connect: ({ host, port, timeoutMs }) => this.#connect(owner, `${host} ${port}`, timeoutMs),
    };
  }

  #connect(owner: SimProcess, to: string, timeoutMs: number): Promise<FramedConnection> {
    return new Promise((resolve, reject) => {
      const there = this.#listening.get(to);
      const late = () => reject(new UnderstudyError('TIMED_OUT', `connecting to ${to} took longer than ${timeoutMs} ms`));
      // A host that is off or cut off does not even refuse.
      if (there === undefined || !this.#open(there.network, owner.node, there.owner.node)) {
        owner.clock.after(timeoutMs, late);
        return;
      }
      const [near, far] = [new End(owner, this.#network, there.network), new End(there.owner, this.#network, there.network)];
      near.other = far;
      far.other = near;
      there.owner.enqueue('socket', 2 * HOP_MS, () => there.listeners.connected(far));
      owner.enqueue('socket', 4 * HOP_MS, () => resolve(near));
    });
  }

  #open(network: number, one: SimNode, other: SimNode): boolean {
    return other.powered && isOpen(this.#network, network, one, other) && isOpen(this.#network, network, other, one);
  }
}

const isOpen = (medium: Network, network: number, from: SimNode, to: SimNode): boolean =>
  from.world.nowMs >= medium.way(network, from.id, to.id).cutUntilMs;

/** One end, in one process. */
class End implements FramedConnection {
  other: End | null = null;
  readonly #owner: SimProcess;
  readonly #medium: Network;
  readonly #network: number;
  readonly #boot: number;
  #onMessage: ((message: unknown) => void) | null = null;
  #onClose: ((because: string) => void) | null = null;
  #early: unknown[] = [];
  /** Sent and not yet delivered, in order; the first is on its way. */
  #sending: string[] = [];
  #ended: string | null = null;

  constructor(owner: SimProcess, medium: Network, network: number) {
    this.#owner = owner;
    this.#medium = medium;
    this.#network = network;
    this.#boot = owner.node.boot;
    owner.onEnd(() => {
      this.#ended ??= 'this process is dead';
      // The kernel says goodbye for a process that was killed; a host without power says nothing.
      if (owner.node.powered) this.#pass(() => this.other?.hangUp('the other side closed the connection'));
    });
  }

  send(message: unknown): boolean {
    if (this.#ended !== null || !this.#owner.alive) return false;
    this.#sending.push(JSON.stringify(message));
    if (this.#sending.length > MAX_WAITING) this.close();
    else if (this.#sending.length === 1) this.#pump();
    return this.#ended === null;
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#onMessage = listener;
    const early = this.#early;
    this.#early = [];
    for (const message of early) listener(message);
  }

  onClose(listener: (because: string) => void): void {
    this.#onClose = listener;
    if (this.#ended !== null) listener(this.#ended);
  }

  close(): void {
    if (this.#ended !== null) return;
    this.#pass(() => this.other?.hangUp('the other side closed the connection'));
    this.#owner.enqueue('socket', 0, () => this.#end('closed by this side'));
  }

  hangUp(because: string): void {
    this.#owner.enqueue('socket', 0, () => this.#end(because));
  }

  /** Lets the first message arrive when the way is open, then the next. */
  #pump(): void {
    this.#pass(() => {
      const { other } = this;
      const text = this.#sending.shift();
      if (other === null || text === undefined) return;
      // Another boot, or no such socket any more: a reset comes back.
      if (other.#gone) return this.#reset();
      other.#owner.deliver('socket', () => other.#arrive(text));
      if (this.#sending.length > 0) this.#pump();
    });
  }

  #reset(): void {
    this.#sending = [];
    this.hangUp('the connection was reset');
  }

  get #gone(): boolean {
    return this.#ended !== null || !this.#owner.alive || this.#owner.node.boot !== this.#boot;
  }

  /** One segment to the other host, tried again while the way is cut or the host is off. */
  #pass(arrived: () => void): void {
    const { node } = this.#owner;
    const { world } = node;
    const { other } = this;
    if (other === null) return;
    const attempt = (): void => {
      // Nobody sends again for a host that lost its power; and a connection that was given up is sent no more.
      if (!node.powered || node.boot !== this.#boot) return;
      if (this.#ended !== null && !this.#owner.alive && !other.#owner.alive) return;
      if (other.#owner.node.powered && isOpen(this.#medium, this.#network, node, other.#owner.node)) arrived();
      else if (this.#ended === null) world.after(AGAIN_MS, attempt);
    };
    world.at(this.#owner.trueMs + HOP_MS, attempt);
  }

  #arrive(text: string): void {
    if (this.#ended !== null) return;
    const message = JSON.parse(text) as unknown;
    if (this.#onMessage === null) this.#early.push(message);
    else this.#onMessage(message);
  }

  #end(because: string): void {
    if (this.#ended !== null) return;
    this.#ended = because;
    this.#sending = [];
    this.#onClose?.(because);
  }
}
