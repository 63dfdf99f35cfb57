// Mutants of the holder: when its lease counts, how it ends, what it may say (SAFETY a.5, a.6, a.8).
import type { Mutant } from './mutant.js';
import { all, any, calmBut, faults, guardAlone, lateAnswers, oneLosesTheStore, small, withDog, scene } from './shapes.js';

const HOLDER = 'core/ownership/holder.js';
const FAILSAFE = 'core/ownership/failsafe.js';
const FENCING = 'core/ownership/fencing.js';
const MACHINE = 'core/ownership/machine.js';
const CANDIDATE = 'core/ownership/candidate.js';
const MACHINE_SUITE = 'test/ownership/machine.test.ts';

export const OWNERSHIP: readonly Mutant[] = [
  {
    name: 'lease-from-response',
    rule: '0.2, a.5',
    edits: [
      {
        module: HOLDER,
        find: 'const sentMs = tenure.attempts.find(({ nonce }) => nonce === record.nonce)?.sentMs ?? Number.NEGATIVE_INFINITY;',
        put: 'const sentMs = s.nowMs;',
      },
    ],
    judge: { by: 'guard', where: all(guardAlone, lateAnswers, faults('isolated', 2)) },
  },
  {
    name: 'acquired-from-response',
    rule: '0.2, a.6',
    edits: [
      {
        module: CANDIDATE,
        find: 'deadlineMs: sentMs + policy.timing.selfFenceMs,',
        put: 'deadlineMs: s.nowMs + policy.timing.selfFenceMs,',
      },
    ],
    judge: { by: 'scene', where: scene('a late win') },
  },
  {
    name: 'no-deadline',
    rule: 'a.6 HELD',
    edits: [
      {
        module: HOLDER,
        find: "s.tenure === null || s.phase === 'fencing-self' || s.nowMs < s.tenure.deadlineMs",
        put: 'true',
      },
    ],
    judge: { by: 'scene', where: scene('cut off') },
  },
  {
    name: 'conflict-on-renew-ignored',
    rule: '0.12, a.6',
    edits: [{ module: MACHINE, find: 'return contested(turn, found, attempt);', put: 'return unanswered(turn, null);' }],
    judge: { by: 'guard' },
  },
  {
    name: 'own-success-taken-for-loss',
    rule: 'a.4 traps',
    edits: [
      {
        module: HOLDER,
        find: "if (found.kind === 'record' && ofThisEpoch && begun && record.holder === policy.self) {",
        put: 'if (false) {',
      },
    ],
    judge: { by: 'scene', where: scene('lost answers') },
  },
  {
    name: 'own-acquisition-taken-for-loss',
    rule: 'a.4 traps',
    edits: [{ module: CANDIDATE, find: 'if (own && inTime(turn, attempt)) {', put: 'if (false) {' }],
    judge: { by: 'scene', where: scene('lost answers') },
  },
  {
    name: 'late-acquisition-used',
    rule: 'a.6 ACQUIRING',
    edits: [
      {
        module: CANDIDATE,
        find: 'const inTime = (turn, attempt) => turn.s.nowMs < usableUntilMs(turn, attempt);',
        put: 'const inTime = () => true;',
      },
      { module: CANDIDATE, find: 's.unresolved !== null && s.nowMs >= usableUntilMs(turn, s.unresolved)', put: 'false' },
      {
        module: CANDIDATE,
        find: 'deadlineMs: sentMs + policy.timing.selfFenceMs,',
        put: 'deadlineMs: s.nowMs + policy.timing.selfFenceMs,',
      },
    ],
    judge: { by: 'scene', where: scene('a lost win') },
  },
  {
    name: 'late-acquisition-used-sent-time',
    rule: 'a.6 ACQUIRING',
    edits: [
      {
        module: CANDIDATE,
        find: 'const inTime = (turn, attempt) => turn.s.nowMs < usableUntilMs(turn, attempt);',
        put: 'const inTime = () => true;',
      },
    ],
    judge: {
      by: 'suite',
      file: MACHINE_SUITE,
      because: 'its deadline counts from the send all the same: it is given up at once, and nothing can start',
    },
  },
  {
    name: 'late-answer-starts-at-once',
    rule: 'a.5 I4',
    edits: [{ module: CANDIDATE, find: 'policy.watchdog && s.nowMs - sentMs > policy.timing.petMaxAgeMs', put: 'false' }],
    judge: { by: 'scene', where: scene('an old win, then hung') },
  },
  {
    name: 'pause-longer-than-d-ignored',
    rule: 'a.3',
    edits: [{ module: MACHINE, find: 's.tenure !== null && event.gapMs > s.policy.timing.selfFenceMs', put: 'false' }],
    judge: {
      by: 'nobody',
      world: 'scene',
      where: scene('nobody tells the controller', 'cut off and asleep'),
      because:
        'a deadline is at most D behind the last turn: after a gap of more than D it has passed, and every turn looks at it first; that look alone is no-deadline',
    },
  },
  {
    name: 'released-before-stopped',
    rule: 'a.6, I-6',
    edits: [
      {
        module: HOLDER,
        find: "s.release = { from: s.phase === 'fencing' ? 'fencing' : 'held', verified: false,",
        put: "s.release = { from: s.phase === 'fencing' ? 'fencing' : 'held', verified: true,",
      },
    ],
    judge: { by: 'guard', where: all(small, faults('hasty', 3), any(faults('move', 3), faults('standby', 3), faults('offline', 3))) },
  },
  {
    name: 'unverified-stop-released',
    rule: '0.11, I-6',
    edits: [
      {
        module: HOLDER,
        find: "if (s.phase !== 'releasing' || s.release === null || s.release.sent)",
        put: "verified = true;\n    if (s.phase !== 'releasing' || s.release === null || s.release.sent)",
      },
    ],
    judge: { by: 'guard', where: all(small, faults('hasty', 3), any(faults('move', 3), faults('standby', 3), faults('offline', 3))) },
  },
  {
    name: 'unverified-stop-said',
    rule: '0.11, I-6',
    edits: [{ module: FENCING, find: 'if (!verified) {', put: 'if (false) {' }],
    judge: { by: 'guard', where: all(small, faults('unkillable', 3), any(faults('isolated', 2), faults('arbiter', 3))) },
  },
  {
    name: 'no-reset',
    rule: 'a.6',
    edits: [{ module: FENCING, find: "turn.effects.push({ kind: 'reset-host', because });", put: '' }],
    judge: { by: 'scene', where: scene('cut off, and nothing ends') },
  },
  {
    name: 'page-held-while-fencing',
    rule: 'a.2',
    edits: [{ module: FENCING, find: "is acknowledged.\n    writePage(turn, 'STOPPING');", put: 'is acknowledged.\n' }],
    judge: { by: 'scene', where: scene('preempted alive') },
  },
  {
    name: 'epoch-not-raised',
    rule: '0.1, I-3',
    edits: [
      { module: CANDIDATE, find: 'const epoch = s.pair?.asking?.epoch ?? nextEpoch(s, record);', put: 'const epoch = record.epoch;' },
    ],
    judge: { by: 'guard' },
  },
  {
    name: 'no-dog',
    rule: 'a.6',
    edits: [
      { module: 'core/guard/dog-keeper.js', find: 'if (!this.#options.watchdog.present)\n            return true;', put: 'return true;' },
      { module: 'core/guard/dog-keeper.js', find: 'if (!watchdog.present || this.#busy !== null', put: 'if (true || this.#busy !== null' },
    ],
    judge: { by: 'guard', where: all(withDog, ({ fencing }) => fencing === 'watchdog', calmBut('hang')) },
  },
  {
    name: 'pet-on-timer',
    rule: 'a.6',
    edits: [{ module: MACHINE, find: 'return nowMs - provenMs(state) <= state.policy.timing.petMaxAgeMs;', put: 'return true;' }],
    judge: { by: 'scene', where: scene('cut off, then hung') },
  },
  {
    name: 'pet-always',
    rule: 'a.6',
    edits: [
      { module: MACHINE, find: 'return nowMs - provenMs(state) <= state.policy.timing.petMaxAgeMs;', put: 'return true;' },
      { module: MACHINE, find: "if (state.phase === 'fencing-self' || state.tenure === null)\n        return false;", put: '' },
    ],
    judge: { by: 'scene', where: scene('cut off, then hung') },
  },
  {
    name: 'disarmed-when-the-stop-failed',
    rule: 'a.6',
    edits: [
      {
        module: MACHINE,
        find: "if (state.phase === 'fencing-self' || state.tenure === null)\n        return false;",
        put: "if (state.phase === 'fencing-self')\n        return true;",
      },
      {
        module: MACHINE,
        find: '(state.tenure !== null && !isUnwatched(state))',
        put: "(state.tenure !== null && state.phase !== 'fencing-self' && !isUnwatched(state))",
      },
    ],
    judge: { by: 'scene', where: scene('cut off, then hung') },
  },
  {
    name: 'failsafe-majority',
    rule: 'a.8, I-8',
    edits: [
      {
        module: FAILSAFE,
        find: 'failsafe.full?.sentMs === failsafe.sentMs || silentOf(s).length > 0)',
        put: 'failsafe.full?.sentMs === failsafe.sentMs || 2 * silentOf(s).length >= failsafe.members.length + 1)',
      },
    ],
    judge: { by: 'guard', where: all(oneLosesTheStore, ({ nodes, profile }) => nodes === 3 && profile === 'standard') },
  },
  {
    name: 'failsafe-of-nobody',
    rule: 'a.8, I-8',
    edits: [
      {
        module: FAILSAFE,
        find: 'failsafe.full?.sentMs === failsafe.sentMs || silentOf(s).length > 0)',
        put: 'failsafe.full?.sentMs === failsafe.sentMs)',
      },
    ],
    judge: { by: 'guard', where: all(small, any(faults('isolated', 2), faults('arbiter', 3))) },
  },
  {
    name: 'failsafe-from-the-last-grant',
    rule: 'a.8',
    edits: [{ module: FAILSAFE, find: 'failsafe.sentMs + policy.timing.selfFenceMs', put: 's.nowMs + policy.timing.selfFenceMs' }],
    judge: { by: 'guard', where: all(small, oneLosesTheStore, ({ weather }) => weather.late > 0.03 && weather.lateMs >= 1_000) },
  },
  {
    name: 'grants-of-any-round',
    rule: 'a.8',
    edits: [{ module: FAILSAFE, find: "s.phase !== 'held' || failsafe.round !== round)", put: "s.phase !== 'held')" }],
    judge: { by: 'scene', where: scene('promises on a slow line') },
  },
  {
    name: 'failsafe-after-refusal',
    rule: 'a.8',
    edits: [{ module: FAILSAFE, find: 'tenure === null || tenure.refused !== null || phase', put: 'tenure === null || phase' }],
    judge: { by: 'scene', where: scene('refused') },
  },
  {
    name: 'failsafe-without-promise',
    rule: 'a.8, I-8',
    edits: [{ module: FAILSAFE, find: 's.promise = promise;', put: '' }],
    judge: { by: 'guard', where: all(small, oneLosesTheStore) },
  },
  {
    name: 'promise-of-d',
    rule: 'a.8',
    edits: [
      {
        module: FAILSAFE,
        find: 'const untilMs = s.nowMs + Math.max(waitMs, ttlW, s.policy.timing.takeoverWaitMs);',
        put: 'const untilMs = s.nowMs + s.policy.timing.selfFenceMs;',
      },
    ],
    judge: { by: 'scene', where: scene('promised, then silent') },
  },
  {
    name: 'grant-while-acquiring',
    rule: 'a.8',
    edits: [{ module: FAILSAFE, find: "if (writing?.purpose === 'acquire' || unresolved !== null)", put: 'if (false)' }],
    judge: {
      by: 'suite',
      file: MACHINE_SUITE,
      because: 'the acquisition is on a version that the holder has not written since, and a late answer is discarded',
    },
  },
  {
    name: 'grant-against-a-newer-epoch',
    rule: 'a.8',
    edits: [{ module: FAILSAFE, find: 'if (epochKnown(s) > epoch)', put: 'if (false)' }],
    judge: { by: 'suite', file: MACHINE_SUITE, because: 'who holds the newer epoch is asked too, and refuses: all must grant' },
  },
];
