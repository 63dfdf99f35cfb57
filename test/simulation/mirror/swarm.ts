// Many seeds of the mirror's world, on the threads of the ownership's swarm.
import { runThreads, type SeedResult, seedResult, type SwarmFigures } from '../../../core/simulation/swarm.js';
import { drawMirrorPlan, type MirrorDraw } from './mirror-plan.js';
import { runMirror } from './run-mirror.js';

export interface MirrorShare extends Omit<MirrorDraw, 'seed'> {
  readonly seeds: readonly number[];
}

export interface MirrorSwarm extends Omit<MirrorDraw, 'seed'> {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  /** So many failing seeds end it. */
  readonly maxFailed: number;
  readonly progress: (figures: SwarmFigures) => void;
}

export const runMirrorSeed = (draw: MirrorDraw): Promise<SeedResult> => seedResult(drawMirrorPlan(draw), runMirror);

export const runMirrorSwarm = ({ from, seeds, jobs, maxFailed, progress, ...draw }: MirrorSwarm): Promise<SwarmFigures> => {
  const all = Array.from({ length: seeds }, (_, place) => from + place);
  const share = (index: number): MirrorShare => ({ ...draw, seeds: all.filter((_, place) => place % jobs === index) });
  const shares = Array.from({ length: jobs }, (_, index) => share(index));
  return runThreads({ worker: new URL('./swarm-worker.js', import.meta.url), shares, maxFailed, progress });
};
