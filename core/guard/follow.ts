// The store's hints, where it can push: what changed is read at once instead of at the next poll. They may be late, skip or
// end at any time; then they are asked for again, and the polls go on without them.
import type { Arbiter } from '../ownership/arbiter.js';
import { nodeOrdersKey } from '../ownership/record.js';
import type { Clock } from '../system/clock.js';
import type { ArbiterDesk } from './arbiter-desk.js';
import type { Owner } from './owner.js';

export interface FollowOptions {
  readonly arbiter: Arbiter;
  readonly clock: Clock;
  readonly cluster: string;
  readonly desk: ArbiterDesk;
  readonly owner: Owner;
  readonly signal: AbortSignal;
}

const AGAIN_MS = 1_000;

/** Follows every key of every group until the signal ends it. */
export const follow = (options: FollowOptions): void => {
  const { arbiter, clock, desk, owner, signal } = options;
  if (arbiter.follow === undefined || signal.aborted) return;
  const keys = desk.keys(owner.states.map(({ policy }) => policy.group));
  const again = () => {
    if (!signal.aborted) clock.after(AGAIN_MS, () => follow(options), { idle: true });
  };
  // Its failure is no news: the polls tell whether the store answers.
  arbiter.follow(keys, ({ key }) => hint(options, key), signal).then(again, again);
};

/** A holder hears its own renewals; of the rest it wants the orders. */
const hint = ({ cluster, desk, owner }: FollowOptions, key: string): void => {
  const ofNode = key.startsWith(nodeOrdersKey(cluster, ''));
  for (const { policy, tenure } of owner.states) {
    const [lease, orders] = desk.keys([policy.group]);
    if (ofNode || key === orders || (key === lease && tenure === null)) owner.dispatch(policy.group, { kind: 'hint' });
  }
};
