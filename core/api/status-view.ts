// The cluster on one screen, made from the facts of the last cycle; from the guard's view alone when the controller is away.
// Pure: it asks nobody and decides nothing.
import type { DesiredGroup } from '../model/desired.js';
import type { NodeId } from '../model/ids.js';
import type { GuardView, LeaseView } from '../model/lease.js';
import type { ObservedGroup, ObservedState } from '../model/observed.js';
import type { Plan } from '../model/plan.js';
import type { DeviceState } from '../scheduler/fence-check.js';
import type { LastCycle } from '../scheduler/cycle.js';
import { mirrorViews } from './mirror-view.js';
import type { GroupView, NodeView, ResourceView, StandbyView, StatusView } from './views.js';

export interface StatusInput extends LastCycle {
  readonly guard: GuardView | null;
  /** ISO time since when the resource is in its state. */
  readonly since: (group: string, resource: string) => string | null;
  /** Sentences of the controller itself: a quarantined plugin, a journal that cannot be written. */
  readonly alarms: readonly string[];
  readonly devices: readonly DeviceState[];
}

export const statusView = (input: StatusInput): StatusView => {
  const { desired, observed, guard } = input;
  const { state, ageMs, because, store } = observed.arbiter;
  return {
    cluster: desired.cluster,
    node: observed.self,
    nodes: desired.nodes.map((id) => nodeView(id, guard, observed.self)),
    arbiter: { state, ageMs, because, ...(store === undefined ? {} : { store }) },
    groups: desired.groups.map((group) => groupView(group, input)),
    mirrors: mirrorViews(desired.groups, observed, (group) => activeOf(observed.groups[group]!.lease, observed.self)),
    alarms: [...(guard === null ? ['the guard of this node is not answering'] : guard.alarms), ...input.alarms],
    watchdog: guard?.watchdog ?? null,
    dropped: guard?.dropped ?? {},
    fences: { devices: input.devices, nodes: observed.fences ?? {} },
    source: 'controller',
  };
};

/** What the guard alone can say: who holds what, who is heard. */
export const statusFromGuard = (cluster: string, view: GuardView): StatusView => ({
  cluster,
  node: view.self,
  nodes: [view.self, ...view.peers.map(({ node }) => node)].sort().map((id) => nodeView(id, view, view.self)),
  arbiter: { state: view.arbiter.state, ageMs: view.arbiter.ageMs, because: view.arbiter.because },
  groups: view.leases.map((lease) => ({
    id: lease.group,
    state: activeOf(lease, view.self) === null ? 'offline' : 'online',
    active: activeOf(lease, view.self),
    epoch: lease.epoch,
    leaseRemainingMs: lease.remainingMs,
    because: `${lease.because}; the controller is away, so its resources are not known`,
    resources: [],
    standbys: [],
    frozen: view.groupOrders[lease.group]?.frozen ?? false,
    maintenance: view.groupOrders[lease.group]?.maintenance ?? false,
    nextCommand: 'systemctl status understudy-controller',
  })),
  mirrors: [],
  alarms: ['the controller of this node is not answering: what runs is left running, nothing is monitored', ...view.alarms],
  watchdog: view.watchdog,
  dropped: view.dropped ?? {},
  source: 'guard',
});

/** Who runs the group, as far as this node knows. */
export const activeOf = (lease: LeaseView, self: NodeId): NodeId | null => {
  if (lease.phase === 'held' || lease.phase === 'releasing' || lease.phase === 'fencing-self') return self;
  // Whoever waits for a proof runs nothing.
  return lease.record === 'held' ? lease.holder : null;
};

const nodeView = (id: NodeId, view: GuardView | null, self: NodeId): NodeView => {
  const peer = view?.peers.find(({ node }) => node === id);
  const orders = view?.nodeOrders[id];
  return {
    id,
    state: id === self ? 'member' : (peer?.state ?? 'unseen'),
    links: peer?.links ?? [],
    jeopardy: peer?.jeopardy === true,
    standby: orders?.standby ?? false,
    maintenance: orders?.maintenance ?? false,
  };
};

const groupView = (group: DesiredGroup, input: StatusInput): GroupView => {
  const { observed, plan } = input;
  const now = observed.groups[group.id]!;
  const verdict = plan.verdicts.find((one) => one.group === group.id);
  const active = activeOf(now.lease, observed.self);
  const degraded = degradedSentences(now);
  return {
    id: group.id,
    state: verdict?.state ?? 'offline',
    active,
    epoch: now.lease.epoch,
    leaseRemainingMs: Math.max(0, Math.round(now.lease.remainingMs)),
    because: [verdict?.because ?? now.lease.because, ...degraded, ...(now.lease.failsafe == null ? [] : [now.lease.because])].join('; '),
    resources: group.resources.map((resource) => resourceView(group, resource, active, input)),
    standbys: group.prefer.filter((id) => id !== active).map((id) => standbyView(group, id, observed, plan)),
    frozen: now.orders.frozen,
    maintenance: now.orders.maintenance,
    ...(verdict?.nextCommand == null ? {} : { nextCommand: verdict.nextCommand }),
  };
};

const degradedSentences = (now: ObservedGroup): readonly string[] =>
  Object.entries(now.resources).flatMap(([id, { degraded }]) => (degraded === null ? [] : [`${id} is degraded: ${degraded}`]));

const resourceView = (
  group: DesiredGroup,
  { id, type }: DesiredGroup['resources'][number],
  active: NodeId | null,
  { observed, since }: StatusInput,
): ResourceView => {
  if (active !== null && active !== observed.self) {
    const holder = observed.nodes[active];
    const report = holder?.groups[group.id]?.resources[id];
    const at = { id, type, node: active, since: null };
    if (report === undefined) return { ...at, state: 'unknown', reason: `the controller of ${active} does not report` };
    // What a silent node said last is no longer known to be so.
    if (holder?.state !== 'member')
      return { ...at, state: 'unknown', reason: `${active} is ${holder?.state}; it was ${report.state} by its last report` };
    return { ...at, state: report.state, reason: report.reason };
  }
  const seen = observed.groups[group.id]?.resources[id];
  const reason =
    [seen?.reason, seen?.startFailed === null ? null : seen?.startFailed, seen?.stopFailed].find((text) => text != null && text !== '') ??
    (seen === undefined ? 'not looked at yet' : '');
  return {
    id,
    type,
    node: observed.self,
    state: seen?.state ?? 'unknown',
    since: since(group.id, id),
    ...(reason === '' ? {} : { reason }),
    ...(seen?.degraded == null ? {} : { degraded: seen.degraded }),
  };
};

const standbyView = (group: DesiredGroup, id: NodeId, observed: ObservedState, plan: Plan): StandbyView => {
  const blockers = blockersOn(group.id, id, observed, plan);
  return { node: id, ready: blockers.length === 0, blockers };
};

/** Why a node could not take the group now, as this node knows it. */
export const blockersOn = (group: string, id: NodeId, observed: ObservedState, plan: Plan): readonly string[] => {
  if (id === observed.self) return plan.wills.find((will) => will.group === group)?.blockers ?? [];
  const node = observed.nodes[id];
  if (node === undefined) return [`${id} is not a node of the cluster`];
  const heard = node.state === 'member' ? [] : [`${id} is ${node.state}`];
  if (node.orders.standby) return [...heard, `${id} is on standby`];
  const report = node.groups[group];
  if (report === undefined) return [...heard, `the controller of ${id} does not report`];
  return [...heard, ...report.blockers];
};
