// understudy simulate: the production guard, planner and scheduler on the user's own config, in virtual time on this machine.
// With --script it follows the user's words and tells the story; else it lets faults befall many seeds and looks for what
// must never happen. Needs no daemon, no root, no network, and touches nothing.
import type { Command } from 'commander';
import type { ClusterConfig } from '../../config/cluster-config.js';
import { parseDurationMs } from '../../config/fields.js';
import { proveTiming } from '../../config/timing.js';
import { UnderstudyError } from '../../errors/errors.js';
import { renderTimeline } from '../../planner/render-timeline.js';
import { type DrillResult, runDrill } from '../../simulation/drill.js';
import { parseScript, SCRIPT_WORDS } from '../../simulation/script.js';
import type { Whole } from '../../simulation/cluster-world.js';
import { type Outcome, runPlan } from '../../simulation/run-plan.js';
import { DEFAULT_DURATIONS, standFor } from '../../simulation/stand-for.js';
import { lineOf } from '../../simulation/trace.js';
import { drawPlanFor } from '../../simulation/whole.js';
import { loadConfig } from '../load-config.js';
import { durationText, print, printJson, styled, withProgress } from '../output.js';

interface SimulateOptions {
  readonly config?: string;
  readonly script?: string;
  readonly seeds: string;
  readonly from: string;
  readonly minutes: string;
  readonly start: string;
  readonly stop: string;
  readonly json?: boolean;
}

export const define = (command: Command): void => {
  command
    .option('--config <file>', 'the config file (default: found from here upwards, then /etc/understudy)')
    .option('--script <steps>', 'what happens: `at TIME COMMAND; …` (default: faults of every kind, drawn for each seed)')
    .option('--seeds <count>', 'how many courses of chance', '10')
    .option('--from <seed>', 'the first seed', '1')
    .option('--start <duration>', 'how long an application takes to start', `${DEFAULT_DURATIONS.startMs}ms`)
    .option('--stop <duration>', 'how long it takes to stop', `${DEFAULT_DURATIONS.stopMs}ms`)
    .option('--minutes <count>', 'without a script: simulated minutes of each seed', '10')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `\nCommands of a script:\n${Object.values(SCRIPT_WORDS)
        .map((line) => `  ${line}`)
        .join('\n')}\n\nExample: understudy simulate --script "at 10s power-off a; at 40s power-on a"`,
    )
    .action(async (options: SimulateOptions) => {
      const { config, registry, desiredOf } = await loadConfig(options.config);
      const desired = new Map(config.nodes.map(({ id }) => [id, desiredOf(id)]));
      const [first] = desired.values();
      const durations = { startMs: duration('--start', options.start), stopMs: duration('--stop', options.stop) };
      const kinds = standFor(first!, (type) => registry.agent(type), durations);
      const whole: Whole = { config, desired: (node) => desired.get(node)!, kinds };
      const [from, count] = [wholeNumber('--from', options.from), wholeNumber('--seeds', options.seeds)];
      if (options.script === undefined) {
        const minutes = wholeNumber('--minutes', options.minutes);
        const outcomes = await withProgress(
          `simulating ${count} seeds`,
          runAll(from, count, (seed) => runPlan(drawPlanFor(whole, { seed, minutes }), { whole })),
        );
        if (options.json) printJson(outcomes.map(({ story: _story, marks, ...rest }) => ({ ...rest, marks: Object.fromEntries(marks) })));
        else showSwarm(outcomes, minutes);
        if (outcomes.some(({ violations }) => violations.length > 0)) process.exitCode = 1;
        return;
      }
      const steps = parseScript(options.script, config);
      const results = await withProgress(
        `simulating ${count} seeds`,
        runAll(from, count, (seed) => runDrill(seed, whole, steps)),
      );
      if (options.json) return printJson(results);
      show(results, config, durations.startMs);
    });
};

const runAll = async <T>(from: number, count: number, run: (seed: number) => Promise<T>): Promise<readonly T[]> => {
  const results: T[] = [];
  for (let seed = from; seed < from + count; seed += 1) results.push(await run(seed));
  return results;
};

const show = (results: readonly DrillResult[], config: ClusterConfig, startMs: number): void => {
  const [told] = results;
  if (told === undefined) return;
  print(styled('bold', `What happens (seed ${told.seed}; 0 s is when every group was online)`));
  const lines = [
    ...told.done.map(({ atMs, what }) => ({ atMs, text: [`${clock(atMs)}  ${styled('cyan', what)}`] })),
    ...told.timelines.map(({ atMs, timeline }) => ({ atMs, text: [`${clock(atMs)}`, ...renderTimeline(timeline)] })),
  ];
  for (const { text } of lines.toSorted((one, other) => one.atMs - other.atMs)) for (const line of text) print(line);
  print();
  print(styled('bold', 'Without service'));
  if (told.outages.length === 0) print('  never');
  for (const { group, fromMs, toMs, before, after } of told.outages)
    print(
      toMs === null
        ? `  ${group}: from ${clock(fromMs)} on, when it was on ${before}, and not again`
        : `  ${group}: ${durationText(toMs - fromMs)}, from ${clock(fromMs)} to ${clock(toMs)}, ${before === after ? `again on ${before}` : `from ${before} to ${after}`}`,
    );
  print();
  for (const { id } of config.groups) showSpread(id, results);
  const { takeoverWorstMs } = proveTiming(config.timing, {
    heartbeatNetworks: config.nodes[0]?.networks.heartbeat.length ?? 0,
    preempt: config.groups.some(({ takeover }) => takeover === 'preempt'),
    watchdogGranularityMs: config.timing.watchdogGranularityMs,
  });
  print(
    `Worst case of understudy check for a takeover: ${durationText(takeoverWorstMs)}, and the start of the resources (${durationText(startMs)} for each application here).`,
  );
  if (config.fencing.policy === 'required')
    print(
      'It counts no fence: with `fencing: required` a holder that is silent must be proven down first, by a fence, its own word or a new boot.',
    );
};

/** What the swarm saw, and for the first seed that broke a promise the last lines of its story. */
const showSwarm = (outcomes: readonly Outcome[], minutes: number): void => {
  const sum = (mark: string) => outcomes.reduce((total, { marks }) => total + (marks.get(mark) ?? 0), 0);
  const faults = outcomes
    .flatMap(({ marks }) => [...marks].filter(([mark]) => mark.startsWith('fault ')))
    .reduce((total, [, times]) => total + times, 0);
  print(
    `${outcomes.length} seeds of ${minutes} simulated minutes: ${faults} faults, ${sum('takeover')} takeovers, ${outcomes.reduce((total, { events }) => total + events, 0)} events`,
  );
  const broken = outcomes.filter(({ violations }) => violations.length > 0);
  if (broken.length === 0)
    return print(styled('green', 'never two active, never stuck: no promise was broken, and every group came back by itself'));
  for (const { seed, violations } of broken)
    for (const { invariant, atMs, sentence } of violations) print(styled('red', `seed ${seed}, ${clock(atMs)}, ${invariant}: ${sentence}`));
  for (const line of broken[0]?.story.slice(-STORY_LINES) ?? []) print(lineOf(line));
  return print(`The same again: --seeds 1 --from ${broken[0]?.seed} --minutes ${minutes}. Please report it with the config.`);
};

const STORY_LINES = 60;

/** The longest time without service in each course of chance. */
const showSpread = (group: string, results: readonly DrillResult[]): void => {
  const longest = results.map(({ outages }) =>
    Math.max(
      0,
      ...outages.filter((outage) => outage.group === group).map(({ fromMs, toMs }) => (toMs ?? Number.POSITIVE_INFINITY) - fromMs),
    ),
  );
  const sorted = longest.toSorted((one, other) => one - other);
  const [low, middle, high] = [sorted[0]!, sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!];
  const text = (ms: number) => (Number.isFinite(ms) ? durationText(ms) : 'without end');
  print(`Predicted RTO of ${group}: ${text(middle)} (${text(low)} to ${text(high)} in ${results.length} courses of chance)`);
};

const clock = (ms: number): string => `${(ms / 1_000).toFixed(1).padStart(6)} s`;

const duration = (option: string, text: string): number => {
  const ms = text === '0' ? 0 : parseDurationMs(text);
  if (ms === null) throw new UnderstudyError('USAGE', `${option} ${text}: write a duration as 500ms, 10s or 2m`);
  return ms;
};

const MAX_SEEDS = 1_000_000;
const wholeNumber = (option: string, text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > MAX_SEEDS)
    throw new UnderstudyError('USAGE', `${option} ${text}: write a whole number from 1 to ${MAX_SEEDS}`);
  return value;
};
