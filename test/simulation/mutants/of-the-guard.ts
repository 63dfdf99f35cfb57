// Mutants of the guard's shell: what a new guard takes up, what it writes to the store, to the page and to the watchdog (SAFETY a.2, a.6).
import type { Mutant } from './mutant.js';
import { all, any, faults, oneLosesTheStore, small, scene } from './shapes.js';

const ADOPTION = 'core/ownership/adoption.js';
const DESK = 'core/guard/arbiter-desk.js';
const RUN = 'core/guard/run-guard.js';
const PAGE = 'core/guard/page-desk.js';

export const GUARD: readonly Mutant[] = [
  {
    name: 'dead-epoch-resumed',
    rule: 'a.6, I-3',
    edits: [
      { module: ADOPTION, find: "(page.state === 'HELD' || waiting(remains)) &&", put: "page.state !== 'RELEASED' &&" },
      { module: ADOPTION, find: '!beingStopped(remains) &&', put: '' },
      { module: ADOPTION, find: "const phase = page.state === 'HELD' ? 'held' : 'fencing';", put: "const phase = 'held';" },
    ],
    judge: { by: 'scene', where: scene('asked to stop, and dead') },
  },
  {
    name: 'taken-up-after-the-deadline',
    rule: 'a.6 guard crash',
    edits: [
      { module: ADOPTION, find: 'nowMs < pageDeadlineMs(page, offsetMs) - marginMs(timing)', put: 'true' },
      { module: 'core/ownership/machine.js', find: 'if (s.nowMs >= deadlineMs - marginMs(timing))', put: 'if (false)' },
      {
        module: ADOPTION,
        find: 'deadlineMs: pageDeadlineMs(page, offsetMs), nonce: page.nonce',
        put: 'deadlineMs: remains.nowMs + timing_(remains), nonce: page.nonce',
      },
      {
        module: ADOPTION,
        find: 'const pageDeadlineMs = ',
        put: 'const timing_ = ({ timing }) => timing.selfFenceMs;\nconst pageDeadlineMs = ',
      },
    ],
    judge: { by: 'scene', where: scene('cut off and asleep') },
  },
  {
    name: 'tombstone-ignored-at-start',
    rule: 'a.2 leash',
    edits: [{ module: ADOPTION, find: '!leashFired &&', put: '' }],
    judge: {
      by: 'nobody',
      world: 'scene',
      where: scene('a stalled leash'),
      because:
        'before the first renewal of what was taken up, the guard looks for the tombstone again; without both looks it is tombstone-ignored',
    },
  },
  {
    name: 'tombstone-ignored',
    rule: 'a.2 leash',
    edits: [{ module: PAGE, find: 'leashFired(group, epoch) {', put: "leashFired(group, epoch) { return 'no';" }],
    judge: { by: 'scene', where: scene('a stalled leash') },
  },
  {
    name: 'promise-lost-with-the-guard',
    rule: 'a.8',
    edits: [{ module: 'core/guard/leftovers.js', find: 'promise: pages.promised(group),', put: 'promise: null,' }],
    judge: {
      by: 'nobody',
      world: 'guard',
      because: 'a new guard observes from zero, for W, and no promise given before it began lasts longer',
    },
  },
  {
    name: 'cas-on-the-epoch-alone',
    rule: 'a.4, a.6',
    edits: [
      {
        module: DESK,
        find: '(arbiter, signal) => arbiter.cas(key, expected, encodeRecord(record), signal)',
        put: `async (arbiter, signal) => {
            const [now] = await arbiter.read([key], signal);
            const there = now == null ? null : parseRecord(now.value);
            const same = there?.kind === 'record' && (there.record.epoch === record.epoch || there.record.epoch === record.epoch - 1);
            return arbiter.cas(key, same ? now.version : expected, encodeRecord(record), signal);
        }`,
      },
    ],
    judge: { by: 'guard', where: all(small, any(oneLosesTheStore, faults('isolated', 2))) },
  },
  {
    name: 'acquired-on-the-epoch-alone',
    rule: 'a.4, a.6',
    edits: [
      {
        module: DESK,
        find: '(arbiter, signal) => arbiter.cas(key, expected, encodeRecord(record), signal)',
        put: `async (arbiter, signal) => {
            const [now] = await arbiter.read([key], signal);
            const there = now == null ? null : parseRecord(now.value);
            const same = there?.kind === 'record' && there.record.epoch === record.epoch - 1 && there.record.state === 'HELD';
            return arbiter.cas(key, same ? now.version : expected, encodeRecord(record), signal);
        }`,
      },
    ],
    judge: { by: 'scene', where: scene('a deaf observer') },
  },
  {
    name: 'no-look-after-the-pet',
    rule: 'a.5 I4',
    edits: [{ module: RUN, find: 'petted: () => this.#owner.tick(),', put: 'petted: () => undefined,' }],
    judge: {
      by: 'nobody',
      world: 'guard',
      because: 'the next timer of the guard does the same within 100 ms, before anything else is petted',
    },
  },
  {
    name: 'sleep-not-counted',
    rule: 'a.3',
    edits: [{ module: 'core/guard/lease-clock.js', find: 'this.#sleptMs += gapMs;', put: '' }],
    judge: { by: 'scene', where: scene('cut off and asleep') },
  },
  {
    name: 'page-deadline-not-read',
    rule: 'a.2 readers',
    edits: [{ module: 'core/system/page-file.js', find: 'if (remainingMs <= 0)', put: 'if (false)' }],
    judge: { by: 'scene', where: scene('nobody tells the controller') },
  },
  {
    name: 'lease-not-asked-before-an-effect',
    rule: '0.9, I-4',
    edits: [
      {
        module: 'core/scheduler/perform.js',
        find: 'const lost = () => (leased ? this.lostLease(group, epoch) : null);',
        put: 'const lost = () => null;',
      },
      {
        module: 'core/scheduler/contexts.js',
        find: 'if (page.held && page.epoch === epoch && page.remainingMs >= reserveMs)',
        put: 'if (true)',
      },
    ],
    judge: { by: 'scene', where: scene('lost while starting', 'nobody tells the controller') },
  },
  {
    name: 'start-goes-on-after-the-loss',
    rule: '0.9, I-3',
    edits: [
      {
        module: 'core/scheduler/reactions.js',
        find: 'this.executor.abortLeased(group.id, `the lease was lost: ${change.because}`);',
        put: '',
      },
      {
        module: 'core/scheduler/contexts.js',
        find: 'if (page.held && page.epoch === epoch && page.remainingMs >= reserveMs)',
        put: 'if (true)',
      },
    ],
    judge: { by: 'scene', where: scene('lost while starting') },
  },
  {
    name: 'started-without-looking',
    rule: 'a.6 adoption',
    edits: [{ module: 'core/planner/failures.js', find: "return 'unprobed';", put: "return 'offline';" }],
    judge: { by: 'scene', where: scene('taken up by a new controller') },
  },
  {
    name: 'actions-in-maintenance',
    rule: 'I-10',
    edits: [
      {
        module: 'core/planner/rules.js',
        find: 'when: ({ orders, maintenance }) => orders.maintenance || maintenance,',
        put: 'when: () => false,',
      },
    ],
    judge: { by: 'whole', where: all(small, faults('maintenance')) },
  },
  {
    name: 'not-stopped-and-released',
    rule: '0.11',
    edits: [
      {
        module: 'core/planner/rules.js',
        find: 'when: ({ members }) => members.some(({ seen }) => seen?.stopFailed != null),',
        put: 'when: () => false,',
      },
    ],
    judge: {
      by: 'suite',
      file: 'test/planner/scenarios.test.ts',
      because: 'the guard verifies the stop itself before it says RELEASED: no second copy can begin',
    },
  },
];
