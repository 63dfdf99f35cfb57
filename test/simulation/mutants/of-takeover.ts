// Mutants of the observer: what gives a right to the next epoch, and what must be proven before anything starts (SAFETY a.5 to a.7b).
import type { Mutant } from './mutant.js';
import { all, any, calmBut, faults, oneLosesTheStore, preempt, proofAlone, slowStops, timeAlone, withDog, scene } from './shapes.js';

const TAKEOVER_MODULE = 'core/ownership/takeover.js';
const PEERS = 'core/ownership/peers.js';
const CANDIDATE = 'core/ownership/candidate.js';
const AWAITING = 'core/ownership/awaiting.js';
const PROOF = 'core/ownership/proof.js';
const MACHINE_SUITE = 'test/ownership/machine.test.ts';

export const TAKEOVER: readonly Mutant[] = [
  {
    name: 'observer-from-request',
    rule: '0.2, a.5',
    edits: [
      {
        module: 'core/ownership/turn.js',
        find: 'firstSeenMs: same ? before.firstSeenMs : s.nowMs',
        put: 'firstSeenMs: same ? before.firstSeenMs : s.lastReadMs',
      },
    ],
    judge: { by: 'scene', where: scene('late reads') },
  },
  {
    name: 'observation-not-restarted',
    rule: 'a.6 OBSERVE',
    edits: [
      {
        module: 'core/ownership/turn.js',
        find: 'before.record.seq === record.seq &&\n        before.record.nonce === record.nonce',
        put: 'true',
      },
      { module: 'core/ownership/turn.js', find: 'before.version === version &&', put: '' },
    ],
    judge: { by: 'guard' },
  },
  {
    name: 'w-is-d',
    rule: 'a.5 I3',
    edits: [{ module: TAKEOVER_MODULE, find: 'firstSeenMs + record.ttlW, promise', put: 'firstSeenMs + record.d, promise' }],
    judge: { by: 'guard', where: all(timeAlone, slowStops, calmBut('isolated')) },
  },
  {
    name: 'w-of-the-own-config',
    rule: 'a.5',
    edits: [
      {
        module: TAKEOVER_MODULE,
        find: 'const waited = ({ promise }, record, firstSeenMs) => ({',
        put: 'const waited = ({ promise, policy }, record, firstSeenMs) => ({',
      },
      { module: TAKEOVER_MODULE, find: 'firstSeenMs + record.ttlW, promise', put: 'firstSeenMs + policy.timing.takeoverWaitMs, promise' },
    ],
    judge: {
      by: 'suite',
      file: MACHINE_SUITE,
      because: 'all nodes of a simulated cluster have one timing: two are refused by the config hash',
    },
  },
  {
    name: 'promise-not-kept',
    rule: 'a.8, I-8',
    edits: [{ module: TAKEOVER_MODULE, find: 'firstSeenMs + record.ttlW, promise?.untilMs ?? 0)', put: 'firstSeenMs + record.ttlW, 0)' }],
    judge: { by: 'guard', where: all(timeAlone, oneLosesTheStore) },
  },
  {
    name: 'unknown-holder-at-once',
    rule: 'a.4 first start',
    edits: [
      {
        module: TAKEOVER_MODULE,
        find: "const licences = (state, record, firstSeenMs) => {\n    if (record.state === 'RELEASED')",
        put: "const licences = (state, record, firstSeenMs) => {\n    if (record.state === 'RELEASED' || record.state === 'HELD-UNKNOWN')",
      },
    ],
    judge: {
      by: 'suite',
      file: MACHINE_SUITE,
      because: 'nobody ran anything before the first record: only a host that lost its disk could be overtaken',
    },
  },
  {
    name: 'older-epoch-accepted',
    rule: 'a.2, I-3',
    edits: [{ module: TAKEOVER_MODULE, find: 'if (policy.pair == null && record.epoch < state.maxEpochSeen)', put: 'if (false)' }],
    judge: {
      by: 'suite',
      file: MACHINE_SUITE,
      because: 'a store that forgot what it had confirmed is outside of what is promised (a.1): the swarm does not judge it',
    },
  },
  {
    name: 'lost-record-created-anew',
    rule: 'a.4 first start',
    edits: [{ module: CANDIDATE, find: 'const lost = s.maxEpochSeen > 0 &&', put: 'const lost = false &&' }],
    judge: { by: 'suite', file: MACHINE_SUITE, because: 'a holder that finds no record stops: what is lost is that people learn of it' },
  },
  {
    name: 'stopped-of-an-old-boot-and-epoch',
    rule: 'a.7',
    edits: [
      {
        module: TAKEOVER_MODULE,
        find: 'if (!stopped || stopped.epoch !== record.epoch || stopped.bootId !== record.bootId)',
        put: 'if (!stopped)',
      },
    ],
    judge: { by: 'guard' },
  },
  {
    name: 'stopped-of-an-old-epoch',
    rule: 'a.7',
    edits: [
      {
        module: TAKEOVER_MODULE,
        find: 'stopped.epoch !== record.epoch || stopped.bootId !== record.bootId',
        put: 'stopped.bootId !== record.bootId',
      },
    ],
    judge: { by: 'guard' },
  },
  {
    name: 'stopped-of-an-old-boot',
    rule: 'a.7',
    edits: [
      {
        module: TAKEOVER_MODULE,
        find: 'stopped.epoch !== record.epoch || stopped.bootId !== record.bootId',
        put: 'stopped.epoch !== record.epoch',
      },
    ],
    judge: {
      by: 'suite',
      file: MACHINE_SUITE,
      because: 'an epoch is won once, by one boot: who says STOPPED of it in another boot is a later one, and tells the truth',
    },
  },
  {
    name: 'reboot-of-any-boot',
    rule: 'a.7',
    edits: [{ module: TAKEOVER_MODULE, find: 'retired.find(({ bootId }) => bootId === record.bootId)', put: 'retired.find(() => true)' }],
    judge: { by: 'guard' },
  },
  {
    name: 'silence-is-a-licence',
    rule: '0 (rule of the file)',
    edits: [
      { module: PEERS, find: "if (policy.takeover !== 'preempt')\n        return;", put: '' },
      { module: TAKEOVER_MODULE, find: 'will?.will.preemptOk !== true', put: 'false' },
    ],
    judge: { by: 'guard', where: all(withDog, any(faults('cut', 3), faults('isolated', 2))) },
  },
  {
    name: 'preempt-without-steady',
    rule: 'a.7b',
    edits: [{ module: PEERS, find: 'if (steadyForMs < policy.timing.steadyMs) {', put: 'if (false) {' }],
    judge: { by: 'guard', where: all(preempt, any(faults('isolated', 2), faults('hang', 2), faults('power', 2))) },
  },
  {
    name: 'preempt-of-another-epoch',
    rule: 'a.7b',
    edits: [
      {
        module: TAKEOVER_MODULE,
        find: 'suspicion.epoch !== record.epoch || suspicion.bootId !== record.bootId || suspicion.base.seq !== record.seq',
        put: 'false',
      },
      { module: PEERS, find: '!preemptible(record, suspicion.peer, suspicion.epoch, suspicion.bootId) ||', put: '' },
      { module: PEERS, find: '(suspicion.base !== null && suspicion.base.seq !== record.seq)', put: 'false' },
    ],
    judge: { by: 'suite', file: 'test/ownership/machine.test.ts', because: 'no seed of the few dozen that were run has shown it' },
  },
  {
    name: 'w-counts-as-proof',
    rule: 'a.7',
    edits: [{ module: TAKEOVER_MODULE, find: "(evidence !== 'waited' && evidence !== 'preempt') ||", put: 'true ||' }],
    judge: { by: 'guard', where: all(proofAlone, faults('hang', 3)) },
  },
  {
    name: 'starts-before-the-proof',
    rule: 'a.7',
    edits: [
      {
        module: AWAITING,
        find: "owing(record.fencing)}`);\n    writePage(turn, 'STOPPING');",
        put: "owing(record.fencing)}`);\n    writePage(turn, 'HELD');",
      },
      {
        module: CANDIDATE,
        find: 'beginToWait(turn, record, attempt.because);',
        put: "beginToWait(turn, record, attempt.because); turn.s.phase = 'held';",
      },
    ],
    judge: { by: 'guard', where: all(proofAlone, faults('hang', 3)) },
  },
  {
    name: 'fence-of-any-boot',
    rule: 'a.7',
    edits: [
      {
        module: PEERS,
        find: 'named.some((one) => one.node === node && one.bootId === bootId && one.epoch === forEpoch)',
        put: 'named.some((one) => one.node === node)',
      },
      { module: PROOF, find: 'one.node === node && one.bootId === bootId && one.epoch === epoch', put: 'one.node === node' },
      {
        module: TAKEOVER_MODULE,
        find: 'node === record.holder && bootId === record.bootId && epoch === record.epoch',
        put: 'node === record.holder',
      },
    ],
    judge: { by: 'suite', file: 'test/ownership/machine.test.ts', because: 'no seed of the few dozen that were run has shown it' },
  },
  {
    name: 'old-will-counts',
    rule: 'a.7, I-7',
    edits: [{ module: TAKEOVER_MODULE, find: 'will === null || state.nowMs - will.atMs > WILL_MAX_AGE_MS', put: 'will === null' }],
    judge: {
      by: 'suite',
      file: MACHINE_SUITE,
      because: 'who acquires for a controller that is gone starts nothing: only availability is lost',
    },
  },
  {
    name: 'not-wanted-and-acquired',
    rule: 'a.7',
    edits: [{ module: TAKEOVER_MODULE, find: "if (will.will.want !== 'hold')", put: 'if (false)' }],
    judge: { by: 'suite', file: MACHINE_SUITE, because: 'only availability is lost: who is not ready starts nothing' },
  },
  {
    name: 'acquired-by-no-member',
    rule: 'a.7, I-7',
    edits: [{ module: TAKEOVER_MODULE, find: 'if (!record.members.some(({ id }) => id === policy.self))', put: 'if (false)' }],
    judge: { by: 'suite', file: MACHINE_SUITE, because: 'the members of a simulated cluster do not change' },
  },
  {
    name: 'another-config-and-acquired',
    rule: 'a.4, a.7',
    edits: [{ module: TAKEOVER_MODULE, find: 'if (!sameConfig(state, record))', put: 'if (false)' }],
    judge: { by: 'suite', file: MACHINE_SUITE, because: 'the config of a simulated cluster is one' },
  },
];
