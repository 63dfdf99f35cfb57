// Two ends of a mirror link on loopback addresses of their own, a wire between them that can be cut, and what each end was told.
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock, systemRandom } from 'understudy/plugin';
import type { Frame } from '../../../../plugins/disk-mirror/link/frames.js';
import { insecureNetwork, type PeerNetwork, secureNetwork } from '../../../../plugins/disk-mirror/link/peer-network.js';
import type { LinkPath, PeerLinkOptions } from '../../../../plugins/disk-mirror/link/link-options.js';
import { TcpPeerLink } from '../../../../plugins/disk-mirror/link/tcp-peer-link.js';

export const PORT = 4480;
export const IDENTITY = { cluster: 'c', group: 'db', volume: 'data' };
const bytes = Uint8Array.from({ length: 32 }, (_, at) => at);
export const KEYS = { current: { id: 1, bytes }, all: [{ id: 1, bytes }] };

/** 127.X.Y.: addresses that no other test of this run uses. */
let subnet = randomBytes(2).readUInt16LE() % 20_000;
export const nextNet = (): string => `127.${100 + (((subnet += 1) >> 8) % 100)}.${subnet % 256}.`;

export class End {
  readonly events: string[] = [];
  readonly frames: Frame[] = [];
  readonly told: string[] = [];
  readonly link: TcpPeerLink;
  up = 0;
  onUp: () => void = () => {};

  constructor(node: string, peer: string, paths: readonly LinkPath[], more: Partial<PeerLinkOptions> = {}) {
    const network: PeerNetwork = insecureNetwork(paths.map(({ localAddress }) => localAddress));
    this.link = new TcpPeerLink(
      {
        self: { ...IDENTITY, node },
        peer,
        paths,
        port: PORT,
        network,
        clock: systemClock,
        random: systemRandom,
        pingMs: 100,
        deadMs: 400,
        connectMs: 400,
        retry: { minMs: 20, maxMs: 200 },
        tell: ({ kind, because }) => this.told.push(`${kind}: ${because}`),
        ...more,
      },
      {
        up: (generation, path) => {
          this.events.push(`up ${generation} ${path}`);
          this.up += 1;
          this.onUp();
        },
        down: (generation, because) => {
          this.events.push(`down ${generation} ${because}`);
          this.up -= 1;
        },
        frame: (_generation, frame) => this.frames.push(frame),
      },
    );
  }
}

/** Carries bytes between whoever connects to it and the other of its two ends, from its own address. */
export class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those on which nothing passes any more. */
  readonly #dead = new Set<Socket>();
  #silent = false;
  connections = 0;

  constructor(
    readonly address: string,
    ends: readonly [string, string],
  ) {
    this.#server = createServer({ noDelay: true }, (near) => {
      this.connections += 1;
      const to = near.remoteAddress === ends[0] ? ends[1] : ends[0];
      const far = connect({ host: to, port: PORT, localAddress: address, noDelay: true });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('data', (piece) => {
          if (this.#silent) for (const socket of [one, other]) this.#dead.add(socket);
          else if (!this.#dead.has(one)) other.write(piece);
        });
        one.on('error', () => one.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          if (!this.#silent && !this.#dead.has(one)) other.destroy();
        });
      }
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(PORT, this.address, resolve));
  }

  /** Nothing passes any more, and nobody is told: what a pulled cable does. */
  silence(): void {
    this.#silent = true;
  }

  /** Whole again for new connections; those that were on it stay dead. */
  speak(): void {
    for (const socket of this.#sockets) this.#dead.add(socket);
    this.#silent = false;
  }

  reset(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Direct paths between a (.1) and b (.2) of a net. */
export const direct = (net: string, network = 'mirror'): { a: LinkPath; b: LinkPath } => ({
  a: { network, localAddress: `${net}1`, peerAddress: `${net}2` },
  b: { network, localAddress: `${net}2`, peerAddress: `${net}1` },
});

/** The same with a wire (.9) between them. */
export const wired = async (net: string, network = 'mirror'): Promise<{ a: LinkPath; b: LinkPath; wire: Wire }> => {
  const wire = new Wire(`${net}9`, [`${net}1`, `${net}2`]);
  await wire.listen();
  return {
    wire,
    a: { network, localAddress: `${net}1`, peerAddress: `${net}9` },
    b: { network, localAddress: `${net}2`, peerAddress: `${net}9` },
  };
};

export const secureFor = (node: string, peer: string, keys = KEYS, identity = IDENTITY): PeerNetwork =>
  secureNetwork(keys, { ...identity, node }, peer);
