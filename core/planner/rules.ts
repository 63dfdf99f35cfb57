// THE policy: one ordered table, first match wins, so the order of the rows is the policy. Each row says why it stands
// before its neighbour. A row decides a course and says why; its longer sentences are sentences.ts.
import { EVICT, leaveFor, RUN, STAND_BY, verdict, waitWith, type Rule, type Ruled } from './course.js';
import { canFence, failoverAborted, moveAborted, moveAway, type Facts } from './facts.js';
import type { Member } from './failures.js';
import { gaveUpBecause, giveUpBecause, successorOf } from './ladder.js';
import { bestOther, blockersOf, failbackTo, gaveUp, readinessOf } from './rank.js';
import * as say from './sentences.js';
import { confirmedOff, WAITING_FOR_PROOF } from './rules-waiting.js';
import { frozenState, holderState, ownState } from './state.js';

const BEFORE_THE_LEASE: readonly Rule[] = [
  {
    // First: without a view of the record even "not ours" is a guess, and every row below concludes something from it.
    id: 'record-unread',
    when: ({ now, held, record, phase }) => now === null || (!held && record === 'unread' && phase !== 'fencing-self'),
    verdict: (f) => verdict('blocked', waitWith('none'), say.recordUnread(f), f.now === null ? null : 'understudy status'),
  },
  {
    // Before every order and fault: the epoch is dead and the guard is stopping; a second hand would only disturb it.
    id: 'fencing-self',
    when: ({ phase }) => phase === 'fencing-self',
    verdict: ({ lease: { epoch, because } }) =>
      verdict('stopping', waitWith('none'), `the guard is stopping everything of epoch ${epoch}: ${because}`),
  },
  {
    // Before maintenance: everything is stopped already, and taking the will back would leave the group nowhere.
    id: 'releasing',
    when: ({ phase }) => phase === 'releasing',
    verdict: (f) => {
      const because = `the guard verifies that nothing runs here and gives epoch ${f.lease.epoch} back`;
      return verdict('stopping', waitWith('release', successorOf(f)), because);
    },
  },
  {
    // Before faults and other orders: somebody's hands are in the machine, and every action could meet them.
    id: 'maintenance',
    when: ({ orders, maintenance }) => orders.maintenance || maintenance,
    verdict: (f) => {
      const next = f.orders.maintenance ? `understudy maintenance off ${f.group.id}` : null;
      return verdict('maintenance', waitWith(f.held || f.waiting ? 'hold' : 'stand-by'), say.inMaintenance(f), next);
    },
  },
  {
    // Before every row that stops or starts: a stop that is not confirmed is not stopped, so neither a release nor a
    // start may be built on it (SAFETY 0.11).
    id: 'stop-failed',
    when: ({ members }) => members.some(({ seen }) => seen?.stopFailed != null),
    verdict: (f) => verdict('blocked', waitWith(f.held || f.waiting ? 'hold' : 'stand-by'), say.stopFailed(f), clear(f)),
  },
  {
    // Before the rows of a non-holder: in a moment the lease may be ours, so what runs here is not unexpected.
    id: 'acquiring',
    when: ({ phase }) => phase === 'acquiring',
    verdict: ({ lease: { epoch, because } }) =>
      verdict('starting', waitWith('stand-by'), `the guard asks for the lease after epoch ${epoch}: ${because}`),
  },
];

const WITHOUT_THE_LEASE: readonly Rule[] = [
  {
    // Before frozen: a freeze protects what the holder runs, not a second copy beside it. Not where the record names this
    // node or nobody was ever known: what runs may then be ours, and is adopted once the lease is.
    id: 'unexpected-active',
    when: ({ held, anyActive, lease, self, record }) => !held && anyActive && lease.holder !== self && record !== 'held-unknown',
    verdict: (f) => {
      const active = f.members.filter((member) => member.active);
      const because = `${say.namedAre(active)} active on ${f.self}, which does not hold ${f.group.id}: stopped`;
      return verdict(f.holder === null ? 'stopping' : holderState(f), EVICT, because);
    },
  },
  {
    // Before frozen and the limits: an operator's "offline" is the reason to show, whatever else would keep it offline.
    id: 'offline-by-order',
    when: ({ held, orders }) => !held && orders.want === 'offline',
    verdict: (f) =>
      verdict(
        elsewhere(f),
        STAND_BY,
        `${f.group.id} is ordered offline by ${f.orders.by}: ${f.orders.why}`,
        `understudy start ${f.group.id}`,
      ),
  },
  {
    // Before holder-lost: a frozen group is not taken over.
    id: 'frozen-standby',
    when: ({ held, orders }) => !held && orders.frozen,
    verdict: (f) => verdict(elsewhere(f), STAND_BY, `${f.group.id} is frozen: it is not taken over and not started`, unfreeze(f)),
  },
  {
    // Before blocked: the limit explains the blockers of all nodes at once. A live holder's group is not given up.
    id: 'gave-up',
    when: (f) => !f.held && gaveUp(f) && f.holder?.state !== 'member',
    verdict: (f) => verdict('faulted', STAND_BY, gaveUpBecause(f), clear(f)),
  },
  {
    // Before standing-by and claim: without a store nobody may start who has not heard the other since it booted.
    id: 'alone',
    when: (f) => !f.held && f.lease.withoutStore != null && f.observed.nodes[f.lease.withoutStore.node]?.state === 'unseen',
    verdict: (f) => verdict('blocked', STAND_BY, say.alone(f), `understudy start ${f.group.id} --force-no-arbiter ${f.group.id} --why "…"`),
  },
  {
    // Before blocked: while the holder lives, a blocker here is a weakness of the standby, not of the group.
    id: 'standing-by',
    when: ({ held, holder }) => !held && holder !== null && holder.state !== 'lost' && holder.state !== 'suspect',
    verdict: (f) => verdict(holderState(f), STAND_BY, say.standingBy(f)),
  },
  {
    // Before holder-lost and claim: both speak of a node that may acquire.
    id: 'blocked',
    when: (f) => !f.held && blockersOf(f).length > 0,
    verdict: (f) => {
      const other = bestOther(f);
      if (other !== null) return verdict('starting', STAND_BY, say.blocked(f, other));
      const failed = f.members.some(({ broken }) => broken !== null);
      const next = failed ? clear(f) : f.standby ? `understudy unstandby ${f.self}` : 'understudy status';
      return verdict('blocked', STAND_BY, say.blocked(f, null), next);
    },
  },
  {
    // Before claim: here the guard has to wait for a proof, and the sentence must say for which.
    id: 'holder-lost',
    when: ({ held, holder }) => !held && holder !== null,
    verdict: (f) => verdict('starting', STAND_BY, say.holderLost(f), confirmOff(f)),
  },
  {
    // Last of these: nobody else holds it and nothing speaks against this node.
    id: 'claim',
    when: ({ held }) => !held,
    verdict: (f) => verdict('starting', STAND_BY, say.claim(f)),
  },
];

const WITH_THE_LEASE: readonly Rule[] = [
  {
    // Before every order and fault: "leave as it is" is the whole meaning of a freeze.
    id: 'frozen',
    when: ({ orders }) => orders.frozen,
    verdict: (f) => {
      const because = `${f.group.id} is frozen: what runs is left running, nothing is started or moved`;
      return verdict(frozenState(f), waitWith('hold'), because, unfreeze(f));
    },
  },
  {
    // Before the moves: offline wins over being elsewhere.
    id: 'want-offline',
    when: ({ orders }) => orders.want === 'offline',
    verdict: ({ orders, group }) =>
      verdict('stopping', leaveFor('ordered', null), `${group.id} is ordered offline by ${orders.by}: ${orders.why}`),
  },
  {
    // Before standby: both leave, but the order names the place. A target that cannot take it is no reason to stop here.
    id: 'move',
    when: (f) => {
      const move = moveAway(f);
      return move !== null && moveAborted(f) === null && readinessOf(f, move.to).ready === 'yes';
    },
    verdict: (f) => {
      const move = moveAway(f);
      return verdict(
        'stopping',
        leaveFor('planned', move?.to ?? null),
        `${f.group.id} moves to ${move?.to} as ${move?.by} ordered: ${move?.why}`,
      );
    },
  },
  {
    // Beside standby, and before the ladder: this node alone lost the arbiter, and lives on the promises of the others. While
    // all is well it stays; a node that sees the arbiter is the better place before the next thing goes wrong.
    id: 'arbiter-lost',
    when: (f) => arbiterLossMove(f) !== null,
    verdict: (f) => {
      const to = arbiterLossMove(f);
      return verdict(
        'stopping',
        leaveFor('planned', to),
        `${f.self} is without the arbiter for too long and ${to} sees it: ${f.group.id} moves to ${to}`,
      );
    },
  },
  {
    // Before the ladder: nothing is mended on a node that shall be empty. With nowhere to go the group stops all the same:
    // the host is about to be shut down. For that reason no hook can stop it either.
    id: 'node-standby',
    when: ({ standby }) => standby,
    verdict: (f) => {
      const to = bestOther(f);
      const because = `${f.self} is on standby: ${f.group.id} ${to === null ? 'stops, no other node is ready' : `moves to ${to}`}`;
      return verdict('stopping', leaveFor('planned', to), because, to === null ? `understudy unstandby ${f.self}` : null);
    },
  },
  {
    // Before anything is started or moved once more: this is the end of the ladder.
    id: 'give-up',
    when: (f) => giveUpBecause(f) !== null,
    verdict: (f) => verdict('faulted', leaveFor('gave-up', null), giveUpBecause(f) ?? '', clear(f)),
  },
  {
    // Before the ladder: nothing was started, so there is nothing to mend.
    id: 'failover-aborted',
    when: (f) => failoverAborted(f) !== null,
    verdict: (f) => verdict('blocked', waitWith('hold'), `the hook beforeFailover forbade the start: ${failoverAborted(f)}`, clear(f)),
  },
  {
    // Before restart: one critical resource beyond its limit makes every local restart of the others a waste of time.
    id: 'fault-move',
    when: (f) => f.broken.length > 0 && bestOther(f) !== null,
    verdict: (f) => verdict('stopping', leaveFor('fault', bestOther(f)), `${f.broken[0]?.broken}: ${f.group.id} moves to ${bestOther(f)}`),
  },
  {
    // Before failback and restart: the same fault with nowhere to go. What still runs is left running, the rest is started.
    id: 'fault-stay',
    when: ({ broken }) => broken.length > 0,
    verdict: (f) => verdict('faulted', RUN, `${f.broken[0]?.broken}; no other node is ready, so what runs is left running here`, clear(f)),
  },
  {
    // Before restart: what is about to move is not mended first.
    id: 'failback',
    when: (f) => failbackTo(f) !== null,
    verdict: (f) => {
      const to = failbackTo(f);
      return verdict(
        'stopping',
        leaveFor('planned', to),
        `${to} is preferred and ready again: ${f.group.id} moves back (failback: immediate)`,
      );
    },
  },
  {
    // Before probe and start: a restart stops dependents, and starts must wait for that.
    id: 'restart',
    when: ({ members }) => members.some(({ restart }) => restart),
    verdict: (f) => verdict(ownState(f), RUN, say.restarted(f.members.filter(({ restart }) => restart))),
  },
  {
    // Before start: what already runs is adopted, never started twice.
    id: 'probe',
    when: ({ members }) => members.some(unprobed),
    verdict: (f) => {
      const because = `${f.self} holds epoch ${f.lease.epoch}; ${say.named(f.members.filter(unprobed))} must be probed before anything is started`;
      return verdict(ownState(f), RUN, because);
    },
  },
  {
    // Before unknown: while something is being brought up, that is the news.
    id: 'start',
    when: ({ members }) => members.some(startable),
    verdict: (f) =>
      verdict(ownState(f), RUN, `${f.self} holds epoch ${f.lease.epoch}: ${say.named(f.members.filter(startable))} to be started`),
  },
  {
    // Before partial: an alarm that may turn into a fault stands before one that is settled.
    id: 'unknown',
    when: ({ members }) => members.some(unclear),
    verdict: (f) => verdict(ownState(f), RUN, say.unclear(f.members.filter(unclear))),
  },
  {
    // Before online: only non-critical resources are left that are not online.
    id: 'partial',
    when: ({ members }) => members.some(({ satisfied }) => !satisfied),
    verdict: (f) => {
      const missing = f.members.filter(({ satisfied }) => !satisfied);
      return verdict('partial', RUN, say.partial(missing, f.group.id), missing.some(({ broken }) => broken !== null) ? clear(f) : null);
    },
  },
  {
    // Last: nothing is left to do.
    id: 'online',
    when: () => true,
    verdict: (f) => verdict('online', RUN, say.online(f)),
  },
];

/** The whole policy in its order. The last row matches everything. */
export const RULES: readonly Rule[] = [...BEFORE_THE_LEASE, ...WAITING_FOR_PROOF, ...WITHOUT_THE_LEASE, ...WITH_THE_LEASE];

/** The first row that matches. */
export const decide = (facts: Facts, rules: readonly Rule[] = RULES): Ruled => {
  for (const rule of rules) if (rule.when(facts)) return { ...rule.verdict(facts), rule: rule.id };
  throw new Error(`no rule matches ${facts.group.id}`);
};

const clear = ({ group }: Facts): string => `understudy clear ${group.id}`;
/** Where only proof counts, no fence can give it and a node is lost, somebody has to go and look. */
const confirmOff = (f: Facts): string | null =>
  f.desired.fencing === 'required' && f.holder?.state === 'lost' && !canFence(f, f.holder.id) ? confirmedOff(f.holder.id) : null;
const unfreeze = ({ group }: Facts): string => `understudy unfreeze ${group.id}`;
const elsewhere = (facts: Facts): ReturnType<typeof holderState> => (facts.holder === null ? 'offline' : holderState(facts));
const unprobed = ({ status }: Member): boolean => status === 'unprobed';
const unclear = ({ status, resource }: Member): boolean => (status === 'unknown' || status === 'doubtful') && resource.critical;

const startable = ({ status, resource, broken, flight, satisfied }: Member): boolean => {
  const down = status === 'offline' || status === 'online' || flight.has('start') || flight.has('stop');
  return resource.operations !== 'none' && broken === null && !satisfied && down;
};

/** Where the group should go because this node alone has lost the arbiter. */
const arbiterLossMove = (f: Facts): string | null => {
  const to = f.lease.failsafe?.moveTo ?? null;
  return to !== null && moveAborted(f) === null && readinessOf(f, to).ready === 'yes' ? to : null;
};
