// What people and the planner are shown of a holder in failsafe. Derived from the state only; nothing here decides a lease.
import type { FailsafeView } from '../model/lease.js';
import { lastBootOf, silentOf } from './failsafe.js';
import { staleSync } from './in-sync.js';
import type { OwnershipState } from './state.js';

/** null while the arbiter answers. */
export const failsafeViewOf = (state: OwnershipState, nowMs: number): FailsafeView | null => {
  const { failsafe, policy, tenure } = state;
  if (failsafe === null) return null;
  const { peerLost, arbiterLossMoveMs } = policy.failsafe;
  const silent = failsafe.trouble === null || peerLost === 'stop' ? [] : silentOf(state);
  // From when that member saw the arbiter and this node did not: an arbiter that was away for everybody comes back to one of
  // them first, and that is no reason to move.
  const late = (id: string) => failsafe.seeing.some((seeing) => seeing.id === id && nowMs - seeing.sinceMs >= arbiterLossMoveMs);
  const current = tenure?.current?.record;
  const stale = policy.mirrored === true && current !== undefined ? staleSync(state, current) : [];
  const ready = (id: string) =>
    failsafe.full?.by.includes(id) === true && tenure?.inSync.some((member) => member.id === id) === true && !stale.includes(id);
  return {
    silentMs: Math.max(0, nowMs - failsafe.sinceMs),
    by: failsafe.full?.by ?? null,
    trouble: failsafe.trouble,
    fence: silent.map((node) => ({ node, bootId: lastBootOf(state, node) })).filter(({ bootId }) => bootId !== ''),
    moveTo: policy.members.find((id) => late(id) && ready(id)) ?? null,
  };
};

/** One sentence for status. */
export const failsafeSentence = (state: OwnershipState, nowMs: number): string => {
  const view = failsafeViewOf(state, nowMs);
  if (view === null) return state.because;
  const since = `FAILSAFE: arbiter silent since ${Math.round(view.silentMs / 1000)} s`;
  const by =
    view.by === null ? 'not extended yet' : `extended by promise of ${view.by.join(', ') || 'nobody: no other member could take it'}`;
  return `${since}, ${by}${view.trouble === null ? '' : `; ${view.trouble}`}`;
};

/** What wants a person's attention while it lasts. */
export const failsafeAlarms = ({ failsafe, policy }: OwnershipState): readonly string[] =>
  failsafe === null
    ? []
    : [`${policy.group}: FAILSAFE: the arbiter is silent; the lease goes on only while every other member promises not to take it`];
