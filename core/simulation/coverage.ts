// What a swarm has tried of the guard's machine (SAFETY a.6): every pair of phase and event, and the rare branches. Three
// kinds of pairs: those that a gate of thousands of seeds must reach, those that cannot happen (with the reason), and the
// rest, which need several faults at once and are only counted. A gate that misses a pair it must reach has become blind.
import type { LeasePhase } from '../model/lease.js';
import type { OwnershipEvent } from '../ownership/events.js';

export type EventKind = OwnershipEvent['kind'];

const PHASES: readonly LeasePhase[] = ['idle', 'observe', 'acquiring', 'fencing', 'held', 'releasing', 'fencing-self'];
const WITHOUT: readonly LeasePhase[] = ['idle', 'observe', 'acquiring'];

interface Expectation {
  /** Reached by every gate. */
  readonly always: readonly LeasePhase[];
  /** Never, and why. */
  readonly never?: readonly LeasePhase[];
  readonly because?: string;
}

const EXPECTED: Readonly<Record<EventKind, Expectation>> = {
  start: { always: ['idle'], never: PHASES.filter((phase) => phase !== 'idle'), because: 'it is the first event of every machine' },
  tick: { always: PHASES },
  'read-done': { always: PHASES },
  'read-failed': { always: PHASES },
  'cas-done': { always: ['observe', 'acquiring', 'fencing', 'held', 'releasing', 'fencing-self'] },
  'cas-conflict': { always: ['observe', 'acquiring', 'fencing', 'held', 'releasing'] },
  'cas-unknown': { always: ['idle', 'observe', 'acquiring', 'fencing', 'held', 'releasing', 'fencing-self'] },
  will: { always: PHASES },
  leave: { always: [], never: PHASES, because: 'no controller of these worlds leaves on purpose; test/guard does' },
  gate: { always: ['idle', 'observe', 'acquiring', 'held', 'fencing-self'] },
  dog: { always: ['idle', 'observe', 'acquiring', 'held', 'fencing-self'] },
  beat: { always: PHASES },
  'boot-changed': { always: ['idle', 'observe', 'acquiring', 'fencing', 'held'] },
  'peer-suspect': { always: ['idle', 'observe', 'acquiring', 'held'] },
  hint: { always: PHASES },
  'please-stop': { always: [] },
  asked: { always: ['idle', 'observe', 'acquiring'] },
  granted: { always: ['held'] },
  refused: { always: ['held'] },
  fenced: { always: ['fencing'] },
  'in-sync': { always: [], never: PHASES, because: 'no group of these worlds has a mirror; test/ownership does' },
  'higher-epoch': { always: [], never: PHASES, because: 'a mirror says it, and no group of these worlds has one; test/ownership does' },
  tombstone: { always: [], never: WITHOUT, because: 'it is found when a page or a renewal of a holder is written' },
  'give-up': { always: ['idle', 'held', 'fencing-self'] },
  'stop-verified': { always: ['releasing'], never: ['acquiring'], because: 'whoever acquires has no stop under way' },
  'hard-stopped': {
    always: ['fencing-self'],
    never: PHASES.filter((phase) => phase !== 'fencing-self'),
    because: 'it answers the hard stop, of which one runs at a time, and only its good answer ends fencing-self',
  },
};

/** Rare branches that every gate must have been through; named as the world marks them. */
const BRANCHES: readonly string[] = [
  'evidence waited',
  'evidence released',
  'evidence stopped',
  'evidence rebooted',
  'evidence own boot before',
  'evidence own stop',
  'evidence preempt',
  'proof of an earlier holder',
  'fenced',
  'late acquisition waits for a renewal',
  'guard failsafe.extended',
  'guard failsafe.not-extended',
  'guard lease.adopted',
  'guard lease.stop-failed',
  'guard lease.conflict',
  'guard suspend.gap',
  'guard pause',
  'guard controller.hung',
  'guard controller.ended',
  'promise given',
  'promise kept to its end',
  'promise discharged',
  'effect some time after its check',
  'leash fires',
  'watchdog bite',
  'reset by the guard',
];

export interface Coverage {
  /** Must be reached and were not: `phase event`, or a branch. */
  readonly missed: readonly string[];
  /** Need several faults at once, and were not reached. */
  readonly seldom: readonly string[];
  /** Happened although they cannot: the reason given here is wrong. */
  readonly impossible: readonly string[];
  readonly pairs: number;
}

/** What the marks of a swarm say of its coverage. */
export const coverageOf = (marks: ReadonlyMap<string, number>): Coverage => {
  const all = (Object.keys(EXPECTED) as EventKind[]).flatMap((event) => PHASES.map((phase) => ({ event, phase, ...EXPECTED[event] })));
  const named = all.map(({ event, phase, always, never = [] }) => ({
    name: `${phase} ${event}`,
    hit: marks.has(`turn ${phase} ${event}`),
    always: always.includes(phase),
    never: never.includes(phase),
  }));
  return {
    pairs: named.filter(({ hit }) => hit).length,
    missed: [
      ...named.filter(({ hit, always }) => always && !hit).map(({ name }) => name),
      ...BRANCHES.filter((branch) => !marks.has(branch)),
    ],
    seldom: named.filter(({ hit, always, never }) => !hit && !always && !never).map(({ name }) => name),
    impossible: named.filter(({ hit, never }) => hit && never).map(({ name }) => name),
  };
};

/** On what an epoch was taken, by the words of the guard's journal. */
export const evidenceOf = (because: string): string => EVIDENCE.find(([words]) => words.test(because))?.[1] ?? 'other';

const EVIDENCE: readonly (readonly [RegExp, string])[] = [
  [/released epoch/, 'released'],
  [/has not changed for W/, 'waited'],
  [/is stopped there/, 'stopped'],
  [/has rebooted since/, 'rebooted'],
  [/is fenced for epoch/, 'fenced'],
  [/fell silent on all networks/, 'preempt'],
  [/own epoch .* was of an earlier boot/, 'own boot before'],
  [/own epoch .* is stopped and verified/, 'own stop'],
];
