// Orders of a cluster without a store, told between its two guards over the heartbeat networks: each change at once, everything
// again at a slow pace and as soon as the peer is heard. What cannot be said in one frame is said without its oldest
// failovers. Invariant: nothing here waits for the peer; while it is silent each side has its own orders (SAFETY a.10).
import type { Heartbeats } from '../membership/contract.js';
import { encodeGroupOrders, encodeNodeOrders, parseGroupOrders, parseNodeOrders } from '../ownership/orders.js';
import type { Clock } from '../system/clock.js';
import type { Copy, LocalRecords } from './local-records.js';

export interface OrdersCopiesOptions {
  readonly records: LocalRecords;
  readonly heartbeats: Heartbeats;
  readonly clock: Clock;
  /** `understudy/CLUSTER/`: what every key begins with. */
  readonly prefix: string;
  readonly signal: AbortSignal;
  /** Orders of the peer were taken. */
  readonly taken: () => void;
  readonly trouble: (error: unknown) => void;
}

const AGAIN_MS = 5_000;
/** A packet may be lost. */
const TIMES = 3;
const TIMES_EVERY_MS = 30;
/** Of the body of a frame; the rest is the key and the stamp. */
const MAX_VALUE_CHARS = 560;

export const shareOrders = (options: OrdersCopiesOptions): void => {
  const { records, heartbeats, clock, signal } = options;
  const tell = (copy: Copy, left: number): void => {
    if (signal.aborted) return;
    heartbeats.send('all', wordsOf(options, copy));
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
    records.take({ key: `${options.prefix}${key}`, count, node, value }).then((taken) => taken && options.taken(), options.trouble);
  });
  const again = (): void => {
    if (signal.aborted) return;
    tellAll(1);
    clock.after(AGAIN_MS, again, { idle: true });
  };
  again();
};

const wordsOf = ({ prefix }: OrdersCopiesOptions, { key, count, node, value }: Copy) => {
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
