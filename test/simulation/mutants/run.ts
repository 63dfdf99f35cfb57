// `npm run mutants -- [--only NAME,…] [--jobs 2]`: the gate. Each mutant must be seen where it was seen before: by the seed kept in
// known-seeds.json or by one close to it, or by its suite. `--search [--seeds 5000] [--from 1] [--limit-s S]` looks for the first
// seed and keeps it. Exit 1 if any mutant survives.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { MUTANTS } from './catalogue.js';
import { type Hunt, huntBySeeds, huntBySuite } from './hunt.js';
import { type Mutant, isOfTheSwarm } from './mutant.js';

const KNOWN = 'test/simulation/mutants/known-seeds.json';
/** Runs around the known seed: a change of the code changes what befalls in a seed, not how rare it is. */
const RUNS = 40;
/** Most seeds draw a plan that cannot show a given mutant; they are passed over at once. */
const WINDOW = 4_000;

/** null: the swarm has not shown it yet, which the gate says and a search tries again. */
type Known = Readonly<Record<string, number | null>>;

interface Row {
  readonly mutant: Mutant;
  readonly hunt: Hunt;
  readonly seconds: number;
}

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      search: { type: 'boolean', default: false },
      seeds: { type: 'string', default: '5000' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
      'limit-s': { type: 'string', default: '100000' },
    },
  });
  const [seeds = 0, from = 0, jobs = 1, limitS = 0] = [values.seeds, values.from, values.jobs, values['limit-s']].map(Number);
  const names = values.only?.split(',');
  const unknown = names?.filter((name) => !MUTANTS.some((mutant) => mutant.name === name)) ?? [];
  if (unknown.length > 0 || ![seeds, from, jobs, limitS].every((number) => Number.isSafeInteger(number) && number > 0)) {
    process.stderr.write(
      `usage: mutants [--only NAME,…] [--jobs J] [--search [--seeds N] [--from S] [--limit-s S]]\n${unknown.map((name) => `there is no mutant ${name}\n`).join('')}`,
    );
    return 2;
  }
  const known = JSON.parse(readFileSync(KNOWN, 'utf8')) as Known;
  const queue = MUTANTS.filter(({ name, judge }) => (names === undefined ? judge.by !== 'nobody' : names.includes(name)));
  const isOpen = (mutant: Mutant) => isOfTheSwarm(mutant) && known[mutant.name] == null;
  const all = queue.filter((mutant) => (values.search ? mutant.judge.by !== 'suite' : !isOpen(mutant)));
  const rows: Row[] = [];
  const waiting = [...all];
  const work = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const beganMs = performance.now();
      const hunt = await huntFor(
        mutant,
        values.search ? range(from, from + seeds) : near(known[mutant.name] ?? 1),
        beganMs + limitS * 1_000,
        values.search ? Number.POSITIVE_INFINITY : RUNS,
      );
      const row = { mutant, hunt, seconds: (performance.now() - beganMs) / 1_000 };
      rows.push(row);
      if (values.search) keep(rows);
      print(lineOf(row));
    }
  };
  const beganMs = performance.now();
  await Promise.all(Array.from({ length: Math.min(jobs, all.length) }, work));
  // Where nobody can see it, not to be seen is what is expected.
  const survivors = rows.filter(({ mutant, hunt }) => (hunt.caught === null) !== (mutant.judge.by === 'nobody'));
  const seconds = ((performance.now() - beganMs) / 1_000).toFixed(0);
  print(`\n${rows.length} mutants in ${seconds} s: ${rows.length - survivors.length} as expected, ${survivors.length} not`);
  for (const { mutant, hunt } of survivors)
    print(
      hunt.caught === null
        ? `survives: ${mutant.name} (${mutant.rule}), ${hunt.ran} seeds`
        : `seen, although nobody should: ${mutant.name}, seed ${hunt.caught.seed}`,
    );
  if (!values.search) for (const mutant of queue.filter(isOpen)) print(`open: no seed has shown ${mutant.name} (${mutant.rule}) yet`);
  return survivors.length === 0 ? 0 : 1;
};

const huntFor = (mutant: Mutant, seeds: readonly number[], untilMs: number, mostRuns: number): Promise<Hunt> =>
  mutant.judge.by === 'suite' ? huntBySuite(mutant, mutant.judge.file) : huntBySeeds(mutant, seeds, untilMs, mostRuns);

const range = (from: number, to: number): readonly number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** The seed first, then its neighbours from near to far. */
const near = (seed: number): readonly number[] => {
  const around = Array.from({ length: WINDOW / 2 }, (_, index) => [seed + index + 1, seed - index - 1]).flat();
  return [seed, ...around.filter((one) => one > 0)];
};

/** After each: a search may be ended at any time. */
const keep = (rows: readonly Row[]): void => {
  const known = JSON.parse(readFileSync(KNOWN, 'utf8')) as Known;
  const found = rows.flatMap(({ mutant, hunt }) => (hunt.caught?.seed == null ? [] : [[mutant.name, hunt.caught.seed] as const]));
  const names = new Set(MUTANTS.map(({ name }) => name));
  const swarm = MUTANTS.filter(isOfTheSwarm).map(({ name }) => [name, null] as const);
  const merged = Object.entries({ ...Object.fromEntries(swarm), ...known, ...Object.fromEntries(found) }).filter(([name]) =>
    names.has(name),
  );
  writeFileSync(KNOWN, `${JSON.stringify(Object.fromEntries(merged.sort(([one], [other]) => one.localeCompare(other))), null, 2)}\n`);
};

const lineOf = ({ mutant, hunt, seconds }: Row): string => {
  const { caught, ran, unclean } = hunt;
  const how =
    caught === null
      ? `not seen in ${ran} runs`
      : caught.seed === null
        ? `${caught.by}: ${caught.sentence}`
        : `${caught.by} | seed ${caught.seed} | ${((caught.atMs ?? 0) / 1_000).toFixed(1)} s | ${caught.sentence.slice(0, 110)}`;
  const also = unclean.length === 0 ? '' : ` | not clean without it: ${unclean.join(', ')}`;
  return `${mutant.name.padEnd(34)} | ${mutant.rule.padEnd(10)} | ${how} | ${seconds.toFixed(1)} s${also}`;
};

const print = (text: string): void => void process.stdout.write(`${text}\n`);

process.exitCode = await main();
