// What was found once stays mended: every saved input, and the first thousand made-up ones, on every run of the tests.
// The millions are given by `npm run fuzz`.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Chance, mutateBytes, mutateJson } from './mutator.js';
import { TARGETS } from './targets.js';

const CORPUS = 'test/fuzz/corpus';
const INPUTS = Number(process.env['FUZZ_RUNS'] ?? 1000);

for (const target of TARGETS) {
  test(`${target.name}: saved and made-up inputs are read or refused, nothing else`, async (t) => {
    const directory = join(CORPUS, target.name);
    for (const file of existsSync(directory) ? readdirSync(directory) : [])
      await t.notThrowsAsync(async () => target.judge(readFileSync(join(directory, file)), file.endsWith('.repaired')), file);
    const outcomes = new Set<string>();
    for (const seed of target.seeds) outcomes.add(await target.judge(seed, false));
    t.true(
      outcomes.size > 0 && ![...outcomes].every((outcome) => ['refused', 'invalid', 'no page', 'rejected'].includes(outcome)),
      'right ones are read',
    );
    const chance = new Chance(`test/${target.name}`);
    for (let input = 0; input < INPUTS / (target.oneOf ?? 1); input += 1) {
      const value = target.values === undefined ? null : mutateJson(chance, target.values);
      const bytes =
        value === null || input % 2 === 0
          ? mutateBytes(chance, target.seeds)
          : (target.encode ?? ((one) => Buffer.from(JSON.stringify(one) ?? 'null')))(value, chance);
      await target.judge(bytes, false === (input % 2 === 0) && value !== null);
    }
  });
}

test('the same seed: the same inputs', (t) => {
  const made = (seed: string) => {
    const chance = new Chance(seed);
    return Array.from({ length: 50 }, () => mutateBytes(chance, TARGETS[0]!.seeds).toString('hex'));
  };
  t.deepEqual(made('one'), made('one'));
  t.notDeepEqual(made('one'), made('two'));
});
