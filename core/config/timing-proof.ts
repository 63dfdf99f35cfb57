// The proof of the timing: inequalities I1 to I9 (docs/explanation/timing.md) and the worst cases, term by term. Pure.
// Invariant: everything compared is computed here, from the numbers alone; core/config/timing derives its values by the same formulas.
import type { Timing } from '../model/timing.js';
import { UnderstudyError } from '../errors/errors.js';

/** What else of the config the numbers depend on. */
export interface TimingCircumstances {
  readonly heartbeatNetworks: number;
  /** Some group says `takeover: preempt`. */
  readonly preempt: boolean;
  /** g of the configured watchdog: 0 for the lab's and softdog, 1000 for most devices. */
  readonly watchdogGranularityMs: number;
  /** Closing it pets it, and a guard that is killed closes it. Absent = false. */
  readonly watchdogLingers?: boolean;
}

export const PLAIN: TimingCircumstances = { heartbeatNetworks: 2, preempt: false, watchdogGranularityMs: 0 };

/** Thousandths of a millisecond are noise of the arithmetic; a proof must not hang on them. */
const exact = (ms: number): number => Math.round(ms * 1000) / 1000;
export const wholeSeconds = (ms: number): number => Math.ceil(exact(ms) / 1000) * 1000;

export const lowestSuspectAfter = (heartbeatMs: number, { preempt, heartbeatNetworks }: TimingCircumstances): number =>
  (preempt && heartbeatNetworks < 2 ? 5 : 3) * heartbeatMs + 100;

/** What W rests on. */
export type Deadlines = Pick<
  Timing,
  'selfFenceMs' | 'stopBudgetMs' | 'petMaxAgeMs' | 'watchdogMs' | 'watchdogGranularityMs' | 'watchdogLingerMs' | 'driftRatio' | 'marginMs'
>;
export const clockOnlyWait = (t: Deadlines): number => exact((t.selfFenceMs + t.stopBudgetMs) * (1 + 2 * t.driftRatio) + t.marginMs);
export const sleepingGuardWait = (t: Deadlines): number =>
  exact((t.petMaxAgeMs + t.watchdogMs + t.watchdogGranularityMs + (t.watchdogLingerMs ?? 0)) * (1 + 2 * t.driftRatio) + t.marginMs);
export const manyPausesWait = (t: Deadlines): number =>
  exact((2 * (t.watchdogMs + t.watchdogGranularityMs) + (t.watchdogLingerMs ?? 0)) * (1 + 2 * t.driftRatio) + t.marginMs);

export interface Inequality {
  readonly id: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'I8' | 'I9';
  /** In the symbols of docs/explanation/timing.md. */
  readonly text: string;
  /** Milliseconds. It holds when left ≥ right. */
  readonly left: number;
  readonly right: number;
  readonly holds: boolean;
  /** What it buys, in one sentence. */
  readonly means: string;
  /** I5 is required of `strict` only; it is shown all the same. */
  readonly required: boolean;
}

/** One addend of a worst case. */
export interface TimingTerm {
  readonly ms: number;
  readonly what: string;
}

export interface TimingProof {
  readonly inequalities: readonly Inequality[];
  /** Power loss to "the record is ours", `takeover: lease`, first in line; resources' own start comes on top. */
  readonly takeoverWorstMs: number;
  readonly takeoverTerms: readonly TimingTerm[];
  /** The same with `takeover: preempt`, by its `confirm`. */
  readonly preemptWorstMs: { readonly renewal: number; readonly none: number };
  readonly preemptTerms: { readonly renewal: readonly TimingTerm[]; readonly none: readonly TimingTerm[] };
  /** Planned move: "everything is stopped here" to "the record is theirs". Stop and start of resources come on top. */
  readonly plannedWorstMs: number;
  readonly plannedTerms: readonly TimingTerm[];
}

/** Computes I1 to I9 and the worst cases, term by term. */
export const proveTiming = (
  t: Timing,
  circumstances: TimingCircumstances = { ...PLAIN, watchdogGranularityMs: t.watchdogGranularityMs },
): TimingProof => {
  const beats = circumstances.preempt && circumstances.heartbeatNetworks < 2 ? 5 : 3;
  const row = (id: Inequality['id'], text: string, left: number, right: number, means: string, required = true): Inequality => ({
    id,
    text,
    left: exact(left),
    right: exact(right),
    holds: exact(left) >= exact(right),
    means,
    required,
  });
  const attempt = { ms: t.attemptMs, what: 'one attempt at the arbiter: the compare-and-set that takes the record' };
  const read = { ms: t.attemptMs, what: 'that read: one attempt at the arbiter' };
  const takeoverTerms = [
    { ms: t.pollMs, what: 'until the last renewal is read (poll)' },
    read,
    {
      ms: exact(t.takeoverWaitMs * (1 + t.driftRatio)),
      what: 'the record unchanged for W, by a clock that is slow by ρ: the old holder is certainly stopped',
    },
    attempt,
    { ms: 0, what: `rank delay of the first in line (each further rank adds ${t.rankDelayMs + t.pollMs} ms)` },
  ];
  const silence = { ms: t.suspectAfterMs, what: 'silence on every network for suspectAfter' };
  const base = { ms: t.attemptMs, what: 'the record is read: one attempt at the arbiter' };
  const preemptTerms = {
    none: [silence, base, attempt],
    renewal: [
      silence,
      base,
      {
        ms: t.renewMs + t.arbiterRttMs,
        what: 'one renewal that does not come (R + arbiter round trip), if the read still showed a new one',
      },
      attempt,
    ],
  };
  const plannedTerms = [
    { ms: t.attemptMs, what: 'the holder writes RELEASED' },
    { ms: t.pollMs, what: 'until the successor reads it, if every nudge is lost (poll)' },
    { ms: t.attemptMs, what: 'that read' },
    attempt,
  ];
  const total = (terms: readonly TimingTerm[]): number => exact(terms.reduce((sum, term) => sum + term.ms, 0));
  return {
    inequalities: [
      row('I1', 'D ≥ R + 3a', t.selfFenceMs, t.renewMs + 3 * t.attemptMs, 'two lost renewals are survived'),
      row(
        'I2',
        'WD − g ≥ D + S',
        t.watchdogMs - t.watchdogGranularityMs,
        t.selfFenceMs + t.stopBudgetMs,
        'the watchdog does not kill an orderly self-stop',
      ),
      row(
        'I3',
        'W ≥ (D + S)(1 + 2ρ) + ε',
        t.takeoverWaitMs,
        clockOnlyWait(t),
        'nobody takes over before the old holder has stopped, if its guard runs',
      ),
      row(
        'I4',
        'W ≥ (P_max + WD + g + c)(1 + 2ρ) + ε',
        t.takeoverWaitMs,
        sleepingGuardWait(t),
        'nor if its guard never runs again: the watchdog has reset it',
      ),
      row(
        'I5',
        'W ≥ (2(WD + g) + c)(1 + 2ρ) + ε',
        t.takeoverWaitMs,
        manyPausesWait(t),
        'nor with any number of pauses of its guard (strict)',
        t.strict === true,
      ),
      row(
        'I6',
        'D ≥ S + a',
        t.selfFenceMs,
        t.stopBudgetMs + t.attemptMs,
        'calls to the outside have time left before they must have ended (remaining lease − S)',
      ),
      row(
        'I7',
        'D − 2a ≥ soft',
        t.selfFenceMs - 2 * t.attemptMs,
        t.softMs,
        'one round of asking the peers and one repeat fit when the arbiter is silent',
      ),
      row(
        'I8',
        `suspectAfter ≥ ${beats}h + 100 ms`,
        t.suspectAfterMs,
        beats * t.heartbeatMs + 100,
        'the beat of a busy host is not taken for silence',
      ),
      t.petMaxAgeMs < t.renewMs
        ? row('I9', 'P_max ≥ R', t.petMaxAgeMs, t.renewMs, 'each good renewal may pet the watchdog')
        : row(
            'I9',
            'WD ≥ its next whole second',
            t.watchdogMs,
            Math.max(1000, wholeSeconds(t.watchdogMs)),
            'a watchdog device can be set to exactly WD',
          ),
    ],
    takeoverWorstMs: total(takeoverTerms),
    takeoverTerms,
    preemptWorstMs: { renewal: total(preemptTerms.renewal), none: total(preemptTerms.none) },
    preemptTerms,
    plannedWorstMs: total(plannedTerms),
    plannedTerms,
  };
};

/** `I1: D ≥ R + 3a does not hold: 800 ms < 1000 ms (two lost renewals are survived)`. */
export const failedInequalities = (proof: TimingProof): readonly string[] =>
  proof.inequalities
    .filter((row) => row.required && !row.holds)
    .map((row) => `${row.id}: ${row.text} does not hold: ${row.left} ms < ${row.right} ms; without it this is not promised: ${row.means}`);

/** Throws TIMING_UNSAFE with every failing inequality and its numbers. */
export const assertTiming = (timing: Timing, circumstances?: TimingCircumstances): void => {
  const failed = failedInequalities(proveTiming(timing, circumstances));
  if (failed.length > 0)
    throw new UnderstudyError('TIMING_UNSAFE', `timing ${timing.profile} is not safe:\n  ${failed.join('\n  ')}`, { failed });
};
