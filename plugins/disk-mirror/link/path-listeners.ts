// Listens on this node's address of every path. An address that is not there yet is tried again; who does not come from the
// peer's address of that path is sent away before a byte is read.
import type { Socket } from 'node:net';
import { reasonOf, type Timer } from 'understudy/plugin';
import type { LinkPath, PeerLinkOptions, Tell } from './link-options.js';
import type { Listening } from './peer-network.js';

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
      const listening = await network.listen(path.localAddress, port, (socket) => this.#judge(socket, path), refused);
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

  #judge(socket: Socket, path: LinkPath): void {
    const from = socket.remoteAddress ?? 'nowhere';
    if (!this.#closed && (from === path.peerAddress || from === `::ffff:${path.peerAddress}`)) {
      socket.setNoDelay(true);
      return this.#accept(socket, path);
    }
    sendAway(socket);
    this.#tell('mirror.link-refused', `a connection came from ${from}, the peer is ${path.peerAddress} on ${path.network}`);
  }
}

/** What becomes of it matters to nobody. */
export const sendAway = (socket: Socket): void => {
  socket.on('error', () => {});
  socket.destroy();
};
