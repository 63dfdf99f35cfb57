// The proof of the timing: the profiles' tables, each inequality at its edge, and that derived values never break it.
import test from 'ava';
import fc from 'fast-check';
import {
  assertTiming,
  failedInequalities,
  proveTiming,
  resolveTiming,
  TIMING_PROFILES,
  timingProfile,
  type TimingChoice,
} from '../../core/config/timing.js';
import type { Timing } from '../../core/model/timing.js';
import type { UnderstudyError } from '../../core/errors/errors.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 300);
const choice = (profile: TimingChoice['profile'], values: TimingChoice['values'] = {}, strict = false): TimingChoice => ({
  profile,
  strict,
  values,
});
const dog = (watchdogGranularityMs: number) => ({ heartbeatNetworks: 2, preempt: false, watchdogGranularityMs });

// profile, strict, granularity → WD, W
const table: [TimingChoice['profile'], boolean, number, number, number][] = [
  ['lan', false, 0, 2000, 3000],
  ['lan', true, 0, 2000, 4500],
  ['lan', false, 1000, 3000, 5000],
  ['lan', true, 1000, 3000, 9000],
  ['fast', false, 0, 6000, 8000],
  ['fast', true, 0, 6000, 13_000],
  ['fast', false, 1000, 7000, 10_000],
  ['standard', false, 0, 11_000, 15_000],
  ['standard', true, 0, 11_000, 24_000],
  ['standard', false, 1000, 12_000, 16_000],
];
for (const [profile, strict, granularity, watchdogMs, takeoverWaitMs] of table) {
  test(`${profile}${strict ? ' strict' : ''}, g = ${granularity} ms: WD ${watchdogMs}, W ${takeoverWaitMs}, all of I1 to I9 hold`, (t) => {
    const timing = resolveTiming(choice(profile, {}, strict), dog(granularity));
    t.deepEqual([timing.watchdogMs, timing.takeoverWaitMs], [watchdogMs, takeoverWaitMs]);
    const proof = proveTiming(timing);
    t.deepEqual(
      proof.inequalities.map(({ id }) => id),
      ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9'],
    );
    t.deepEqual(failedInequalities(proof), []);
    t.is(proof.inequalities[4]?.required, strict);
  });
}

test('a device of the kernel: the guard’s end pets it once more, and W outwaits that too', (t) => {
  const device = { ...dog(1000), watchdogLingers: true };
  const waits = (['lan', 'fast', 'standard'] as const).map((profile) => {
    const timing = resolveTiming(choice(profile), device);
    t.deepEqual(failedInequalities(proveTiming(timing)), []);
    return [timing.watchdogMs, timing.watchdogLingerMs, timing.takeoverWaitMs];
  });
  t.deepEqual(waits, [
    [3000, 3000, 8000],
    [7000, 7000, 17_000],
    [12_000, 12_000, 29_000],
  ]);
  const unsafe = resolveTiming(choice('standard', { takeoverWaitMs: 16_000 }), device);
  t.regex(failedInequalities(proveTiming(unsafe)).join('\n'), /^I4: W ≥ \(P_max \+ WD \+ g \+ c\)/);
});

test('the worst cases of lan, term by term', (t) => {
  const proof = proveTiming(timingProfile('lan'));
  t.is(proof.takeoverWorstMs, 3630);
  t.deepEqual(
    proof.takeoverTerms.map(({ ms }) => ms),
    [100, 250, 3030, 250, 0],
  );
  t.deepEqual(proof.preemptWorstMs, { renewal: 1070, none: 720 });
  t.is(proof.plannedWorstMs, 850);
  t.is(timingProfile('strict').profile, 'standard strict');
});

test('preempt with one heartbeat network: suspectAfter becomes 5h + 100 ms, and less is refused', (t) => {
  const one = { heartbeatNetworks: 1, preempt: true, watchdogGranularityMs: 0 };
  t.is(resolveTiming(choice('lan'), one).suspectAfterMs, 300);
  const short = resolveTiming(choice('lan', { suspectAfterMs: 250 }), one);
  t.regex(failedInequalities(proveTiming(short, one)).join(), /^I8: suspectAfter ≥ 5h \+ 100 ms does not hold: 250 ms < 300 ms/);
  t.deepEqual(failedInequalities(proveTiming(resolveTiming(choice('lan', { suspectAfterMs: 250 })))), []);
});

// One value beyond its edge, and the inequality that must say so.
const edges: [string, Partial<Timing>][] = [
  ['I1', { renewMs: 501 }],
  ['I2', { watchdogMs: 1000 }],
  ['I3', { takeoverWaitMs: 2139 }],
  ['I4', { takeoverWaitMs: 2445 }],
  ['I5', { takeoverWaitMs: 4179, strict: true }],
  ['I6', { stopBudgetMs: 1001 }],
  ['I7', { softMs: 751 }],
  ['I8', { heartbeatMs: 41 }],
  ['I9', { watchdogMs: 2500 }],
  ['I9', { petMaxAgeMs: 249 }],
];
for (const [id, change] of edges) {
  test(`${id} breaks at ${JSON.stringify(change)}`, (t) => {
    const timing = { ...timingProfile('lan'), ...change };
    t.true(failedInequalities(proveTiming(timing)).some((line) => line.startsWith(`${id}:`)));
    t.is((t.throws(() => assertTiming(timing)) as UnderstudyError).code, 'TIMING_UNSAFE');
  });
}
test('and not before: one millisecond on the safe side holds', (t) => {
  const { inequalities } = proveTiming({
    ...timingProfile('lan'),
    renewMs: 300,
    takeoverWaitMs: 2446,
    softMs: 750,
    heartbeatMs: 40,
    stopBudgetMs: 750,
  });
  t.deepEqual(
    inequalities.filter(({ holds, required }) => required && !holds),
    [],
  );
});

test('single values: what follows from them is derived so that everything holds', (t) => {
  const value = fc.integer({ min: 1, max: 20_000 });
  fc.assert(
    fc.property(
      fc.constantFrom(...TIMING_PROFILES),
      fc.boolean(),
      fc.constantFrom(0, 1000),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      fc.record(
        {
          heartbeatMs: value,
          renewMs: value,
          attemptMs: value,
          stopBudgetMs: value,
          marginMs: value,
          driftRatio: fc.double({ min: 0, max: 0.1, noNaN: true }),
        },
        { requiredKeys: [] },
      ),
      (profile, strict, watchdogGranularityMs, heartbeatNetworks, preempt, values) => {
        const circumstances = { heartbeatNetworks, preempt, watchdogGranularityMs };
        t.deepEqual(failedInequalities(proveTiming(resolveTiming({ profile, strict, values }, circumstances), circumstances)), []);
      },
    ),
    { numRuns },
  );
});
