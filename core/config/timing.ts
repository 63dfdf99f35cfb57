// The numbers of the ownership protocol: profiles, what follows from what, and the proof of I1 to I9 (docs/explanation/timing.md).
// Pure. Invariant: a value that the file does not give is derived so that the proof holds; only given values can break it.
import type { Timing } from '../model/timing.js';
import { UnderstudyError } from '../errors/errors.js';

export const TIMING_PROFILES = ['lan', 'fast', 'standard'] as const;
export type TimingProfile = (typeof TIMING_PROFILES)[number];

type Value = Exclude<keyof Timing, 'profile' | 'strict'>;

/** What the file says: a profile, its strict column or not, and single values. */
export interface TimingChoice {
  readonly profile: TimingProfile;
  readonly strict: boolean;
  readonly values: Partial<Readonly<Record<Value, number>>>;
}

/** What else of the config the numbers depend on. */
export interface TimingCircumstances {
  readonly heartbeatNetworks: number;
  /** Some group says `takeover: preempt`. */
  readonly preempt: boolean;
  /** g of the configured watchdog: 0 for the lab's and softdog, 1000 for most devices. */
  readonly watchdogGranularityMs: number;
}

const PLAIN: TimingCircumstances = { heartbeatNetworks: 2, preempt: false, watchdogGranularityMs: 0 };

interface Profile extends Omit<Timing, 'profile' | 'strict' | 'watchdogGranularityMs' | 'takeoverWaitMs'> {
  /** W of the table, for g = 0 and nothing changed: lease, strict. */
  readonly wait: readonly [number, number];
}

const PROFILES: Readonly<Record<TimingProfile, Profile>> = {
  lan: {
    heartbeatMs: 40, suspectAfterMs: 220, renewMs: 250, attemptMs: 250, softMs: 500, selfFenceMs: 1250, stopBudgetMs: 750, watchdogMs: 2000,
    petMaxAgeMs: 300, pollMs: 100, marginMs: 100, driftRatio: 0.01, rankDelayMs: 50, arbiterRttMs: 100, steadyMs: 60_000, wait: [3000, 4500],
  },
  fast: {
    heartbeatMs: 250, suspectAfterMs: 1000, renewMs: 1000, attemptMs: 800, softMs: 2000, selfFenceMs: 4000, stopBudgetMs: 2000, watchdogMs: 6000,
    petMaxAgeMs: 1000, pollMs: 500, marginMs: 250, driftRatio: 0.01, rankDelayMs: 500, arbiterRttMs: 250, steadyMs: 60_000, wait: [8000, 13_000],
  },
  standard: {
    heartbeatMs: 1000, suspectAfterMs: 4000, renewMs: 2000, attemptMs: 1500, softMs: 4000, selfFenceMs: 8000, stopBudgetMs: 3000, watchdogMs: 11_000,
    petMaxAgeMs: 2000, pollMs: 1000, marginMs: 500, driftRatio: 0.01, rankDelayMs: 500, arbiterRttMs: 500, steadyMs: 60_000, wait: [15_000, 24_000],
  },
};

/** Thousandths of a millisecond are noise of the arithmetic; a proof must not hang on them. */
const exact = (ms: number): number => Math.round(ms * 1000) / 1000;
const wholeSeconds = (ms: number): number => Math.ceil(exact(ms) / 1000) * 1000;

const lowestSuspectAfter = (heartbeatMs: number, { preempt, heartbeatNetworks }: TimingCircumstances): number =>
  (preempt && heartbeatNetworks < 2 ? 5 : 3) * heartbeatMs + 100;

type Derived = Pick<Timing, 'selfFenceMs' | 'stopBudgetMs' | 'petMaxAgeMs' | 'watchdogMs' | 'watchdogGranularityMs' | 'driftRatio' | 'marginMs'>;
const WAIT_RESTS_ON = ['selfFenceMs', 'stopBudgetMs', 'petMaxAgeMs', 'watchdogMs', 'driftRatio', 'marginMs'] as const;
const clockOnlyWait = (t: Derived): number => exact((t.selfFenceMs + t.stopBudgetMs) * (1 + 2 * t.driftRatio) + t.marginMs);
const sleepingGuardWait = (t: Derived): number => exact((t.petMaxAgeMs + t.watchdogMs + t.watchdogGranularityMs) * (1 + 2 * t.driftRatio) + t.marginMs);
const manyPausesWait = (t: Derived): number => exact(2 * (t.watchdogMs + t.watchdogGranularityMs) * (1 + 2 * t.driftRatio) + t.marginMs);

/** The full set of numbers: the profile's, single values in their place, and what follows from those. */
export const resolveTiming = ({ profile, strict, values }: TimingChoice, circumstances: TimingCircumstances = PLAIN): Timing => {
  const { wait, ...base } = PROFILES[profile];
  const pick = (name: Value, derived: number): number => values[name] ?? derived;
  const heartbeatMs = pick('heartbeatMs', base.heartbeatMs);
  const renewMs = pick('renewMs', base.renewMs);
  const attemptMs = pick('attemptMs', base.attemptMs);
  const stopBudgetMs = pick('stopBudgetMs', base.stopBudgetMs);
  const selfFenceMs = pick('selfFenceMs', Math.max(base.selfFenceMs, renewMs + 3 * attemptMs, stopBudgetMs + attemptMs));
  const watchdogGranularityMs = pick('watchdogGranularityMs', circumstances.watchdogGranularityMs);
  const deadline: Derived = {
    selfFenceMs,
    stopBudgetMs,
    watchdogGranularityMs,
    watchdogMs: pick('watchdogMs', wholeSeconds(selfFenceMs + stopBudgetMs + watchdogGranularityMs)),
    petMaxAgeMs: pick('petMaxAgeMs', renewMs + (base.petMaxAgeMs - base.renewMs)),
    driftRatio: pick('driftRatio', base.driftRatio),
    marginMs: pick('marginMs', base.marginMs),
  };
  const asInTable = watchdogGranularityMs === 0 && WAIT_RESTS_ON.every((name) => deadline[name] === base[name]);
  const lowestWait = Math.max(clockOnlyWait(deadline), sleepingGuardWait(deadline), strict ? manyPausesWait(deadline) : 0);
  return {
    profile: `${profile}${strict ? ' strict' : ''}${Object.keys(values).length > 0 ? '+' : ''}`,
    strict,
    heartbeatMs,
    suspectAfterMs: pick('suspectAfterMs', Math.max(base.suspectAfterMs, lowestSuspectAfter(heartbeatMs, circumstances))),
    renewMs,
    attemptMs,
    softMs: pick('softMs', Math.min(base.softMs, selfFenceMs - 2 * attemptMs)),
    ...deadline,
    pollMs: pick('pollMs', base.pollMs),
    takeoverWaitMs: pick('takeoverWaitMs', asInTable ? wait[strict ? 1 : 0] : wholeSeconds(lowestWait)),
    rankDelayMs: pick('rankDelayMs', base.rankDelayMs),
    arbiterRttMs: pick('arbiterRttMs', base.arbiterRttMs),
    steadyMs: pick('steadyMs', base.steadyMs),
  };
};

/** The numbers of a profile by its name in the file (`strict` is `standard strict`). */
export const timingProfile = (name: TimingProfile | 'strict'): Timing =>
  resolveTiming({ profile: name === 'strict' ? 'standard' : name, strict: name === 'strict', values: {} });

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
export const proveTiming = (t: Timing, circumstances: TimingCircumstances = { ...PLAIN, watchdogGranularityMs: t.watchdogGranularityMs }): TimingProof => {
  const beats = circumstances.preempt && circumstances.heartbeatNetworks < 2 ? 5 : 3;
  const row = (id: Inequality['id'], text: string, left: number, right: number, means: string, required = true): Inequality => ({
    id, text, left: exact(left), right: exact(right), holds: exact(left) >= exact(right), means, required,
  });
  const attempt = { ms: t.attemptMs, what: 'one attempt at the arbiter: the compare-and-set that takes the record' };
  const takeoverTerms = [
    { ms: t.pollMs, what: 'until the last renewal is read (poll)' },
    { ms: t.takeoverWaitMs, what: 'the record unchanged for W: the old holder is certainly stopped' },
    attempt,
    { ms: 0, what: `rank delay of the first in line (each further rank adds ${t.rankDelayMs} ms)` },
  ];
  const preempt = (waitMs: number, what: string) => [{ ms: waitMs, what }, attempt];
  const preemptTerms = {
    none: preempt(t.suspectAfterMs, 'silence on every network for suspectAfter'),
    renewal: preempt(Math.max(t.suspectAfterMs, t.renewMs + t.arbiterRttMs), 'the longer of suspectAfter and one renewal that did not come (R + arbiter round trip)'),
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
      row('I2', 'WD − g ≥ D + S', t.watchdogMs - t.watchdogGranularityMs, t.selfFenceMs + t.stopBudgetMs, 'the watchdog does not kill an orderly self-stop'),
      row('I3', 'W ≥ (D + S)(1 + 2ρ) + ε', t.takeoverWaitMs, clockOnlyWait(t), 'nobody takes over before the old holder has stopped, if its guard runs'),
      row('I4', 'W ≥ (P_max + WD + g)(1 + 2ρ) + ε', t.takeoverWaitMs, sleepingGuardWait(t), 'nor if its guard never runs again: the watchdog has reset it'),
      row('I5', 'W ≥ 2(WD + g)(1 + 2ρ) + ε', t.takeoverWaitMs, manyPausesWait(t), 'nor with any number of pauses of its guard (strict)', t.strict === true),
      row('I6', 'D ≥ S + a', t.selfFenceMs, t.stopBudgetMs + t.attemptMs, 'calls to the outside have time left before they must have ended (remaining lease − S)'),
      row('I7', 'D − 2a ≥ soft', t.selfFenceMs - 2 * t.attemptMs, t.softMs, 'one round of asking the peers and one repeat fit when the arbiter is silent'),
      row('I8', `suspectAfter ≥ ${beats}h + 100 ms`, t.suspectAfterMs, beats * t.heartbeatMs + 100, 'the beat of a busy host is not taken for silence'),
      t.petMaxAgeMs < t.renewMs
        ? row('I9', 'P_max ≥ R', t.petMaxAgeMs, t.renewMs, 'each good renewal may pet the watchdog')
        : row('I9', 'WD ≥ its next whole second', t.watchdogMs, Math.max(1000, wholeSeconds(t.watchdogMs)), 'a watchdog device can be set to exactly WD'),
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
  if (failed.length > 0) throw new UnderstudyError('TIMING_UNSAFE', `timing ${timing.profile} is not safe:\n  ${failed.join('\n  ')}`, { failed });
};
