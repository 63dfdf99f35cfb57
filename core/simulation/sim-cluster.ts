// A whole simulated cluster of one configuration: hosts, their networks, the store, and on each host the production guard,
// a leash and the production controller with simulated resources. What is done to it is somebody else's idea: a script, or
// the faults of a seed.
import type { OrderAnswer, OrderRequest } from '../api/views.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import type { DesiredState } from '../model/desired.js';
import type { JournalEvent, NewEvent } from '../model/event.js';
import type { GroupId, NodeId } from '../model/ids.js';
import type { FenceDevice } from '../plugin/contract.js';
import { type Fence, noFence } from '../scheduler/ports.js';
import { parseKeys } from '../system/key-file.js';
import { Network } from './network.js';
import { type SimResource, SimResources } from './sim-agent.js';
import { SimArbiter } from './sim-arbiter.js';
import { type SimController, startSimController } from './sim-controller.js';
import { type GuardWatcher, startGuard } from './sim-guard.js';
import { startLeash } from './sim-leash.js';
import { SimLinks } from './sim-link.js';
import { SimNode } from './sim-node.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

export interface SimClusterOptions {
  readonly config: ClusterConfig;
  readonly desired: (node: NodeId) => DesiredState;
  /** What stands for each resource type. */
  readonly kinds: ReadonlyMap<string, SimResource>;
  /** A round trip to the store on a good day, milliseconds. */
  readonly storeMs: readonly [number, number];
  /** Clock rates of the nodes, in their order; 1 where there is none. */
  readonly rates?: readonly number[];
  /** Keeps the journals of all nodes. */
  readonly journals?: boolean;
}

/** Any key does: nothing outside of this process could ever hear it. */
const KEY = `understudy-key-1 1 ${'0123456789abcdef'.repeat(4)}\n`;
/** From power to the units' start. */
const [BOOT_MS, RESTART_MS] = [5_000, 1_000];
const FENCE_MS = [3_000, 8_000] as const;
const FENCE_LIMIT_MS = 120_000;

export class SimCluster {
  readonly world: World;
  readonly config: ClusterConfig;
  readonly nodes: ReadonlyMap<NodeId, SimNode>;
  readonly network: Network;
  readonly store: SimArbiter;
  readonly events: JournalEvent[] = [];
  /** True time at which each event was written, by its number. */
  readonly begunMs = new Map<number, number>();
  readonly resources = new Map<NodeId, SimResources>();
  readonly #links: SimLinks;
  readonly #options: SimClusterOptions;
  readonly #controllers = new Map<NodeId, SimController>();
  readonly #keys = parseKeys(KEY, 'the simulation');
  #seq = 0;

  constructor(world: World, options: SimClusterOptions) {
    const { config, rates = [], kinds } = options;
    this.world = world;
    this.config = config;
    this.#options = options;
    this.network = new Network(world);
    this.#links = new SimLinks(this.network);
    this.store = new SimArbiter(world, { shape: 'counter', usualMs: options.storeMs, pushes: false });
    this.nodes = new Map(
      config.nodes.map(({ id }, index) => {
        const node = new SimNode(world, { id, rate: rates[index] ?? 1 });
        this.resources.set(id, new SimResources(kinds));
        this.#addUnits(node);
        return [id, node];
      }),
    );
  }

  powerOnAll(): void {
    for (const node of this.nodes.values()) node.powerOn();
  }

  node(id: NodeId): SimNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  controller(id: NodeId): SimController | null {
    return this.#controllers.get(id) ?? null;
  }

  /** Gives an order on a node where a controller lives; null when there is none. */
  give(id: NodeId, order: OrderRequest): Promise<OrderAnswer> | null {
    return this.#controllers.get(id)?.give(order) ?? null;
  }

  /** From one network, from the arbiter, or from everything (null), in both directions, until it is healed. */
  cut(id: NodeId, from: number | 'arbiter' | null): void {
    if (from === null || from === 'arbiter') this.store.trouble('down', id, Number.POSITIVE_INFINITY);
    if (from === 'arbiter') return;
    const networks = (this.config.nodes[0]?.networks.heartbeat ?? []).map((_, index) => index).filter((index) => from === null || index === from);
    for (const network of networks)
      for (const other of this.nodes.keys())
        for (const way of [this.network.way(network, id, other), this.network.way(network, other, id)]) way.cutUntilMs = Number.POSITIVE_INFINITY;
  }

  /** Where something of the group runs, as an observer outside of the hosts sees it. */
  active(group: GroupId): readonly NodeId[] {
    return [...this.nodes.values()].filter((node) => node.os.facts(group).length > 0).map(({ id }) => id);
  }

  /** Where the group serves: everything of it that shows is there. */
  serving(group: GroupId): readonly NodeId[] {
    const resources = this.#options.desired(this.config.nodes[0]!.id).groups.find(({ id }) => id === group)?.resources ?? [];
    return [...this.nodes.values()]
      .filter((node) =>
        resources.every(({ id, type }) => {
          const shows = this.#options.kinds.get(type)?.shows ?? null;
          return shows === null || node.os.has(group, shows, id);
        }),
      )
      .map(({ id }) => id);
  }

  #addUnits(node: SimNode): void {
    const { config } = this;
    const resetMs = () => node.chance.between(BOOT_MS, 3 * BOOT_MS);
    const restartMs = () => node.chance.between(0.3, 1) * RESTART_MS;
    const watchdog = config.watchdog.driver !== 'none';
    node.dog.offMs = resetMs;
    node.units.push(
      {
        name: 'guard',
        restartMs,
        start: (process) =>
          startGuard(process, {
            config,
            keys: this.#keys,
            network: this.network,
            arbiter: this.store,
            watchdog,
            resetMs,
            watcher: this.#watcher(process),
          }),
      },
      {
        name: 'leash',
        restartMs,
        start: (process) => startLeash(process, { groups: config.groups.map(({ id }) => id), timing: config.timing, resetMs }),
      },
      { name: 'controller', restartMs, start: (process) => this.#startController(process) },
    );
  }

  #startController(process: SimProcess): void {
    const { node } = process;
    const addresses = this.config.nodes.find(({ id }) => id === node.id)?.networks.heartbeat ?? [];
    process.onEnd(() => this.#controllers.delete(node.id));
    startSimController(process, {
      config: this.config,
      desired: this.#options.desired(node.id),
      resources: this.resources.get(node.id)!,
      links: this.#links.forProcess(process, addresses),
      fence: this.config.fencing.levels.length === 0 ? noFence() : this.#fence(process),
      journal: (event) => this.#journal(process, 'controller', event),
    }).then(
      (controller) => {
        if (process.alive) this.#controllers.set(node.id, controller);
      },
      (error: unknown) => {
        this.world.say(`${node.id} controller`, 'failed to start', error instanceof Error ? error.message : String(error));
        process.kill();
      },
    );
  }

  /** Powers the other host off, as a cloud or a power switch does: some seconds, then it is seen off. */
  #fence(process: SimProcess): Fence {
    const device: FenceDevice = {
      fence: ({ node }) =>
        new Promise((resolve) => {
          this.world.at(process.trueMs + process.chance.between(...FENCE_MS), () => {
            this.node(node).powerOff(`fenced by ${process.node.id}`);
            process.enqueue('socket', 1, () => resolve({ evidence: `${node} was seen off` }));
          });
        }),
      close: async () => undefined,
    };
    return {
      levels: [[{ name: 'power', nodes: null, open: async () => ({ device, limitMs: FENCE_LIMIT_MS }), close: async () => undefined }]],
    };
  }

  #watcher(process: SimProcess): GuardWatcher {
    return {
      beats: () => undefined,
      says: () => undefined,
      running: () => undefined,
      journal: (_process, event) => this.#journal(process, 'guard', { ...event, monoMs: event.monoMs ?? process.clock.nowMs() }),
    };
  }

  #journal(process: SimProcess, source: string, event: NewEvent & { readonly monoMs: number }): void {
    const { node } = process;
    // The guard's own lines are told by sim-guard.
    if (source === 'controller') this.world.say(`${node.id} ${source}`, event.kind, event.because ?? '');
    if (this.#options.journals !== true) return;
    this.#seq += 1;
    this.begunMs.set(this.#seq, this.world.nowMs);
    this.events.push({ ...event, seq: this.#seq, at: process.clock.wallIso(event.monoMs), node: node.id, bootId: node.bootId, source });
  }
}
