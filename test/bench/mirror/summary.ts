// Medians of results.tsv as Markdown, and the ratio to each anchor: of the runs of the same round, then their median.
import { readFileSync } from 'node:fs';

interface Run {
  readonly round: string;
  readonly name: string;
  readonly job: string;
  readonly iops: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  readonly foreign: number;
}

const ANCHORS = ['qemu-mirror', 'qemu-background', 'qemu-quorum'];
const runs = readFileSync(process.argv[2] ?? '', 'utf8')
  .trim()
  .split('\n')
  .map((line): Run => {
    const [round = '', name = '', job = '', ...numbers] = line.split('\t');
    const [iops = 0, p50 = 0, p99 = 0, longest = 0, foreign = 0] = numbers.map(Number);
    return { round, name, job, iops, p50, p99, longest, foreign };
  });

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
const middle = (of: readonly Run[], key: 'iops' | 'p50' | 'p99' | 'longest' | 'foreign') => median(of.map((run) => run[key]));
const unique = (values: readonly string[]): readonly string[] => [...new Set(values)];

/** Of each round that has both; the last run counts where one was repeated. */
const ratios = (job: string, name: string, anchor: string): readonly number[] => {
  const last = (wanted: string, round: string) => runs.findLast((run) => run.job === job && run.name === wanted && run.round === round);
  return unique(runs.map(({ round }) => round)).flatMap((round) => {
    const [mine, theirs] = [last(name, round), last(anchor, round)];
    return mine === undefined || theirs === undefined ? [] : [mine.iops / theirs.iops];
  });
};

for (const job of unique(runs.map((run) => run.job))) {
  console.log(
    `\n| ${job} | IOPS min / **median** / max | p50 µs | p99 µs | longest ms | foreign CPU % | to anchors (median of rounds) |\n|---|---|---|---|---|---|---|`,
  );
  for (const name of unique(runs.filter((run) => run.job === job).map((run) => run.name))) {
    const of = runs.filter((run) => run.job === job && run.name === name);
    const iops = of.map((run) => run.iops);
    const [place = ''] = name.split('/');
    const against = ANCHORS.map((anchor) => `${place}/${anchor}`)
      .filter((anchor) => anchor !== name && ratios(job, name, anchor).length > 0)
      .map((anchor) => `${median(ratios(job, name, anchor)).toFixed(2)}x ${anchor.slice(place.length + 6)}`);
    console.log(
      `| ${name} | ${Math.min(...iops)} / **${middle(of, 'iops')}** / ${Math.max(...iops)} | ${Math.round(middle(of, 'p50'))} | ${Math.round(middle(of, 'p99'))} | ${Math.round(middle(of, 'longest') / 1000)} | ${middle(of, 'foreign')} | ${name.includes('/ours') ? against.join(', ') : ''} |`,
    );
  }
}
