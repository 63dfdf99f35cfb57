// Follows a script in a simulated cluster of a user's configuration: waits until every group is online, does what is written
// at its time, and tells what came of it: the incidents as the nodes' own journals explain them, and the times without
// service. One seed is one course of the times that chance decides (phases of polls, delays of the network).
import type { OrderRequest } from '../api/views.js';
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import { explain, type Timeline } from '../planner/explain.js';
import type { Command, Step } from './script.js';
import { type Outage, ServiceWatch } from './service-watch.js';
import { SimCluster, type SimClusterOptions } from './sim-cluster.js';
import { World } from './world.js';

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

export const runDrill = async (seed: number, options: SimClusterOptions, steps: readonly Step[]): Promise<DrillResult> => {
  const world = new World(seed);
  const cluster = new SimCluster(world, { ...options, journals: true });
  const groups = cluster.config.groups.map(({ id }) => id);
  const watch = new ServiceWatch(world, groups, (group) => cluster.serving(group));
  const { timing } = cluster.config;
  const lastMs = Math.max(0, ...steps.map(({ atMs }) => atMs));
  const afterMs = SETTLE_MS + 2 * timing.takeoverWaitMs;
  const done: Done[] = [];
  let zeroMs: number | null = null;
  const changed = () => {
    watch.look();
    if (zeroMs !== null || !watch.allServed) return;
    zeroMs = world.nowMs;
    world.endBy(zeroMs + lastMs + afterMs);
    for (const step of steps)
      world.at(zeroMs + step.atMs, () => {
        done.push({ atMs: step.atMs, what: step.text });
        follow(cluster, step.command, (what) => done.push({ atMs: world.nowMs - (zeroMs ?? 0), what }));
      });
  };
  for (const node of cluster.nodes.values()) node.os.listener = { began: changed, ended: changed };
  world.at(0, () => cluster.powerOnAll());
  await world.run(FIRST_ONLINE_MS);
  const [violation] = world.violations;
  if (violation !== undefined)
    throw new UnderstudyError('COMMAND_FAILED', `seed ${seed}, ${violation.invariant}: ${violation.sentence}`, {
      hint: 'This is a defect of understudy: please report it with the config, the script and the seed.',
    });
  if (zeroMs === null) throw neverOnline(cluster, groups);
  return { seed, done, timelines: timelinesOf(cluster, zeroMs), outages: rebased(watch.outages(zeroMs), zeroMs), events: world.events, hash: world.trace.hash };
};

const rebased = (outages: readonly Outage[], zeroMs: number): readonly Outage[] =>
  outages.map((outage) => ({ ...outage, fromMs: outage.fromMs - zeroMs, toMs: outage.toMs === null ? null : outage.toMs - zeroMs }));

const neverOnline = (cluster: SimCluster, groups: readonly string[]): UnderstudyError => {
  const [first] = cluster.config.nodes;
  const verdicts = first === undefined ? [] : (cluster.controller(first.id)?.last?.plan.verdicts ?? []);
  const why = verdicts.map(({ group, state, because }) => `${group} is ${state}: ${because}`).join('; ');
  return new UnderstudyError('COMMAND_FAILED', `${groups.join(', ')} did not come online in ${FIRST_ONLINE_MS / 60_000} minutes: ${why}`);
};

/** The incidents that began after `zeroMs`, each as `understudy explain` tells it. */
const timelinesOf = ({ events, begunMs }: SimCluster, zeroMs: number): DrillResult['timelines'] =>
  events
    // Two nodes may tell one story; it begins where it was seen first.
    .filter(({ kind, incident }, index) => kind === 'incident.begin' && events.findIndex((one) => one.kind === kind && one.incident === incident) === index)
    .flatMap((event) => {
      const atMs = (begunMs.get(event.seq) ?? 0) - zeroMs;
      const timeline = atMs < 0 ? null : explain(events, event.incident);
      return timeline === null ? [] : [{ atMs, timeline }];
    });

const follow = (cluster: SimCluster, command: Command, tell: (what: string) => void): void => {
  switch (command.kind) {
    case 'power-off':
      return cluster.node(command.node).powerOff('the script says so');
    case 'power-on':
      return cluster.node(command.node).powerOn();
    case 'cut':
      return cluster.cut(command.node, command.from);
    case 'heal':
      cluster.network.heal();
      return cluster.store.heal();
    case 'kill':
      return cluster.node(command.node).processes.get(command.process)?.kill();
    case 'pause':
      for (const process of cluster.node(command.node).processes.values()) process.pause(command.forMs);
      return undefined;
    case 'switchover':
      return give(cluster, { verb: 'switchover', group: command.group, to: command.to, by: 'the script', why: 'the script says so' }, tell);
    case 'app-exit': {
      const found = [...cluster.nodes.values()].flatMap((node) =>
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

/** On the first node whose controller lives, as an operator who tries one after the other. */
const give = (cluster: SimCluster, order: OrderRequest, tell: (what: string) => void): void => {
  const [first] = [...cluster.nodes.keys()].filter((id) => cluster.controller(id) !== null);
  const answer = first === undefined ? null : cluster.give(first, order);
  if (answer === null) return tell(`${order.verb}: no controller answers`);
  answer.then(
    ({ message }) => tell(`${order.verb}: ${message}`),
    (error: unknown) => tell(`${order.verb} was refused: ${reasonOf(error)}`),
  );
  return undefined;
};
