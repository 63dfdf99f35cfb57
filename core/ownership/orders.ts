// Orders records (SAFETY a.4): what operators want of a group and of a node, as text in the store, and how a request changes
// them. Read strictly; what cannot be read stops acquisition, it never becomes a default. Pure.
import { type FailoverEntry, type GroupOrders, NO_GROUP_ORDERS, NO_NODE_ORDERS, type NodeOrders } from '../model/lease.js';

export type Parsed<T> = { readonly kind: 'orders'; readonly orders: T } | { readonly kind: 'invalid'; readonly because: string };

/** Failovers kept in the record, newest last. */
export const MAX_FAILOVERS = 16;

/** A change to a group's orders: members to replace, and three that depend on what is there. */
export type GroupOrdersChange = Partial<GroupOrders> & {
  readonly addClear?: boolean;
  readonly addFailover?: FailoverEntry;
  /** Removes the move of this id and no other. */
  readonly removeMove?: string;
};

/** Applying the same change twice is harmless except for `addClear`, which only counts up. */
export const changeGroupOrders = (orders: GroupOrders, change: GroupOrdersChange): GroupOrders => {
  const { addClear = false, addFailover, removeMove, ...set } = change;
  const next = { ...orders, ...set };
  const known = addFailover === undefined || next.failovers.some(({ epoch }) => epoch === addFailover.epoch);
  return {
    ...next,
    move: next.move !== null && next.move.id === removeMove ? null : next.move,
    clears: next.clears + (addClear ? 1 : 0),
    failovers: (known ? next.failovers : [...next.failovers, addFailover]).slice(-MAX_FAILOVERS),
  };
};

export const encodeGroupOrders = (orders: GroupOrders): string => JSON.stringify({ v: 1, ...orders });
export const encodeNodeOrders = (orders: NodeOrders): string => JSON.stringify({ v: 1, ...orders });

/** null (no record) is the default orders. */
export const parseGroupOrders = (text: string | null): Parsed<GroupOrders> => (text === null ? ok(NO_GROUP_ORDERS) : parsed(text, GROUP));
export const parseNodeOrders = (text: string | null): Parsed<NodeOrders> => (text === null ? ok(NO_NODE_ORDERS) : parsed(text, NODE));

type Checks<T> = { readonly [Key in keyof T]-?: (value: unknown) => boolean };

const ok = <T>(orders: T): Parsed<T> => ({ kind: 'orders', orders });

const parsed = <T extends object>(text: string, checks: Checks<T>): Parsed<T> => {
  const value = parseJson(text);
  if (!isObject(value) || value['v'] !== 1) return { kind: 'invalid', because: 'an orders record is not a JSON object of version 1' };
  const { v: _version, ...orders } = value;
  const wrong = (Object.keys(checks) as (keyof T & string)[]).find((key) => !checks[key](orders[key]));
  if (wrong !== undefined) return { kind: 'invalid', because: `an orders record has a \`${wrong}\` that cannot be used` };
  // Every member of T was checked; what a newer version added is dropped.
  return ok(Object.fromEntries(Object.keys(checks).flatMap((key) => (orders[key] === undefined ? [] : [[key, orders[key]]]))) as T);
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not JSON: the caller says so.
    return undefined;
  }
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isFlag = (value: unknown): boolean => typeof value === 'boolean';
const isText = (value: unknown): boolean => typeof value === 'string';
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isMove = (value: unknown): boolean =>
  value === null || (isObject(value) && ['id', 'to', 'by', 'why'].every((key) => isText(value[key])));
const isForce = (value: unknown): boolean =>
  value === null || (isObject(value) && isText(value['node']) && isCount(value['epoch']) && isText(value['by']) && isText(value['why']));
const isFailover = (value: unknown): boolean =>
  isObject(value) &&
  isCount(value['epoch']) &&
  (value['from'] === null || isText(value['from'])) &&
  isText(value['to']) &&
  isText(value['because']);

const GROUP: Checks<GroupOrders> = {
  want: (value) => value === 'online' || value === 'offline',
  move: isMove,
  frozen: isFlag,
  maintenance: isFlag,
  unwatched: (value) => value === undefined || isFlag(value),
  forced: (value) => value === undefined || isForce(value),
  clears: isCount,
  failovers: (value) => Array.isArray(value) && value.length <= MAX_FAILOVERS && value.every(isFailover),
  by: isText,
  why: isText,
};

const NODE: Checks<NodeOrders> = { standby: isFlag, maintenance: isFlag, by: isText, why: isText };
