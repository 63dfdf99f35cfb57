// The one will per group that goes to the guard: what this node wants of the lease, how far behind in the queue, and why not.
// Invariant: `release` only when nothing is left to stop and nothing is being done; `hold` without blockers only where the
// node may really take or keep the group.
import type { Will } from '../model/lease.js';
import type { Action } from '../model/plan.js';
import type { Facts } from './facts.js';
import { blockersOf, rankOf } from './rank.js';
import type { Verdict } from './course.js';

/** The will that goes with a verdict and the actions it came to. */
export const willOf = (facts: Facts, { course, because }: Verdict, actions: readonly Action[]): Will => {
  switch (course.kind) {
    case 'run':
    case 'fence':
      return will(facts, { want: 'hold', because });
    case 'leave':
      return allStopped(facts, actions, course.for === 'gave-up')
        ? will(facts, { want: 'release', successor: course.successor, because })
        : will(facts, { want: 'hold', because: `${because}; the lease is kept until everything is stopped` });
    case 'evict':
      return standBy(facts, because, [`something of ${facts.group.id} still runs on ${facts.self}`]);
    case 'stand-by':
      return standBy(facts, because, []);
    case 'wait':
      if (course.will === 'stand-by') return standBy(facts, because, []);
      return will(facts, {
        want: course.will,
        successor: course.successor,
        because,
        blockers: course.will === 'none' ? [because] : [],
      });
  }
};

const will = ({ group }: Facts, given: Partial<Will> & Pick<Will, 'want' | 'because'>): Will => ({
  group: group.id,
  rank: given.want === 'none' ? group.prefer.length : 0,
  blockers: [],
  preemptOk: false,
  successor: null,
  ...given,
});

const standBy = (facts: Facts, because: string, more: readonly string[]): Will => {
  const blockers = [...more, ...blockersOf(facts)];
  if (blockers.length > 0) return will(facts, { want: 'none', because, blockers });
  const { group } = facts;
  // Without the wait an old holder may still be running: harmless only where the epoch fences every effect (SAFETY a.7b).
  const preemptOk = group.takeover === 'preempt' && group.resources.every(({ fencedByEpoch }) => fencedByEpoch);
  return will(facts, { want: 'hold', rank: rankOf(facts), preemptOk, because });
};

// Notes in the orders record hold no release back, except the one that tells the others not to take the group.
const allStopped = ({ now }: Facts, actions: readonly Action[], noteFirst: boolean): boolean =>
  actions.every(({ kind }) => kind === 'orders' && !noteFirst) &&
  (now?.inFlight ?? []).every(({ kind }) => kind === 'orders' || kind === 'probe' || kind === 'fence');
