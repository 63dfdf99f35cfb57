// What controller, CLI and API are shown of one group's ownership. Derived from the state only; nothing here decides a lease.
import type { EarlierHolderView, LeaseView } from '../model/lease.js';
import { failsafeSentence, failsafeViewOf } from './failsafe-view.js';
import { isForced, lacksSync, staleSync } from './in-sync.js';
import { fencesFirst, otherMember } from './pair.js';
import { proofOf } from './proof.js';
import type { EarlierHolder, LeaseRecord } from './record.js';
import type { OwnershipState } from './state.js';
import { waitingFor } from './takeover.js';

/** What controller, CLI and API are shown. */
export const leaseViewOf = (state: OwnershipState, nowMs: number): LeaseView => {
  const { tenure, known, phase } = state;
  const own = tenure?.current?.record ?? null;
  const record = own ?? (known.kind === 'record' ? known.record : null);
  const acting = tenure !== null && phase !== 'fencing-self';
  const earlier = (holder: EarlierHolder): EarlierHolderView => ({ ...holder, proof: proofOf(state, holder)?.because ?? null });
  const unproven = tenure?.unproven == null || nowMs < tenure.unproven.dueMs ? null : tenure.unproven;
  return {
    group: state.policy.group,
    phase,
    epoch: tenure?.epoch ?? record?.epoch ?? 0,
    holder: record === null || record.state === 'RELEASED' ? null : record.holder,
    holderBootId: record === null || record.state === 'RELEASED' ? null : record.bootId,
    record: record === null ? (known.kind === 'absent' ? 'absent' : 'unread') : RECORD_WORDS[record.state],
    fencing: (record?.fencing ?? []).map(earlier),
    unproven: unproven === null ? null : earlier({ node: unproven.node, bootId: unproven.bootId, epoch: unproven.epoch }),
    remainingMs: acting ? Math.max(0, tenure.deadlineMs - nowMs) : 0,
    recordAgeMs: state.confirmedMs === null ? null : Math.max(0, nowMs - state.confirmedMs),
    inSync: (record?.inSync ?? []).map(({ id }) => id),
    mirror: mirrorOf(state, record),
    successor: record?.state === 'RELEASED' ? record.successor : null,
    failsafe: failsafeViewOf(state, nowMs),
    withoutStore: withoutStoreOf(state, record),
    because:
      state.failsafe !== null
        ? failsafeSentence(state, nowMs)
        : phase === 'observe' && known.kind === 'record'
          ? `${state.because}; ${waitingFor(state)}`
          : state.because,
  };
};

const mirrorOf = (state: OwnershipState, record: LeaseRecord | null): NonNullable<LeaseView['mirror']> | null => {
  if (state.policy.mirrored !== true) return null;
  if (record === null) return { stale: [], forced: false, lacks: null };
  const lacks = state.tenure !== null || isForced(state, record) ? null : lacksSync(state, record);
  return { stale: staleSync(state, record), forced: record.forced === true, lacks };
};

/** Of two nodes without a store: whose end would be proof, and whether it is to be fenced now. */
const withoutStoreOf = (state: OwnershipState, record: LeaseRecord | null): NonNullable<LeaseView['withoutStore']> | null => {
  const other = otherMember(state, record);
  return other === null ? null : { ...other, fence: fencesFirst(state) !== null };
};

const RECORD_WORDS: Readonly<Record<LeaseRecord['state'], LeaseView['record']>> = {
  HELD: 'held',
  'HELD-UNKNOWN': 'held-unknown',
  RELEASED: 'released',
  FENCING: 'fencing',
};
