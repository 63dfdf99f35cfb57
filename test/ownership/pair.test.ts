// Two nodes without a store (core/ownership/pair.ts): what gives the right to an epoch and what does not, and the machine in a
// world of faults (test/support/pair-world.ts): never two active, and one at the end wherever a fence works.
import test from 'ava';
import fc from 'fast-check';
import { epochAfter } from '../../core/ownership/pair.js';
import { type PairMutant, type PairWorldOptions, runPairWorld } from '../support/pair-world.js';

const runs = Number(process.env['FC_RUNS'] ?? 40);
const seeds = fc.integer({ min: 1, max: 2 ** 31 });

test('two nodes never make the same epoch', (t) => {
  for (const seen of [0, 1, 2, 7, 1_000]) {
    const [even, odd] = [epochAfter(seen, 0), epochAfter(seen, 1)];
    t.true(even > seen && even <= seen + 2 && even % 2 === 0);
    t.true(odd > seen && odd <= seen + 2 && odd % 2 === 1);
  }
});

const property =
  (options: Omit<PairWorldOptions, 'seed'>, atEnd: (outcome: ReturnType<typeof runPairWorld>) => boolean) =>
  (t: { log(...values: string[]): void; true(value: boolean): unknown }) => {
    let [activations, consents, shot] = [0, 0, 0];
    fc.assert(
      fc.property(seeds, (seed) => {
        const outcome = runPairWorld({ seed, ...options });
        activations += outcome.activations;
        consents += outcome.consents;
        shot += outcome.shot.length;
        if (outcome.violations.length > 0) throw new Error(`seed ${seed}: ${outcome.violations.join('; ')}`);
        if (!atEnd(outcome)) throw new Error(`seed ${seed}: at the end active on [${outcome.active.join()}], ${outcome.phases.join()}`);
      }),
      { numRuns: runs, endOnFailure: true },
    );
    t.log(`${runs} seeds, ${activations} activations, ${consents} consents, ${shot} nodes powered off by a fence`);
    t.true(activations > runs && consents > runs);
  };

test(
  'faults of every kind: never two active, one at the end',
  property({}, ({ active }) => active.length === 1),
);
test(
  'no fence works: never two active, and one again when they hear each other',
  property({ noFence: true }, ({ active, shot }) => active.length === 1 && shot.length === 0),
);

test('all networks cut at once: the active node fences first, one survives and goes on', (t) => {
  for (let seed = 1; seed <= runs; seed += 1) {
    const { violations, active, shot } = runPairWorld({ seed, cutAtMs: 5_000, faultsMs: 30_000, quietMs: 0 });
    t.deepEqual([violations, active.length], [[], 1], `seed ${seed}`);
    t.deepEqual(shot.slice(0, 1), active[0] === 'a' ? ['b'] : ['a'], `seed ${seed}`);
  }
});

const mutants: readonly Exclude<PairMutant, 'none'>[] = ['a fence that lies', 'everybody consents'];
for (const mutant of mutants)
  test(`the world sees the bug "${mutant}"`, (t) => {
    const caught = Array.from({ length: 150 }, (_, index) => index + 1).find(
      (seed) => runPairWorld({ seed, mutant }).violations.length > 0,
    );
    t.not(caught, undefined);
    t.log(`seed ${caught}`);
  });
