// node dist/test/bench/guard-latency/run.js [--timing lan] [--seconds 30] [--id latency]: does a plugin that misbehaves in the
// controller delay the guard's renewals? A lab of two hosts (root: netns); the plugin's monitor holds the event loop, fills the
// thread pool, or allocates until the heap is full. Measured from outside, in the arbiter's own log: the time between two
// renewals that were written, against the renew period R; each row beside a calm one of the same run.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { timingProfile, type TimingProfile } from '../../../core/config/timing.js';
import { systemClock } from '../../../core/system/clock.js';
import { DrillLab } from '../../support/drill-lab.js';
import { LeaseWatch } from '../../support/lease-watch.js';

const { values } = parseArgs({
  options: {
    timing: { type: 'string', default: 'lan' },
    seconds: { type: 'string', default: '30' },
    id: { type: 'string', default: 'latency' },
  },
});

/** Not in a directory for temporary files: what root runs must lie where only root writes. */
const directory = mkdtempSync('/opt/understudy-bench-');
const GROUP = 'bench';
const LOOK_MS = 1;

/** A file `<what>.<node>` makes the monitor do it once; it is removed first, so that the next controller behaves. */
const PLUGIN = `
import { pbkdf2 } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { type ActionContext, definePlugin, type MonitorContext, options, text } from 'understudy/plugin';

interface Odd { readonly directory: string }
const online = ({ options: { directory }, node }: MonitorContext<Odd>): string => directory + '/online.' + node;
const untilMs = (seconds: number) => performance.now() + seconds * 1000;
const acts: Record<string, (seconds: number) => Promise<void> | void> = {
  loop: (seconds) => { const end = untilMs(seconds); while (performance.now() < end); },
  pool: async (seconds) => {
    const end = untilMs(seconds);
    const one = () => new Promise<void>((done) => pbkdf2('x', 'y', 200_000, 64, 'sha512', () => done()));
    const worker = async () => { while (performance.now() < end) await one(); };
    await Promise.all(Array.from({ length: 16 }, worker));
  },
  heap: () => { const kept: unknown[] = []; for (;;) kept.push(new Array(1000).fill({})); },
};
export default definePlugin({
  name: 'odd',
  api: 1,
  agents: {
    odd: {
      summary: 'A resource whose monitor can be told to misbehave.',
      options: options({ directory: text('Where its files are.') }),
      hardStop: () => [],
      agent: {
        async monitor(context: MonitorContext<Odd>) {
          for (const [what, act] of Object.entries(acts)) {
            const trigger = context.options.directory + '/' + what + '.' + context.node;
            if (!existsSync(trigger)) continue;
            rmSync(trigger);
            writeFileSync(context.options.directory + '/began.' + what, '');
            await act(${values.seconds});
          }
          return existsSync(online(context)) ? ('online' as const) : ('offline' as const);
        },
        async start(context: ActionContext<Odd>) { context.checkLease(); writeFileSync(online(context), ''); },
        async stop(context: ActionContext<Odd>) { rmSync(online(context), { force: true }); },
      },
    },
  },
});
`;

interface Row {
  readonly what: string;
  readonly intervals: readonly number[];
  readonly controllers: string;
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;

/** The times between the renewals of `seconds`, while the plugin of the active node does `what`. */
const measure = async (lab: DrillLab, what: string): Promise<Row> => {
  const { active, epoch } = await lab.settled(60_000, GROUP);
  const before = await lab.pid(active, 'controller');
  if (what !== 'calm') {
    writeFileSync(join(directory, 'state', `${what}.${active}`), '');
    await lab.until(`the monitor does ${what}`, 20_000, () => began(what));
  }
  const watch = new LeaseWatch(lab, GROUP, LOOK_MS);
  const fromMs = systemClock.nowMs();
  await systemClock.sleep(Number(values.seconds) * 1000);
  watch.stop();
  const times = watch.writes
    .filter(({ notBeforeMs, record }) => notBeforeMs >= fromMs && record.epoch === epoch)
    .map(({ seenMs }) => seenMs);
  // What held the loop or filled the heap is quarantined with its type: an operator clears it.
  if (what !== 'calm') await lab.done(active, 'clear', GROUP);
  const after = await lab.settled(90_000, GROUP);
  if (after.epoch !== epoch || after.active !== active) throw new Error(`${what}: the group moved from ${active} to ${after.active}`);
  const replaced = (await lab.pid(active, 'controller')) === before ? 'the same' : 'replaced';
  return { what, intervals: times.slice(1).map((time, index) => time - (times[index] ?? time)), controllers: replaced };
};

const began = (what: string): boolean => {
  try {
    rmSync(join(directory, 'state', `began.${what}`));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
};

mkdirSync(join(directory, 'state'));
writeFileSync(join(directory, 'odd.ts'), PLUGIN);
const renewMs = timingProfile(values.timing as TimingProfile).renewMs;
const lab = await DrillLab.start(values.id, {
  groups: {
    [GROUP]: {
      prefer: ['a', 'b'],
      failover: { max: 1000, within: '1h' },
      resources: { odd: { use: 'odd', directory: join(directory, 'state'), every: '500ms', timeouts: { monitor: '500ms' } } },
    },
  },
  timing: values.timing,
  settings: { plugins: [join(directory, 'odd.ts')] },
});
try {
  const rows: Row[] = [];
  for (const what of ['calm', 'loop', 'calm', 'pool', 'calm', 'heap', 'calm']) rows.push(await measure(lab, what));
  const table = new Table({
    head: ['the plugin', 'renewals', 'median ms', 'p99 ms', 'longest ms', `longest − R (${renewMs})`, 'controller'],
    style: { head: [], border: [] },
  });
  for (const { what, intervals, controllers } of rows) {
    const sorted = [...intervals].sort((one, other) => one - other);
    const longest = sorted.at(-1) ?? Number.NaN;
    table.push([
      what,
      sorted.length,
      quantile(sorted, 0.5).toFixed(1),
      quantile(sorted, 0.99).toFixed(1),
      longest.toFixed(1),
      (longest - renewMs).toFixed(1),
      controllers,
    ]);
  }
  process.stdout.write(`renewals of one lease, timing ${values.timing}, ${values.seconds} s a row\n${table.toString()}\n`);
  const overlaps = await lab.overlaps();
  if (overlaps.length > 0) throw new Error(overlaps.join('; '));
} finally {
  await lab.end();
  rmSync(directory, { recursive: true, force: true });
}
