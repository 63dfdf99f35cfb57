// The sentences of the rules that need more than a line: what an operator reads at 3 a.m. in journal, plan and console. They
// say what is known and what is done about it, with names as the config spells them. Nothing here decides.
import type { NodeId } from '../model/ids.js';
import { canFence, type Facts } from './facts.js';
import { reasonOfMember, type Member } from './failures.js';
import { blockersOf } from './rank.js';
import { isOrAre, listOf, span, tail, times } from './words.js';

const ids = (members: readonly Member[]): readonly string[] => members.map(({ resource }) => resource.id);

/** `vip and pg`. */
export const named = (members: readonly Member[]): string => listOf(ids(members));
/** `vip and pg are`. */
export const namedAre = (members: readonly Member[]): string => `${named(members)} ${isOrAre(members)}`;

export const recordUnread = ({ observed, lease, now }: Facts): string =>
  now !== null && observed.arbiter.state !== 'ok' && observed.arbiter.state !== 'unknown'
    ? `the lease record cannot be read: ${observed.arbiter.because}`
    : `the lease record has not been read yet: ${lease.because}`;

export const inMaintenance = ({ orders, held, group, self }: Facts): string =>
  `${orders.maintenance ? group.id : self} is in maintenance: nothing is touched${held ? ', the lease is kept' : ''}`;

export const stopFailed = ({ members, held, self }: Facts): string => {
  const stuck = members.find(({ seen }) => seen?.stopFailed != null);
  const so = held ? 'the lease is kept so that no other node starts beside it' : 'nothing is taken over here';
  return `${stuck?.resource.id} could not be stopped on ${self}: ${stuck?.seen?.stopFailed}; ${so}`;
};

export const standingBy = (facts: Facts): string => {
  const { holder, lease, self } = facts;
  const blockers = blockersOf(facts);
  const owed = lease.record === 'fencing' ? (lease.fencing ?? []).map(({ node }) => node) : [];
  if (owed.length > 0)
    return `${holder?.id} has epoch ${lease.epoch} and starts nothing before ${listOf(owed)} ${isOrAre(owed)} proven down`;
  const heard = holder?.state === 'unseen' ? ' by the record and has not been heard yet' : '';
  return `${holder?.id} holds epoch ${lease.epoch}${heard}; ${self} ${blockers.length === 0 ? 'is ready' : `could not take over: ${listOf(blockers)}`}`;
};

export const blocked = (facts: Facts, other: NodeId | null): string =>
  `${facts.self} cannot take ${facts.group.id}: ${listOf(blockersOf(facts))}${other === null ? '' : `; ${other} can`}`;

export const holderLost = ({ holder, lease, self, group }: Facts): string =>
  `${holder?.id} is ${holder?.state === 'lost' ? 'lost' : 'silent'} and may still run ${group.id}: ` +
  `${self} takes over when the end of epoch ${lease.epoch} is proven`;

/** Two nodes without a store, and the other has not been heard. */
export const alone = ({ lease, self, group }: Facts): string =>
  `there is no store, and ${lease.withoutStore?.node ?? 'the other node'} has not been heard: ${self} starts ${group.id} when it is, or when a person says that it is off`;

export const claim = ({ record, lease, self, group, orders }: Facts): string => {
  const next = orders.move?.to ?? lease.successor;
  if (record === 'held' || record === 'fencing')
    return `the record names ${self}, whose guard does not hold epoch ${lease.epoch}: what runs here is left alone until it is known whose it is`;
  if (next !== null && next !== self) return `${group.id} is free and ${next} was named to come next`;
  return record === 'released'
    ? `${group.id} was released and ${self} may take it`
    : `${group.id} was never held as far as is known, and ${self} may take it`;
};

/** The epoch is ours, and a proof is not: who is waited for, what is done about it, what went wrong. */
export const waiting = (facts: Facts): string => {
  const { self, lease, owed, observed, group } = facts;
  if (owed.length === 0) return `${self} has epoch ${lease.epoch}: every earlier holder is proven down, and the record is about to say so`;
  const names = listOf(owed.map(({ node, epoch }) => `${node} (epoch ${epoch})`));
  const parts = owed.flatMap(({ node }) => {
    const fact = observed.fences?.[node];
    if (!canFence(facts, node)) return [`no configured fence can power ${node} off`];
    const seen = fact?.seen === undefined ? '' : ` (${fact.seen})`;
    if (fact === undefined || fact.failures === 0) return [`${node} is being fenced${seen}`];
    const next = fact.running ? `it is tried again now${seen}` : `tried again in ${span(Math.ceil(fact.waitMs / 1000) * 1000)}`;
    return [`the fence of ${node} failed ${times(fact.failures)}, ${next}: ${fact.because ?? ''}`];
  });
  return `${self} has epoch ${lease.epoch}, but nothing of ${group.id} starts before ${names} ${isOrAre(owed)} proven down; ${parts.join('; ')}`;
};

export const restarted = (bad: readonly Member[]): string => {
  const [first] = bad;
  const limit = first?.resource.restart;
  const reason = first === undefined ? '' : tail(reasonOfMember(first));
  return `${named(bad)} failed${reason}; restarted here (${first?.seen?.failures} of ${limit?.max} within ${span(limit?.withinMs ?? 0)})`;
};

export const unclear = (members: readonly Member[]): string => {
  const [first] = members;
  if (first === undefined) return '';
  const { resource, seen, status } = first;
  const reason = tail(reasonOfMember(first));
  if (status === 'doubtful')
    return `${named(members)} failed a check${reason}; ${seen?.badRow} of ${resource.tolerance} in a row before it counts`;
  const counted = resource.unknownLimit > 0 ? ` (${seen?.unknownRow} of ${resource.unknownLimit})` : '';
  return `it cannot be told whether ${namedAre(members)} online${reason}; nothing is concluded from that${counted}`;
};

export const partial = (missing: readonly Member[], group: string): string =>
  `${missing.find(({ broken }) => broken !== null)?.broken ?? `${namedAre(missing)} not online`}; not critical, so ${group} stays here`;

export const online = ({ self, lease, members }: Facts): string => {
  const degraded = members.find(({ seen }) => seen?.degraded != null);
  return `everything is online on ${self}, epoch ${lease.epoch}${degraded === undefined ? '' : `; ${degraded.resource.id} is degraded: ${degraded.seen?.degraded}`}`;
};
