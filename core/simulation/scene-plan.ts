// Scenes: plans that are calm but for one thing, done on purpose around one moment of the protocol. Storms hide mistakes of
// a few hundred milliseconds, for whatever is wrong then is over before it shows; here the clocks are at the edge of what is
// tolerated, W is as short as it may be, stops take most of S, and what would end a mistake early is out of the way.
// Drawn from a stream of their own: what the other plans of a seed mean does not change.
import { Chance } from './chance.js';
import { type DrawOptions, type Fault, type Plan, nodeIds } from './fault-plan.js';
import { FAIR } from './network.js';
import { configOf } from './plan-config.js';
import type { SceneTiming } from './scene.js';
import { SCENES } from './scenes.js';
import { FAIR_STORE } from './sim-arbiter.js';

/** Everybody has booted and somebody holds. */
const FIRST_MS = 75_000;
const EVERY_MS = 62_000;
const ROUNDS = 3;
const QUIET_MS = 150_000;

/** The scene of a seed. They are shorter than other plans, however long those are. */
export const drawScene = ({ seed }: Pick<DrawOptions, 'seed'>): Plan => {
  const chance = new Chance(seed).stream('scene');
  const scene = chance.pick(SCENES);
  const nodes = chance.happens(0.15) ? 3 : 2;
  const shape = scene.shape(chance);
  const healMs = FIRST_MS + ROUNDS * EVERY_MS;
  const calm: Plan = {
    seed,
    scene: scene.name,
    nodes,
    profile: chance.happens(0.25) ? 'fast' : 'standard',
    strict: chance.happens(0.1),
    tightW: chance.happens(0.9),
    takeover: 'lease',
    confirm: chance.happens(0.5) ? 'renewal' : 'none',
    fencing: 'none',
    watchdog: false,
    heartbeatNetworks: chance.happens(0.3) ? 2 : 1,
    store: { shape: chance.happens(0.5) ? 'counter' : 'hash', pushes: chance.happens(0.2), usualMs: [2, 40] },
    rates: ratesOf(chance, nodes),
    stallChance: 0,
    stallMs: 0,
    slowStops: chance.happens(0.8),
    weather: FAIR,
    storeWeather: FAIR_STORE,
    faults: [],
    healMs,
    endMs: healMs + QUIET_MS,
    ...shape,
  };
  const timing: SceneTiming = configOf(calm).timing;
  const rounds = Array.from({ length: ROUNDS }, (_, round) => FIRST_MS + round * EVERY_MS + Math.round(chance.between(0, 4_000)));
  const faults = rounds.flatMap((atMs, round) => scene.faults({ chance, atMs, timing, plan: calm, ids: nodeIds(nodes), round }));
  return { ...calm, faults: faults.map(whole).toSorted((one, other) => one.atMs - other.atMs) };
};

/** Who holds is slow and who waits is fast, or the other way round. */
const ratesOf = (chance: Chance, nodes: number): readonly number[] => {
  const [first, other] = chance.pick([
    [0.99, 1.01],
    [0.99, 1.01],
    [1.01, 0.99],
    [1, 1],
  ] as const);
  return Array.from({ length: nodes }, (_, index) => (index === 0 ? first : other));
};

/** Milliseconds as people read them. */
const whole = (fault: Fault): Fault => ({
  ...fault,
  atMs: Math.round(fault.atMs),
  ...(fault.afterMs === undefined ? {} : { afterMs: Math.round(fault.afterMs) }),
  ...('forMs' in fault ? { forMs: Math.round(fault.forMs) } : {}),
});
