// `npm run mutants:mirror [-- --only NAME,…] [--jobs 2]`: each mutant of the mirror must be seen by the seed that is known to see it, or
// by one of its neighbours, and that seed must be clean without it. `--search [--seeds 5000] [--limit-s S]` looks for the first seed
// anew and keeps it in known-seeds.json. Exit 1 when a mutant survives.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { CLUSTER_MUTANTS, type ClusterMutant } from './catalogue.js';
import type { MutantSeed, MutantShare } from './mutant-worker.js';

const KNOWN = 'test/simulation/mirror/mutants/known-seeds.json';
/** Seeds around the known one: what neighbours see proves the same. */
const WINDOW = 40;

type Known = Readonly<Record<string, number | null>>;

interface Row {
  readonly mutant: ClusterMutant;
  readonly caught: MutantSeed | null;
  readonly ran: number;
  readonly seconds: number;
}

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      search: { type: 'boolean', default: false },
      seeds: { type: 'string', default: '5000' },
      jobs: { type: 'string', default: '2' },
      'limit-s': { type: 'string', default: '3600' },
    },
  });
  const [seeds = 0, jobs = 0, limitS = 0] = [values.seeds, values.jobs, values['limit-s']].map(Number);
  const names = values.only?.split(',');
  const unknown = names?.filter((name) => !CLUSTER_MUTANTS.some((mutant) => mutant.name === name)) ?? [];
  if (unknown.length > 0 || ![seeds, jobs, limitS].every((number) => Number.isSafeInteger(number) && number > 0)) {
    process.stderr.write('usage: mutants:mirror [--only NAME,…] [--jobs J] [--search [--seeds N] [--limit-s S]]\n');
    for (const name of unknown) process.stderr.write(`there is no mutant ${name}\n`);
    return 2;
  }
  const known = JSON.parse(readFileSync(KNOWN, 'utf8')) as Known;
  const chosen = CLUSTER_MUTANTS.filter(({ name }) => names?.includes(name) ?? true);
  const waiting = chosen.filter(({ name }) => values.search || known[name] != null);
  const rows: Row[] = [];
  const work = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const beganMs = performance.now();
      const found = await hunt(mutant, values.search ? range(seeds) : near(known[mutant.name] ?? 1), beganMs + limitS * 1_000);
      const row = { mutant, ...found, seconds: (performance.now() - beganMs) / 1_000 };
      rows.push(row);
      if (values.search) keep(row);
      print(lineOf(row));
    }
  };
  const beganMs = performance.now();
  await Promise.all(Array.from({ length: jobs }, work));
  const survivors = rows.filter(({ caught }) => caught === null);
  print(`\n${rows.length} mutants in ${((performance.now() - beganMs) / 1_000).toFixed(0)} s, ${survivors.length} not seen`);
  for (const { mutant, ran } of survivors) print(`survives: ${mutant.name} (${mutant.rule}), ${ran} seeds`);
  if (!values.search)
    for (const { name, rule } of chosen.filter((mutant) => known[mutant.name] == null))
      print(`open: no seed has shown ${name} (${rule}) yet`);
  return survivors.length === 0 ? 0 : 1;
};

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1);

/** The seed first, then its neighbours from near to far. */
const near = (seed: number): readonly number[] => [
  seed,
  ...Array.from({ length: WINDOW / 2 }, (_, index) => [seed + index + 1, seed - index - 1])
    .flat()
    .filter((one) => one > 0),
];

/** The first seed that violates something with it and nothing without it. */
const hunt = async ({ name }: ClusterMutant, seeds: readonly number[], untilMs: number): Promise<Pick<Row, 'caught' | 'ran'>> => {
  let ran = 0;
  for (let left = seeds; left.length > 0; ) {
    const found = await firstViolation({ mutant: name, applied: true, seeds: left }, untilMs);
    ran += found.ran;
    if (found.seen === null) break;
    const { seed } = found.seen;
    const clean = await firstViolation({ mutant: name, applied: false, seeds: [seed] }, Number.POSITIVE_INFINITY);
    if (clean.seen === null) return { caught: found.seen, ran };
    left = left.slice(left.indexOf(seed) + 1);
  }
  return { caught: null, ran };
};

const firstViolation = (share: MutantShare, untilMs: number): Promise<{ readonly seen: MutantSeed | null; readonly ran: number }> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./mutant-worker.js', import.meta.url), { workerData: share });
    let ran = 0;
    let seen: MutantSeed | null = null;
    worker.on('message', (told: MutantSeed) => {
      ran += 1;
      if (told.violation !== null) seen = told;
      if (performance.now() > untilMs) void worker.terminate();
    });
    worker.on('error', reject);
    worker.on('exit', () => resolve({ seen, ran }));
  });

/** After each: a search may be ended at any time. */
const keep = ({ mutant, caught }: Row): void => {
  if (caught === null) return;
  const known = { ...(JSON.parse(readFileSync(KNOWN, 'utf8')) as Known), [mutant.name]: caught.seed };
  const all = CLUSTER_MUTANTS.map(({ name }) => [name, known[name] ?? null] as const);
  writeFileSync(KNOWN, `${JSON.stringify(Object.fromEntries(all), null, 2)}\n`);
};

const lineOf = ({ mutant, caught, ran, seconds }: Row): string => {
  const { violation = null, seed = 0 } = caught ?? {};
  const how =
    violation === null
      ? `not seen in ${ran} seeds`
      : `${violation.invariant} | seed ${seed} | ${(violation.atMs / 1_000).toFixed(1)} s | ${violation.sentence.split('\n', 1)[0]!.slice(0, 110)}`;
  return `${mutant.name.padEnd(36)} | ${mutant.rule.padEnd(12)} | ${how} | ${seconds.toFixed(1)} s`;
};

const print = (text: string): void => void process.stdout.write(`${text}\n`);

process.exitCode = await main();
