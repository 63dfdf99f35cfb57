// Writes orders for the controller (SAFETY a.4): read, apply, CAS; on a conflict read and apply again, five times at most.
// A CAS without an answer is settled by reading: what stands there is either what was written, or the base of another try.
import type { GroupOrders, NodeOrders } from '../model/lease.js';
import type { Arbiter, CasResult, Versioned } from '../ownership/arbiter.js';
import { changeGroupOrders, encodeGroupOrders, encodeNodeOrders, parseGroupOrders, parseNodeOrders } from '../ownership/orders.js';
import { groupOrdersKey, nodeOrdersKey } from '../ownership/record.js';
import type { Clock } from '../system/clock.js';
import { inTime } from './deadline.js';
import type { OrdersRequest } from './protocol.js';

export type OrdersAnswer =
  | { readonly ok: true; readonly value: GroupOrders | NodeOrders }
  | { readonly ok: false; readonly code: 'ARBITER_UNREACHABLE' | 'ARBITER_REFUSED' | 'REFUSED'; readonly message: string };

export interface OrdersDeskOptions {
  readonly arbiter: Arbiter;
  readonly clock: Clock;
  readonly cluster: string;
  readonly attemptMs: number;
}

const TRIES = 5;

/** Never rejects; ends within ten attempts. */
export const changeOrders = async (
  { arbiter, clock, cluster, attemptMs }: OrdersDeskOptions,
  request: OrdersRequest,
): Promise<OrdersAnswer> => {
  const key = request.key === 'group' ? groupOrdersKey(cluster, request.group) : nodeOrdersKey(cluster, request.node);
  const what = `changing the orders of ${request.key} ${request.key === 'group' ? request.group : request.node}`;
  let sent: string | null = null;
  let last: { readonly refused: boolean; readonly because: string } = {
    refused: false,
    because: 'others kept changing them at the same time',
  };
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const read = await inTime(clock, attemptMs, (signal) => arbiter.read([key], signal));
    if (read.kind === 'none') {
      last = read;
      continue;
    }
    const current: Versioned | null = read.value[0] ?? null;
    const next = applied(request, current?.value ?? null);
    if ('invalid' in next) return { ok: false, code: 'REFUSED', message: `${what} failed: ${next.invalid}` };
    if (sent !== null && current?.value === sent) return { ok: true, value: valueOf(request, sent) };
    const text = next.text;
    const cas = await inTime<CasResult>(clock, attemptMs, (signal) => arbiter.cas(key, current?.version ?? null, text, signal));
    if (cas.kind === 'answer' && cas.value.outcome === 'done') return { ok: true, value: next.value };
    // Only what may have landed is looked for: a conflict is an answer.
    sent = cas.kind === 'none' ? text : null;
    if (cas.kind === 'none') last = cas;
  }
  return {
    ok: false,
    code: last.refused ? 'ARBITER_REFUSED' : 'ARBITER_UNREACHABLE',
    message: `${what} failed ${TRIES} times: ${last.because}`,
  };
};

const applied = (
  request: OrdersRequest,
  text: string | null,
): { readonly text: string; readonly value: GroupOrders | NodeOrders } | { readonly invalid: string } => {
  if (request.key === 'group') {
    const parsed = parseGroupOrders(text);
    if (parsed.kind === 'invalid') return { invalid: parsed.because };
    const value = changeGroupOrders(parsed.orders, request.set);
    const encoded = encodeGroupOrders(value);
    return parseGroupOrders(encoded).kind === 'orders'
      ? { text: encoded, value }
      : { invalid: 'the change would make orders that cannot be read' };
  }
  const parsed = parseNodeOrders(text);
  if (parsed.kind === 'invalid') return { invalid: parsed.because };
  const value: NodeOrders = { ...parsed.orders, ...request.set };
  const encoded = encodeNodeOrders(value);
  return parseNodeOrders(encoded).kind === 'orders'
    ? { text: encoded, value }
    : { invalid: 'the change would make orders that cannot be read' };
};

const valueOf = (request: OrdersRequest, text: string): GroupOrders | NodeOrders => {
  const parsed = request.key === 'group' ? parseGroupOrders(text) : parseNodeOrders(text);
  if (parsed.kind === 'invalid') throw new Error(`own orders cannot be read back: ${parsed.because}`);
  return parsed.orders;
};
