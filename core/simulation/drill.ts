// Follows a script in a simulated cluster of a user's configuration: waits until every group is online, does what is written
// at its time, and tells what came of it: the incidents as the nodes' own journals explain them, and the times without
// service. One seed is one course of the times that chance decides (phases of polls, delays of the network).
import type { OrderRequest } from '../api/views.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import type { JournalEvent } from '../model/event.js';
import type { NodeId } from '../model/ids.js';
import { explain, type Timeline } from '../planner/explain.js';
import type { Command, Step } from './script.js';
import { ClusterWorld, type Whole } from './cluster-world.js';
import type { Plan } from './fault-plan.js';
import { FAIR } from './network.js';
import { type Outage, ServiceWatch } from './service-watch.js';
import { FAIR_STORE } from './sim-arbiter.js';

/** Something that was done, or that somebody was told, at a time of the script. */
export interface Done {
  readonly atMs: number;
  readonly what: string;
}

export interface DrillResult {
  readonly seed: number;
  readonly done: readonly Done[];
  readonly timelines: readonly { readonly atMs: number; readonly timeline: Timeline }[];
  readonly outages: readonly Outage[];
  readonly events: number;
  /** The hash over everything that happened: the same for the same seed. */
  readonly hash: string;
}

/** The first start of a cluster waits for W, and for slow resources. */
const FIRST_ONLINE_MS = 30 * 60_000;
/** After the last step at least so long. */
const SETTLE_MS = 30_000;

export const runDrill = async (seed: number, whole: Whole, steps: readonly Step[]): Promise<DrillResult> => {
  const events: JournalEvent[] = [];
  const writtenMs: number[] = [];
  const cluster = new ClusterWorld(quietPlan(seed, whole.config), {
    whole,
    journal: ({ node, clock, name }, event) => {
      writtenMs.push(cluster.world.nowMs);
      events.push({ ...event, seq: events.length, at: clock.wallIso(event.monoMs), node: node.id, bootId: node.bootId, source: name });
    },
  });
  const { world, config } = cluster;
  const groups = config.groups.map(({ id }) => id);
  const watch = new ServiceWatch(world, groups, (group) => cluster.serving(group));
  const lastMs = Math.max(0, ...steps.map(({ atMs }) => atMs));
  const afterMs = SETTLE_MS + 2 * config.timing.takeoverWaitMs;
  const done: Done[] = [];
  let zeroMs: number | null = null;
  cluster.onEffect = () => {
    watch.look();
    if (zeroMs !== null || !watch.allServed) return;
    const beganMs = world.nowMs;
    zeroMs = beganMs;
    world.endBy(beganMs + lastMs + afterMs);
    for (const step of steps)
      world.at(beganMs + step.atMs, () => {
        done.push({ atMs: step.atMs, what: step.text });
        follow(cluster, step.command, (what) => done.push({ atMs: world.nowMs - beganMs, what }));
      });
  };
  world.at(0, () => cluster.nodes.forEach((node) => node.powerOn()));
  await world.run(FIRST_ONLINE_MS);
  const [violation] = world.violations;
  if (violation !== undefined)
    throw new UnderstudyError('COMMAND_FAILED', `seed ${seed}, ${violation.invariant}: ${violation.sentence}`, {
      hint: 'This is a defect of understudy: please report it with the config, the script and the seed.',
    });
  if (zeroMs === null) throw neverOnline(cluster);
  const timelines = timelinesOf(events, writtenMs, zeroMs);
  return { seed, done, timelines, outages: rebased(watch.outages(zeroMs), zeroMs), events: world.events, hash: world.trace.hash };
};

/** Nothing befalls it but what the script says; clocks, delays and restarts are as on a good day. */
const quietPlan = (seed: number, config: ClusterConfig): Plan => ({
  seed,
  nodes: config.nodes.length,
  profile: 'standard',
  strict: false,
  tightW: false,
  takeover: 'lease',
  confirm: 'renewal',
  fencing: config.fencing.policy,
  watchdog: config.watchdog.driver !== 'none',
  heartbeatNetworks: config.nodes[0]?.networks.heartbeat.length ?? 1,
  store: { shape: 'counter', pushes: false, usualMs: [2, 30] },
  rates: [],
  stallChance: 0,
  stallMs: 0,
  weather: FAIR,
  storeWeather: FAIR_STORE,
  faults: [],
  whole: true,
  healMs: Number.POSITIVE_INFINITY,
  endMs: FIRST_ONLINE_MS,
});

const rebased = (outages: readonly Outage[], zeroMs: number): readonly Outage[] =>
  outages.map((outage) => ({ ...outage, fromMs: outage.fromMs - zeroMs, toMs: outage.toMs === null ? null : outage.toMs - zeroMs }));

const neverOnline = (cluster: ClusterWorld): UnderstudyError => {
  const [first] = cluster.wholes.values();
  const why = (first?.last?.plan.verdicts ?? []).map(({ group, state, because }) => `${group} is ${state}: ${because}`).join('; ');
  return new UnderstudyError('COMMAND_FAILED', `not every group came online in ${FIRST_ONLINE_MS / 60_000} minutes: ${why}`);
};

/** The incidents that began after `zeroMs`, each as `understudy explain` tells it. */
const timelinesOf = (events: readonly JournalEvent[], writtenMs: readonly number[], zeroMs: number): DrillResult['timelines'] => {
  const told = new Set<string>();
  return events.flatMap(({ kind, incident, seq }) => {
    const atMs = (writtenMs[seq] ?? 0) - zeroMs;
    // Two nodes may tell one story; it begins where it was seen first.
    if (kind !== 'incident.begin' || incident === undefined || told.has(incident)) return [];
    told.add(incident);
    const timeline = atMs < 0 ? null : explain(events, incident);
    return timeline === null ? [] : [{ atMs, timeline }];
  });
};

const follow = (cluster: ClusterWorld, command: Command, tell: (what: string) => void): void => {
  switch (command.kind) {
    case 'power-off':
      return cluster.node(command.node).powerOff('the script says so');
    case 'power-on':
      return cluster.node(command.node).powerOn();
    case 'cut':
      return cut(cluster, command.node, command.from);
    case 'heal':
      cluster.network.heal();
      return cluster.arbiter.heal();
    case 'kill':
      return cluster.node(command.node).processes.get(command.process)?.kill();
    case 'pause':
      for (const process of cluster.node(command.node).processes.values()) process.pause(command.forMs);
      return undefined;
    case 'switchover':
      return give(cluster, { verb: 'switchover', group: command.group, to: command.to, by: 'the script', why: 'the script says so' }, tell);
    case 'app-exit': {
      const found = cluster.nodes.flatMap((node) =>
        node.os
          .facts(command.group)
          .filter(({ kind, key }) => kind === 'process' && (command.resource === null || key === command.resource))
          .map(({ kind, key }) => ({ node, kind, key })),
      );
      if (found.length === 0) tell('no application of it runs');
      for (const { node, kind, key } of found) node.os.end(command.group, kind, 'the script', key);
      return undefined;
    }
    default:
      return command satisfies never;
  }
};

/** From one network, from the arbiter, or from everything (null), in both directions, until it is healed. */
const cut = ({ nodes, network: medium, arbiter, config }: ClusterWorld, node: NodeId, from: number | 'arbiter' | null): void => {
  if (from === null || from === 'arbiter') arbiter.trouble('down', node, Number.POSITIVE_INFINITY);
  if (from === 'arbiter') return;
  const all = (config.nodes[0]?.networks.heartbeat ?? []).map((_, index) => index);
  const networks = all.filter((index) => from === null || index === from);
  for (const network of networks)
    for (const { id } of nodes)
      for (const way of [medium.way(network, node, id), medium.way(network, id, node)]) way.cutUntilMs = Number.POSITIVE_INFINITY;
};

/** On the first node whose controller lives, as an operator who tries one after the other. */
const give = (cluster: ClusterWorld, order: OrderRequest, tell: (what: string) => void): void => {
  const [first] = cluster.wholes.values();
  if (first === undefined) return tell(`${order.verb}: no controller answers`);
  first.give(order).then(
    ({ message }) => tell(`${order.verb}: ${message}`),
    (error: unknown) => tell(`${order.verb} was refused: ${reasonOf(error)}`),
  );
  return undefined;
};
