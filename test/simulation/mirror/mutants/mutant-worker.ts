// One thread: runs seeds of the mirror's world with one mutant, or with none, until the first violation, and tells of every seed what
// came of it. The modules of the mutant are put in the place of the built ones before any of them is loaded.
import { registerHooks } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { Violation } from '../../../../core/simulation/world.js';
import { mutatedModule } from '../../../plugins/disk-mirror/engine/mutants/catalogue.js';
import { CLUSTER_MUTANTS } from './catalogue.js';

export interface MutantShare {
  readonly mutant: string;
  /** Without it the same seeds must be clean. */
  readonly applied: boolean;
  readonly seeds: readonly number[];
}

export interface MutantSeed {
  readonly seed: number;
  readonly violation: Violation | null;
}

const MINUTES = 3;
const DIST = new URL('../../../../', import.meta.url).href;

const { mutant: name, applied, seeds } = workerData as MutantShare;
const mutant = CLUSTER_MUTANTS.find((one) => one.name === name)!;
if (applied)
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      const module = url.startsWith(DIST) ? url.slice(DIST.length) : '';
      if (!mutant.edits.some((edit) => edit.module === module) || loaded.source == null) return loaded;
      return {
        ...loaded,
        source: mutatedModule({ ...mutant, seed: 0 }, module, Buffer.from(loaded.source as Uint8Array).toString('utf8')),
      };
    },
  });
const { drawMirrorPlan } = await import('../mirror-plan.js');
const { runMirror } = await import('../run-mirror.js');
for (const seed of seeds) {
  const [violation = null] = (await runMirror(drawMirrorPlan({ seed, minutes: MINUTES }))).violations;
  parentPort?.postMessage({ seed, violation } satisfies MutantSeed);
  if (violation !== null) break;
}
