// One plan as a world: hosts with their supervisors and processes, the store, the network, the oracle. What happens in it
// is the plan's and carry-out.ts's; what must not happen is the oracle's.
import type { ClusterConfig } from '../config/cluster-config.js';
import { parseConfigOrThrow } from '../config/parse.js';
import { clockOnlyWait, manyPausesWait, sleepingGuardWait } from '../config/timing-proof.js';
import type { GuardClient } from '../guard/client.js';
import type { GuardHandle } from '../guard/run-guard.js';
import type { NodeId } from '../model/ids.js';
import type { ClusterKeys } from '../system/key-file.js';
import { type Plan, nodeIds } from './fault-plan.js';
import { Network } from './network.js';
import { Oracle } from './oracle.js';
import { SimArbiter } from './sim-arbiter.js';
import { startGuard } from './sim-guard.js';
import { startLeash } from './sim-leash.js';
import { SimNode } from './sim-node.js';
import { startStandIn } from './stand-in.js';
import { World } from './world.js';

export const GROUP = 'g';
const CLUSTER = 'simulated';
const KEYS: ClusterKeys = (() => {
  const key = { id: 1, bytes: new Uint8Array(32).fill(7) };
  return { current: key, all: [key] };
})();

export class ClusterWorld {
  readonly world: World;
  readonly plan: Plan;
  readonly config: ClusterConfig;
  readonly nodes: readonly SimNode[];
  readonly network: Network;
  readonly arbiter: SimArbiter;
  readonly oracle: Oracle;
  readonly guards = new Map<NodeId, GuardHandle>();
  readonly controllers = new Map<NodeId, GuardClient>();

  constructor(plan: Plan, options: { readonly traceLines?: number } = {}) {
    this.plan = plan;
    this.world = new World(plan.seed, options);
    const { world } = this;
    this.config = configOf(plan);
    this.network = new Network(world);
    this.network.weather = plan.weather;
    this.arbiter = new SimArbiter(world, plan.store);
    this.arbiter.weather = plan.storeWeather;
    this.nodes = nodeIds(plan.nodes).map((id, index) => new SimNode(world, { id, rate: plan.rates[index] ?? 1 }));
    this.oracle = new Oracle({
      world,
      cluster: CLUSTER,
      group: GROUP,
      nodes: this.nodes,
      timing: this.config.timing,
      watchdog: plan.watchdog,
      takeover: plan.takeover,
      fencing: plan.fencing,
    });
    this.arbiter.listener = this.oracle;
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

  #equip(node: SimNode): void {
    const chance = node.chance.stream('supervisor');
    const bootMs = () => chance.heavyTail(1_500, 30_000);
    node.dog.offMs = bootMs;
    node.stallChance = this.plan.stallChance;
    node.stallMs = this.plan.stallMs;
    const members = this.nodes.map(({ id }) => id);
    node.units.push(
      {
        name: 'leash',
        start: (process) => startLeash(process, { groups: [GROUP], timing: this.config.timing, resetMs: bootMs }),
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
            watchdog: this.plan.watchdog,
            resetMs: bootMs,
            watcher: {
              beats: (by, groups) => this.oracle.beats(by, groups),
              says: () => this.oracle.says(),
              journal: (by, event) => this.oracle.journal(by, event),
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
          startStandIn(process, {
            group: GROUP,
            members,
            preempt: this.plan.takeover === 'preempt',
            running: (by, client) => void this.controllers.set(by.node.id, client),
          }),
        restartMs: () => chance.between(200, 1_500),
      },
    );
  }
}

const configOf = (plan: Plan): ClusterConfig => {
  const ids = nodeIds(plan.nodes);
  const address = (node: number, network: number) => `10.${network}.0.${node + 1}`;
  const networks = Array.from({ length: plan.heartbeatNetworks }, (_, network) => network);
  const text = JSON.stringify({
    cluster: CLUSTER,
    key: 'file:/etc/understudy/cluster.key',
    nodes: Object.fromEntries(ids.map((id, node) => [id, { networks: { heartbeat: networks.map((network) => address(node, network)) } }])),
    arbiter: { use: 'simulated' },
    ...(plan.watchdog ? { watchdog: 'socket:/run/dog' } : {}),
    fencing: plan.fencing === 'none' ? { policy: 'none', unsafe: true } : plan.fencing,
    timing: { profile: plan.profile, strict: plan.strict },
    groups: {
      [GROUP]: {
        prefer: ids,
        takeover: plan.takeover,
        ...(plan.takeover === 'preempt' ? { confirm: plan.confirm } : {}),
        resources: { app: { use: 'simulated' } },
      },
    },
  });
  const { config } = parseConfigOrThrow(text, '/simulated/understudy.config.yaml');
  const { timing } = config;
  if (!plan.tightW) return config;
  const takeoverWaitMs = Math.ceil(
    Math.max(clockOnlyWait(timing), plan.watchdog ? sleepingGuardWait(timing) : 0, plan.strict ? manyPausesWait(timing) : 0),
  );
  return { ...config, timing: { ...timing, takeoverWaitMs } };
};
