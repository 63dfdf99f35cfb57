// What one seed of the mirror's world is: two nodes of a drawn cluster with production controllers, the mode and limits of their
// mirror, and a swarm of faults: those of the ownership plan, and the mirror's own (its network alone, its process alone, its disks,
// the power of both). Data, as every plan: it can be written down, made smaller, and run again.
import { Chance } from '../../../core/simulation/chance.js';
import { drawPlan, type Fault, nodeIds, type Plan } from '../../../core/simulation/fault-plan.js';
import { FAIR } from '../../../core/simulation/network.js';
import { MIRROR_NETWORK } from '../../../core/simulation/plan-config.js';
import { FAIR_STORE } from '../../../core/simulation/sim-arbiter.js';
import { withMisdeeds } from '../../../core/simulation/whole.js';
import { type DiskMirrorOptions, diskMirrorOptions } from '../../../plugins/disk-mirror/agent/definition.js';
import { mirrorWholeOf } from './mirror-whole.js';

export interface MirrorPlan extends Plan {
  /** Of the resource, as the config says them. */
  readonly mirror: Readonly<Record<string, unknown>>;
}

export interface MirrorDraw {
  readonly seed: number;
  readonly minutes: number;
  /** Default: as the seed says. */
  readonly mode?: DiskMirrorOptions['mode'];
}

export const optionsOf = (plan: MirrorPlan): DiskMirrorOptions => diskMirrorOptions.parse(plan.mirror);

const NODES = nodeIds(2);
/** What breaks the store's promise or the clock's, or lets a stand-in lie: not promised of data either. */
const LEFT_OUT = new Set<Fault['kind']>(['arbiter-restored', 'record-deleted', 'record-edited', 'clock-rate', 'hasty']);
const MAX_FAULTS = 120;

export const drawMirrorPlan = ({ seed, minutes, mode: given }: MirrorDraw): MirrorPlan => {
  const drawn = drawPlan({ seed, minutes, ids: NODES });
  const chance = new Chance(seed).stream('mirror');
  const mirror = drawMirror(chance, given);
  // Half of the seeds have calm weather, and half no faults but the mirror's own: what needs a quiet moment gets one.
  const calm = chance.happens(0.5);
  const own = chance.happens(0.5);
  const base = drawn.faults.filter(({ kind }) => !LEFT_OUT.has(kind));
  const plan: MirrorPlan = {
    ...drawn,
    nodes: NODES.length,
    profile: drawn.profile === 'lan' ? 'fast' : chance.pick(['fast', 'fast', drawn.profile]),
    takeover: mirror['mode'] === 'sync' ? drawn.takeover : 'lease',
    // Who may not take over without a fence waits for an operator: there is one in half of those seeds.
    fence: drawn.fencing !== 'none' && (drawn.fencing === 'required' || chance.happens(0.5)),
    mirrorNetwork: chance.happens(0.7),
    weather: calm ? FAIR : drawn.weather,
    storeWeather: calm ? FAIR_STORE : drawn.storeWeather,
    stallChance: calm ? 0 : drawn.stallChance,
    faults: [],
    whole: true,
    mirror,
  };
  const faults = [...(own ? [] : base), ...drawFaults(chance.stream('faults'), plan)].toSorted((one, other) => one.atMs - other.atMs);
  const misdeeds = !own && chance.happens(0.5) ? withMisdeeds({ ...plan, faults }, mirrorWholeOf(plan).desired('a'), chance) : faults;
  return { ...plan, faults: misdeeds };
};

const drawMirror = (chance: Chance, given: MirrorDraw['mode']): MirrorPlan['mirror'] => {
  const drawn = chance.pick(['sync', 'sync', 'sync', 'semi-sync', 'async'] as const);
  const mode = given ?? drawn;
  return {
    backing: '/simulated',
    attach: 'none',
    mode,
    order: chance.pick(['remote-first', 'parallel'] as const),
    peerTimeout: `${chance.pick([1, 2, 3])}s`,
    maxLag: chance.pick(['64KiB', '1MiB']),
    maxLagTime: `${chance.pick([1, 5])}s`,
    whenFull: chance.pick(['throttle', 'behind'] as const),
    // A resync takes a second or two, so that something may happen meanwhile.
    resyncMin: chance.pick(['64KiB', '256KiB']),
    resyncMax: '1MiB',
    flushEvery: chance.pick(['300ms', '2s']),
  };
};

type Draw = (chance: Chance, plan: MirrorPlan) => readonly Fault[];

const duration = (chance: Chance, lowMs: number, highMs: number) => Math.round(chance.heavyTail(lowMs, highMs));
const [A, B] = NODES as readonly [string, string];

/** Each makes one misfortune, at time 0. */
const DRAW: Readonly<Record<string, Draw>> = {
  cut: (chance, plan) => {
    const networks = plan.mirrorNetwork === true ? [MIRROR_NETWORK] : [0, 1];
    const forMs = duration(chance, 100, 30_000);
    const ways = [
      [A, B],
      [B, A],
    ] as const;
    const one = chance.happens(0.3) ? [chance.pick(ways)] : ways;
    // With a network of its own the mirror falls back on the heartbeats': often they go with it.
    const all = chance.happens(0.5) ? [0, 1, MIRROR_NETWORK] : networks;
    return one.map(([from, to]) => ({ atMs: 0, kind: 'cut', from, to, networks: all, forMs }));
  },
  slow: (chance) => [
    {
      atMs: 0,
      kind: 'slow-line',
      ...(chance.happens(0.5) ? { from: A, to: B } : { from: B, to: A }),
      lateMs: duration(chance, 5, 1_500),
      forMs: duration(chance, 500, 20_000),
    },
  ],
  reset: () => [{ atMs: 0, kind: 'reset' }],
  kill: (chance) => [{ atMs: 0, kind: 'kill', node: chance.pick(NODES), process: 'mirror' }],
  killBoth: () => NODES.map((node) => ({ atMs: 0, kind: 'kill', node, process: 'mirror' })),
  stop: (chance) => [{ atMs: 0, kind: 'pause', node: chance.pick(NODES), process: 'mirror', forMs: duration(chance, 20, 20_000) }],
  power: (chance) => [{ atMs: 0, kind: 'power', node: chance.pick(NODES), forMs: duration(chance, 500, 20_000) }],
  powerBoth: (chance) => {
    const apartMs = chance.happens(0.5) ? 0 : duration(chance, 1, 3_000);
    return NODES.map((node, index) => ({ atMs: index * apartMs, kind: 'power', node, forMs: duration(chance, 500, 20_000) }));
  },
  disk: (chance) => [
    {
      atMs: 0,
      kind: 'copy',
      node: chance.pick(NODES),
      part: chance.pick(['data', 'data', 'metadata']),
      how: chance.pick(['EIO', 'ENOSPC', 'fsync', 'slow', 'slow']),
      forMs: duration(chance, 200, 5_000),
    },
  ],
  move: (chance) => [{ atMs: 0, kind: 'move', to: chance.pick(NODES) }],
  isolated: (chance) => [{ atMs: 0, kind: 'isolated', node: chance.pick(NODES), store: 'down', forMs: duration(chance, 500, 30_000) }],
  arbiter: (chance) => [{ atMs: 0, kind: 'arbiter', how: 'down', node: chance.pick([null, A, B]), forMs: duration(chance, 500, 20_000) }],
};

const drawFaults = (chance: Chance, plan: MirrorPlan): readonly Fault[] => {
  const share = chance.pick([0.2, 0.4, 0.7]);
  const chosen = Object.values(DRAW).filter(() => chance.happens(share));
  if (chosen.length === 0) return [];
  const everyMs = chance.heavyTail(1_000, 20_000);
  const faults: Fault[] = [];
  for (
    let atMs = chance.between(10_000, 40_000);
    atMs < plan.healMs && faults.length < MAX_FAULTS;
    atMs += -Math.log(1 - chance.next()) * everyMs
  )
    for (const fault of chance.pick(chosen)(chance, plan)) faults.push({ ...fault, atMs: Math.round(atMs + fault.atMs) });
  return faults;
};
