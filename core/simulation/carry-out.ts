// Carries a plan's faults out, one after the other, and ends all of them when everything shall heal. What a fault does is
// said here and nowhere else.
import { parseRecord } from '../ownership/record-codec.js';
import { leaseKey } from '../ownership/record.js';
import type { ClusterWorld } from './cluster-world.js';
import type { Fault, FaultKind } from './fault-plan.js';
import { whenItIsTime } from './moments.js';
import { MIRROR_NETWORK } from './plan-config.js';
import { WELL } from './sim-agent.js';

const keyOf = ({ config, group }: ClusterWorld): string => leaseKey(config.cluster, group);

/** Plans everything that befalls the world. */
export const befall = (cluster: ClusterWorld): void => {
  const { world, plan } = cluster;
  for (const planned of plan.faults)
    whenItIsTime(cluster, planned, (fault) => {
      world.mark(`fault ${fault.kind}`);
      world.say('fault', fault.kind, faultWords(fault));
      (CARRY_OUT[fault.kind] as (cluster: ClusterWorld, fault: Fault) => void)(cluster, fault);
    });
  world.at(plan.healMs, () => heal(cluster));
};

/** All that ends by itself ends now; what needs an operator has one. */
const heal = (cluster: ClusterWorld): void => {
  const { world, network, arbiter, nodes } = cluster;
  world.say('world', 'heal', 'all faults end');
  network.heal();
  arbiter.heal();
  cluster.hastyUntilMs.clear();
  for (const node of nodes) {
    node.stallChance = 0;
    cluster.resources.get(node.id)?.heal();
    node.disk.failing = null;
    node.dog.deafUntilMs = Number.NEGATIVE_INFINITY;
    node.os.makeKillable();
    node.changeRate(cluster.plan.rates[nodes.indexOf(node)] ?? 1);
    for (const process of node.processes.values()) {
      process.stallNextMs = 0;
      if (!node.asleep) process.resume();
    }
    if (!node.powered) world.after(1_000, () => node.powerOn());
  }
  cluster.beside?.heal();
  repair(cluster);
  // And once more: what somebody asked for before may still be on its way, and land behind the first.
  for (const afterMs of [0, LOOK_AGAIN_MS]) world.after(afterMs, () => everythingOn(cluster));
};

const LOOK_AGAIN_MS = 30_000;

const everythingOn = (cluster: ClusterWorld): void => {
  order(cluster, { want: 'online', maintenance: false, frozen: false, addClear: true });
  for (const node of cluster.nodes) standby(cluster, node.id, false);
};

/** As an operator does it after reading the alarm: a record of a new epoch that nobody holds, when everything is off. */
const repair = (cluster: ClusterWorld): void => {
  const { arbiter, world, nodes, oracle } = cluster;
  if (!oracle.wasTampered) return;
  const key = keyOf(cluster);
  const there = arbiter.get(key);
  const parsed = there === null ? null : parseRecord(there.value);
  world.say('operator', 'repairs the record', 'all nodes off, a new epoch, all nodes on');
  for (const node of nodes) node.powerOff('the operator repairs the record');
  const record = parsed?.kind === 'record' ? parsed.record : oracle.lastRecord;
  if (record === null) arbiter.remove(key);
  else {
    arbiter.put(
      key,
      JSON.stringify({
        ...record,
        epoch: oracle.highestEpoch + 1,
        seq: record.seq + 1_000,
        state: 'RELEASED',
        holder: null,
        prevHolder: null,
        successor: null,
        nonce: `operator-${Math.round(world.nowMs)}`,
      }),
    );
  }
  for (const node of nodes) world.after(2_000, () => node.powerOn());
};

/** All that there may be: two of heartbeats, and the mirror's. */
const NETWORKS = [0, 1, MIRROR_NETWORK] as const;

type Of<Kind extends FaultKind> = Extract<Fault, { readonly kind: Kind }>;

const CARRY_OUT: { readonly [Kind in FaultKind]: (cluster: ClusterWorld, fault: Of<Kind>) => void } = {
  cut: ({ world, network }, { from, to, networks, forMs }) => {
    for (const index of networks) {
      const way = network.way(index, from, to);
      way.cutUntilMs = Math.max(way.cutUntilMs, world.nowMs + forMs);
    }
  },
  isolated: ({ world, network, arbiter, nodes }, { node, store, forMs }) => {
    for (const { id } of nodes)
      for (const index of id === node ? [] : NETWORKS)
        for (const way of [network.way(index, node, id), network.way(index, id, node)])
          way.cutUntilMs = Math.max(way.cutUntilMs, world.nowMs + forMs);
    arbiter.trouble(store, node, forMs);
  },
  lossy: ({ world, network }, { from, to, loss, forMs }) => {
    for (const index of NETWORKS) Object.assign(network.way(index, from, to), { loss, lossyUntilMs: world.nowMs + forMs });
  },
  mtu: ({ world, network }, { from, to, bytes, forMs }) => {
    for (const index of [0, 1]) Object.assign(network.way(index, from, to), { mtuBytes: bytes, mtuUntilMs: world.nowMs + forMs });
  },
  kill: (cluster, { node, process }) => cluster.node(node).processes.get(process)?.kill(),
  pause: (cluster, { node, process, forMs }) => {
    for (const [name, one] of cluster.node(node).processes) if (process === 'all' || process === name) one.pause(forMs);
  },
  stall: (cluster, { node, process, forMs }) => {
    const found = cluster.node(node).processes.get(process);
    if (found !== undefined) found.stallNextMs = forMs;
  },
  power: (cluster, { node, forMs }) => cluster.node(node).reset('the power fails', forMs),
  hang: ({ world, ...cluster }, { node: id, forMs }) => {
    const node = cluster.nodes.find((one) => one.id === id);
    if (node === undefined || !node.powered) return;
    const { boot } = node;
    for (const process of node.processes.values()) process.pause(Number.POSITIVE_INFINITY);
    world.after(forMs, () => node.boot === boot && node.reset('somebody resets the hung host', 2_000));
  },
  suspend: (cluster, { node: id, forMs }) => {
    const node = cluster.node(id);
    if (!node.powered || node.asleep) return;
    node.suspend(forMs);
    node.onWoken(() => cluster.oracles.forEach((oracle) => oracle.woken(node)));
  },
  'clock-rate': (cluster, { node: id, rate, forMs }) => {
    const node = cluster.node(id);
    const usual = cluster.plan.rates[cluster.nodes.indexOf(node)] ?? 1;
    if (node.asleep) return;
    for (const oracle of cluster.oracles) oracle.beyondDrift();
    node.changeRate(rate);
    cluster.world.after(forMs, () => node.changeRate(usual));
  },
  disk: (cluster, { node, code, under, forMs }) => {
    cluster.node(node).disk.failing = { code, under, untilMs: cluster.world.nowMs + forMs };
  },
  unkillable: (cluster, { node, forMs }) => cluster.node(node).os.makeUnkillable(forMs),
  hasty: (cluster, { node, forMs }) => {
    cluster.hastyUntilMs.set(node, cluster.world.nowMs + forMs);
  },
  'app-dies': (cluster, { node }) => cluster.node(node).os.endProcesses(cluster.group, 'a fault'),
  'dog-deaf': (cluster, { node, forMs }) => {
    cluster.node(node).dog.deafUntilMs = cluster.world.nowMs + forMs;
  },
  arbiter: ({ arbiter }, { how, node, forMs }) => arbiter.trouble(how, node, forMs),
  'store-late': ({ arbiter }, { what, node, lateMs, forMs }) => arbiter.trouble(`late ${what}`, node, forMs, lateMs),
  'slow-line': ({ world, network }, { from, to, lateMs, forMs }) => {
    for (const index of NETWORKS) Object.assign(network.way(index, from, to), { lateMs, lateUntilMs: world.nowMs + forMs });
  },
  'arbiter-restored': (cluster, { backupMs }) => {
    cluster.arbiter.backUp();
    cluster.world.after(backupMs, () => {
      // Whoever heals the cluster restores nothing behind its own back.
      if (cluster.world.nowMs >= cluster.plan.healMs) return;
      for (const oracle of cluster.oracles) oracle.rolledBack();
      cluster.world.say('fault', 'arbiter-restored', 'the store goes back to its backup');
      cluster.arbiter.restore();
    });
  },
  'record-deleted': (cluster) => cluster.arbiter.remove(keyOf(cluster)),
  'record-edited': (cluster, { how }) => {
    const there = cluster.arbiter.get(keyOf(cluster));
    const parsed = there === null ? null : parseRecord(there.value);
    if (parsed?.kind !== 'record') return;
    const { record } = parsed;
    const edited = {
      garbage: 'edited by hand: {',
      same: JSON.stringify(record),
      holder: JSON.stringify({ ...record, holder: null, state: 'RELEASED', seq: record.seq + 1 }),
      epoch: JSON.stringify({ ...record, epoch: record.epoch + 5 }),
    }[how];
    // Whoever writes RELEASED by hand says that nothing runs: that is no fault of ours to survive.
    if (how === 'holder') return;
    cluster.oracle.tampered();
    cluster.arbiter.put(keyOf(cluster), edited);
  },
  move: (cluster, { to }) => order(cluster, { move: { id: `move-${Math.round(cluster.world.nowMs)}`, to, by: 'operator', why: 'plan' } }),
  standby: (cluster, { node, forMs }) => {
    standby(cluster, node, true);
    cluster.world.after(forMs, () => standby(cluster, node, false));
  },
  offline: (cluster, { forMs }) => {
    order(cluster, { want: 'offline' });
    cluster.world.after(forMs, () => order(cluster, { want: 'online' }));
  },
  maintenance: (cluster, { forMs }) => {
    order(cluster, { maintenance: true });
    cluster.world.after(forMs, () => order(cluster, { maintenance: false }));
  },
  misbehave: (cluster, { node, group, resource, how, forMs }) => {
    const resources = cluster.resources.get(node);
    resources?.misbehave(group, resource, how);
    cluster.world.after(forMs, () => resources?.misbehave(group, resource, WELL));
  },
  operator: (cluster, { node, order: given }) => {
    const process = cluster.node(node).processes.get('controller');
    const controller = cluster.wholes.get(node);
    if (process === undefined || controller === undefined) return cluster.world.mark('order: no controller answers');
    process.deliver('socket', () => {
      controller.give(given).then(
        () => cluster.world.mark(`order ${given.verb}: taken`),
        (error: unknown) => {
          cluster.world.mark(`order ${given.verb}: refused`);
          cluster.world.say(node, 'order refused', error instanceof Error ? error.message : String(error));
        },
      );
    });
    return undefined;
  },
  copy: (cluster, fault) => cluster.beside?.copyFault(fault),
  reset: (cluster) => cluster.beside?.resetLinks(),
};

type GroupChange = Parameters<NonNullable<ReturnType<ClusterWorld['controllers']['get']>>['orders']>[0];
type GroupSet = Extract<GroupChange, { key: 'group' }>['set'];

/** An operator gives an order at a node whose controller lives, and goes on asking until it is taken. */
const order = (cluster: ClusterWorld, set: GroupSet): void => {
  for (const { id } of cluster.config.groups) insist(cluster, { key: 'group', group: id, set }, 0);
};
const standby = (cluster: ClusterWorld, node: string, on: boolean): void => insist(cluster, { key: 'node', node, set: { standby: on } }, 0);

const TRIES = 100;

const insist = (cluster: ClusterWorld, request: GroupChange, tries: number): void => {
  const { world, nodes, controllers, plan } = cluster;
  const asked = world.nowMs < plan.healMs;
  const again = () => {
    // When all shall heal, nobody goes on asking for what he wanted before.
    if (tries < TRIES && asked === world.nowMs < plan.healMs) world.after(2_000, () => insist(cluster, request, tries + 1));
  };
  const alive = nodes.filter((node) => node.processes.get('controller')?.blocked === false);
  const node = alive[tries % Math.max(1, alive.length)];
  const process = node?.processes.get('controller');
  const client = node === undefined ? undefined : controllers.get(node.id);
  if (process === undefined || client === undefined) return again();
  let answered = false;
  const settle = (ok: boolean) => {
    if (answered) return;
    answered = true;
    if (!ok) again();
  };
  // The process may die with the question.
  world.after(20_000, () => settle(false));
  process.deliver('socket', () => {
    client.orders(request).then(
      () => settle(true),
      () => settle(false),
    );
  });
};

/** One fault in words. */
export const faultWords = ({ atMs: _at, kind: _kind, ...rest }: Fault): string =>
  Object.entries(rest)
    .map(
      ([name, value]) =>
        `${name} ${Array.isArray(value) ? value.join('+') : typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
    )
    .join(', ');
