// What a guard that starts does about what the last one left on this host (SAFETY a.6, guard crash). An epoch is taken up
// again only if its page is of this boot, says HELD, has time left beyond the margin, and no leash has fired for it.
import type { BootId, Epoch, NodeId } from '../model/ids.js';
import type { LeasePhase } from '../model/lease.js';
import type { Timing } from '../model/timing.js';
import type { LeasePage } from './page.js';
import { marginMs } from './timing.js';

export type Leftover =
  /** Nothing of the group runs here. `stoppedEpoch`: an epoch of this boot that is known to be dead and stopped, else 0. */
  | { readonly kind: 'nothing'; readonly stoppedEpoch: Epoch }
  | {
      readonly kind: 'adopt';
      readonly phase: 'held' | 'fencing';
      readonly epoch: Epoch;
      readonly deadlineMs: number;
      readonly nonce: string;
      readonly members: readonly NodeId[];
    }
  /** `deadlineMs`: the page's, null where there is none. */
  | { readonly kind: 'fence'; readonly epoch: Epoch; readonly deadlineMs: number | null; readonly because: string };

export interface Remains {
  /** The lease page with a good checksum, else null. */
  readonly page: LeasePage | null;
  readonly bootId: BootId;
  /** The phase that was kept beside the page, of the same boot; null when there is none. */
  readonly phase: { readonly epoch: Epoch; readonly phase: LeasePhase; readonly members: readonly NodeId[] } | null;
  /** The leash has fired for the page's epoch. */
  readonly leashFired: boolean;
  /** The hard-stop list was verified empty just now. Only looked at where nothing is to be adopted. */
  readonly verifiedEmpty: boolean;
  /** Lease clock. */
  readonly nowMs: number;
  /** Added to the page's CLOCK_MONOTONIC deadline it is on the lease clock; less by every sleep since the page was written. */
  readonly offsetMs: number;
  readonly timing: Timing;
}

/** Whether the page alone allows to take the epoch up again; then nothing needs to be verified before. */
export const adoptable = (remains: Omit<Remains, 'verifiedEmpty'>): boolean => {
  const { page, bootId, leashFired, nowMs, offsetMs, timing } = remains;
  return (
    page !== null &&
    page.bootId === bootId &&
    (page.state === 'HELD' || waiting(remains)) &&
    !beingStopped(remains) &&
    !leashFired &&
    nowMs < pageDeadlineMs(page, offsetMs) - marginMs(timing)
  );
};

/** The page could not be written any more when the last guard began to stop the epoch; the phase file could. */
const beingStopped = ({ page, phase }: Pick<Remains, 'page' | 'phase'>): boolean =>
  phase?.phase === 'fencing-self' && phase.epoch === page?.epoch;

/** The last guard waited for a proof: its page forbade every start, and so nothing of this epoch ever ran. */
const waiting = ({ page, phase }: Pick<Remains, 'page' | 'phase'>): boolean =>
  page?.state === 'STOPPING' && phase?.phase === 'fencing' && phase.epoch === page.epoch;

export const leftoverOf = (remains: Remains): Leftover => {
  const { page, bootId, leashFired, verifiedEmpty, offsetMs } = remains;
  if (page === null || page.bootId !== bootId) {
    return verifiedEmpty
      ? { kind: 'nothing', stoppedEpoch: 0 }
      : { kind: 'fence', epoch: 0, deadlineMs: null, because: 'something of the group runs here without a lease' };
  }
  if (adoptable(remains)) {
    const phase = page.state === 'HELD' ? 'held' : 'fencing';
    const members = remains.phase?.epoch === page.epoch ? remains.phase.members : [];
    return { kind: 'adopt', phase, epoch: page.epoch, deadlineMs: pageDeadlineMs(page, offsetMs), nonce: page.nonce, members };
  }
  const ended = page.state === 'RELEASED' || page.state === 'DEAD';
  if (ended && verifiedEmpty) return { kind: 'nothing', stoppedEpoch: page.epoch };
  const why = ended
    ? `epoch ${page.epoch} has ended and something of the group still runs here`
    : leashFired
      ? `the leash has fired for epoch ${page.epoch}`
      : page.state === 'STOPPING' || beingStopped(remains)
        ? `the last guard was stopping epoch ${page.epoch}`
        : `the lease of epoch ${page.epoch} ran out while no guard was there`;
  return { kind: 'fence', epoch: page.epoch, deadlineMs: pageDeadlineMs(page, offsetMs), because: why };
};

const pageDeadlineMs = (page: LeasePage, offsetMs: number): number => Number(page.deadlineMonoNs) / 1e6 + offsetMs;
