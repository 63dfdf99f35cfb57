// The mutation gate of the mirror: what is done wrong in one place is seen by a history. MIRROR_MUTANTS=search looks for the first
// seed of each anew, up to 5 000.
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { MIRROR_MUTANTS } from './catalogue.js';
import type { MutantFound, MutantRun } from './mutant-worker.js';

const run = (share: MutantRun): Promise<MutantFound> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./mutant-worker.js', import.meta.url), { workerData: share });
    worker.once('message', (found: MutantFound) => {
      resolve(found);
      void worker.terminate();
    });
    worker.once('error', reject);
  });

const search = process.env['MIRROR_MUTANTS'] === 'search';

for (const { name, rule, seed } of MIRROR_MUTANTS)
  test(`${name} (${rule}) is caught by seed ${seed}`, async (t) => {
    t.timeout(300_000);
    const found = await run({ name, ...(search ? { from: 0, to: 5_000 } : { from: seed, to: seed + 1 }) });
    t.log(`${found.seed}: ${found.violation}`);
    t.is(found.seed, seed, found.violation ?? 'nothing was seen');
  });
