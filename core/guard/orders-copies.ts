// Orders of a cluster without a store, told between its two guards over the heartbeat networks: each change at once, everything
// again at a slow pace and as soon as the peer is heard. What cannot be said in one frame is said without its oldest
// failovers. Invariant: nothing here waits for the peer; while it is silent each side has its own orders (SAFETY a.10).
import { reasonOf } from '../errors/errors.js';
import type { Heartbeats } from '../membership/contract.js';
import type { NewEvent } from '../model/event.js';
import type { ArbiterView } from '../model/lease.js';
import { NO_STORE_WORDS } from '../model/no-store.js';
import type { Arbiter } from '../ownership/arbiter.js';
import { encodeGroupOrders, encodeNodeOrders, parseGroupOrders, parseNodeOrders } from '../ownership/orders.js';
import { groupOrdersKey } from '../ownership/record.js';
import type { Clock } from '../system/clock.js';
import { type Copy, LocalRecords } from './local-records.js';

export interface OrdersCopiesOptions {
  /** Nothing is told unless it is this node's own records. */
  readonly arbiter: Arbiter;
  readonly heartbeats: Heartbeats;
  readonly clock: Clock;
  readonly cluster: string;
  readonly signal: AbortSignal;
  /** Orders of the peer were taken. */
  readonly taken: () => void;
  readonly tell: (event: NewEvent) => void;
}

const AGAIN_MS = 5_000;
/** A packet may be lost. */
const TIMES = 3;
const TIMES_EVERY_MS = 30;
/** Of the body of a frame; the rest is the key and the stamp. */
const MAX_VALUE_CHARS = 560;

export const shareOrders = (options: OrdersCopiesOptions): void => {
  const { arbiter: records, heartbeats, clock, cluster, signal, taken, tell: say } = options;
  if (!(records instanceof LocalRecords)) return;
  // What every key of the cluster begins with is not told.
  const prefix = groupOrdersKey(cluster, '').replace(/\/orders$/, '');
  const failed = (error: unknown) =>
    say({ kind: 'guard.file-failed', because: `orders of the other node were not kept: ${reasonOf(error)}` });
  const tell = (copy: Copy, left: number): void => {
    if (signal.aborted) return;
    heartbeats.send('all', wordsOf(prefix, copy));
    if (left > 1) clock.after(TIMES_EVERY_MS, () => tell(copy, left - 1), { idle: true });
  };
  const tellAll = (times: number) => records.copies().forEach((copy) => tell(copy, times));
  records.onOrders((copy) => tell(copy, TIMES));
  heartbeats.onChange((change) => {
    if ((change.kind === 'peer' && change.state === 'member') || change.kind === 'boot') tellAll(TIMES);
  });
  heartbeats.onReceived(({ message }) => {
    if (message.kind !== 'copy') return;
    const { key, count, node, value } = message;
    const parsed = key.startsWith('nodes/') ? parseNodeOrders(value) : parseGroupOrders(value);
    if (parsed.kind === 'invalid') return;
    records.take({ key: `${prefix}${key}`, count, node, value }).then((news) => (news ? taken() : undefined), failed);
  });
  const again = (): void => {
    if (signal.aborted) return;
    tellAll(1);
    clock.after(AGAIN_MS, again, { idle: true });
  };
  again();
};

/** What people are shown of the store; where there is none, what that means. */
export const storeView = (view: ArbiterView, arbiter: Arbiter): ArbiterView =>
  arbiter instanceof LocalRecords ? { ...view, because: NO_STORE_WORDS.join(' '), store: 'none' } : view;

const wordsOf = (prefix: string, { key, count, node, value }: Copy) => {
  const name = key.slice(prefix.length);
  return { kind: 'copy' as const, key: name, count, node, value: name.startsWith('nodes/') ? shortNode(value) : shortGroup(value) };
};

/** Without its oldest failovers, and with shorter words, until it fits. */
const shortGroup = (value: string): string => {
  const parsed = parseGroupOrders(value);
  if (parsed.kind === 'invalid') return value;
  let text = value;
  for (let left = parsed.orders.failovers.length; text.length > MAX_VALUE_CHARS && left >= 0; left -= 1)
    text = encodeGroupOrders({ ...shortWords(parsed.orders), failovers: left === 0 ? [] : parsed.orders.failovers.slice(-left) });
  return text;
};

const shortNode = (value: string): string => {
  const parsed = parseNodeOrders(value);
  return parsed.kind === 'invalid' || value.length <= MAX_VALUE_CHARS ? value : encodeNodeOrders(shortWords(parsed.orders));
};

const shortWords = <T extends { readonly by: string; readonly why: string }>(orders: T): T => ({
  ...orders,
  by: orders.by.slice(0, 40),
  why: orders.why.slice(0, 80),
});
