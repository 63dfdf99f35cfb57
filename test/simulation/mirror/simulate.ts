// `npm run simulate:mirror -- --seeds N --from S [--jobs 2] [--mode sync]` and `-- --seed S [--trace]`: runs seeds of the cluster with
// mirrored disks, prints figures, and of a failing seed the smallest story that still shows it. Exit 1 when something was violated.
import { parseArgs } from 'node:util';
import { shrink } from '../../../core/simulation/shrink.js';
import { storyOf } from '../../../core/simulation/story.js';
import { failedLine, type SwarmFigures } from '../../../core/simulation/swarm.js';
import { lineOf } from '../../../core/simulation/trace.js';
import { drawMirrorPlan, type MirrorDraw, type MirrorPlan } from './mirror-plan.js';
import { runMirror } from './run-mirror.js';
import { runMirrorSwarm } from './swarm.js';

const USAGE = `usage: simulate:mirror --seeds N [--from S] [--jobs J] [--minutes M] [--mode sync|semi-sync|async] [--keep-going K]
       simulate:mirror --seed S [--minutes M] [--mode MODE] [--trace]`;
const MODES = ['sync', 'semi-sync', 'async'] as const;

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
      minutes: { type: 'string', default: '3' },
      'keep-going': { type: 'string', default: '1' },
      seed: { type: 'string' },
      mode: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  });
  const numbers = [values.seeds, values.from, values.jobs, values.minutes, values['keep-going'], values.seed ?? '0'].map(Number);
  const mode = MODES.find((one) => one === values.mode);
  if (numbers.some((number) => !Number.isSafeInteger(number) || number < 0) || (values.mode !== undefined && mode === undefined)) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const [seeds = 0, from = 0, jobs = 1, minutes = 0, keepGoing = 1, seed = 0] = numbers;
  const draw = { minutes, ...(mode === undefined ? {} : { mode }) };
  if (values.seed !== undefined) return one({ seed, ...draw }, values.trace);

  const started = performance.now();
  let told = started;
  let failed = 0;
  const figures = await runMirrorSwarm({
    ...draw,
    from,
    seeds,
    jobs: Math.max(1, Math.min(jobs, seeds)),
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
  return worst === undefined ? 0 : explain(drawMirrorPlan({ seed: worst.seed, ...draw }));
};

const one = async (draw: MirrorDraw, trace: boolean): Promise<number> => {
  const plan = drawMirrorPlan(draw);
  const outcome = await runMirror(plan, { traceLines: trace ? Number.POSITIVE_INFINITY : 400 });
  if (trace) for (const line of outcome.story) print(lineOf(line));
  print(`seed ${draw.seed}: ${outcome.events} events, trace ${outcome.hash}, ${outcome.violations.length} violations`);
  return outcome.violations.length === 0 ? 0 : explain(plan);
};

const explain = async (plan: MirrorPlan): Promise<number> => {
  const outcome = await runMirror(plan);
  if (outcome.violations.length === 0) {
    print(`seed ${plan.seed} violates nothing when it is run alone: its run depends on more than its seed`);
    return 1;
  }
  const small = await shrink(plan, outcome, { run: runMirror });
  print(`\nthe smallest story (${small.runs} runs):\nthe mirror: ${JSON.stringify(plan.mirror)}\n${storyOf(small.plan, small.outcome)}`);
  return 1;
};

const summaryOf = ({ seeds, events, twice, marks, failed }: SwarmFigures, seconds: number, minutes: number): string => {
  const of = (pattern: RegExp) =>
    [...marks]
      .filter(([mark]) => pattern.test(mark))
      .sort(([left], [right]) => left.localeCompare(right))
      .map(([mark, count]) => `${mark.replace(pattern, '')} ${count}`)
      .join(', ');
  return [
    `${seeds} seeds of ${minutes} simulated minutes in ${seconds.toFixed(0)} s; ${events} events; ${marks.get('takeover') ?? 0} takeovers; ${twice} seeds run twice`,
    `faults: ${of(/^fault /)}`,
    `mirror: ${of(/^mirror\./)}`,
    `judged: ${of(/ (?=judged$)/).replaceAll('judged', ' judged')}; copies compared ${marks.get('copies compared') ?? 0} times`,
    `not promised: ${of(/^(?=two active|a failed disk)/) || 'nothing'}`,
    failed.length === 0 ? 'violations: none' : `violations: ${failed.length} seeds`,
  ].join('\n');
};

const print = (text: string): void => void process.stdout.write(`${text}\n`);

process.exitCode = await main();
