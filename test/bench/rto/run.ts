// node dist/test/bench/rto/run.js [--arbiter witness|etcd|dynamodb|s3] [--timings lan,fast,standard,strict]
// [--takeovers lease,preempt] [--runs 10] [--out FILE] [--id rto]: how long a takeover takes, beside the worst case that
// `understudy check` computes. A lab of two hosts (root: netns); the active one loses power, or the group is moved. Measured by
// CLOCK_MONOTONIC, which the hosts' journals and this process share; a power loss counts from before it was ordered. Exit 1
// when a measured takeover exceeds the computed one, or two nodes overlapped.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { resolveTiming, type TimingProfile } from '../../../core/config/timing.js';
import { proveTiming } from '../../../core/config/timing-proof.js';
import { systemClock } from '../../../core/system/clock.js';
import { DrillLab, type Settled } from '../../support/drill-lab.js';

const { values } = parseArgs({
  options: {
    timings: { type: 'string', default: 'lan,fast,standard,strict' },
    takeovers: { type: 'string', default: 'lease,preempt' },
    runs: { type: 'string', default: '10' },
    arbiter: { type: 'string', default: 'witness' },
    out: { type: 'string' },
    id: { type: 'string', default: 'rto' },
  },
});

/** Faults come more often here than `steady` of 60 s allows; it changes nothing within a takeover. */
const STEADY_MS = 2_000;

interface Sample {
  /** Power loss, or the last stop of a planned move, until the record is taken. */
  readonly takenMs: number;
  /** The longest time a client had no answer. */
  readonly gapMs: number;
}

interface Row {
  readonly what: string;
  readonly worstMs: number;
  readonly samples: readonly Sample[];
}

/** The first acquisition of a node after a moment. */
const heldAt = (lab: DrillLab, node: string, afterMs: number): Promise<number> =>
  lab.until(`${node} holds the lease`, 60_000, async () => (await lab.events(node, 'lease.held', afterMs)).at(0)?.monoMs);

const powerLoss = async (lab: DrillLab, { active, standby }: Settled): Promise<Sample> => {
  const probe = await lab.probe();
  await systemClock.sleep(STEADY_MS + 1_000);
  const lostMs = systemClock.nowMs();
  await lab.fault('power-off', active);
  const takenMs = (await heldAt(lab, standby, lostMs)) - lostMs;
  const answered = probe.report?.answered ?? 0;
  await lab.until(`${standby} serves`, 30_000, async () => (await lab.group(standby))?.state === 'online');
  // A gap has a length only when it has ended.
  await lab.until('the client has answers again', 30_000, () => (probe.report?.answered ?? 0) > answered + 20);
  const { longestGapMs: gapMs } = await probe.stop();
  await lab.fault('power-on', active);
  return { takenMs, gapMs };
};

const planned = async (lab: DrillLab, { active, standby }: Settled): Promise<Sample> => {
  const probe = await lab.probe();
  const orderedMs = systemClock.nowMs();
  await lab.done(active, 'switchover', 'web', '--to', standby);
  const heldMs = await heldAt(lab, standby, orderedMs);
  const stops = (await lab.events(active, 'action.done', orderedMs)).filter(({ data }) => data?.['kind'] === 'stop');
  const stoppedMs = Math.max(...stops.map(({ monoMs }) => monoMs));
  await lab.until(`${standby} serves`, 30_000, async () => (await lab.group(standby))?.state === 'online');
  const { longestGapMs: gapMs } = await probe.stop();
  return { takenMs: heldMs - stoppedMs, gapMs };
};

const profileOf = (name: string) =>
  name === 'strict' ? { profile: 'standard' as const, strict: true } : { profile: name as TimingProfile, strict: false };

const measure = async (timing: string, takeover: 'lease' | 'preempt'): Promise<readonly Row[]> => {
  const { profile, strict } = profileOf(timing);
  const numbers = resolveTiming({ profile, strict, values: { steadyMs: STEADY_MS } });
  const proof = proveTiming(numbers);
  const lab = await DrillLab.start(values.id, {
    takeover,
    arbiter: values.arbiter,
    timing: timing === 'strict' ? 'standard' : timing,
    settings: { timing: { profile, ...(strict ? { strict } : {}), steady: `${STEADY_MS}ms` } },
  });
  try {
    const lost: Sample[] = [];
    const moved: Sample[] = [];
    for (let run = 0; run < Number(values.runs); run += 1) {
      lost.push(await powerLoss(lab, await lab.settled(90_000)));
      if (takeover === 'lease') moved.push(await planned(lab, await lab.settled(90_000)));
    }
    const overlaps = await lab.overlaps();
    if (overlaps.length > 0) throw new Error(`two nodes at once: ${overlaps.join('; ')}`);
    const rows: Row[] = [
      {
        what: `power loss, ${takeover}`,
        worstMs: takeover === 'lease' ? proof.takeoverWorstMs : proof.preemptWorstMs.renewal,
        samples: lost,
      },
    ];
    if (moved.length > 0) rows.push({ what: 'planned move', worstMs: proof.plannedWorstMs, samples: moved });
    return rows;
  } finally {
    await lab.end();
  }
};

const spread = (numbers: readonly number[]): string => {
  const sorted = [...numbers].sort((one, other) => one - other);
  return [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((ms) => (ms ?? Number.NaN).toFixed(0)).join(' / ');
};

const table = new Table({
  head: ['arbiter', 'timing', 'what', 'runs', 'record taken, ms', 'computed worst', 'client without answer, ms'],
  style: { head: [], border: [] },
});
let exceeded = false;
for (const timing of values.timings.split(','))
  for (const takeover of values.takeovers.split(',') as ('lease' | 'preempt')[]) {
    for (const { what, worstMs, samples } of await measure(timing, takeover)) {
      const taken = samples.map(({ takenMs }) => takenMs);
      exceeded ||= Math.max(...taken) > worstMs;
      const row = [
        values.arbiter,
        timing,
        what,
        samples.length,
        spread(taken),
        worstMs.toFixed(0),
        spread(samples.map(({ gapMs }) => gapMs)),
      ];
      table.push(row);
      if (values.out !== undefined)
        appendFileSync(values.out, `${JSON.stringify({ arbiter: values.arbiter, timing, what, worstMs, samples })}\n`);
      process.stderr.write(`${row.join('  ')}\n`);
    }
  }
process.stdout.write(`minimum / median / maximum\n${table.toString()}\n`);
if (exceeded) {
  process.stdout.write('a measured takeover took longer than the computed worst case\n');
  process.exitCode = 1;
}
