// One plan as a world: hosts with their supervisors and processes, the store, the network, the oracle. What happens in it
// is the plan's and carry-out.ts's; what must not happen is the oracle's.
import type { ClusterConfig } from '../config/cluster-config.js';
import type { GuardClient } from '../guard/client.js';
import type { GuardHandle } from '../guard/run-guard.js';
import type { DesiredState } from '../model/desired.js';
import type { NewEvent } from '../model/event.js';
import type { GroupId, NodeId } from '../model/ids.js';
import type { FenceDevice } from '../plugin/contract.js';
import { type Fence, noFence } from '../scheduler/ports.js';
import type { ClusterKeys } from '../system/key-file.js';
import { leasePage } from '../system/paths.js';
import type { Fault, Plan } from './fault-plan.js';
import { Network } from './network.js';
import { GROUP, configOf } from './plan-config.js';
import { Oracle } from './oracle.js';
import { type SimResource, SimResources } from './sim-agent.js';
import { SimArbiter } from './sim-arbiter.js';
import { type SimController, startSimController } from './sim-controller.js';
import { startGuard } from './sim-guard.js';
import { startLeash } from './sim-leash.js';
import { SimLinks } from './sim-link.js';
import { SimNode } from './sim-node.js';
import type { OsListener } from './sim-os.js';
import type { SimProcess } from './sim-process.js';
import { startStandIn } from './stand-in.js';
import { World } from './world.js';

const KEYS: ClusterKeys = (() => {
  const key = { id: 1, bytes: new Uint8Array(32).fill(7) };
  return { current: key, all: [key] };
})();

/** What runs on the nodes beside guard, leash and controller (a mirror): it adds its units before the first boot, and takes its faults. */
export interface Beside {
  copyFault(fault: Extract<Fault, { readonly kind: 'copy' }>): void;
  resetLinks(): void;
  /** All faults end now. */
  heal(): void;
}

/** A cluster with real controllers. */
export interface Whole {
  readonly config: ClusterConfig;
  readonly desired: (node: NodeId) => DesiredState;
  /** What stands for each resource type. */
  readonly kinds: ReadonlyMap<string, SimResource>;
  /** Groups whose data is mirrored. Default: none. */
  readonly mirrored?: readonly GroupId[];
}

export interface ClusterWorldOptions {
  readonly traceLines?: number;
  /** Default: stand-ins for the controllers, and a config made from the plan. */
  readonly whole?: Whole;
  /** Every event of every journal, as it is written. */
  readonly journal?: (process: SimProcess, event: NewEvent & { readonly monoMs: number }) => void;
}

const FENCE_MS = [3_000, 8_000] as const;
const FENCE_LIMIT_MS = 120_000;

export class ClusterWorld {
  readonly world: World;
  readonly plan: Plan;
  readonly config: ClusterConfig;
  readonly nodes: readonly SimNode[];
  readonly network: Network;
  readonly arbiter: SimArbiter;
  /** Of the first group, with which the faults of records and stores deal. */
  readonly oracle: Oracle;
  readonly oracles: readonly Oracle[];
  readonly group: GroupId;
  readonly guards = new Map<NodeId, GuardHandle>();
  readonly controllers = new Map<NodeId, GuardClient>();
  /** Until then a node's stand-in gives its lease back without stopping anything. */
  readonly hastyUntilMs = new Map<NodeId, number>();
  readonly wholes = new Map<NodeId, SimController>();
  readonly resources = new Map<NodeId, SimResources>();
  beside: Beside | null = null;
  /** Something began or ended on a host. */
  onEffect: (() => void) | null = null;
  readonly #options: ClusterWorldOptions;
  readonly #links: SimLinks;

  constructor(plan: Plan, options: ClusterWorldOptions = {}) {
    this.plan = plan;
    this.world = new World(plan.seed, options);
    const { world } = this;
    this.#options = options;
    this.config = options.whole?.config ?? configOf(plan);
    this.group = this.config.groups[0]?.id ?? GROUP;
    this.network = new Network(world);
    this.network.weather = plan.weather;
    this.#links = new SimLinks(this.network);
    this.arbiter = new SimArbiter(world, plan.store);
    this.arbiter.weather = plan.storeWeather;
    this.nodes = this.config.nodes.map(({ id }, index) => new SimNode(world, { id, rate: plan.rates[index] ?? 1 }));
    this.oracles = this.config.groups.map(
      ({ id, takeover }) =>
        new Oracle({
          world,
          cluster: this.config.cluster,
          group: id,
          nodes: this.nodes,
          timing: this.config.timing,
          watchdog: this.config.watchdog.driver !== 'none',
          takeover,
          fencing: this.config.fencing.policy,
          atMostEpochs: plan.atMostEpochs ?? Number.POSITIVE_INFINITY,
        }),
    );
    this.oracle = this.oracles[0]!;
    this.#listen();
    for (const node of this.nodes) this.#equip(node);
  }

  node(id: NodeId): SimNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new RangeError(`no node ${id}`);
    return found;
  }

  /** Switches all hosts on, a little apart. */
  boot(): void {
    const chance = this.world.chance.stream('boot');
    for (const node of this.nodes) this.world.after(chance.heavyTail(1, 20_000), () => node.powerOn());
  }

  /** Where the group serves: everything of it that shows is there. */
  serving(group: GroupId): readonly NodeId[] {
    const { whole } = this.#options;
    const shows =
      whole === undefined
        ? (['process', 'address'] as const).map((kind) => ({ kind, key: kind as string }))
        : (whole.desired(this.nodes[0]!.id).groups.find(({ id }) => id === group)?.resources ?? []).flatMap(({ id, type }) => {
            const kind = whole.kinds.get(type)?.shows ?? null;
            return kind === null ? [] : [{ kind, key: id }];
          });
    return this.nodes.filter(({ os }) => shows.every(({ kind, key }) => os.has(group, kind, key))).map(({ id }) => id);
  }

  /** Each oracle hears of its own group; the store's are told apart by their keys. */
  #listen(): void {
    const { oracles } = this;
    const of = (group: GroupId) => oracles.find((oracle) => oracle.group === group);
    const listener: OsListener = {
      began: (node, fact) => {
        of(fact.group)?.began(node, fact);
        this.onEffect?.();
      },
      ended: (_node, { group }) => {
        of(group)?.ended();
        this.onEffect?.();
      },
    };
    for (const node of this.nodes) {
      node.os.listener = listener;
      const pages = new Map(oracles.map((oracle) => [leasePage(node.paths, oracle.group), oracle]));
      node.disk.onWrite = (path, bytes) => pages.get(path)?.page(node, bytes);
    }
    this.arbiter.listener = {
      sent: (...told) => oracles.forEach((oracle) => oracle.sent(...told)),
      written: (...told) => oracles.forEach((oracle) => oracle.written(...told)),
      removed: (key) => oracles.forEach((oracle) => oracle.removed(key)),
      conflicted: (...told) => oracles.forEach((oracle) => oracle.conflicted(...told)),
      told: (...told) => oracles.forEach((oracle) => oracle.told(...told)),
    };
  }

  #equip(node: SimNode): void {
    const chance = node.chance.stream('supervisor');
    const bootMs = () => chance.heavyTail(1_500, 30_000);
    node.dog.offMs = bootMs;
    node.stallChance = this.plan.stallChance;
    node.stallMs = this.plan.stallMs;
    node.os.slowStops = this.plan.slowStops === true;
    const members = this.nodes.map(({ id }) => id);
    node.units.push(
      {
        name: 'leash',
        start: (process) =>
          startLeash(process, { groups: this.config.groups.map(({ id }) => id), timing: this.config.timing, resetMs: bootMs }),
        restartMs: () => chance.between(100, 300),
      },
      {
        name: 'guard',
        start: (process) =>
          startGuard(process, {
            config: this.config,
            keys: KEYS,
            network: this.network,
            arbiter: this.arbiter,
            watchdog: this.config.watchdog.driver !== 'none',
            mirrored: this.#options.whole?.mirrored ?? [],
            resetMs: bootMs,
            watcher: {
              beats: (by, groups) =>
                this.oracles.forEach((oracle) =>
                  oracle.beats(
                    by,
                    groups.filter(({ group }) => group === oracle.group),
                  ),
                ),
              says: (by, to, message) =>
                this.oracles.find(({ group }) => 'group' in message && group === message.group)?.says(by, to, message),
              journal: (by, event) => {
                const oracle = this.oracles.find(({ group }) => group === event.group);
                if (oracle === undefined) this.world.mark(`guard ${event.kind}`);
                else oracle.journal(by, event);
                this.#options.journal?.(by, { ...event, monoMs: event.monoMs ?? by.clock.nowMs() });
              },
              running: (by, guard) => {
                this.guards.set(by.node.id, guard);
                this.oracle.running();
              },
            },
          }),
        restartMs: () => chance.between(130, 400),
      },
      {
        name: 'controller',
        start: (process) =>
          this.#options.whole === undefined
            ? startStandIn(process, {
                group: this.group,
                members,
                preempt: this.plan.takeover === 'preempt',
                isHasty: () => this.world.nowMs < (this.hastyUntilMs.get(node.id) ?? 0),
                running: (by, client) => void this.controllers.set(by.node.id, client),
              })
            : this.#startController(process, this.#options.whole),
        restartMs: () => chance.between(200, 1_500),
      },
    );
  }

  #startController(process: SimProcess, { config, desired, kinds }: Whole): void {
    const { id } = process.node;
    const resources = this.resources.get(id) ?? new SimResources(kinds);
    this.resources.set(id, resources);
    const addresses = config.nodes.find((node) => node.id === id)?.networks.heartbeat ?? [];
    process.onEnd(() => {
      this.controllers.delete(id);
      this.wholes.delete(id);
    });
    startSimController(process, {
      config,
      desired: desired(id),
      resources,
      links: this.#links.forProcess(process, addresses),
      fence: config.fencing.levels.length === 0 ? noFence() : this.#fence(process),
      journal: (event) => {
        this.world.say(`${id} controller`, event.kind, event.because ?? '');
        this.#options.journal?.(process, event);
        this.#inMaintenance(id, event);
      },
    }).then(
      (controller) => {
        if (!process.alive) return;
        this.wholes.set(id, controller);
        this.controllers.set(id, controller.guard);
      },
      (error: unknown) => {
        this.world.say(`${id} controller`, 'failed to start', error instanceof Error ? error.message : String(error));
        process.kill();
      },
    );
  }

  /** I-10: in maintenance no agent writes. */
  #inMaintenance(id: NodeId, { kind, group, data }: NewEvent): void {
    if (kind !== 'action.begin' || group === undefined) return;
    const view = this.controllers.get(id)?.view();
    const action = data?.['kind'];
    const writes = action === 'start' || action === 'stop' || action === 'promote' || action === 'demote';
    if (writes && view?.groupOrders[group]?.maintenance === true)
      this.world.violate('I-10', `${id} begins to ${action} a resource of ${group}, which it knows to be in maintenance`);
  }

  /** Powers the other host off, as a cloud or a power switch does: some seconds, then it is seen off. */
  #fence(process: SimProcess): Fence {
    const device: FenceDevice = {
      fence: (target) =>
        new Promise((resolve) => {
          (this.oracles.find((oracle) => oracle.won(target)) ?? this.oracle).fences(process, target);
          this.world.at(process.trueMs + process.chance.between(...FENCE_MS), () => {
            const node = this.node(target.node);
            // What has booted since is not what was to be ended: that boot is gone, and this one is left alone.
            const same = node.bootId === target.bootId;
            this.world.mark(same ? 'fenced' : 'fence: it has booted since');
            if (same) node.powerOff(`fenced by ${process.node.id}`);
            process.enqueue('socket', 1, () =>
              resolve({ evidence: same ? `${node.id} was seen off` : `${node.id} runs ${node.bootId} now` }),
            );
          });
        }),
      close: async () => undefined,
    };
    const power = { name: 'power', nodes: null, open: async () => ({ device, limitMs: FENCE_LIMIT_MS }), close: async () => undefined };
    return { levels: [[power]] };
  }
}
