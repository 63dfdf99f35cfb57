// A few seeds of the cluster with mirrored disks, one of each mode and pinned ones: what each found is mended and stays so. More of
// them: npm run simulate:mirror.
import { readFileSync } from 'node:fs';
import test from 'ava';
import { storyOf } from '../../core/simulation/story.js';
import { mutatedModule } from '../plugins/disk-mirror/engine/mutants/catalogue.js';
import { drawMirrorPlan } from './mirror/mirror-plan.js';
import { CLUSTER_MUTANTS } from './mirror/mutants/catalogue.js';
import { runMirror } from './mirror/run-mirror.js';

const MINUTES = 3;

/** Each found a fault once. */
const PINNED: readonly [seed: number, what: string][] = [
  [3, 'a primary that a hard stop froze was never demoted'],
  [39, 'the holder restarted a frozen primary by a start that changed nothing'],
];

for (const [seed, what] of PINNED)
  test.serial(`pinned seed ${seed}: ${what}`, async (t) => {
    const plan = drawMirrorPlan({ seed, minutes: MINUTES });
    const outcome = await runMirror(plan);
    t.is(outcome.violations.length, 0, storyOf(plan, outcome));
  });

for (const mode of ['sync', 'semi-sync', 'async'] as const)
  test.serial(`${mode}: a seed without a violation, in which something was written`, async (t) => {
    const plan = drawMirrorPlan({ seed: 7, minutes: MINUTES, mode });
    const outcome = await runMirror(plan);
    t.is(outcome.violations.length, 0, storyOf(plan, outcome));
    t.true((outcome.marks.get('answers judged') ?? 0) > 300, 'the client got answers');
  });

test.serial('the same seed is the same run, another seed is another', async (t) => {
  const hash = async (seed: number) => (await runMirror(drawMirrorPlan({ seed, minutes: 1 }))).hash;
  const first = await hash(1);
  t.is(await hash(1), first);
  t.not(await hash(2), first);
});

// Whether each is seen, `npm run mutants:mirror` proves.
for (const mutant of CLUSTER_MUTANTS)
  test(`applies: ${mutant.name}`, (t) => {
    for (const module of new Set(mutant.edits.map((edit) => edit.module))) {
      const source = readFileSync(`dist/${module}`, 'utf8');
      t.not(mutatedModule({ ...mutant, seed: 0 }, module, source), source);
    }
  });
