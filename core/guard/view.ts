// What the guard shows: everything it knows, as one value (model/lease, GuardView), and the alarms that want a person.
import type { BootId, GroupId, NodeId } from '../model/ids.js';
import type { ArbiterView, GroupOrders, GuardView, NodeOrders, PeerView } from '../model/lease.js';
import { failsafeAlarms } from '../ownership/failsafe-view.js';
import { leaseViewOf } from '../ownership/lease-view.js';
import { isUnwatched } from '../ownership/machine.js';
import type { OwnershipState } from '../ownership/state.js';

export interface ViewParts {
  readonly self: NodeId;
  readonly bootId: BootId;
  readonly cfgHash: string;
  readonly peers: readonly PeerView[];
  readonly arbiter: ArbiterView;
  readonly states: readonly OwnershipState[];
  readonly nowMs: number;
  readonly groupOrders: Readonly<Record<GroupId, GroupOrders>>;
  readonly nodeOrders: Readonly<Record<NodeId, NodeOrders>>;
  readonly watchdog: GuardView['watchdog'];
  readonly leashAgeMs: number | null;
  readonly alarms: readonly string[];
  readonly dropped: Readonly<Record<string, number>>;
}

export const viewOf = ({
  self,
  bootId,
  cfgHash,
  peers,
  arbiter,
  states,
  nowMs,
  groupOrders,
  nodeOrders,
  watchdog,
  leashAgeMs,
  alarms,
  dropped,
}: ViewParts): GuardView => ({
  self,
  bootId,
  cfgHash,
  peers,
  arbiter,
  leases: states.map((state) => leaseViewOf(state, nowMs)),
  groupOrders: { ...groupOrders },
  nodeOrders: { ...nodeOrders },
  watchdog,
  leashAgeMs,
  dropped,
  alarms: [
    ...alarms,
    ...arbiterAlarms(arbiter),
    ...peers.flatMap(peerAlarms),
    ...states.flatMap((state) => [...state.alarms, ...failsafeAlarms(state), ...watchdogAlarms(state)]),
  ],
});

const arbiterAlarms = ({ state, because }: ArbiterView): readonly string[] =>
  state === 'silent' || state === 'refused' ? [`the arbiter ${state === 'silent' ? 'is silent' : 'refuses'}: ${because}`] : [];

const watchdogAlarms = (state: OwnershipState): readonly string[] =>
  state.policy.watchdog && state.tenure !== null && isUnwatched(state)
    ? [`${state.policy.group}: the watchdog is off for it by order of ${state.orders.group.by}, as long as its maintenance lasts`]
    : [];

/** Silence alone moves nothing (SAFETY, rule of the file), nor does a bad link, so a person must hear of it. */
const peerAlarms = ({ node, state, links, jeopardy }: PeerView): readonly string[] => {
  const over = (those: PeerView['links']) => those.map(({ network }) => network).join(', ') || 'any network';
  const poor = links.flatMap((link) => (link.poor === undefined ? [] : [link.poor]));
  if (jeopardy === true) {
    const left = over(links.filter((link) => link.state === 'up'));
    return [`jeopardy: ${node} is heard over ${left} alone: one failure more would look like the loss of the node`, ...poor];
  }
  if (state !== 'lost') return poor;
  return [`${node} is not heard over ${over(links)}: it is off, or the networks are cut; the lease alone decides who is active`];
};

/** What makes a view worth sending out of turn: everything but ages, round trips and sequence. */
export const newsOf = ({ peers, arbiter, leases, groupOrders, nodeOrders, watchdog, alarms }: GuardView): readonly unknown[] => [
  peers.map(({ node, state, bootId, links, jeopardy, cfgHash, groups }) => [
    node,
    state,
    bootId,
    links.map((link) => link.state),
    jeopardy,
    cfgHash,
    groups,
  ]),
  arbiter.state,
  leases.map(({ group, phase, epoch, holder, record, inSync, mirror, successor, fencing, unproven, failsafe = null }) => [
    group,
    phase,
    epoch,
    holder,
    record,
    inSync,
    mirror,
    successor,
    fencing,
    unproven,
    failsafe === null ? null : [failsafe.by, failsafe.trouble, failsafe.fence, failsafe.moveTo],
  ]),
  groupOrders,
  nodeOrders,
  watchdog,
  alarms,
];

/** The same plain data. Compared as it is: to write it as text for a comparison cost most of what a guard does in a quiet hour. */
export const isSame = (one: unknown, other: unknown): boolean => {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null || Array.isArray(one) !== Array.isArray(other))
    return false;
  const left = one as Readonly<Record<string, unknown>>;
  const right = other as Readonly<Record<string, unknown>>;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => key in right && isSame(left[key], right[key]));
};
