// What of the guard's view was told last, and whether there is news. A view is put together, and compared, only when something
// that it comes from has changed: for every poll that found nothing new it would be most of what a quiet guard does.
// Invariant: what says "the same" here is the same for newsOf (view.ts); a doubt is answered by putting the view together.
import type { GuardView } from '../model/lease.js';
import type { LeaseRecord } from '../ownership/record.js';
import type { OwnershipState } from '../ownership/state.js';
import { isSame, newsOf } from './view.js';

/** Something that a view comes from; `revision` grows with every change of what it shows. */
export interface Shows {
  readonly revision: number;
}

export class Shown {
  readonly #parts: readonly Shows[];
  #revision = -1;
  #armed = false;
  #states: readonly OwnershipState[] = [];
  #mayDiffer = true;
  #news: readonly unknown[] = [];

  /** `parts`: what a view comes from beside the watchdog and the states of the groups. */
  constructor(parts: readonly Shows[]) {
    this.#parts = parts;
  }

  /** Whether there may be news since this was last asked. */
  mayDiffer(armed: boolean, states: readonly OwnershipState[]): boolean {
    let revision = 0;
    for (const part of this.#parts) revision += part.revision;
    const same =
      revision === this.#revision &&
      armed === this.#armed &&
      states.length === this.#states.length &&
      states.every((state, index) => isShownSame(this.#states[index]!, state));
    this.#revision = revision;
    this.#armed = armed;
    this.#states = states;
    this.#mayDiffer = !same;
    return !same;
  }

  /** Whether this view says something that the last one taken did not. Takes it. What cannot differ is not compared. */
  take(view: GuardView): boolean {
    if (!this.#mayDiffer) return false;
    const news = newsOf(view);
    if (isSame(news, this.#news)) return false;
    this.#news = news;
    return true;
  }
}

/**
 * Whether a group is certainly shown the same, whatever the time is: told from the few members that `newsOf` comes from, without
 * putting a view together for every poll that found nothing new. False where time alone may change what is shown.
 */
const isShownSame = (one: OwnershipState, other: OwnershipState): boolean => {
  if (one === other && one.failsafe === null && one.tenure?.unproven == null) return true;
  const [left, right] = [shownRecord(one), shownRecord(other)];
  return (
    one.phase === other.phase &&
    one.failsafe === null &&
    other.failsafe === null &&
    one.tenure?.epoch === other.tenure?.epoch &&
    one.tenure?.unproven == null &&
    other.tenure?.unproven == null &&
    one.alarms === other.alarms &&
    one.orders.group === other.orders.group &&
    one.known.kind === other.known.kind &&
    (left === right || (left !== null && right !== null && isShownSameRecord(left, right))) &&
    // What proves the end of an earlier holder comes from the peers.
    (left === null || left.fencing.length === 0) &&
    // Of what is mirrored those are named whose entry is of another boot.
    (one.policy.mirrored !== true || (left === right && one.peers === other.peers))
  );
};

const shownRecord = ({ tenure, known }: OwnershipState): LeaseRecord | null =>
  tenure?.current?.record ?? (known.kind === 'record' ? known.record : null);

const isShownSameRecord = (one: LeaseRecord, other: LeaseRecord): boolean =>
  one.epoch === other.epoch &&
  one.state === other.state &&
  one.holder === other.holder &&
  one.successor === other.successor &&
  other.fencing.length === 0 &&
  one.inSync.length === other.inSync.length &&
  one.inSync.every(({ id }, index) => id === other.inSync[index]?.id);
