// `understudy arbiter restore` (SAFETY a.4, first start): whether an operator may put a lost record back, and as what. Pure.
// Invariants: a good record is never touched; the new one is behind every epoch that this node has seen or heard of, is held by
// nobody that is known, and so lets everybody wait W once.
import type { Epoch } from '../model/ids.js';
import type { Found } from './events.js';
import type { LeaseRecord } from './record.js';
import type { OwnershipState } from './state.js';

export type Restoration =
  | { readonly kind: 'write'; readonly expected: string | null; readonly record: LeaseRecord }
  | { readonly kind: 'refused'; readonly because: string };

export interface RestoreWish {
  /** At least this epoch; null: what was seen is enough. */
  readonly epoch: Epoch | null;
  readonly why: string;
}

/** `heard`: the epochs that peers say in their heartbeats. */
export const restoration = (state: OwnershipState, found: Found, heard: readonly Epoch[], { epoch, why }: RestoreWish): Restoration => {
  const { policy, tenure, peers, maxEpochSeen } = state;
  const refused = (because: string): Restoration => ({ kind: 'refused', because });
  if (!policy.members.includes(policy.self)) return refused(`${policy.self} is no member of ${policy.group}`);
  if (tenure !== null) return refused(`${policy.self} has epoch ${tenure.epoch} of ${policy.group} itself`);
  const holder = Object.entries(peers).find(([, { held }]) => held !== null);
  if (holder !== undefined) return refused(`${holder[0]} is heard and says that it holds epoch ${holder[1].held?.epoch ?? 0}`);
  const known = found.kind === 'record' ? found.record : null;
  const seen = Math.max(maxEpochSeen, ...heard, ...Object.values(peers).map(({ announced }) => announced));
  // Without a store an epoch may have been asked for and never taken: then the own record is behind, and good.
  if (known !== null && (policy.pair != null || known.epoch >= seen))
    return refused(`the lease record of ${policy.group} is good: epoch ${known.epoch}, ${known.state} ${known.holder ?? 'by nobody'}`);
  const members = policy.members.map((id) => ({ id, bootId: id === policy.self ? policy.bootId : (peers[id]?.bootId ?? '') }));
  return {
    kind: 'write',
    expected: found.kind === 'absent' ? null : found.version,
    record: {
      v: 1,
      epoch: Math.max(seen, epoch ?? 0),
      holder: null,
      bootId: '',
      nonce: `${policy.instance}.restored.${state.serial}`,
      seq: (known?.seq ?? 0) + 1,
      state: 'HELD-UNKNOWN',
      fencing: [],
      members,
      // Whose copy is good went with the record: an operator says where it is, with `start --force --accept-data-loss`.
      inSync: policy.mirrored === true ? [] : members,
      successor: null,
      ttlW: policy.timing.takeoverWaitMs,
      d: policy.timing.selfFenceMs,
      watchdog: false,
      prevHolder: known?.holder ?? known?.prevHolder ?? null,
      reason: `restored by an operator: ${why}`,
      cfgHash: policy.cfgHash,
    },
  };
};
