// Many seeds, on several threads: each runs on its own, one in a hundred twice to prove that it is the same run. What is
// told of a seed is small; its plan can be drawn again from its number.
import { Worker } from 'node:worker_threads';
import type { Plan } from './fault-plan.js';
import { type Outcome, runPlan } from './run-plan.js';
import { drawWorld, type WorldKind } from './whole.js';
import type { Violation } from './world.js';

export interface SwarmShare {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly minutes: number;
  readonly worlds: Worlds;
}

/** Which seeds run which worlds; all others run the guard with stand-ins for the controllers. 0: none, 1: all. */
export interface Worlds {
  /** Every so many-th seed runs with real controllers. */
  readonly wholeEvery: number;
  /** Every so many-th seed is a scene; those before are not. */
  readonly scenesEvery: number;
}

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly events: number;
  readonly marks: readonly (readonly [string, number])[];
  readonly twice: boolean;
}

export interface SwarmFigures {
  seeds: number;
  events: number;
  twice: number;
  readonly marks: Map<string, number>;
  readonly failed: SeedResult[];
}

export interface SwarmOptions {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly minutes: number;
  readonly worlds: Worlds;
  /** So many failing seeds end the swarm. */
  readonly maxFailed: number;
  readonly progress: (figures: SwarmFigures) => void;
}

const TWICE_EVERY = 100;

export const worldOf = (seed: number, { wholeEvery, scenesEvery }: Worlds): WorldKind => {
  if (wholeEvery > 0 && seed % wholeEvery === 0) return 'whole';
  return scenesEvery > 0 && seed % scenesEvery === 0 ? 'scene' : 'guard';
};

export const runSeed = (seed: number, minutes: number, worlds: Worlds): Promise<SeedResult> =>
  seedResult(drawWorld({ seed, minutes, world: worldOf(seed, worlds) }), runPlan);

/** One seed, and one in a hundred once more: the same seed must give the same trace. */
export const seedResult = async <P extends Plan>(plan: P, run: (plan: P) => Promise<Outcome>): Promise<SeedResult> => {
  const { seed } = plan;
  const { violations, events, hash, marks } = await run(plan);
  const twice = seed % TWICE_EVERY === 0;
  const again = twice ? await run(plan) : null;
  const other: readonly Violation[] =
    again === null || again.hash === hash
      ? []
      : [{ atMs: plan.endMs, invariant: 'determinism', sentence: `the same seed gave the traces ${hash} and ${again.hash}` }];
  return { seed, violations: [...violations, ...other], events, marks: [...marks], twice };
};

export const runSwarm = ({ from, seeds, jobs, minutes, worlds, maxFailed, progress }: SwarmOptions): Promise<SwarmFigures> =>
  runThreads({
    worker: new URL('./swarm-worker.js', import.meta.url),
    shares: Array.from({ length: jobs }, (_, index): SwarmShare => ({ from: from + index, to: from + seeds, step: jobs, minutes, worlds })),
    maxFailed,
    progress,
  });

/** One thread for each share; each sends its seeds' results and then `done`. */
export const runThreads = async (options: {
  readonly worker: URL;
  readonly shares: readonly object[];
  readonly maxFailed: number;
  readonly progress: (figures: SwarmFigures) => void;
}): Promise<SwarmFigures> => {
  const { worker: file, shares, maxFailed, progress } = options;
  const figures: SwarmFigures = { seeds: 0, events: 0, twice: 0, marks: new Map(), failed: [] };
  const take = (result: SeedResult) => {
    figures.seeds += 1;
    figures.events += result.events;
    if (result.twice) figures.twice += 1;
    for (const [mark, count] of result.marks) figures.marks.set(mark, (figures.marks.get(mark) ?? 0) + count);
    if (result.violations.length > 0) figures.failed.push(result);
    progress(figures);
  };
  const run = (workerData: object) =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(file, { workerData });
      worker.on('message', (message: SeedResult | 'done') => {
        if (message !== 'done') take(message);
        if (message === 'done' || figures.failed.length >= maxFailed) void worker.terminate();
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  await Promise.all(shares.map(run));
  return figures;
};

/** What a failing seed violated first, in a line. */
export const failedLine = ({ seed, violations: [first] }: SeedResult): string =>
  first === undefined ? '' : `seed ${seed}: ${first.invariant} at ${(first.atMs / 1_000).toFixed(3)} s: ${first.sentence}`;
