// THE policy: one ordered table, first match wins, so the order of the rows is the policy. Each row says why it stands
// before its neighbour. A row decides a course and says why; what a course means in actions is expand.ts, in wills wills.ts.
import type { NodeId } from '../model/ids.js';
import type { GroupState } from '../model/plan.js';
import { departureNoted, failoverAborted, failoverNoted, moveAborted, moveAway, type Facts } from './facts.js';
import { reasonOfMember } from './failures.js';
import { bestOther, blockersOf, failbackTo, gaveUp, readinessOf } from './rank.js';
import { frozenState, holderState, ownState } from './state.js';
import { isOrAre, listOf, span, tail, times } from './words.js';

/** What a verdict sets in motion. */
export type Course =
  /** Touch nothing, and tell the guard only this. */
  | { readonly kind: 'wait'; readonly will: 'hold' | 'release' | 'none' | 'stand-by'; readonly successor?: NodeId | null }
  /** Bring everything online, mend what is faulted. */
  | { readonly kind: 'run' }
  /** Fence `node`, then run. */
  | { readonly kind: 'fence'; readonly node: NodeId }
  /**
   * Stop everything in reverse order, then give the lease back. `ordered`: a want of people. `planned`: a move of people,
   * with its hooks. `fault`: counts as a failover. `gave-up`: counts too, and must be on record before the lease is free.
   */
  | { readonly kind: 'leave'; readonly successor: NodeId | null; readonly for: 'ordered' | 'planned' | 'fault' | 'gave-up' }
  /** The lease is not ours: stop what runs here all the same. */
  | { readonly kind: 'evict' }
  /** The lease is not ours: be ready, and say to the guard how ready. */
  | { readonly kind: 'stand-by' };

export interface Verdict {
  readonly state: GroupState;
  readonly course: Course;
  readonly because: string;
  readonly nextCommand: string | null;
}

export interface Rule {
  readonly id: string;
  readonly when: (facts: Facts) => boolean;
  readonly verdict: (facts: Facts) => Verdict;
}

const verdict = (state: GroupState, course: Course, because: string, nextCommand: string | null = null): Verdict => ({
  state,
  course,
  because,
  nextCommand,
});
const RUN: Course = { kind: 'run' };
const STAND_BY: Course = { kind: 'stand-by' };
const ids = (members: Facts['members']): readonly string[] => members.map(({ resource }) => resource.id);

const BEFORE_THE_LEASE: readonly Rule[] = [
  {
    // First: without a view of the record even "not ours" is a guess, and every row below concludes something from it.
    id: 'record-unread',
    when: ({ now, held, record, phase }) => now === null || (!held && record === 'unread' && phase !== 'fencing-self'),
    verdict: ({ observed, lease, now }) =>
      verdict(
        'blocked',
        { kind: 'wait', will: 'none' },
        now !== null && observed.arbiter.state !== 'ok' && observed.arbiter.state !== 'unknown'
          ? `the lease record cannot be read: ${observed.arbiter.because}`
          : `the lease record has not been read yet: ${lease.because}`,
        now === null ? null : 'understudy status',
      ),
  },
  {
    // Before every order and fault: the epoch is dead and the guard is stopping; a second hand would only disturb it.
    id: 'fencing-self',
    when: ({ phase }) => phase === 'fencing-self',
    verdict: ({ lease }) =>
      verdict('stopping', { kind: 'wait', will: 'none' }, `the guard is stopping everything of epoch ${lease.epoch}: ${lease.because}`),
  },
  {
    // Before maintenance: everything is stopped already, and taking the will back would leave the group nowhere.
    id: 'releasing',
    when: ({ phase }) => phase === 'releasing',
    verdict: (facts) =>
      verdict(
        'stopping',
        { kind: 'wait', will: 'release', successor: successorOf(facts) },
        `the guard verifies that nothing runs here and gives epoch ${facts.lease.epoch} back`,
      ),
  },
  {
    // Before faults and other orders: somebody's hands are in the machine, and every action could meet them.
    id: 'maintenance',
    when: ({ orders, maintenance }) => orders.maintenance || maintenance,
    verdict: ({ orders, held, group, self }) =>
      verdict(
        'maintenance',
        { kind: 'wait', will: held ? 'hold' : 'stand-by' },
        `${orders.maintenance ? group.id : self} is in maintenance: nothing is touched${held ? ', the lease is kept' : ''}`,
        orders.maintenance ? `understudy maintenance off ${group.id}` : `understudy maintenance off --node ${self}`,
      ),
  },
  {
    // Before every row that stops or starts: a stop that is not confirmed is not stopped, so neither a release nor a
    // start may be built on it (SAFETY 0.11).
    id: 'stop-failed',
    when: ({ members }) => members.some(({ seen }) => seen?.stopFailed != null),
    verdict: ({ members, held, group, self }) => {
      const stuck = members.find(({ seen }) => seen?.stopFailed != null);
      return verdict(
        'blocked',
        { kind: 'wait', will: held ? 'hold' : 'stand-by' },
        `${stuck?.resource.id} could not be stopped on ${self}: ${stuck?.seen?.stopFailed}; ${held ? 'the lease is kept so that no other node starts beside it' : 'nothing is taken over here'}`,
        `understudy clear ${group.id}`,
      );
    },
  },
  {
    // Before the rows of a non-holder: in a moment the lease may be ours, so what runs here is not unexpected.
    id: 'acquiring',
    when: ({ phase }) => phase === 'acquiring',
    verdict: ({ lease }) =>
      verdict('starting', { kind: 'wait', will: 'stand-by' }, `the guard asks for the lease after epoch ${lease.epoch}: ${lease.because}`),
  },
];

const WITHOUT_THE_LEASE: readonly Rule[] = [
  {
    // Before frozen: a freeze protects what the holder runs, not a second copy beside it. Not where the record names this
    // node or nobody was ever known: what runs may then be ours, and is adopted once the lease is.
    id: 'unexpected-active',
    when: ({ held, anyActive, lease, self, record }) => !held && anyActive && lease.holder !== self && record !== 'held-unknown',
    verdict: (facts) => {
      const { members, self, holder, group } = facts;
      const active = ids(members.filter((member) => member.active));
      return verdict(
        holder === null ? 'stopping' : holderState(facts),
        { kind: 'evict' },
        `${listOf(active)} ${isOrAre(active)} active on ${self}, which does not hold ${group.id}: stopped`,
      );
    },
  },
  {
    // Before frozen and the limits: an operator's "offline" is the reason to show, whatever else would keep it offline.
    id: 'offline-by-order',
    when: ({ held, orders }) => !held && orders.want === 'offline',
    verdict: (facts) =>
      verdict(
        facts.holder === null ? 'offline' : holderState(facts),
        STAND_BY,
        `${facts.group.id} is ordered offline by ${facts.orders.by}: ${facts.orders.why}`,
        `understudy start ${facts.group.id}`,
      ),
  },
  {
    // Before holder-lost: a frozen group is not taken over.
    id: 'frozen-standby',
    when: ({ held, orders }) => !held && orders.frozen,
    verdict: (facts) =>
      verdict(
        facts.holder === null ? 'offline' : holderState(facts),
        STAND_BY,
        `${facts.group.id} is frozen: it is not taken over and not started`,
        `understudy unfreeze ${facts.group.id}`,
      ),
  },
  {
    // Before blocked: the limit explains the blockers of all nodes at once. A live holder's group is not given up.
    id: 'gave-up',
    when: (facts) => !facts.held && gaveUp(facts) && facts.holder?.state !== 'member',
    verdict: ({ group, now }) =>
      verdict(
        'faulted',
        STAND_BY,
        `${group.id} failed over ${times(now?.failovers ?? 0)} within ${span(group.failover.withinMs)}, and ${allowed(group.failover.max)}: given up`,
        `understudy clear ${group.id}`,
      ),
  },
  {
    // Before blocked: while the holder lives, a blocker here is a weakness of the standby, not of the group.
    id: 'standing-by',
    when: ({ held, holder }) => !held && holder !== null && holder.state !== 'lost' && holder.state !== 'suspect',
    verdict: (facts) => {
      const blockers = blockersOf(facts);
      const { holder, lease, self } = facts;
      return verdict(
        holderState(facts),
        STAND_BY,
        `${holder?.id} holds epoch ${lease.epoch}${holder?.state === 'unseen' ? ' by the record and has not been heard yet' : ''}; ${self} ${blockers.length === 0 ? 'is ready' : `could not take over: ${listOf(blockers)}`}`,
      );
    },
  },
  {
    // Before holder-lost and claim: both speak of a node that may acquire.
    id: 'blocked',
    when: (facts) => !facts.held && blockersOf(facts).length > 0,
    verdict: (facts) => {
      const { group, self, holder, observed, members } = facts;
      const other = group.prefer.find(
        (id) =>
          id !== self &&
          id !== holder?.id &&
          observed.nodes[id]?.state === 'member' &&
          observed.nodes[id]?.groups[group.id]?.blockers.length === 0,
      );
      const because = `${self} cannot take ${group.id}: ${listOf(blockersOf(facts))}`;
      if (other !== undefined) return verdict('starting', STAND_BY, `${because}; ${other} can`);
      const failed = members.some(({ broken }) => broken !== null);
      return verdict(
        'blocked',
        STAND_BY,
        because,
        failed ? `understudy clear ${group.id}` : facts.standby ? `understudy unstandby ${self}` : 'understudy status',
      );
    },
  },
  {
    // Before claim: here the guard has to wait for a proof, and the sentence must say for which.
    id: 'holder-lost',
    when: ({ held, holder }) => !held && holder !== null,
    verdict: ({ holder, lease, self, group }) =>
      verdict(
        'starting',
        STAND_BY,
        `${holder?.id} is ${holder?.state === 'lost' ? 'lost' : 'silent'} and may still run ${group.id}: ${self} takes over when the end of epoch ${lease.epoch} is proven`,
      ),
  },
  {
    // Last of these: nobody else holds it and nothing speaks against this node.
    id: 'claim',
    when: ({ held }) => !held,
    verdict: ({ record, lease, self, group, orders }) => {
      const next = orders.move?.to ?? lease.successor;
      if (record === 'held' || record === 'fencing')
        return verdict(
          'starting',
          STAND_BY,
          `the record names ${self}, whose guard does not hold epoch ${lease.epoch}: what runs here is left alone until it is known whose it is`,
        );
      return verdict(
        'starting',
        STAND_BY,
        next !== null && next !== self
          ? `${group.id} is free and ${next} was named to come next`
          : record === 'released'
            ? `${group.id} was released and ${self} may take it`
            : `${group.id} was never held as far as is known, and ${self} may take it`,
      );
    },
  },
];

const WITH_THE_LEASE: readonly Rule[] = [
  {
    // Before every order and fault: "leave as it is" is the whole meaning of a freeze.
    id: 'frozen',
    when: ({ orders }) => orders.frozen,
    verdict: (facts) =>
      verdict(
        frozenState(facts),
        { kind: 'wait', will: 'hold' },
        `${facts.group.id} is frozen: what runs is left running, nothing is started or moved`,
        `understudy unfreeze ${facts.group.id}`,
      ),
  },
  {
    // Before the moves: offline wins over being elsewhere.
    id: 'want-offline',
    when: ({ orders }) => orders.want === 'offline',
    verdict: ({ orders, group }) =>
      verdict(
        'stopping',
        { kind: 'leave', successor: null, for: 'ordered' },
        `${group.id} is ordered offline by ${orders.by}: ${orders.why}`,
      ),
  },
  {
    // Before standby: both leave, but the order names the place. A target that cannot take it is no reason to stop here.
    id: 'move',
    when: (facts) => {
      const move = moveAway(facts);
      return move !== null && moveAborted(facts) === null && readinessOf(facts, move.to).ready === 'yes';
    },
    verdict: (facts) => {
      const move = moveAway(facts);
      return verdict(
        'stopping',
        { kind: 'leave', successor: move?.to ?? null, for: 'planned' },
        `${facts.group.id} moves to ${move?.to} as ${move?.by} ordered: ${move?.why}`,
      );
    },
  },
  {
    // Before the ladder: nothing is mended on a node that shall be empty. With nowhere to go the group stops all the same:
    // the host is about to be shut down. For that reason no hook can stop it either.
    id: 'node-standby',
    when: ({ standby }) => standby,
    verdict: (facts) => {
      const successor = bestOther(facts);
      return verdict(
        'stopping',
        { kind: 'leave', successor, for: 'planned' },
        `${facts.self} is on standby: ${facts.group.id} ${successor === null ? 'stops, no other node is ready' : `moves to ${successor}`}`,
        successor === null ? `understudy unstandby ${facts.self}` : null,
      );
    },
  },
  {
    // Before anything is started or moved once more: this is the end of the ladder.
    id: 'give-up',
    when: (facts) => giveUpBecause(facts) !== null,
    verdict: (facts) => {
      const because = giveUpBecause(facts) ?? '';
      return verdict('faulted', { kind: 'leave', successor: null, for: 'gave-up' }, because, `understudy clear ${facts.group.id}`);
    },
  },
  {
    // Before a hook or a start touches anything: with `fencing: required` the old holder must be proven down first.
    id: 'fence-first',
    when: ({ desired, transition, self }) =>
      desired.fencing === 'required' &&
      transition.kind === 'failover' &&
      transition.from !== null &&
      transition.from !== self &&
      (transition.fenced ?? null) === null,
    verdict: ({ transition, lease }) =>
      verdict(
        'blocked',
        { kind: 'fence', node: transition.from ?? '' },
        `epoch ${lease.epoch} is held, but nothing starts before ${transition.from} is proven down (fencing: required)`,
        `understudy fence confirm ${transition.from}`,
      ),
  },
  {
    // Before the ladder: nothing was started, so there is nothing to mend.
    id: 'failover-aborted',
    when: (facts) => failoverAborted(facts) !== null,
    verdict: (facts) =>
      verdict(
        'blocked',
        { kind: 'wait', will: 'hold' },
        `the hook beforeFailover forbade the start: ${failoverAborted(facts)}`,
        `understudy clear ${facts.group.id}`,
      ),
  },
  {
    // Before restart: one critical resource beyond its limit makes every local restart of the others a waste of time.
    id: 'fault-move',
    when: (facts) => facts.broken.length > 0 && bestOther(facts) !== null,
    verdict: (facts) => {
      const successor = bestOther(facts);
      return verdict(
        'stopping',
        { kind: 'leave', successor, for: 'fault' },
        `${facts.broken[0]?.broken}: ${facts.group.id} moves to ${successor}`,
      );
    },
  },
  {
    // Before failback and restart: the same fault with nowhere to go. What still runs is left running, the rest is started.
    id: 'fault-stay',
    when: ({ broken }) => broken.length > 0,
    verdict: ({ broken, group }) =>
      verdict(
        'faulted',
        RUN,
        `${broken[0]?.broken}; no other node is ready, so what runs is left running here`,
        `understudy clear ${group.id}`,
      ),
  },
  {
    // Before restart: what is about to move is not mended first.
    id: 'failback',
    when: (facts) => failbackTo(facts) !== null,
    verdict: (facts) =>
      verdict(
        'stopping',
        { kind: 'leave', successor: failbackTo(facts), for: 'planned' },
        `${failbackTo(facts)} is preferred and ready again: ${facts.group.id} moves back (failback: immediate)`,
      ),
  },
  {
    // Before probe and start: a restart stops dependents, and starts must wait for that.
    id: 'restart',
    when: ({ members }) => members.some(({ restart }) => restart),
    verdict: (facts) => {
      const bad = facts.members.filter(({ restart }) => restart);
      const first = bad[0];
      const limit = first?.resource.restart;
      return verdict(
        ownState(facts),
        RUN,
        `${listOf(ids(bad))} failed${tail(first === undefined ? '' : reasonOfMember(first))}; restarted here (${first?.seen?.failures} of ${limit?.max} within ${span(limit?.withinMs ?? 0)})`,
      );
    },
  },
  {
    // Before start: what already runs is adopted, never started twice.
    id: 'probe',
    when: ({ members }) => members.some(({ status }) => status === 'unprobed'),
    verdict: (facts) =>
      verdict(
        ownState(facts),
        RUN,
        `${facts.self} holds epoch ${facts.lease.epoch}; ${listOf(ids(facts.members.filter(({ status }) => status === 'unprobed')))} must be probed before anything is started`,
      ),
  },
  {
    // Before unknown: while something is being brought up, that is the news.
    id: 'start',
    when: ({ members }) => members.some(startable),
    verdict: (facts) =>
      verdict(
        ownState(facts),
        RUN,
        `${facts.self} holds epoch ${facts.lease.epoch}: ${listOf(ids(facts.members.filter(startable)))} to be started`,
      ),
  },
  {
    // Before partial: an alarm that may turn into a fault stands before one that is settled.
    id: 'unknown',
    when: ({ members }) => members.some(({ status, resource }) => (status === 'unknown' || status === 'doubtful') && resource.critical),
    verdict: (facts) => {
      const unclear = facts.members.filter(({ status, resource }) => (status === 'unknown' || status === 'doubtful') && resource.critical);
      const first = unclear[0];
      return verdict(
        ownState(facts),
        RUN,
        first?.status === 'unknown'
          ? `it cannot be told whether ${listOf(ids(unclear))} ${isOrAre(unclear)} online${tail(reasonOfMember(first))}; nothing is concluded from that${first.resource.unknownLimit > 0 ? ` (${first.seen?.unknownRow} of ${first.resource.unknownLimit})` : ''}`
          : `${listOf(ids(unclear))} failed a check${first === undefined ? '' : tail(reasonOfMember(first))}; ${first?.seen?.badRow} of ${first?.resource.tolerance} in a row before it counts`,
      );
    },
  },
  {
    // Before online: only non-critical resources are left that are not online.
    id: 'partial',
    when: ({ members }) => members.some(({ satisfied }) => !satisfied),
    verdict: (facts) => {
      const missing = facts.members.filter(({ satisfied }) => !satisfied);
      const broken = missing.find((member) => member.broken !== null);
      return verdict(
        'partial',
        RUN,
        `${broken?.broken ?? `${listOf(ids(missing))} ${isOrAre(missing)} not online`}; not critical, so ${facts.group.id} stays here`,
        broken === undefined ? null : `understudy clear ${facts.group.id}`,
      );
    },
  },
  {
    // Last: nothing is left to do.
    id: 'online',
    when: () => true,
    verdict: ({ self, lease, members }) => {
      const degraded = members.find(({ seen }) => seen?.degraded != null);
      return verdict(
        'online',
        RUN,
        `everything is online on ${self}, epoch ${lease.epoch}${degraded === undefined ? '' : `; ${degraded.resource.id} is degraded: ${degraded.seen?.degraded}`}`,
      );
    },
  },
];

/** The whole policy in its order. The last row matches everything. */
export const RULES: readonly Rule[] = [...BEFORE_THE_LEASE, ...WITHOUT_THE_LEASE, ...WITH_THE_LEASE];

/** The first row that matches. */
export const decide = (facts: Facts, rules: readonly Rule[] = RULES): Verdict & { readonly rule: string } => {
  for (const rule of rules) if (rule.when(facts)) return { ...rule.verdict(facts), rule: rule.id };
  throw new Error(`no rule matches ${facts.group.id}`);
};

const startable = ({ status, resource, broken, flight, satisfied }: Facts['members'][number]): boolean =>
  resource.operations !== 'none' &&
  broken === null &&
  !satisfied &&
  (status === 'offline' || status === 'online' || flight.has('start') || flight.has('stop'));

/** Whom a release under way names: the same choice as the row that began it. */
const successorOf = (facts: Facts): NodeId | null => {
  const { orders, self, standby, broken } = facts;
  if (orders.want === 'offline' || gaveUp(facts)) return null;
  if (orders.move !== null && orders.move.to !== self && readinessOf(facts, orders.move.to).ready === 'yes') return orders.move.to;
  return standby || broken.length > 0 ? bestOther(facts) : failbackTo(facts);
};

// Judged twice, before and after the failover in question is on record: before, it would be one too many; after, it was.
const giveUpBecause = (facts: Facts): string | null => {
  const { transition, now, group, broken, anyActive } = facts;
  const failovers = now?.failovers ?? 0;
  const { max, withinMs } = group.failover;
  const tooMany = (noted: boolean): boolean => (noted ? failovers > max : failovers >= max);
  // Not once something runs: a restarted controller counts old failovers anew and must not stop what is healthy.
  if (transition.kind === 'failover' && !anyActive && tooMany(failoverNoted(facts)))
    return `${group.id} would fail over ${times(failovers + (failoverNoted(facts) ? 0 : 1))} within ${span(withinMs)}, and ${allowed(max)}: given up`;
  if (broken.length === 0 || !tooMany(departureNoted(facts))) return null;
  return departureNoted(facts) || bestOther(facts) !== null
    ? `${broken[0]?.broken}; of failovers within ${span(withinMs)} ${allowed(max)}: given up`
    : null;
};

const allowed = (max: number): string => `${max} ${max === 1 ? 'is' : 'are'} allowed`;
