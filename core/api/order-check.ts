// Whether an order may be given, before anything is written: names that exist, a state in which it means something, a target
// that is ready. Pure. Each refusal says what was asked, why not, and what to do next.
import { didYouMean } from '../config/nearest.js';
import { UnderstudyError } from '../errors/errors.js';
import type { DesiredGroup, DesiredState } from '../model/desired.js';
import type { BootId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { OrdersRequest } from '../guard/protocol.js';
import type { GroupOrders } from '../model/lease.js';
import type { LastCycle } from '../scheduler/cycle.js';
import { activeOf, blockersOn } from './status-view.js';
import { type OrderRequest, VERBS, type Verb } from './views.js';

/** An order that may be given: what to write, and what done looks like. */
export interface CheckedOrder {
  readonly verb: Verb;
  /** The groups whose story it is; for a node order those that run there. */
  readonly groups: readonly DesiredGroup[];
  readonly node: NodeId | null;
  readonly from: NodeId | null;
  readonly to: NodeId | null;
  readonly requests: readonly OrdersRequest[];
  /** For this node's own guard alone: whose end an operator vouches for. */
  readonly fenced: readonly { readonly group: GroupId; readonly node: NodeId; readonly bootId: BootId; readonly forEpoch: Epoch }[];
  readonly incident: string | null;
  /** Set when there is nothing to do: the answer. */
  readonly already: string | null;
}

export interface OrderNames {
  readonly by: string;
  readonly why: string;
  /** A new id for a planned move. */
  readonly moveId: string;
}

/** Throws USAGE, NOT_FOUND or REFUSED. */
export const checkOrder = (order: OrderRequest, last: LastCycle, { by, why, moveId }: OrderNames): CheckedOrder => {
  const verb = verbOf(order.verb);
  const base = { verb, node: null, from: null, to: null, incident: null, already: null, fenced: [] };
  const groupOrder = (group: DesiredGroup, set: Extract<OrdersRequest, { key: 'group' }>['set']): OrdersRequest => ({
    key: 'group',
    group: group.id,
    set: { ...set, by, why },
  });
  if (
    verb === 'standby' ||
    verb === 'unstandby' ||
    ((verb === 'maintenance-on' || verb === 'maintenance-off') && order.group === undefined)
  ) {
    const own = order.node === 'self' && !last.desired.nodes.includes('self');
    const node = own ? last.observed.self : nodeOf(order.node, verb, last.desired);
    const set = verb === 'standby' || verb === 'unstandby' ? { standby: verb === 'standby' } : { maintenance: verb === 'maintenance-on' };
    const groups = last.desired.groups.filter((group) => activeOf(last.observed.groups[group.id]!.lease, last.observed.self) === node);
    return { ...base, node, groups, requests: [{ key: 'node', node, set: { ...set, by, why } }] };
  }
  if (verb === 'fence-confirm' || verb === 'fence') assertMeant(order);
  if (verb === 'fence') return { ...base, ...checkFence(nodeOf(order.node, 'fence', last.desired), order.force === true, last) };
  if (verb === 'fence-confirm') return { ...base, ...checkConfirmed(nodeOf(order.node, 'fence confirm', last.desired), last) };
  if (verb === 'clear') {
    const groups = order.group === undefined ? last.desired.groups : [groupOf(order.group, verb, last.desired)];
    return { ...base, groups, requests: groups.map((group) => groupOrder(group, { addClear: true })) };
  }
  const group = groupOf(order.group, verb, last.desired);
  const one = { ...base, groups: [group] };
  switch (verb) {
    case 'switchover':
      return { ...one, ...checkMove(group, order.to, last, { by, why, moveId }, (set) => groupOrder(group, set)) };
    case 'start':
      return {
        ...one,
        requests: [
          groupOrder(group, { want: 'online', ...(order.acceptDataLoss === true ? forcedCopy(group, order, last, by, why) : {}) }),
        ],
        fenced: order.force === true ? checkForced(group, order, last) : [],
      };
    case 'stop':
      return { ...one, requests: [groupOrder(group, { want: 'offline' })] };
    case 'arbiter-restore':
      assertRestoreMeant(order, group);
      return { ...one, requests: [] };
    case 'freeze':
    case 'unfreeze':
      return { ...one, requests: [groupOrder(group, { frozen: verb === 'freeze' })] };
    case 'maintenance-on':
    case 'maintenance-off':
      return { ...one, requests: [groupOrder(group, maintenanceOf(order))] };
  }
};

const maintenanceOf = ({ verb, unwatched = false }: OrderRequest): { maintenance: boolean; unwatched: boolean } => {
  const maintenance = verb === 'maintenance-on';
  return { maintenance, unwatched: maintenance && unwatched };
};

/** What can make two nodes active is never said in passing: the name is typed once more, and somebody gives a reason. */
const assertMeant = ({ verb, node, confirm, why, by }: OrderRequest): void => {
  const missing =
    confirm !== node ? 'the same name in "confirm"' : why === undefined ? 'a reason in "why"' : by === undefined ? 'a name in "by"' : null;
  if (missing !== null)
    throw new UnderstudyError('USAGE', `${verb === 'fence' ? 'fence' : 'fence confirm'} needs ${missing}`, {
      hint:
        verb === 'fence'
          ? 'Run: understudy fence NODE --power-off NODE --why "what for"'
          : 'Run: understudy fence confirm NODE --i-have-verified-it-is-off --why "how it was seen"',
    });
};

/**
 * An operator wants a node off. Whoever is heard and holds a group is its only holder by the record: to power it off is an
 * outage, not a rescue, so that must be said twice. Evidence goes to every group that waits for this very boot, or will.
 */
const checkFence = (
  node: NodeId,
  force: boolean,
  { desired, observed }: LastCycle,
): Pick<CheckedOrder, 'node' | 'groups' | 'requests' | 'fenced'> => {
  const refuse = (why: string, hint: string) => new UnderstudyError('REFUSED', `${node} is not fenced: ${why}`, { hint });
  if (node === observed.self) throw refuse('it is this node', 'Ask another node.');
  const leases = desired.groups.map((group) => ({ group, lease: observed.groups[group.id]!.lease }));
  const runs = leases.filter(({ lease }) => lease.holder === node && lease.record === 'held').map(({ group }) => group.id);
  if (!force && runs.length > 0 && observed.nodes[node]?.state === 'member')
    throw refuse(`it is heard and holds ${runs.join(', ')}`, `Move its groups away first: understudy standby ${node}. Or say --force.`);
  const fenced = leases.flatMap(({ group, lease: { holder, holderBootId, epoch, fencing = [], withoutStore = null } }) => [
    ...(withoutStore?.node === node ? [{ group: group.id, node, bootId: withoutStore.bootId, forEpoch: withoutStore.epoch }] : []),
    ...(holder === node && holderBootId != null ? [{ group: group.id, node, bootId: holderBootId, forEpoch: epoch }] : []),
    ...fencing
      .filter((earlier) => earlier.node === node && earlier.proof === null)
      .map((earlier) => ({ group: group.id, node, bootId: earlier.bootId, forEpoch: earlier.epoch })),
  ]);
  return { node, groups: [], requests: [], fenced };
};

/** An operator saw that a node is off. That is proof for exactly the epochs that its last boot holds, and only where it is silent. */
const checkConfirmed = (
  node: NodeId,
  { desired, observed }: LastCycle,
): Pick<CheckedOrder, 'node' | 'groups' | 'requests' | 'fenced' | 'already'> => {
  const refuse = (why: string, hint: string) => new UnderstudyError('REFUSED', `${node} is not taken as off: ${why}`, { hint });
  if (node === observed.self) throw refuse('it is this node', 'Ask the node that shall take over.');
  if (observed.nodes[node]?.state === 'member')
    throw refuse('its heartbeats are heard', `To move its groups away in order: understudy standby ${node}`);
  const held = desired.groups.flatMap((group) => {
    const { holder, holderBootId, epoch, fencing = [], withoutStore = null } = observed.groups[group.id]!.lease;
    const waited = fencing.find((earlier) => earlier.node === node && earlier.proof === null);
    const other = withoutStore?.node === node ? withoutStore : undefined;
    const named = holder === node && holderBootId != null ? { bootId: holderBootId, epoch } : (waited ?? other);
    return named === undefined ? [] : [{ group, fenced: { group: group.id, node, bootId: named.bootId, forEpoch: named.epoch } }];
  });
  const already = held.length > 0 ? null : `${node} holds no group as far as the lease records say, and none waits for its end`;
  return { node, groups: held.map(({ group }) => group), requests: [], fenced: held.map(({ fenced }) => fenced), already };
};

/** The record decides who may run the group: nobody writes it in passing. */
const assertRestoreMeant = ({ confirm, why, by }: OrderRequest, { id }: DesiredGroup): void => {
  if (confirm === id && why !== undefined && by !== undefined) return;
  throw new UnderstudyError('USAGE', 'arbiter restore needs the name of the group once more, and a reason', {
    hint: `Run: understudy arbiter restore ${id} --confirm ${id} --why "how the record was lost"`,
  });
};

/** An operator vouches that the other of two nodes without a store is off: its proven end, said by a person. */
const checkForced = (group: DesiredGroup, { confirm, why, by }: OrderRequest, { observed }: LastCycle): CheckedOrder['fenced'] => {
  const refuse = (because: string, hint: string) =>
    new UnderstudyError('REFUSED', `${group.id} is not forced online: ${because}`, { hint });
  if (confirm !== group.id || why === undefined || by === undefined)
    throw new UnderstudyError('USAGE', 'start --force-no-arbiter needs the name of the group once more, and a reason', {
      hint: 'Run: understudy start GROUP --force-no-arbiter GROUP --why "how the other node was seen to be off"',
    });
  const { withoutStore = null } = observed.groups[group.id]!.lease;
  if (withoutStore === null) throw refuse('this cluster has a store', 'The lease record decides: see understudy status.');
  const { node, bootId, epoch } = withoutStore;
  if (observed.nodes[node]?.state === 'member')
    throw refuse(
      `${node} is heard, and its consent is enough`,
      `See understudy status. To move the group: understudy switchover ${group.id}`,
    );
  return [{ group: group.id, node, bootId, forEpoch: epoch }];
};

/** An operator uses a copy that may lack what only others had. Bound to the record as it stands: nothing else is decided by it later. */
const forcedCopy = (
  group: DesiredGroup,
  { confirm, why, by, node: named }: OrderRequest,
  { desired, observed }: LastCycle,
  orderer: string,
  reason: string,
): Pick<GroupOrders, 'forced'> => {
  const refuse = (because: string, hint: string) =>
    new UnderstudyError('REFUSED', `${group.id} is not forced online: ${because}`, { hint });
  if (confirm !== group.id || why === undefined || by === undefined)
    throw new UnderstudyError('USAGE', 'start --force --accept-data-loss needs the name of the group once more, and a reason', {
      hint: 'Run: understudy start GROUP --force --accept-data-loss GROUP --why "why the other copy is not waited for"',
    });
  const node = named === undefined || named === 'self' ? observed.self : nodeOf(named, 'start', desired);
  if (!group.prefer.includes(node)) throw refuse(`${node} is not among its nodes (${group.prefer.join(', ')})`, 'Say: --on NODE.');
  const { lease } = observed.groups[group.id]!;
  if (lease.mirror == null) throw refuse('it has no mirror, so there is no copy that could be behind', `Run: understudy start ${group.id}`);
  if (lease.record === 'unread' || lease.record === 'absent')
    throw refuse('its lease record is not known here', 'See understudy status: the arbiter must answer first.');
  const active = activeOf(lease, observed.self);
  if (active !== null && (active === observed.self || observed.nodes[active]?.state === 'member'))
    throw refuse(`it runs on ${active}`, `To move it in order, without loss: understudy switchover ${group.id}`);
  if (node === observed.self && lease.mirror.lacks === null)
    throw refuse(`the copy of ${node} may be used as it is`, `Without loss: understudy start ${group.id}`);
  return { forced: { node, epoch: lease.epoch, by: orderer, why: reason } };
};

const checkMove = (
  group: DesiredGroup,
  wanted: string | undefined,
  { desired, observed, plan }: LastCycle,
  { by, why: because, moveId }: OrderNames,
  request: (set: Extract<OrdersRequest, { key: 'group' }>['set']) => OrdersRequest,
): Pick<CheckedOrder, 'from' | 'to' | 'requests' | 'incident' | 'already'> => {
  const now = observed.groups[group.id]!;
  const from = activeOf(now.lease, observed.self);
  const refuse = (why: string, hint: string) => new UnderstudyError('REFUSED', `${group.id} is not moved: ${why}`, { hint });
  if (from === null)
    throw refuse(
      now.orders.want === 'offline' ? 'it is ordered offline' : 'it runs nowhere',
      `Start it with: understudy start ${group.id}`,
    );
  if (wanted !== undefined) nodeOf(wanted, 'switchover', desired);
  if (wanted !== undefined && !group.prefer.includes(wanted))
    throw refuse(`${wanted} is not among its nodes (${group.prefer.join(', ')})`, `Add it to prefer of ${group.id}.`);
  if (wanted === from) return { from, to: from, requests: [], incident: null, already: `${group.id} is on ${from} already` };
  if (now.orders.maintenance) throw refuse('it is in maintenance', `End that with: understudy maintenance off ${group.id}`);
  if (now.orders.frozen) throw refuse('it is frozen', `End that with: understudy unfreeze ${group.id}`);
  if (now.orders.want === 'offline') throw refuse('it is ordered offline', `Start it with: understudy start ${group.id}`);
  const candidates = wanted === undefined ? group.prefer.filter((id) => id !== from) : [wanted];
  const judged = candidates.map((id) => ({ id, blockers: blockersOn(group.id, id, observed, plan) }));
  const to = judged.find(({ blockers }) => blockers.length === 0)?.id;
  if (to === undefined) {
    const why =
      judged.length === 0
        ? 'it has no other node'
        : judged.map(({ id, blockers }) => `${id} is not ready: ${blockers.join(', ')}`).join('; ');
    throw refuse(why, 'See understudy status; a move to a node that is not ready would be an outage.');
  }
  return { from, to, requests: [request({ move: { id: moveId, to, by, why: because } })], incident: moveId, already: null };
};

const verbOf = (word: string): Verb => {
  const verb = VERBS.find((one) => one === word);
  if (verb === undefined)
    throw new UnderstudyError('USAGE', `there is no order "${word}"; ${didYouMean(word, VERBS) ?? `there are: ${VERBS.join(', ')}`}`);
  return verb;
};

const groupOf = (name: string | undefined, verb: string, { groups }: DesiredState): DesiredGroup => {
  const names = groups.map(({ id }) => id);
  if (name === undefined) throw new UnderstudyError('USAGE', `${verb} needs a group; there are: ${names.join(', ')}`);
  const found = groups.find(({ id }) => id === name);
  if (found === undefined)
    throw new UnderstudyError('NOT_FOUND', `there is no group "${name}"; ${didYouMean(name, names) ?? `there are: ${names.join(', ')}`}`);
  return found;
};

/** The group of that name. Throws NOT_FOUND with the nearest name. */
export const findGroup = (name: string | undefined, desired: DesiredState): DesiredGroup => groupOf(name, 'this', desired);

const nodeOf = (name: string | undefined, verb: string, { nodes }: DesiredState): NodeId => {
  if (name === undefined) throw new UnderstudyError('USAGE', `${verb} needs a node; there are: ${nodes.join(', ')}`);
  if (!nodes.includes(name))
    throw new UnderstudyError('NOT_FOUND', `there is no node "${name}"; ${didYouMean(name, nodes) ?? `there are: ${nodes.join(', ')}`}`);
  return name;
};
