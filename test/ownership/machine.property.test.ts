// The machine against a world of faults (test/support/lease-world.ts): never two active, never a dead epoch again, always one
// active when the faults have ended. FC_RUNS sets the number of seeds; the world must also see bugs that are put in.
import test from 'ava';
import fc from 'fast-check';
import { type WorldOptions, runWorld } from '../support/lease-world.js';
import type { MirrorMutant } from '../support/mirror-model.js';

const seedsWanted = Number(process.env['FC_RUNS'] ?? 40);
const seeds = fc.integer({ min: 1, max: 2 ** 31 });

/** `share`: larger worlds cost more, and get that part of the seeds. */
const safe =
  ({ share = 1, ...options }: Omit<WorldOptions, 'seed'> & { readonly share?: number }) =>
  (t: { log(...values: string[]): void; true(value: boolean): unknown }) => {
    const numRuns = Math.max(4, Math.round(seedsWanted * share));
    let activations = 0;
    let waits = 0;
    let begun = 0;
    let extensions = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const outcome = runWorld({ seed, ...options });
        activations += outcome.activations;
        waits += outcome.waits;
        begun += outcome.begun;
        extensions += outcome.extensions;
        if (outcome.violations.length > 0) throw new Error(`seed ${seed}: ${outcome.violations.join('; ')}`);
        if (outcome.active.length !== 1) throw new Error(`seed ${seed}: at the end active on [${outcome.active.join()}]`);
      }),
      { numRuns, endOnFailure: true },
    );
    t.log(
      `${numRuns} seeds, ${activations} activations, ${waits} waits for a proof of which ${begun} began to hold, ${extensions} failsafe rounds`,
    );
    // A world in which nothing ever moves would prove nothing.
    t.true(activations > numRuns);
    if (options.fencing !== undefined) t.true(begun > numRuns / 4);
    if (options.arbiterTrouble === true) t.true(extensions > numRuns);
  };

test('two nodes under faults: never two active, one at the end', safe({}));
test('three nodes under faults: never two active, one at the end', safe({ nodes: 3 }));
test('two nodes whose arbiter is often away: never two active', safe({ arbiterTrouble: true, share: 0.4 }));
test('three nodes whose arbiter is often away: never two active', safe({ arbiterTrouble: true, nodes: 3, share: 0.3 }));
test('five nodes whose arbiter is often away: never two active', safe({ arbiterTrouble: true, nodes: 5, faultsMs: 30_000, share: 0.2 }));
test('eight nodes under faults: never two active, one at the end', safe({ nodes: 8, faultsMs: 20_000, share: 0.15 }));
test('two nodes and late answers: never two active, one at the end', safe({ attemptMs: 1_100 }));

// Without rounds that would cover it up: the lease counts from before the send, whenever the answer comes.
test(
  'two deaf nodes, answers very late: never two active',
  safe({ attemptMs: 1_100, peersDeaf: true, lateAnswers: true, faultsMs: 40_000, share: 0.5 }),
);

test('two nodes, proof required: never two active, one at the end', safe({ fencing: 'required', quietMs: 20_000 }));
test('four nodes, proof required: never two active, one at the end', safe({ nodes: 4, fencing: 'required', quietMs: 20_000 }));
test('three nodes, some without a watchdog: never two active, one at the end', safe({ nodes: 3, fencing: 'mixed', quietMs: 20_000 }));

const mutants: readonly Exclude<WorldOptions['mutant'], undefined | 'none'>[] = [
  'W = D',
  'CAS on the epoch only',
  'a fence that lies',
  'W is proof without a watchdog',
];
for (const mutant of mutants) {
  test(`the world sees the bug "${mutant}"`, (t) => {
    const fencing = mutant.startsWith('W =') || mutant.startsWith('CAS') ? 'watchdog' : 'required';
    const caught = Array.from({ length: 150 }, (_, seed) => seed + 1).find(
      (seed) => runWorld({ seed, mutant, fencing }).violations.length > 0,
    );
    t.not(caught, undefined);
    t.log(`seed ${caught}`);
  });
}

test('two nodes with a mirror: no acknowledged write is lost by one failure, and somebody serves at the end', (t) => {
  const total = { acknowledged: 0, alone: 0, promotions: 0 };
  let stuck = 0;
  const runs = Math.max(20, seedsWanted);
  fc.assert(
    fc.property(seeds, (seed) => {
      const { violations, active, mirror } = runWorld({ seed, mirror: 'none' });
      if (violations.length > 0) throw new Error(`seed ${seed}: ${violations.join('; ')}`);
      if (active.length > 1) throw new Error(`seed ${seed}: at the end active on [${active.join()}]`);
      if (active.length === 0) stuck += 1;
      for (const key of ['acknowledged', 'alone', 'promotions'] as const) total[key] += mirror[key];
    }),
    { numRuns: runs, endOnFailure: true },
  );
  t.log(`${runs} seeds, ${JSON.stringify(total)}, ${stuck} wait for an operator`);
  // A world in which nobody writes alone or takes over would prove nothing.
  t.true(total.promotions > 2 * runs);
  t.true(total.alone > 10 * runs);
  // Where no copy can be told to be good, nobody starts by itself; that takes several failures at once.
  t.true(stuck <= runs / 10, `${stuck}`);
});

const mirrorMutants: readonly MirrorMutant[] = [
  'boots do not count',
  'alone before the answer',
  'unknown counts as ok',
  'goes on while a removal is open',
];
for (const mirror of mirrorMutants) {
  test(`the world sees the mirror's bug "${mirror}"`, (t) => {
    const caught = Array.from({ length: 200 }, (_, seed) => seed + 1).find((seed) => runWorld({ seed, mirror }).violations.length > 0);
    t.not(caught, undefined);
    t.log(`seed ${caught}`);
  });
}
