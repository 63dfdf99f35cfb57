// The network under the mirrors' links: who listens where, and how a connection comes to be. It takes the same ways through the
// simulated network as heartbeats do, the mirror's own network being the third. Who may connect is not its business: TLS and keys
// have suites of their own.
import type { Socket } from 'node:net';
import type { ClusterConfig } from '../../../core/config/cluster-config.js';
import { UnderstudyError } from '../../../core/errors/errors.js';
import type { Network } from '../../../core/simulation/network.js';
import { MIRROR_NETWORK } from '../../../core/simulation/plan-config.js';
import type { SimNode } from '../../../core/simulation/sim-node.js';
import type { SimProcess } from '../../../core/simulation/sim-process.js';
import type { PeerNetwork } from '../../../plugins/disk-mirror/link/peer-network.js';
import { HOP_MS, SimSocket } from './sim-socket.js';

interface Place {
  readonly node: SimNode;
  readonly network: number;
}

interface Listener {
  readonly owner: SimProcess;
  readonly connected: (socket: Socket) => void;
}

export class SimTcp {
  readonly #medium: Network;
  readonly #places = new Map<string, Place>();
  readonly #listeners = new Map<string, Listener>();
  readonly #sockets = new Set<SimSocket>();

  constructor(medium: Network, config: ClusterConfig, nodes: readonly SimNode[]) {
    this.#medium = medium;
    for (const { id, networks } of config.nodes) {
      const node = nodes.find((one) => one.id === id)!;
      networks.heartbeat.forEach((address, network) => this.#places.set(address, { node, network }));
      networks.mirror.forEach((address) => this.#places.set(address, { node, network: MIRROR_NETWORK }));
    }
  }

  /** Every connection ends with an error, at both ends. */
  resetAll(): void {
    for (const socket of this.#sockets) socket.reset();
    this.#sockets.clear();
  }

  forProcess(owner: SimProcess): PeerNetwork {
    return {
      listen: async ({ address, port }, connected) => {
        const name = `${address}:${port}`;
        if (this.#listeners.get(name)?.owner.alive === true)
          throw Object.assign(new Error(`listen EADDRINUSE ${name}`), { code: 'EADDRINUSE' });
        const listener = { owner, connected };
        this.#listeners.set(name, listener);
        const close = () => {
          if (this.#listeners.get(name) === listener) this.#listeners.delete(name);
        };
        owner.onEnd(close);
        return { close: async () => close() };
      },
      connect: ({ host, port, timeoutMs }, sink) =>
        new Promise((resolve, reject) => {
          const late = owner.clock.after(timeoutMs, () =>
            reject(new UnderstudyError('TIMED_OUT', `connecting to ${host}:${port} took longer than ${timeoutMs} ms`)),
          );
          const place = this.#places.get(host);
          owner.node.world.at(owner.trueMs + HOP_MS, () => {
            // A host that is off or cut off does not even refuse.
            if (place === undefined || !owner.alive || !this.#reaches(owner.node, place)) return;
            const there = this.#listeners.get(`${host}:${port}`);
            if (there === undefined || !there.owner.alive) {
              owner.enqueue('socket', HOP_MS, () => {
                late.cancel();
                reject(Object.assign(new Error(`connect ECONNREFUSED ${host}:${port}`), { code: 'ECONNREFUSED' }));
              });
              return;
            }
            const near = new SimSocket(owner, this.#medium, place.network, sink);
            const far = new SimSocket(there.owner, this.#medium, place.network, null);
            near.other = far;
            far.other = near;
            this.#keep(near, far);
            // The kernel accepts into the backlog, also for a process that is stopped.
            there.owner.enqueue('socket', HOP_MS, () => there.connected(far as unknown as Socket));
            owner.enqueue('socket', HOP_MS, () => {
              late.cancel();
              resolve(near as unknown as Socket);
            });
          });
        }),
    };
  }

  #reaches(from: SimNode, { node, network }: Place): boolean {
    const open = (one: string, other: string) => from.world.nowMs >= this.#medium.way(network, one, other).cutUntilMs;
    return node.powered && open(from.id, node.id) && open(node.id, from.id);
  }

  #keep(...ends: readonly SimSocket[]): void {
    for (const socket of this.#sockets) if (socket.gone) this.#sockets.delete(socket);
    for (const end of ends) this.#sockets.add(end);
  }
}
