// What must hold for every plan of every world, checked in tests, in the simulation and by the scheduler before it begins
// anything: a plan that breaks one of these is a defect of the planner, and nothing of it may be done.
import type { DesiredGroup, DesiredState } from '../model/desired.js';
import type { Will } from '../model/lease.js';
import type { ObservedGroup, ObservedState } from '../model/observed.js';
import type { Action, Plan } from '../model/plan.js';
import { statusOf } from './failures.js';

/** @throws an Error that names every broken invariant. */
export const assertPlan = (desired: DesiredState, observed: ObservedState, plan: Plan): void => {
  const byGroup = new Map<string, Action[]>(desired.groups.map(({ id }) => [id, []]));
  for (const action of plan.actions) byGroup.get(action.group)?.push(action);
  const wills = new Map(plan.wills.map((will) => [will.group, will]));
  const faults = [
    ...wholePlan(desired, plan),
    ...desired.groups.flatMap((group) => oneGroup(desired, group, observed, byGroup.get(group.id) ?? [], wills.get(group.id))),
  ];
  if (faults.length > 0) throw new Error(`the plan breaks its invariants: ${faults.join('; ')}`);
};

const wholePlan = (desired: DesiredState, { actions, wills, verdicts }: Plan): readonly string[] => {
  const faults: string[] = [];
  const groups = desired.groups.map(({ id }) => id).join();
  if (wills.map(({ group }) => group).join() !== groups) faults.push('not exactly one will for each group');
  if (verdicts.map(({ group }) => group).join() !== groups) faults.push('not exactly one verdict for each group');
  const byId = new Map(actions.map((action) => [action.id, action]));
  if (byId.size !== actions.length) faults.push('an action id stands twice');
  for (const { id, after, because } of actions) {
    if (because === '') faults.push(`${id} has no reason`);
    for (const earlier of after) if (!byId.has(earlier)) faults.push(`${id} waits for ${earlier}, which is not planned`);
  }
  for (const { group, because } of wills) if (because === '') faults.push(`the will for ${group} has no reason`);
  if (hasCycle(byId)) faults.push('actions wait for each other in a circle');
  return faults;
};

/**
 * I-9: a fence is for the earlier holder of a group and nobody else, and only the owner of a newer epoch calls it. With
 * W as the proof it may come after the takeover; then it is for whom W alone spoke.
 */
const forbiddenFence = (desired: DesiredState, self: string, now: ObservedGroup | undefined, { node, after }: Action): string | null => {
  if (node === self) return 'fences this node itself';
  if (now === undefined) return 'fences without a lease';
  const { phase, epoch, fencing = [], unproven = null } = now.lease;
  const named = phase === 'fencing' ? fencing : phase === 'held' && desired.fencing === 'watchdog' && unproven !== null ? [unproven] : [];
  // In failsafe a member that does not answer may be confirmed off: it is asked for by this very epoch.
  if (phase === 'held' && now.lease.failsafe?.fence.some((member) => member.node === node) === true)
    return after.length > 0 ? 'waits for something' : null;
  // Without a store the holder may fence the silent other first.
  if (phase === 'held' && now.lease.withoutStore?.fence === true && now.lease.withoutStore.node === node)
    return after.length > 0 ? 'waits for something' : null;
  const target = named.find((earlier) => earlier.node === node);
  if (target === undefined) return 'fences a node that is no earlier holder';
  if (target.epoch >= epoch) return 'fences the holder of an epoch that is not older';
  if (target.proof !== null) return 'fences a node that is proven down';
  if (desired.fencing === 'none') return 'fences although the policy is none';
  return after.length > 0 ? 'waits for something' : null;
};

const oneGroup = (
  desired: DesiredState,
  group: DesiredGroup,
  observed: ObservedState,
  actions: readonly Action[],
  will: Will | undefined,
): readonly string[] => {
  const faults: string[] = [];
  const { id } = group;
  const now = observed.groups[id];
  const self = observed.nodes[observed.self];
  const begun = new Set((now?.inFlight ?? []).map(({ kind, resource }) => `${kind}/${resource}`));
  const fault = (action: Action, what: string): void => {
    faults.push(`${action.id} ${what}`);
  };
  if (will === undefined) return faults;

  const phase = now?.lease.phase ?? 'observe';
  const idle =
    now === undefined ||
    now.orders.maintenance ||
    self?.orders.maintenance ||
    phase === 'fencing-self' ||
    phase === 'releasing' ||
    phase === 'acquiring' ||
    (phase !== 'held' && now.lease.record === 'unread');
  for (const action of actions) {
    const { kind, resource: name } = action;
    const underWay = name !== null && begun.has(`${kind}/${name}`);
    if (idle) fault(action, 'is planned where nothing may be touched');
    if (kind === 'fence') {
      const why = forbiddenFence(desired, observed.self, now, action);
      if (why !== null) fault(action, why);
      continue;
    }
    if (phase !== 'held' && !underWay && !['probe', 'stop', 'demote'].includes(kind)) fault(action, 'is planned without the lease');
    if (now?.orders.frozen && phase === 'held') fault(action, 'is planned in a frozen group');
    if (name === null || underWay) continue;
    const resource = group.resources.find((one) => one.id === name);
    if (resource === undefined) {
      fault(action, 'is for a resource that does not exist');
      continue;
    }
    if (resource.operations === 'none' && kind !== 'probe') fault(action, 'is for a resource that is only watched');
    if (resource.operations === 'on-only' && kind === 'stop') fault(action, 'is for a resource that is never stopped');
    if (!resource.promotable && (kind === 'promote' || kind === 'demote')) fault(action, 'is for a resource without roles');
    if (
      kind === 'start' &&
      statusOf(resource, now?.resources[name]) === 'online' &&
      !actions.some((other) => other.kind === 'stop' && other.resource === name)
    )
      fault(action, 'starts what is online');
    if (now?.resources[name]?.stopFailed != null) fault(action, 'touches a resource whose stop failed');
  }
  faults.push(...inOrder(group, actions));

  if (will.preemptOk && !(group.takeover === 'preempt' && group.resources.every(({ fencedByEpoch }) => fencedByEpoch)))
    faults.push(`the will for ${id} allows preemption of what no epoch fences`);
  if (will.want === 'hold' && will.blockers.length > 0) faults.push(`the will for ${id} holds with blockers`);
  if (will.want === 'none' && phase === 'held') faults.push(`the will for ${id} says nothing of a lease that is held`);
  if (will.want === 'release' && phase !== 'releasing') {
    if (phase !== 'held' && phase !== 'fencing') faults.push(`the will for ${id} releases what is not held`);
    if (actions.some(({ kind }) => kind !== 'orders')) faults.push(`the will for ${id} releases before its actions are done`);
    for (const resource of group.resources) {
      const seen = now?.resources[resource.id];
      const status = statusOf(resource, seen);
      if (resource.operations === 'on-off' && status !== 'offline')
        faults.push(`the will for ${id} releases while ${resource.id} is ${status}`);
      if (resource.promotable && status === 'online' && seen?.role === 'primary')
        faults.push(`the will for ${id} releases while ${resource.id} is primary`);
    }
  }
  return faults;
};

/** Starts follow the graph, stops go against it. Only starts that are new: one under way is a fact. */
const inOrder = (group: DesiredGroup, actions: readonly Action[]): readonly string[] => {
  const faults: string[] = [];
  const byId = new Map(actions.map((action) => [action.id, action]));
  const find = (kind: Action['kind'], resource: string): Action | undefined =>
    actions.find((action) => action.kind === kind && action.resource === resource);
  for (const resource of group.resources) {
    for (const base of resource.after) {
      for (const [kind, first, second] of [
        ['start', base, resource.id],
        ['stop', resource.id, base],
      ] as const) {
        const earlier = find(kind, first);
        const later = find(kind, second);
        if (earlier === undefined || later === undefined || later.because === 'begun and not ended yet') continue;
        if (!reaches(byId, later, earlier.id)) faults.push(`${later.id} does not wait for ${earlier.id}`);
      }
    }
    const stop = find('stop', resource.id);
    const start = find('start', resource.id);
    if (stop !== undefined && start !== undefined && !reaches(byId, start, stop.id) && !reaches(byId, stop, start.id))
      faults.push(`${start.id} and ${stop.id} may run at once`);
  }
  return faults;
};

const reaches = (byId: ReadonlyMap<string, Action>, from: Action, target: string): boolean => {
  const seen = new Set<string>();
  const open = [...from.after];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === target) return true;
    if (!seen.has(id)) open.push(...(byId.get(id)?.after ?? []));
    seen.add(id);
  }
  return false;
};

const hasCycle = (byId: ReadonlyMap<string, Action>): boolean => {
  const waiting = new Map([...byId].map(([id, { after }]) => [id, after.filter((earlier) => byId.has(earlier)).length]));
  const behind = new Map<string, string[]>();
  for (const [id, { after }] of byId) for (const earlier of after) behind.set(earlier, [...(behind.get(earlier) ?? []), id]);
  const open = [...waiting].filter(([, count]) => count === 0).map(([id]) => id);
  let done = 0;
  for (let id = open.pop(); id !== undefined; id = open.pop(), done++) {
    for (const next of behind.get(id) ?? []) {
      const left = (waiting.get(next) ?? 0) - 1;
      waiting.set(next, left);
      if (left === 0) open.push(next);
    }
  }
  return done < byId.size;
};
