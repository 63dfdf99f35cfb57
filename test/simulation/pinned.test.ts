// Every violation that was ever found, as the smallest plan that showed it: none of them comes back. And the swarm itself:
// a few seeds without a violation, the same trace twice, another for another seed.
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import test from 'ava';
import { drawPlan } from '../../core/simulation/fault-plan.js';
import { runPlan } from '../../core/simulation/run-plan.js';
import { type Pinned, storyOf } from '../../core/simulation/story.js';

const PINNED = globSync('test/simulation/pinned/*.json').sort();

test('there are scenarios: an empty directory, or a wrong one, proves nothing', (t) => {
  t.true(PINNED.length > 0, `no scenario below ${process.cwd()}/test/simulation/pinned`);
});

for (const file of PINNED) {
  const { title, plan } = JSON.parse(readFileSync(file, 'utf8')) as Pinned;
  test.serial(`${basename(file, '.json')}: ${title}`, async (t) => {
    const outcome = await runPlan(plan);
    t.is(outcome.violations.length, 0, storyOf(plan, outcome));
  });
}

test.serial('swarm: a few seeds, no violation', async (t) => {
  let takeovers = 0;
  for (let seed = 1; seed <= 3; seed += 1) {
    const plan = drawPlan({ seed, minutes: 2 });
    const outcome = await runPlan(plan);
    t.is(outcome.violations.length, 0, storyOf(plan, outcome));
    takeovers += outcome.marks.get('takeover') ?? 0;
  }
  t.true(takeovers > 3, `only ${takeovers} takeovers`);
});

test.serial('the same seed: the same trace; another seed: another', async (t) => {
  const run = async (seed: number) => (await runPlan(drawPlan({ seed, minutes: 2 }))).hash;
  const first = await run(4);
  t.is(await run(4), first);
  t.not(await run(5), first);
});
