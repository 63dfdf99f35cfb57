// One thread: runs seeds with one mutant, or with none, until the first violation, and tells of every seed what came of it.
import { parentPort, workerData } from 'node:worker_threads';
import type { Violation } from '../../../core/simulation/world.js';
import { loadWith, mutantOf } from './load-with.js';
import { worldOf } from './mutant.js';

export interface MutantShare {
  readonly mutant: string;
  /** Without it the same seeds must be clean. */
  readonly applied: boolean;
  readonly seeds: readonly number[];
}

export interface MutantResult {
  readonly seed: number;
  /** The plan cannot show this mutant. */
  readonly skipped: boolean;
  readonly violation: Violation | null;
}

/**
 * The plans of `npm run simulate`. Of long ones only the first minutes are run: a rule that is broken shows itself before all is
 * healed. Scenes are short, and what some mutants break shows itself only as a group that does not come back.
 */
const MINUTES = 10;
const UNTIL_MS = 300_000;

const { mutant: name, applied, seeds } = workerData as MutantShare;
const mutant = mutantOf(name);
if (applied) loadWith(mutant);
const { drawWorld } = await import('../../../core/simulation/whole.js');
const { runPlan } = await import('../../../core/simulation/run-plan.js');
const { small } = await import('./shapes.js');

const { judge } = mutant;
const world = worldOf(mutant);
if (world === null) throw new Error(`${name} is of a suite`);
const where = ('where' in judge ? judge.where : undefined) ?? (world === 'scene' ? () => true : small);
for (const seed of seeds) {
  const plan = drawWorld({ seed, minutes: MINUTES, world });
  const skipped = !where(plan);
  const [violation = null] = skipped ? [] : (await runPlan(plan, world === 'scene' ? {} : { untilMs: UNTIL_MS })).violations;
  parentPort?.postMessage({ seed, skipped, violation } satisfies MutantResult);
  if (violation !== null) break;
}
