// Scenes: each draws faults that name no node and find one, the drawn plan is the same for the same seed, and one run of each
// kind of moment shows that what was planned happened. That no scene violates anything, the gate proves.
import test from 'ava';
import { runPlan } from '../../core/simulation/run-plan.js';
import { drawScene } from '../../core/simulation/scene-plan.js';
import { SCENES } from '../../core/simulation/scenes.js';
import { storyOf } from '../../core/simulation/story.js';
import { worldOf } from '../../core/simulation/swarm.js';

const seedOf = (name: string): number => {
  for (let seed = 1; seed < 2_000; seed += 1) if (drawScene({ seed }).scene === name) return seed;
  throw new RangeError(`no seed below 2000 draws ${name}`);
};

test('every scene is drawn, the same for the same seed, and befalls somebody before all heals', (t) => {
  for (const { name } of SCENES) {
    const seed = seedOf(name);
    const plan = drawScene({ seed });
    t.deepEqual(drawScene({ seed }), plan);
    t.true(plan.faults.length > 0, name);
    for (const { atMs } of plan.faults) t.true(atMs < plan.healMs, `${name}: ${atMs}`);
  }
});

test('which world a seed runs: real controllers before scenes, and without either the guard alone', (t) => {
  t.is(worldOf(6, { wholeEvery: 6, scenesEvery: 3 }), 'whole');
  t.is(worldOf(9, { wholeEvery: 6, scenesEvery: 3 }), 'scene');
  t.is(worldOf(10, { wholeEvery: 6, scenesEvery: 3 }), 'guard');
  t.is(worldOf(6, { wholeEvery: 0, scenesEvery: 0 }), 'guard');
});

for (const [name, marks] of [
  ['cut off', ['fault isolated']],
  ['a late win', ['fault store-late', 'fault isolated']],
  ['a stalled leash', ['fault stall', 'leash fires']],
  ['promises on a slow line', ['fault slow-line', 'promise given']],
] as const)
  test.serial(`scene ${name}: what is planned happens, nothing is violated`, async (t) => {
    const plan = drawScene({ seed: seedOf(name) });
    const outcome = await runPlan(plan);
    t.is(outcome.violations.length, 0, storyOf(plan, outcome));
    for (const mark of marks) t.true(outcome.marks.has(mark), `${mark} was not reached`);
  });
