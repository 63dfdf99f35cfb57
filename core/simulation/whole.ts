// Worlds in which the real controller runs: the swarm's own configuration with simulated resources, and what befalls scripts,
// plugins and operators in it (SAFETY c.3). Drawn from streams of its own: what the guard's worlds draw does not change.
import type { OrderRequest } from '../api/views.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import { toDesired } from '../config/to-desired.js';
import type { DesiredState } from '../model/desired.js';
import type { NodeId } from '../model/ids.js';
import { Chance } from './chance.js';
import type { Whole } from './cluster-world.js';
import { configOf } from './plan-config.js';
import { drawPlan, type DrawOptions, type Fault, type Plan } from './fault-plan.js';
import { drawScene } from './scene-plan.js';
import { type Misbehaviour, simDefinition, type SimResource } from './sim-agent.js';

/** An address, and an application behind it. */
const resourcesOf = (chance: Chance): Readonly<Record<string, unknown>> => ({
  ip: { use: 'sim-address', every: `${chance.pick([1, 5, 10])}s` },
  app: {
    use: 'sim-app',
    after: ['ip'],
    every: `${chance.pick([1, 2, 10])}s`,
    monitorTimeout: '2s',
    startTimeout: `${chance.pick([5, 20, 60])}s`,
    stopTimeout: `${chance.pick([3, 10, 30])}s`,
    restart: { max: chance.pick([0, 1, 2]), within: '10m' },
  },
});

/** The configuration of a plan with real controllers: the same for the same plan. */
export const wholeOf = (plan: Plan): Whole => {
  const chance = new Chance(plan.seed).stream('whole');
  const kinds = new Map<string, SimResource>([
    ['sim-address', { shows: 'address', startMs: chance.between(1, 50), stopMs: chance.between(1, 50), monitorMs: 3 }],
    [
      'sim-app',
      { shows: 'process', startMs: chance.heavyTail(50, 4_000), stopMs: chance.heavyTail(20, 2_500), monitorMs: chance.heavyTail(2, 300) },
    ],
  ]);
  return wholeWith(configOf(plan, resourcesOf(chance)), kinds);
};

/** Any configuration whose resource types all stand in `kinds`. */
export const wholeWith = (config: ClusterConfig, kinds: ReadonlyMap<string, SimResource>): Whole => {
  const known = new Map<NodeId, DesiredState>();
  const desired = (node: NodeId): DesiredState => {
    const before = known.get(node);
    if (before !== undefined) return before;
    const made = toDesired(config, (type) => simDefinition(kinds.get(type)!), node);
    if ('problems' in made) throw new Error(made.problems.map(({ message }) => message).join('; '));
    known.set(node, made.desired);
    return made.desired;
  };
  return { config, desired, kinds };
};

/** A plan of the swarm, with what befalls scripts, plugins and operators among its faults. */
export const drawWholePlan = (options: DrawOptions): Plan => {
  const drawn = drawPlan(options);
  const chance = new Chance(options.seed).stream('misdeeds');
  const plan: Plan = { ...drawn, fence: drawn.fencing !== 'none' && new Chance(options.seed).stream('fence').happens(0.7) };
  const { desired } = wholeOf(plan);
  return { ...plan, whole: true, faults: withMisdeeds(plan, desired('a'), chance) };
};

/** With stand-ins, that let the guard alone be tried more often; with real controllers; or one thing alone, done on purpose. */
export type WorldKind = 'guard' | 'whole' | 'scene';

export const drawWorld = ({ world, ...options }: DrawOptions & { readonly world: WorldKind }): Plan => {
  if (world === 'scene') return drawScene(options);
  return world === 'whole' ? drawWholePlan(options) : drawPlan(options);
};

/** A plan of the swarm for somebody's own configuration. Nobody edits its records by hand or restores its store. */
export const drawPlanFor = ({ config, desired }: Whole, options: DrawOptions): Plan => {
  const ids = config.nodes.map(({ id }) => id);
  const plan = drawPlan({ ...options, ids });
  const kept = plan.faults.filter(({ kind }) => !BY_HAND.has(kind));
  const chance = new Chance(options.seed).stream('misdeeds');
  return { ...plan, whole: true, faults: withMisdeeds({ ...plan, faults: kept }, desired(ids[0]!), chance) };
};

const BY_HAND = new Set<Fault['kind']>(['arbiter-restored', 'record-deleted', 'record-edited', 'clock-rate']);

/** The faults of a plan and what befalls the resources and operators of this configuration, by time. */
export const withMisdeeds = (plan: Plan, desired: DesiredState, chance: Chance): readonly Fault[] =>
  [...plan.faults, ...misdeeds(plan, desired, chance)].toSorted((one, other) => one.atMs - other.atMs);

const MISBEHAVIOURS: readonly Misbehaviour[] = [
  { start: 'fails' },
  { start: 'hangs' },
  { start: 'lies' },
  { start: 'slow' },
  { start: 'dies soon' },
  { stop: 'fails' },
  { stop: 'hangs' },
  { stop: 'lies' },
  { stop: 'leaves a child' },
  { monitor: 'hangs' },
  { monitor: 'throws' },
  { monitor: 'answers garbage' },
  { monitor: 'flaps' },
  { monitor: 'is slow' },
  { call: 'blocks' },
  { call: 'exits' },
  { call: 'is paused before its effect' },
];
const MAX_MISDEEDS = 80;

const misdeeds = (plan: Plan, { nodes, groups }: DesiredState, chance: Chance): readonly Fault[] => {
  // A swarm: only some kinds in each seed, and in many seeds no operator at all.
  const bad = MISBEHAVIOURS.filter(() => chance.happens(0.25));
  const operated = chance.happens(0.4);
  const everyMs = chance.heavyTail(3_000, 60_000);
  const faults: Fault[] = [];
  for (
    let atMs = chance.between(5_000, 40_000);
    atMs < plan.healMs && faults.length < MAX_MISDEEDS;
    atMs += -Math.log(1 - chance.next()) * everyMs
  ) {
    const node = chance.pick(nodes);
    const group = chance.pick(groups);
    const at = Math.round(atMs);
    if (operated && chance.happens(0.4)) {
      faults.push({ atMs: at, kind: 'operator', node, order: orderOf(chance, group.id, nodes) });
      // Two at once, on two nodes, who know nothing of each other.
      if (chance.happens(0.3))
        faults.push({ atMs: at, kind: 'operator', node: chance.pick(nodes), order: orderOf(chance, group.id, nodes) });
    } else if (bad.length > 0) {
      const resource = chance.pick(group.resources).id;
      faults.push({
        atMs: at,
        kind: 'misbehave',
        node,
        group: group.id,
        resource,
        how: chance.pick(bad),
        forMs: Math.round(chance.heavyTail(500, 60_000)),
      });
    }
  }
  return faults;
};

const orderOf = (chance: Chance, group: string, nodes: readonly NodeId[]): OrderRequest => {
  const by = { by: 'operator', why: 'the plan' };
  const verb = chance.pick([
    'switchover',
    'switchover',
    'standby',
    'unstandby',
    'freeze',
    'unfreeze',
    'maintenance-on',
    'maintenance-off',
    'stop',
    'start',
    'clear',
  ] as const);
  if (verb === 'standby' || verb === 'unstandby') return { verb, node: chance.pick(nodes), ...by };
  return verb === 'switchover' ? { verb, group, to: chance.pick(nodes), ...by } : { verb, group, ...by };
};
