// An operator's restore of a lost lease record, carried out: read, decide (core/ownership/restore), write once on exactly what
// was read. Never tried again by itself: whoever ordered it sees what is there now, and orders again.
import type { Heartbeats } from '../membership/contract.js';
import type { NewEvent } from '../model/event.js';
import type { Epoch, GroupId } from '../model/ids.js';
import type { Arbiter, CasResult } from '../ownership/arbiter.js';
import { encodeRecord } from '../ownership/record-codec.js';
import { leaseKey } from '../ownership/record.js';
import { type RestoreWish, restoration } from '../ownership/restore.js';
import type { OwnershipState } from '../ownership/state.js';
import type { Clock } from '../system/clock.js';
import { foundOf } from './arbiter-desk.js';
import { inTime } from './deadline.js';

export type RestoreAnswer =
  | { readonly ok: true; readonly value: { readonly restored: Epoch } }
  | { readonly ok: false; readonly code: 'ARBITER_UNREACHABLE' | 'ARBITER_REFUSED' | 'REFUSED'; readonly message: string };

export interface RestoreOptions {
  readonly arbiter: Arbiter;
  readonly clock: Clock;
  readonly config: { readonly cluster: string };
  readonly attemptMs: number;
  readonly heartbeats: Pick<Heartbeats, 'peers'>;
  readonly state: () => OwnershipState | undefined;
  readonly tell: (event: NewEvent) => void;
}

/** Never rejects; ends within two attempts. */
export const restoreRecord = async (options: RestoreOptions, group: GroupId, wish: RestoreWish): Promise<RestoreAnswer> => {
  const { arbiter, clock, config, attemptMs, heartbeats, tell } = options;
  const key = leaseKey(config.cluster, group);
  const failed = ({ refused, because }: { readonly refused: boolean; readonly because: string }): RestoreAnswer => ({
    ok: false,
    code: refused ? 'ARBITER_REFUSED' : 'ARBITER_UNREACHABLE',
    message: `the lease record of ${group} was not restored: ${because}`,
  });
  const refused = (because: string): RestoreAnswer => ({
    ok: false,
    code: 'REFUSED',
    message: `the lease record of ${group} was not restored: ${because}`,
  });
  const read = await inTime(clock, attemptMs, (signal) => arbiter.read([key], signal));
  if (read.kind === 'none') return failed(read);
  const state = options.state();
  const heard = heartbeats.peers().flatMap(({ groups }) => groups.filter((one) => one.group === group).map(({ epoch }) => epoch));
  if (state === undefined) return refused('this guard does not know the group');
  const decided = restoration(state, foundOf(read.value[0] ?? null), heard, wish);
  if (decided.kind === 'refused') return refused(decided.because);
  const { expected, record } = decided;
  const cas = await inTime<CasResult>(clock, attemptMs, (signal) => arbiter.cas(key, expected, encodeRecord(record), signal));
  if (cas.kind === 'none') return failed(cas);
  if (cas.value.outcome === 'conflict') return refused('it was written by somebody else at the same time');
  tell({ kind: 'lease.restored', group, epoch: record.epoch, because: `an operator has restored the lease record: ${wish.why}` });
  return { ok: true, value: { restored: record.epoch } };
};
