// The rows of the policy for a node that has the epoch and waits for the proof that an earlier holder is down (SAFETY a.7). A part
// of the one table in rules.ts: first match wins. Invariant: no row here starts anything.
import type { NodeId } from '../model/ids.js';
import { leaveFor, type Rule, verdict, waitWith } from './course.js';
import { canFence } from './facts.js';
import { bestOther } from './rank.js';
import * as say from './sentences.js';

/** Rows of the table (rules.ts) between those that never touch anything and those without the lease. */
export const WAITING_FOR_PROOF: readonly Rule[] = [
  {
    // Before the fence: nobody is powered off for a group that shall be offline. What is owed stays in the record.
    id: 'waiting-offline',
    when: ({ waiting, orders }) => waiting && orders.want === 'offline',
    verdict: ({ orders, group }) =>
      verdict('stopping', leaveFor('ordered', null), `${group.id} is ordered offline by ${orders.by}: ${orders.why}`),
  },
  {
    // Before the fence: this node shall be empty, and whoever comes next waits for the same proof.
    id: 'waiting-standby',
    when: ({ waiting, standby }) => waiting && standby,
    verdict: (f) => verdict('stopping', leaveFor('ordered', bestOther(f)), `${f.self} is on standby: it gives epoch ${f.lease.epoch} back`),
  },
  {
    // Before the fence: a frozen group is not taken over, and nobody is powered off for it.
    id: 'waiting-frozen',
    when: ({ waiting, orders }) => waiting && orders.frozen,
    verdict: (f) =>
      verdict(
        'blocked',
        waitWith('hold'),
        `${say.waiting(f)}; ${f.group.id} is frozen: nobody is fenced`,
        `understudy unfreeze ${f.group.id}`,
      ),
  },
  {
    // Last of these. Whoever takes over has the epoch first and then the fence, so that two nodes never fence each other.
    id: 'fencing',
    when: ({ waiting }) => waiting,
    verdict: (f) => {
      const nodes = f.owed.map(({ node }) => node);
      const able = nodes.filter((node) => canFence(f, node));
      const bad = nodes.some((node) => !able.includes(node) || (f.observed.fences?.[node]?.failures ?? 0) > 0);
      return verdict(
        bad ? 'blocked' : 'starting',
        { kind: 'fence', nodes: able },
        say.waiting(f),
        bad ? confirmedOff(nodes[0] ?? '') : null,
      );
    },
  },
];

/** What whoever has looked types. */
export const confirmedOff = (node: NodeId): string => `understudy fence confirm ${node} --i-have-verified-it-is-off --why "…"`;
