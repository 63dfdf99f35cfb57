// The numbers of the ownership protocol: profiles, what follows from what, and and the way to the proof of I1 to I9.
// Pure. Invariant: a value that the file does not give is derived so that the proof holds; only given values can break it.
import type { Timing } from '../model/timing.js';
import {
  clockOnlyWait,
  type Deadlines,
  lowestSuspectAfter,
  manyPausesWait,
  PLAIN,
  sleepingGuardWait,
  type TimingCircumstances,
  wholeSeconds,
} from './timing-proof.js';

export {
  assertTiming,
  failedInequalities,
  proveTiming,
  type Inequality,
  type TimingCircumstances,
  type TimingProof,
  type TimingTerm,
} from './timing-proof.js';

export const TIMING_PROFILES = ['lan', 'fast', 'standard'] as const;
export type TimingProfile = (typeof TIMING_PROFILES)[number];

type Value = Exclude<keyof Timing, 'profile' | 'strict' | 'watchdogLingerMs'>;

/** What the file says: a profile, its strict column or not, and single values. */
export interface TimingChoice {
  readonly profile: TimingProfile;
  readonly strict: boolean;
  readonly values: Partial<Readonly<Record<Value, number>>>;
}

interface Profile extends Omit<Timing, 'profile' | 'strict' | 'watchdogGranularityMs' | 'watchdogLingerMs' | 'takeoverWaitMs'> {
  /** W of the table, for g = 0 and nothing changed: lease, strict. */
  readonly wait: readonly [number, number];
}

const PROFILES: Readonly<Record<TimingProfile, Profile>> = {
  lan: {
    heartbeatMs: 40,
    suspectAfterMs: 220,
    renewMs: 250,
    attemptMs: 250,
    softMs: 500,
    selfFenceMs: 1250,
    stopBudgetMs: 750,
    watchdogMs: 2000,
    petMaxAgeMs: 300,
    pollMs: 100,
    marginMs: 100,
    driftRatio: 0.01,
    rankDelayMs: 50,
    arbiterRttMs: 100,
    steadyMs: 60_000,
    wait: [3000, 4500],
  },
  fast: {
    heartbeatMs: 250,
    suspectAfterMs: 1000,
    renewMs: 1000,
    attemptMs: 800,
    softMs: 2000,
    selfFenceMs: 4000,
    stopBudgetMs: 2000,
    watchdogMs: 6000,
    petMaxAgeMs: 1000,
    pollMs: 500,
    marginMs: 250,
    driftRatio: 0.01,
    rankDelayMs: 500,
    arbiterRttMs: 250,
    steadyMs: 60_000,
    wait: [8000, 13_000],
  },
  standard: {
    heartbeatMs: 1000,
    suspectAfterMs: 4000,
    renewMs: 2000,
    attemptMs: 1500,
    softMs: 4000,
    selfFenceMs: 8000,
    stopBudgetMs: 3000,
    watchdogMs: 11_000,
    petMaxAgeMs: 2000,
    pollMs: 1000,
    marginMs: 500,
    driftRatio: 0.01,
    rankDelayMs: 500,
    arbiterRttMs: 500,
    steadyMs: 60_000,
    wait: [15_000, 24_000],
  },
};

const WAIT_RESTS_ON = ['selfFenceMs', 'stopBudgetMs', 'petMaxAgeMs', 'watchdogMs', 'driftRatio', 'marginMs'] as const;

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
  const watchdogMs = pick('watchdogMs', wholeSeconds(selfFenceMs + stopBudgetMs + watchdogGranularityMs));
  const lingers = circumstances.watchdogLingers === true;
  const deadline: Deadlines = {
    selfFenceMs,
    stopBudgetMs,
    watchdogGranularityMs,
    watchdogMs,
    ...(lingers && { watchdogLingerMs: watchdogMs }),
    petMaxAgeMs: pick('petMaxAgeMs', renewMs + (base.petMaxAgeMs - base.renewMs)),
    driftRatio: pick('driftRatio', base.driftRatio),
    marginMs: pick('marginMs', base.marginMs),
  };
  const asInTable = watchdogGranularityMs === 0 && !lingers && WAIT_RESTS_ON.every((name) => deadline[name] === base[name]);
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
