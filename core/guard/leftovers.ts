// What the last guard of this host left of a group, as the first event of its ownership machine: the page, the phase, the
// tombstone and the promise. First what is held, at once, for its deadline runs; the rest when its stop has been looked at.
import type { BootId, GroupId } from '../model/ids.js';
import type { Timing } from '../model/timing.js';
import { type Remains, adoptable, leftoverOf } from '../ownership/adoption.js';
import type { GuardStore } from './guard-store.js';
import type { HardStop } from './hard-stop.js';
import { type LeaseClock, sleptBetween } from './lease-clock.js';
import type { Happening } from './owner.js';
import type { PageDesk } from './page-desk.js';

export interface LeftoversOptions {
  readonly pages: PageDesk;
  readonly store: GuardStore;
  readonly leaseClock: LeaseClock;
  readonly bootId: BootId;
  readonly timing: Timing;
  readonly hardStop: HardStop;
}

/** The event that takes the group up again, if the last guard's page allows it; else null. */
export const takeUp = (options: LeftoversOptions, group: GroupId): Happening | null => {
  const remains = remainsOf(options, group);
  return adoptable(remains) ? started(options, group, { ...remains, verifiedEmpty: false }) : null;
};

/** The event for a group that is not taken up: with what is left of it, if anything. */
export const beginAnew = async (options: LeftoversOptions, group: GroupId): Promise<Happening> => {
  const { pages, hardStop, timing, leaseClock } = options;
  const remains = remainsOf(options, group);
  const verifiedEmpty = !pages.hasHardStopList(group) || (await hardStop.verify(group, timing.stopBudgetMs)).verified;
  return started(options, group, { ...remains, verifiedEmpty, nowMs: leaseClock.nowMs() });
};

const started = ({ pages }: LeftoversOptions, group: GroupId, remains: Remains): Happening => ({
  kind: 'start',
  leftover: leftoverOf(remains),
  promise: pages.promised(group),
});

const remainsOf = ({ pages, store, leaseClock, bootId, timing }: LeftoversOptions, group: GroupId): Omit<Remains, 'verifiedEmpty'> => {
  const page = pages.left(group);
  const dead = page !== null && store.isDead(group, { bootId, epoch: page.epoch });
  const sleptMs = page === null ? 0 : sleptBetween(page.bootOffsetMs, leaseClock.bootOffsetMs);
  return {
    page,
    bootId,
    timing,
    nowMs: leaseClock.nowMs(),
    offsetMs: -sleptMs,
    phase: dead ? { epoch: page.epoch, phase: 'fencing-self', members: [] } : pages.leftPhase(group),
    leashFired: page !== null && pages.leashFired(group, page.epoch) !== 'no',
  };
};
