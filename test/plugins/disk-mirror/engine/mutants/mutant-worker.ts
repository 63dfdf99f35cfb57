// One thread with one mutant in its modules: runs seeds until a history violates something, and tells which.
import { registerHooks } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { MIRROR_MUTANTS, mutatedModule } from './catalogue.js';

export interface MutantRun {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface MutantFound {
  readonly seed: number | null;
  readonly violation: string | null;
}

const { name, from, to } = workerData as MutantRun;
const mutant = MIRROR_MUTANTS.find((one) => one.name === name)!;
const dist = new URL('../../../../../', import.meta.url).href;
registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context);
    const module = url.startsWith(dist) ? url.slice(dist.length) : '';
    if (!mutant.edits.some((edit) => edit.module === module) || loaded.source == null) return loaded;
    return { ...loaded, source: mutatedModule(mutant, module, Buffer.from(loaded.source as Uint8Array).toString('utf8')) };
  },
});
const { runHistory } = await import('../../../../support/mirror-world/history.js');
let found: MutantFound = { seed: null, violation: null };
for (let seed = from; seed < to && found.seed === null; seed++) {
  const [violation] = runHistory(seed).violations;
  if (violation !== undefined) found = { seed, violation };
}
parentPort?.postMessage(found);
