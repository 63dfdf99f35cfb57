// Runs one plan of the mirror's world to its end, as core/simulation/run-plan does, and says what came of it.
import { type Outcome, runPlan } from '../../../core/simulation/run-plan.js';
import { type Images, newImages } from './copies.js';
import { type MirrorPlan, optionsOf } from './mirror-plan.js';
import { mirrorWholeOf } from './mirror-whole.js';
import { MirrorWorld } from './mirror-world.js';

const images = new Map<string, Images>();

export const runMirror = async (plan: MirrorPlan, options: { readonly traceLines?: number } = {}): Promise<Outcome> => {
  const whole = mirrorWholeOf(plan);
  const { mode } = optionsOf(plan);
  // The same for every plan of a mode: both begin empty.
  const fresh = images.get(mode) ?? (await newImages(whole.config, mode));
  images.set(mode, fresh);
  return runPlan(plan, {
    ...options,
    whole,
    around: (cluster) => {
      cluster.beside = new MirrorWorld(cluster, plan, fresh);
    },
  });
};
