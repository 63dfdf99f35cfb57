// Listens on this node's address of every path. An address that is not there yet is tried again every second.
import type { Socket } from 'node:net';
import { reasonOf, type Timer } from 'understudy/plugin';
import type { LinkPath, PeerLinkOptions, Tell } from './link-options.js';
import { type Listening, sendAway } from './peer-network.js';

const AGAIN_MS = 1000;

export class PathListeners {
  readonly #options: PeerLinkOptions;
  readonly #tell: Tell;
  readonly #accept: (socket: Socket, path: LinkPath) => void;
  readonly #listening: Listening[] = [];
  readonly #waiting = new Set<Timer>();
  #closed = false;

  constructor(options: PeerLinkOptions, tell: Tell, accept: (socket: Socket, path: LinkPath) => void) {
    this.#options = options;
    this.#tell = tell;
    this.#accept = accept;
  }

  start(): void {
    for (const path of this.#options.paths) void this.#listen(path);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#waiting) timer.cancel();
    await Promise.all(this.#listening.map((listening) => listening.close()));
  }

  async #listen(path: LinkPath): Promise<void> {
    const { network, port, clock } = this.#options;
    const refused = (because: string) => this.#tell('mirror.link-refused', because);
    try {
      const at = { address: path.localAddress, port, from: path.peerAddress };
      const listening = await network.listen(at, (socket) => (this.#closed ? sendAway(socket) : this.#accept(socket, path)), refused);
      if (this.#closed) await listening.close();
      else this.#listening.push(listening);
    } catch (error) {
      this.#tell('mirror.link-deaf', `cannot listen on ${path.localAddress}:${port}: ${reasonOf(error)}`);
      const timer = clock.after(
        AGAIN_MS,
        () => {
          this.#waiting.delete(timer);
          if (!this.#closed) void this.#listen(path);
        },
        { idle: true },
      );
      this.#waiting.add(timer);
    }
  }
}
