// Whole clusters: the real controllers of every node with misbehaving scripts, plugins and operators, and the promises of
// SAFETY c.1 checked at every effect. A few short seeds; the swarm runs thousands (npm run simulate).
import test from 'ava';
import { runPlan } from '../../core/simulation/run-plan.js';
import { drawWholePlan } from '../../core/simulation/whole.js';

const words = (outcome: Awaited<ReturnType<typeof runPlan>>) =>
  outcome.violations.map(({ invariant, sentence }) => `${invariant}: ${sentence}`);

for (const seed of [12, 28])
  test.serial(`seed ${seed}: no promise is broken, and the group comes back by itself`, async (t) => {
    const outcome = await runPlan(drawWholePlan({ seed, minutes: 3 }));
    t.deepEqual(words(outcome), []);
    t.true((outcome.marks.get('effect') ?? 0) > 0, 'something was started');
  });

test.serial('one seed twice: event by event the same run', async (t) => {
  const plan = drawWholePlan({ seed: 37, minutes: 2 });
  const [one, other] = [await runPlan(plan), await runPlan(plan)];
  t.is(one.hash, other.hash);
  t.deepEqual(words(one), []);
});
