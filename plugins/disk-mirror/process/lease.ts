// What the lease page allows this volume now (SAFETY a.2, a.11): asked before every answer to the application, so it costs a
// microsecond and allocates nothing. Invariant: what cannot be proven held is not held.
import type { PageReader } from 'understudy/plugin';
import type { LeaseNow } from '../engine/ports.js';

const state = (now: LeaseNow['state'], epoch: number, peerInSync: boolean, selfInSync: boolean): LeaseNow => ({
  state: now,
  epoch,
  peerInSync,
  selfInSync,
});

/**
 * `held` while the page says HELD; `suspended` while it has run out or cannot be read and nobody has said that it is over: the
 * guard may still renew it or end it; `over` from STOPPING on, or when another boot or epoch holds.
 */
export const leaseNow = (page: PageReader, self: string, peer: string): (() => LeaseNow) => {
  // Four values are all there are for an epoch: nothing is made anew for each answer.
  let last = state('suspended', 0, true, false);
  return () => {
    const { held, over, epoch, inSync } = page.read();
    const now = held ? 'held' : over ? 'over' : 'suspended';
    // Nobody is left out on the word of a page that cannot be believed.
    const peerIn = !held || inSync.includes(peer);
    const selfIn = inSync.includes(self);
    if (last.state !== now || last.epoch !== epoch || last.peerInSync !== peerIn || last.selfInSync !== selfIn)
      last = state(now, epoch, peerIn, selfIn);
    return last;
  };
};
