// Every mutant still applies to the present build, in exactly one place: a change of the code cannot silently empty the gate.
// Whether each is caught, `npm run mutants` proves.
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { MUTANTS } from './mutants/catalogue.js';
import { isOfTheSwarm, mutated } from './mutants/mutant.js';

for (const mutant of MUTANTS)
  test(`applies: ${mutant.name}`, (t) => {
    for (const module of new Set(mutant.edits.map((edit) => edit.module))) {
      const source = readFileSync(`dist/${module}`, 'utf8');
      t.not(mutated(mutant, module, source), source);
    }
  });

test('an edit that fits nowhere, or twice, is an error', (t) => {
  const mutant = { ...MUTANTS[0]!, edits: [{ module: 'm.js', find: 'one', put: 'two' }] };
  t.throws(() => mutated(mutant, 'm.js', 'nothing'), { message: /found 0 times/ });
  t.throws(() => mutated(mutant, 'm.js', 'one one'), { message: /found 2 times/ });
  t.is(mutated(mutant, 'm.js', 'one $&'), 'two $&');
});

test('names are unique, every suite exists, every mutant of the swarm stands in the list of seeds', (t) => {
  const names = MUTANTS.map(({ name }) => name);
  t.deepEqual(names, [...new Set(names)]);
  const known = JSON.parse(readFileSync('test/simulation/mutants/known-seeds.json', 'utf8')) as Record<string, number | null>;
  for (const mutant of MUTANTS) {
    const { name, judge } = mutant;
    if (judge.by === 'suite') t.true(existsSync(judge.file), `${name}: ${judge.file}`);
    if (isOfTheSwarm(mutant))
      t.not(known[name], undefined, `${name} stands in no list of seeds: npm run mutants -- --search --only ${name}`);
  }
});
