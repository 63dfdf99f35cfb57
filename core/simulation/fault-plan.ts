// What one seed is: a cluster, its timing, and the faults that befall it, as plain data. Drawn as a swarm: each seed has a
// random subset of the kinds of faults, with random intensities. A plan can be written to a file, made smaller, and run
// again; nothing else decides what happens. Source of the idea: TigerBeetle's VOPR and FoundationDB's swarm testing.
import type { OrderRequest } from '../api/views.js';
import type { GroupId, NodeId, ResourceId } from '../model/ids.js';
import { Chance } from './chance.js';
import type { Weather } from './network.js';
import type { Misbehaviour } from './sim-agent.js';
import type { ArbiterWeather } from './sim-arbiter.js';

/** `mirror`: only where one runs beside the guard; a process that is not there is left alone. */
export type ProcessName = 'guard' | 'controller' | 'leash' | 'mirror';

/** Something that anybody outside can see happen to the group, at one node. */
export type Moment =
  /** An acquisition is sent. */
  | 'asks'
  /** It is in the store. */
  | 'wins'
  /** Its guard begins to fence itself. */
  | 'stops'
  /** The first of the group's parts begins. */
  | 'begins';

/**
 * A node by what it is when the fault happens: who won last, everybody else, or at whom the moment was. Only scenes
 * (core/simulation/scene-plan) know no names.
 */
export type Role = '@holder' | '@others' | '@it';

/** One fault. `atMs`: true time. `forMs`: how long it lasts. `on`: not at this time, but `afterMs` after the first such moment from then on. */
export type Fault = { readonly atMs: number; readonly on?: Moment; readonly afterMs?: number } & (
  | { readonly kind: 'cut'; readonly from: NodeId; readonly to: NodeId; readonly networks: readonly number[]; readonly forMs: number }
  /** One host loses every network at once, the way to the store too, as by a pulled cable or a broken switch. */
  | { readonly kind: 'isolated'; readonly node: NodeId; readonly store: 'down' | 'unanswered'; readonly forMs: number }
  | { readonly kind: 'lossy'; readonly from: NodeId; readonly to: NodeId; readonly loss: number; readonly forMs: number }
  | { readonly kind: 'mtu'; readonly from: NodeId; readonly to: NodeId; readonly bytes: number; readonly forMs: number }
  | { readonly kind: 'kill'; readonly node: NodeId; readonly process: ProcessName }
  | { readonly kind: 'pause'; readonly node: NodeId; readonly process: ProcessName | 'all'; readonly forMs: number }
  /** Between two instructions of whatever the process does next. */
  | { readonly kind: 'stall'; readonly node: NodeId; readonly process: ProcessName; readonly forMs: number }
  | { readonly kind: 'power'; readonly node: NodeId; readonly forMs: number }
  /** The kernel lives, nothing of understudy is scheduled: the dog bites, or somebody resets it after so long. */
  | { readonly kind: 'hang'; readonly node: NodeId; readonly forMs: number }
  | { readonly kind: 'suspend'; readonly node: NodeId; readonly forMs: number }
  | { readonly kind: 'clock-rate'; readonly node: NodeId; readonly rate: number; readonly forMs: number }
  | {
      readonly kind: 'disk';
      readonly node: NodeId;
      readonly code: 'EIO' | 'ENOSPC' | 'EROFS';
      readonly under: '/run/' | '/state/';
      readonly forMs: number;
    }
  | { readonly kind: 'unkillable'; readonly node: NodeId; readonly forMs: number }
  /** Its controller gives the lease back without having stopped anything; only where stand-ins run. */
  | { readonly kind: 'hasty'; readonly node: NodeId; readonly forMs: number }
  | { readonly kind: 'app-dies'; readonly node: NodeId }
  | { readonly kind: 'dog-deaf'; readonly node: NodeId; readonly forMs: number }
  | {
      readonly kind: 'arbiter';
      readonly how: 'down' | 'slow' | 'throttled' | 'revoked' | 'unanswered';
      readonly node: NodeId | null;
      readonly forMs: number;
    }
  /** Each request, or each answer, is on its way for so long: when something is asked and when it is seen are two times. */
  | {
      readonly kind: 'store-late';
      readonly node: NodeId;
      readonly what: 'requests' | 'answers';
      readonly lateMs: readonly [number, number];
      readonly forMs: number;
    }
  /** A line that is sound and slow, in one direction. */
  | { readonly kind: 'slow-line'; readonly from: NodeId; readonly to: NodeId; readonly lateMs: number; readonly forMs: number }
  | { readonly kind: 'arbiter-restored'; readonly backupMs: number }
  | { readonly kind: 'record-deleted' }
  | { readonly kind: 'record-edited'; readonly how: 'garbage' | 'same' | 'holder' | 'epoch' }
  | { readonly kind: 'move'; readonly to: NodeId }
  | { readonly kind: 'standby'; readonly node: NodeId; readonly forMs: number }
  | { readonly kind: 'offline'; readonly forMs: number }
  | { readonly kind: 'maintenance'; readonly forMs: number }
  /** Of a script or a plugin; only where real controllers run. */
  | {
      readonly kind: 'misbehave';
      readonly node: NodeId;
      readonly group: GroupId;
      readonly resource: ResourceId;
      readonly how: Misbehaviour;
      readonly forMs: number;
    }
  /** Somebody types a command on a node; only where real controllers run. */
  | { readonly kind: 'operator'; readonly node: NodeId; readonly order: OrderRequest }
  /** The disk under a mirrored copy; only where a mirror runs. `fsync`: the next one, and only that. */
  | {
      readonly kind: 'copy';
      readonly node: NodeId;
      readonly part: 'data' | 'metadata';
      readonly how: 'EIO' | 'ENOSPC' | 'fsync' | 'slow';
      readonly forMs: number;
    }
  /** The connections of the mirrors between two nodes are reset, both sides told. */
  | { readonly kind: 'reset' }
);

export type FaultKind = Fault['kind'];

export interface Plan {
  readonly seed: number;
  readonly nodes: number;
  readonly profile: 'lan' | 'fast' | 'standard';
  readonly strict: boolean;
  /** W exactly as short as the inequalities allow: slack would hide faults. */
  readonly tightW: boolean;
  readonly takeover: 'lease' | 'preempt';
  readonly confirm: 'renewal' | 'none';
  readonly fencing: 'required' | 'watchdog' | 'none';
  /** Somebody can power the others off; only where real controllers run, for they do it. */
  readonly fence?: boolean;
  readonly watchdog: boolean;
  readonly heartbeatNetworks: number;
  /** A network of the mirror's own, the third one (index 2). Default: heartbeats carry it. */
  readonly mirrorNetwork?: boolean;
  readonly store: { readonly shape: 'counter' | 'hash'; readonly pushes: boolean; readonly usualMs: readonly [number, number] };
  /** Clock rates of the nodes, in their order. */
  readonly rates: readonly number[];
  /** Chance that any system call of a process is followed by a pause. */
  readonly stallChance: number;
  readonly stallMs: number;
  /** Every hard stop takes most of S: a busy host, an application with much memory. */
  readonly slowStops?: boolean;
  readonly weather: Weather;
  readonly storeWeather: ArbiterWeather;
  readonly faults: readonly Fault[];
  /** Calm but for one thing: which (core/simulation/scene-plan). */
  readonly scene?: string;
  /** In this world nothing is a reason to lose a lease: so many epochs are won and no more. */
  readonly atMostEpochs?: number;
  /** With real controllers instead of stand-ins: core/simulation/whole. */
  readonly whole?: boolean;
  /** All faults end. */
  readonly healMs: number;
  readonly endMs: number;
}

export interface DrawOptions {
  /** The nodes of somebody's own configuration; default: as many as the seed says. */
  readonly ids?: readonly NodeId[];
  readonly seed: number;
  readonly minutes: number;
}

export const nodeIds = (count: number): readonly NodeId[] => ['a', 'b', 'c', 'd', 'e'].slice(0, count);

/** The plan of a seed: the same for ever. */
export const drawPlan = ({ seed, minutes, ids: given }: DrawOptions): Plan => {
  const chance = new Chance(seed).stream('plan');
  const drawn = chance.happens(0.8) ? 2 : chance.pick([3, 3, 3, 3, 4, 5]);
  const ids = given ?? nodeIds(drawn);
  const nodes = ids.length;
  const watchdog = chance.happens(0.7);
  const preempt = watchdog && chance.happens(0.15);
  // Beats and renewals of `lan` are some thirty times as many events: fewer seeds, and then most of the work.
  const lan = watchdog && (preempt ? chance.happens(0.2) : chance.happens(0.015));
  const profile = lan ? 'lan' : chance.pick(['fast', 'standard', 'standard', 'standard'] as const);
  const strict = chance.happens(0.25);
  const fencing = watchdog ? (chance.happens(0.85) ? 'watchdog' : 'required') : chance.happens(0.7) ? 'required' : 'none';
  const endMs = minutes * 60_000;
  const healMs = Math.max(endMs * 0.5, endMs - QUIET_MS);
  const swarm = chance.stream('swarm');
  const knob = (share: number, most: number) => (swarm.happens(share) ? most * swarm.next() ** 2 : 0);
  const slowStore = chance.happens(0.2);
  return {
    seed,
    nodes,
    profile,
    strict,
    tightW: chance.happens(0.6),
    takeover: preempt ? 'preempt' : 'lease',
    confirm: chance.happens(0.5) ? 'renewal' : 'none',
    fencing,
    watchdog,
    heartbeatNetworks: chance.happens(0.4) ? 2 : 1,
    store: {
      shape: chance.happens(0.5) ? 'counter' : 'hash',
      pushes: chance.happens(0.3),
      usualMs: profile === 'lan' ? [0.5, 8] : slowStore ? [20, 300] : [2, 40],
    },
    rates: ids.map((_, index) => (chance.happens(0.4) ? (index % 2 === 0 ? 0.99 : 1.01) : chance.between(0.99, 1.01))),
    stallChance: swarm.happens(0.3) ? 0.0005 + 0.003 * swarm.next() : 0,
    stallMs: swarm.pick([500, 5_000, 30_000]),
    slowStops: chance.stream('slow stops').happens(0.3),
    weather: {
      loss: knob(0.4, 0.3),
      duplicate: knob(0.3, 0.1),
      corrupt: knob(0.3, 0.1),
      late: knob(0.4, 0.3),
      lateMs: swarm.pick([50, 1_000, 20_000]),
      replay: knob(0.3, 0.05),
    },
    storeWeather: {
      loseRequest: knob(0.4, 0.1),
      loseAnswer: knob(0.4, 0.1),
      slow: knob(0.4, 0.3),
      slowMs: swarm.pick([500, 4_000, 30_000]),
      falseConflict: knob(0.15, 0.02),
      throttle: knob(0.3, 0.1),
    },
    faults: drawFaults(swarm, ids, healMs),
    healMs,
    endMs,
  };
};

/** Enough for W, a reboot, a start and everything that is behind. */
const QUIET_MS = 150_000;

const drawFaults = (chance: Chance, ids: readonly NodeId[], healMs: number): readonly Fault[] => {
  const kinds = Object.keys(DRAW) as (keyof typeof DRAW)[];
  const share = chance.pick([0.1, 0.25, 0.5]);
  const chosen = kinds.filter((kind) => chance.happens(RARE.has(kind) ? share * 0.25 : share));
  if (chosen.length === 0) return [];
  const everyMs = chance.heavyTail(1_500, 60_000);
  const faults: Fault[] = [];
  for (
    let atMs = chance.between(2_000, 30_000);
    atMs < healMs && faults.length < MAX_FAULTS;
    atMs += -Math.log(1 - chance.next()) * everyMs
  )
    faults.push({ atMs: Math.round(atMs), ...DRAW[chance.pick(chosen)](chance, ids) } as Fault);
  return faults;
};

const MAX_FAULTS = 200;
/** What breaks the store's own promise, or needs an operator: in few seeds. */
const RARE = new Set<FaultKind>(['arbiter-restored', 'record-deleted', 'record-edited', 'clock-rate']);
const PROCESSES: readonly ProcessName[] = ['guard', 'guard', 'controller', 'leash'];

type Draw = (chance: Chance, ids: readonly NodeId[]) => Record<string, unknown>;

const pair = (chance: Chance, ids: readonly NodeId[]) => {
  const from = chance.pick(ids);
  return { from, to: chance.pick(ids.filter((id) => id !== from)) };
};
const duration = (chance: Chance, lowMs: number, highMs: number) => Math.round(chance.heavyTail(lowMs, highMs));

const DRAW: Readonly<Record<Exclude<FaultKind, 'misbehave' | 'operator' | 'store-late' | 'slow-line' | 'copy' | 'reset'>, Draw>> = {
  cut: (chance, ids) => ({
    kind: 'cut',
    ...pair(chance, ids),
    networks: chance.happens(0.6) ? [0, 1] : [chance.index(2)],
    forMs: duration(chance, 100, 90_000),
  }),
  isolated: (chance, ids) => ({
    kind: 'isolated',
    node: chance.pick(ids),
    store: chance.pick(['down', 'unanswered'] as const),
    forMs: duration(chance, 500, 90_000),
  }),
  lossy: (chance, ids) => ({ kind: 'lossy', ...pair(chance, ids), loss: chance.between(0.2, 1), forMs: duration(chance, 1_000, 60_000) }),
  mtu: (chance, ids) => ({
    kind: 'mtu',
    ...pair(chance, ids),
    bytes: chance.pick([150, 200, 250, 600]),
    forMs: duration(chance, 1_000, 60_000),
  }),
  kill: (chance, ids) => ({ kind: 'kill', node: chance.pick(ids), process: chance.pick(PROCESSES) }),
  pause: (chance, ids) => ({
    kind: 'pause',
    node: chance.pick(ids),
    process: chance.pick([...PROCESSES, 'all' as const]),
    forMs: duration(chance, 10, 60_000),
  }),
  stall: (chance, ids) => ({ kind: 'stall', node: chance.pick(ids), process: chance.pick(PROCESSES), forMs: duration(chance, 10, 60_000) }),
  power: (chance, ids) => ({ kind: 'power', node: chance.pick(ids), forMs: duration(chance, 500, 60_000) }),
  hang: (chance, ids) => ({ kind: 'hang', node: chance.pick(ids), forMs: duration(chance, 2_000, 60_000) }),
  suspend: (chance, ids) => ({ kind: 'suspend', node: chance.pick(ids), forMs: duration(chance, 100, 90_000) }),
  'clock-rate': (chance, ids) => ({
    kind: 'clock-rate',
    node: chance.pick(ids),
    rate: chance.pick([0.8, 0.9, 1.1, 1.3]),
    forMs: duration(chance, 5_000, 120_000),
  }),
  disk: (chance, ids) => ({
    kind: 'disk',
    node: chance.pick(ids),
    code: chance.pick(['EIO', 'ENOSPC', 'EROFS'] as const),
    under: chance.pick(['/run/', '/state/'] as const),
    forMs: duration(chance, 200, 30_000),
  }),
  unkillable: (chance, ids) => ({ kind: 'unkillable', node: chance.pick(ids), forMs: duration(chance, 200, 60_000) }),
  hasty: (chance, ids) => ({ kind: 'hasty', node: chance.pick(ids), forMs: duration(chance, 500, 60_000) }),
  'app-dies': (chance, ids) => ({ kind: 'app-dies', node: chance.pick(ids) }),
  'dog-deaf': (chance, ids) => ({ kind: 'dog-deaf', node: chance.pick(ids), forMs: duration(chance, 200, 30_000) }),
  arbiter: (chance, ids) => ({
    kind: 'arbiter',
    how: chance.pick(['down', 'down', 'slow', 'throttled', 'revoked', 'unanswered'] as const),
    node: chance.happens(0.5) ? null : chance.pick(ids),
    forMs: duration(chance, 200, 90_000),
  }),
  'arbiter-restored': (chance) => ({ kind: 'arbiter-restored', backupMs: duration(chance, 1_000, 60_000) }),
  'record-deleted': () => ({ kind: 'record-deleted' }),
  'record-edited': (chance) => ({ kind: 'record-edited', how: chance.pick(['garbage', 'same', 'holder', 'epoch'] as const) }),
  move: (chance, ids) => ({ kind: 'move', to: chance.pick(ids) }),
  standby: (chance, ids) => ({ kind: 'standby', node: chance.pick(ids), forMs: duration(chance, 2_000, 60_000) }),
  offline: (chance) => ({ kind: 'offline', forMs: duration(chance, 2_000, 30_000) }),
  maintenance: (chance) => ({ kind: 'maintenance', forMs: duration(chance, 2_000, 30_000) }),
};
