// `npm run simulate -- --seeds N --from S [--jobs 2] [--minutes 10]` and `-- --seed S [--trace]`: runs seeds, prints figures,
// and on a violation the smallest story that still shows it, kept as a scenario. Exit 1 when something was violated, and with
// `--gate` also when a pair of phase and event or a rare branch was not reached that every gate reaches.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { coverageOf } from './coverage.js';
import { type Outcome, runPlan } from './run-plan.js';
import { shrink } from './shrink.js';
import { pinnedOf, storyOf } from './story.js';
import { type SwarmFigures, type Worlds, failedLine, runSwarm, worldOf } from './swarm.js';
import { lineOf } from './trace.js';
import { drawWorld } from './whole.js';

const USAGE = `usage: simulate --seeds N [--from S] [--jobs J] [--minutes M] [--keep-going K] [--whole | --whole-every N] [--scenes | --scenes-every N] [--gate]
       simulate --seed S [--minutes M] [--trace] [--whole | --scenes]`;
type Drawn = Parameters<typeof drawWorld>[0];

const PINNED = 'test/simulation/pinned';

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
      minutes: { type: 'string', default: '10' },
      'keep-going': { type: 'string', default: '1' },
      seed: { type: 'string' },
      trace: { type: 'boolean', default: false },
      whole: { type: 'boolean', default: false },
      'whole-every': { type: 'string', default: '0' },
      scenes: { type: 'boolean', default: false },
      'scenes-every': { type: 'string', default: '0' },
      gate: { type: 'boolean', default: false },
    },
  });
  const numbers = [
    values.seeds,
    values.from,
    values.jobs,
    values.minutes,
    values['keep-going'],
    values.seed ?? '0',
    values['whole-every'],
    values['scenes-every'],
  ].map(Number);
  if (numbers.some((number) => !Number.isSafeInteger(number) || number < 0)) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const [seeds = 0, from = 0, jobs = 1, minutes = 0, keepGoing = 1, seed = 0, wholeEvery = 0, scenesEvery = 0] = numbers;
  const worlds: Worlds = { wholeEvery: values.whole ? 1 : wholeEvery, scenesEvery: values.scenes ? 1 : scenesEvery };
  if (values.seed !== undefined) return one({ seed, minutes, world: worldOf(seed, worlds) }, values.trace);

  const started = performance.now();
  let told = started;
  let failed = 0;
  const figures = await runSwarm({
    from,
    seeds,
    jobs: Math.max(1, Math.min(jobs, seeds)),
    minutes,
    worlds,
    maxFailed: Math.max(1, keepGoing),
    progress: (soFar) => {
      for (const result of soFar.failed.slice(failed)) print(failedLine(result));
      failed = soFar.failed.length;
      if (performance.now() - told < 10_000) return;
      told = performance.now();
      process.stderr.write(`${soFar.seeds} of ${seeds} seeds, ${soFar.events} events, ${soFar.failed.length} failed\n`);
    },
  });
  print(summaryOf(figures, (performance.now() - started) / 1_000, minutes));
  const [worst] = figures.failed;
  if (worst !== undefined) return explain({ seed: worst.seed, minutes, world: worldOf(worst.seed, worlds) });
  const { missed, impossible } = coverageOf(figures.marks);
  const blind = [...missed, ...impossible];
  if (!values.gate || blind.length === 0) return 0;
  print(`the swarm has become blind, or core/simulation/coverage.ts is wrong: ${blind.join(', ')}`);
  return 1;
};

const one = async (drawn: Drawn, trace: boolean): Promise<number> => {
  const { seed } = drawn;
  const plan = drawWorld(drawn);
  const outcome = await runPlan(plan, { traceLines: trace ? Number.POSITIVE_INFINITY : 400 });
  if (trace) for (const line of outcome.story) print(lineOf(line));
  print(`seed ${seed}: ${outcome.events} events, trace ${outcome.hash}, ${outcome.violations.length} violations`);
  return outcome.violations.length === 0 ? 0 : explain(drawn);
};

const explain = async (drawn: Drawn): Promise<number> => {
  const { seed } = drawn;
  const plan = drawWorld(drawn);
  const outcome: Outcome = await runPlan(plan);
  if (outcome.violations.length === 0) {
    print(`seed ${seed} violates nothing when it is run alone: its run depends on more than its seed`);
    return 1;
  }
  const small = await shrink(plan, outcome);
  print(`\nthe smallest story (${small.runs} runs):\n${storyOf(small.plan, small.outcome)}`);
  const name = `${outcome.violations[0]?.invariant.toLowerCase() ?? 'x'}-seed-${seed}.json`;
  const path = existsSync(PINNED) ? join(PINNED, name) : name;
  writeFileSync(path, `${JSON.stringify(pinnedOf(small.plan, small.outcome), null, 2)}\n`);
  print(`kept as ${path}`);
  return 1;
};

const summaryOf = ({ seeds, events, twice, marks, failed }: SwarmFigures, seconds: number, minutes: number): string => {
  const of = (prefix: string) =>
    [...marks]
      .filter(([mark]) => mark.startsWith(prefix))
      .sort(([one], [other]) => one.localeCompare(other))
      .map(([mark, count]) => `${mark.slice(prefix.length)} ${count}`)
      .join(', ');
  const { pairs, missed, seldom, impossible } = coverageOf(marks);
  return [
    `${seeds} seeds of ${minutes} simulated minutes in ${seconds.toFixed(0)} s; ${events} events; ${marks.get('takeover') ?? 0} takeovers; ${twice} seeds run twice`,
    `faults: ${of('fault ')}`,
    `guard: ${of('guard ')}`,
    `turns: ${of('turn ')}`,
    `acquired on: ${of('evidence ')}`,
    `other marks: ${[...marks]
      .filter(([mark]) => !/^(fault|guard|turn|evidence|two active|says) /.test(mark))
      .map(([mark, count]) => `${mark} ${count}`)
      .join(', ')}`,
    `pairs of phase and event reached: ${pairs}; missed: ${missed.join(', ') || 'none'}; happened and cannot: ${impossible.join(', ') || 'none'}`,
    `pairs that need several faults at once and were not reached: ${seldom.join(', ') || 'none'}`,
    `not promised: ${of('two active ') || 'nothing'}`,
    failed.length === 0 ? 'violations: none' : `violations: ${failed.length} seeds`,
  ].join('\n');
};

const print = (text: string): void => void process.stdout.write(`${text}\n`);

process.exitCode = await main();
