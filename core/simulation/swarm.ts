// Many seeds, on several threads: each runs on its own, one in a hundred twice to prove that it is the same run. What is
// told of a seed is small; its plan can be drawn again from its number.
import { Worker } from 'node:worker_threads';
import { runPlan } from './run-plan.js';
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

export const runSeed = async (seed: number, minutes: number, worlds: Worlds): Promise<SeedResult> => {
  const plan = drawWorld({ seed, minutes, world: worldOf(seed, worlds) });
  const { violations, events, hash, marks } = await runPlan(plan);
  const twice = seed % TWICE_EVERY === 0;
  const again = twice ? await runPlan(plan) : null;
  const other: readonly Violation[] =
    again === null || again.hash === hash
      ? []
      : [{ atMs: plan.endMs, invariant: 'determinism', sentence: `the same seed gave the traces ${hash} and ${again.hash}` }];
  return { seed, violations: [...violations, ...other], events, marks: [...marks], twice };
};

export const runSwarm = async ({ from, seeds, jobs, minutes, worlds, maxFailed, progress }: SwarmOptions): Promise<SwarmFigures> => {
  const figures: SwarmFigures = { seeds: 0, events: 0, twice: 0, marks: new Map(), failed: [] };
  const workers: Worker[] = [];
  const take = (result: SeedResult) => {
    figures.seeds += 1;
    figures.events += result.events;
    if (result.twice) figures.twice += 1;
    for (const [mark, count] of result.marks) figures.marks.set(mark, (figures.marks.get(mark) ?? 0) + count);
    if (result.violations.length > 0) figures.failed.push(result);
    progress(figures);
  };
  const run = (index: number) =>
    new Promise<void>((resolve, reject) => {
      const share: SwarmShare = { from: from + index, to: from + seeds, step: jobs, minutes, worlds };
      const worker = new Worker(new URL('./swarm-worker.js', import.meta.url), { workerData: share });
      workers.push(worker);
      worker.on('message', (message: SeedResult | 'done') => {
        if (message !== 'done') take(message);
        if (message === 'done' || figures.failed.length >= maxFailed) void worker.terminate();
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  await Promise.all(Array.from({ length: jobs }, (_, index) => run(index)));
  return figures;
};
