// What came over a socket, judged before it is used: a message of protocol.ts, or null. Whoever sends is of this user, or has
// the cluster key; that does not make what is sent well formed (another version, a defect). Pure, never throws.
import type { NodeOrders, Will } from '../model/lease.js';
import type { OrdersRequest, ToGuard } from './protocol.js';

const MAX_NAME = 128;
const MAX_TEXT = 2000;
const MAX_LIST = 256;

type Check = (value: unknown) => boolean;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText: Check = (value) => typeof value === 'string' && value.length <= MAX_TEXT;
const isName = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= MAX_NAME;
const isFlag: Check = (value) => typeof value === 'boolean';
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isDuration: Check = (value) => typeof value === 'number' && value >= 0;
const isList = (value: unknown, check: Check): boolean => Array.isArray(value) && value.length <= MAX_LIST && value.every(check);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);

const isMove: Check = (value) =>
  isObject(value) && isName(value['id']) && isName(value['to']) && isText(value['by']) && isText(value['why']);
const isForce: Check = (value) =>
  isObject(value) && isName(value['node']) && isCount(value['epoch']) && isText(value['by']) && isText(value['why']);
const isFailover: Check = (value) =>
  isObject(value) && isCount(value['epoch']) && orNull(isName)(value['from']) && isName(value['to']) && isText(value['because']);

type GroupSet = Extract<OrdersRequest, { key: 'group' }>['set'];
const GROUP_SET: Readonly<Record<keyof Required<GroupSet>, Check>> = {
  want: (value) => value === 'online' || value === 'offline',
  move: orNull(isMove),
  frozen: isFlag,
  maintenance: isFlag,
  unwatched: isFlag,
  forced: orNull(isForce),
  clears: isCount,
  failovers: (value) => isList(value, isFailover),
  by: isText,
  why: isText,
  addClear: isFlag,
  addFailover: isFailover,
  removeMove: isName,
};
const NODE_SET: Readonly<Record<keyof NodeOrders, Check>> = { standby: isFlag, maintenance: isFlag, by: isText, why: isText };

const isSet = (value: unknown, checks: Readonly<Record<string, Check>>): boolean =>
  isObject(value) && Object.entries(value).every(([key, member]) => Object.hasOwn(checks, key) && checks[key]!(member));

/** A change of orders, from the controller or forwarded by another node's; null when it is none. */
export const ordersRequest = (value: unknown): OrdersRequest | null => {
  if (!isObject(value)) return null;
  const good =
    value['key'] === 'group'
      ? isName(value['group']) && isSet(value['set'], GROUP_SET)
      : value['key'] === 'node' && isName(value['node']) && isSet(value['set'], NODE_SET);
  return good ? (value as unknown as OrdersRequest) : null;
};

const isWill = (value: unknown): value is Will =>
  isObject(value) &&
  isName(value['group']) &&
  (value['want'] === 'hold' || value['want'] === 'release' || value['want'] === 'none') &&
  Number.isSafeInteger(value['rank']) &&
  isList(value['blockers'], (blocker) => typeof blocker === 'string') &&
  isFlag(value['preemptOk']) &&
  orNull(isName)(value['successor']) &&
  typeof value['because'] === 'string';

const READ: Readonly<Record<ToGuard['t'], (value: Readonly<Record<string, unknown>>) => boolean>> = {
  hello: ({ role, pid, startTime }) =>
    (role === 'controller' || role === 'reader' || role === 'mirror') && Number.isSafeInteger(pid) && isText(startTime),
  wills: ({ wills, loopLagMs, saidMs }) => isList(wills, isWill) && isDuration(loopLagMs) && isDuration(saidMs),
  fenced: ({ group, node, bootId, forEpoch, evidence }) =>
    isName(group) && isName(node) && isName(bootId) && isCount(forEpoch) && isText(evidence),
  // Its request is judged apart: a wrong one is answered.
  orders: ({ id, request }) => isCount(id) && isObject(request),
  'in-sync': ({ id, group, change, peer, bootId, epoch, generation, limitMs }) =>
    isCount(id) &&
    isName(group) &&
    (change === 'add' || change === 'remove') &&
    isName(peer) &&
    orNull(isName)(bootId) &&
    isCount(epoch) &&
    isText(generation) &&
    isDuration(limitMs),
  'higher-epoch': ({ group, epoch, because }) => isName(group) && isCount(epoch) && isText(because),
  ended: ({ id }) => isCount(id),
  restore: ({ id, group, epoch, why }) => isCount(id) && isName(group) && orNull(isCount)(epoch) && isText(why),
  leave: ({ forMs }) => isDuration(forMs),
  'view?': () => true,
};

/** A message to the guard; null when it is none. Its groups may still be unknown to the guard. */
export const messageToGuard = (value: unknown): ToGuard | null => {
  if (!isObject(value) || typeof value['t'] !== 'string' || !Object.hasOwn(READ, value['t'])) return null;
  return READ[value['t'] as ToGuard['t']](value) ? (value as unknown as ToGuard) : null;
};
