// Many seeds of the mirror's world, on several threads: each on its own, one in a hundred twice to prove that it is the same run.
import { Worker } from 'node:worker_threads';
import type { Violation } from '../../../core/simulation/world.js';
import { drawMirrorPlan, type MirrorDraw } from './mirror-plan.js';
import { runMirror } from './run-mirror.js';

export interface MirrorShare extends Omit<MirrorDraw, 'seed'> {
  readonly seeds: readonly number[];
}

export interface MirrorSeed {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly events: number;
  readonly marks: readonly (readonly [string, number])[];
  readonly twice: boolean;
}

export interface MirrorFigures {
  seeds: number;
  events: number;
  twice: number;
  readonly marks: Map<string, number>;
  readonly failed: MirrorSeed[];
}

export interface MirrorSwarm extends Omit<MirrorDraw, 'seed'> {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  /** So many failing seeds end it. */
  readonly maxFailed: number;
  readonly progress: (figures: MirrorFigures) => void;
}

const TWICE_EVERY = 100;

export const runMirrorSeed = async (draw: MirrorDraw): Promise<MirrorSeed> => {
  const plan = drawMirrorPlan(draw);
  const { seed, violations, events, hash, marks } = await runMirror(plan);
  const twice = seed % TWICE_EVERY === 0;
  const again = twice ? await runMirror(plan) : null;
  const other: readonly Violation[] =
    again === null || again.hash === hash
      ? []
      : [{ atMs: plan.endMs, invariant: 'determinism', sentence: `the same seed gave the traces ${hash} and ${again.hash}` }];
  return { seed, violations: [...violations, ...other], events, marks: [...marks], twice };
};

export const runMirrorSwarm = async ({ from, seeds, jobs, maxFailed, progress, ...draw }: MirrorSwarm): Promise<MirrorFigures> => {
  const figures: MirrorFigures = { seeds: 0, events: 0, twice: 0, marks: new Map(), failed: [] };
  const take = (result: MirrorSeed) => {
    figures.seeds += 1;
    figures.events += result.events;
    if (result.twice) figures.twice += 1;
    for (const [mark, count] of result.marks) figures.marks.set(mark, (figures.marks.get(mark) ?? 0) + count);
    if (result.violations.length > 0) figures.failed.push(result);
    progress(figures);
  };
  const run = (index: number) =>
    new Promise<void>((resolve, reject) => {
      const all = Array.from({ length: seeds }, (_, place) => from + place);
      const share: MirrorShare = { ...draw, seeds: all.filter((_, place) => place % jobs === index) };
      const worker = new Worker(new URL('./swarm-worker.js', import.meta.url), { workerData: share });
      worker.on('message', (message: MirrorSeed | 'done') => {
        if (message !== 'done') take(message);
        if (message === 'done' || figures.failed.length >= maxFailed) void worker.terminate();
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  await Promise.all(Array.from({ length: jobs }, (_, index) => run(index)));
  return figures;
};
