// node dist/test/bench/planner/run.js [RESOURCES …]: the planner beside Pacemaker's crm_simulate on the same world in the same
// run, cold and after a lost node. Without crm_simulate (Debian: pacemaker-cli-utils) only our figures are printed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { cibOf } from './world.js';

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [100, 400, 1_000, 4_000];
const one = fileURLToPath(new URL('./one.js', import.meta.url));
const LIMIT_MS = 300_000;

interface Ours {
  readonly wholeMs: number;
  readonly firstMs: number;
  readonly warmMs: number;
  readonly actions: number;
  readonly rssMb: number;
}

const timed = (
  file: string,
  args: readonly string[],
  okExit: readonly number[] = [0],
): { readonly ms: number; readonly stdout: string } => {
  const begun = process.hrtime.bigint();
  const done = spawnSync(file, args, { encoding: 'utf8', timeout: LIMIT_MS, maxBuffer: 256 * 1024 * 1024 });
  if (done.error !== undefined) throw done.error;
  if (!okExit.includes(done.status ?? -1))
    throw new Error(`${file} ${args.join(' ')} ended with ${done.status ?? done.signal}: ${done.stderr.slice(-500)}`);
  return { ms: Number(process.hrtime.bigint() - begun) / 1e6, stdout: done.stdout };
};

/** The median of five whole processes that plan once; how fast it is in a process that has planned before, from one more. */
const ours = (resources: number, kind: 'cold' | 'lost'): Ours => {
  const runs = Array.from({ length: 5 }, () => {
    const { ms, stdout } = timed(process.execPath, [one, String(resources), kind]);
    return { ...(JSON.parse(stdout) as Omit<Ours, 'wholeMs'>), wholeMs: ms };
  }).sort((left, right) => left.wholeMs - right.wholeMs);
  const median = runs[2];
  if (median === undefined) throw new Error('no run');
  const { warmMs } = JSON.parse(timed(process.execPath, [one, String(resources), kind, '20']).stdout) as Ours;
  return { ...median, warmMs };
};

const anchored = spawnSync('crm_simulate', ['--version'], { encoding: 'utf8' });
const anchor = anchored.error === undefined ? anchored.stdout.split('\n')[0]?.trim() : null;
const directory = mkdtempSync(join(tmpdir(), 'understudy-bench-planner-'));
const seconds = (ms: number | null): string => (ms === null ? '-' : `${(ms / 1_000).toFixed(3)} s`);
const ratio = (theirs: number | null, mine: number): string =>
  theirs === null ? '-' : `${(theirs / mine).toFixed(theirs / mine < 10 ? 1 : 0)} ×`;

try {
  const table = new Table({
    head: ['resources', 'plan', 'crm_simulate', 'whole process', 'ratio', 'planner, first', 'ratio', 'planner, warm', 'actions', 'MB'],
    style: { head: [], border: [] },
  });
  for (const resources of sizes) {
    for (const kind of ['cold', 'lost'] as const) {
      const mine = ours(resources, kind);
      const cib = join(directory, `${kind}-${resources}.xml`);
      writeFileSync(cib, cibOf(resources, kind === 'cold' ? 'cold' : 'placed'));
      // `-R` plans and prints; `-S` would also act the transition out on the CIB, which is not planning.
      const theirs =
        anchor === null ? null : timed('crm_simulate', ['-x', cib, '-R', '-Q', ...(kind === 'lost' ? ['-d', 'node1'] : [])]).ms;
      table.push(
        [
          resources,
          kind,
          seconds(theirs),
          seconds(mine.wholeMs),
          ratio(theirs, mine.wholeMs),
          `${mine.firstMs.toFixed(1)} ms`,
          ratio(theirs, mine.firstMs),
          `${mine.warmMs.toFixed(1)} ms`,
          mine.actions,
          mine.rssMb,
        ].map(String),
      );
    }
  }
  console.log(
    anchor === null
      ? 'crm_simulate is not installed (pacemaker-cli-utils): our figures only'
      : `beside ${anchor}, whole process, one run; ours: median of five processes`,
  );
  console.log(table.toString());
} finally {
  rmSync(directory, { recursive: true, force: true });
}
