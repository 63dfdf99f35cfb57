import test from 'ava';
import { messageToGuard, ordersRequest } from '../../core/guard/read-message.js';
import { linkMessage } from '../../core/link/messages.js';

const will = { group: 'db', want: 'hold', rank: 0, blockers: [], preemptOk: false, successor: null, because: 'x' };
const failover = { epoch: 3, from: null, to: 'b', because: 'x' };
const good: unknown[] = [
  { t: 'hello', role: 'controller', pid: 7, startTime: '5' },
  { t: 'wills', wills: [will], loopLagMs: 0.5, saidMs: 1000.5 },
  { t: 'fenced', group: 'db', node: 'b', bootId: 'boot', forEpoch: 3, evidence: 'seen' },
  { t: 'orders', id: 1, request: {} },
  { t: 'leave', forMs: 1000 },
  { t: 'view?' },
];
for (const message of good)
  test(`to the guard: ${JSON.stringify(message)} is read`, (t) => t.is(messageToGuard(message), message as never));

const bad: unknown[] = [
  null,
  7,
  'view?',
  [],
  {},
  { t: 'toString' },
  { t: '__proto__' },
  { t: 'hello', role: 'root', pid: 7, startTime: '5' },
  { t: 'hello', role: 'controller', pid: '7', startTime: '5' },
  { t: 'wills', wills: {}, loopLagMs: 0, saidMs: 0 },
  { t: 'wills', wills: [{ ...will, blockers: [1] }], loopLagMs: 0, saidMs: 0 },
  { t: 'wills', wills: Array.from({ length: 300 }, () => will), loopLagMs: 0, saidMs: 0 },
  { t: 'wills', wills: [will], loopLagMs: null, saidMs: 0 },
  { t: 'wills', wills: [will], loopLagMs: 0 },
  { t: 'fenced', group: 'db', node: 'b', forEpoch: 3, evidence: 'seen' },
  { t: 'fenced', group: 'db', node: 'b', bootId: 'boot', forEpoch: -1, evidence: 'seen' },
  { t: 'fenced', group: 'db', node: { toString: 1 }, bootId: 'boot', forEpoch: 3, evidence: 'seen' },
  { t: 'orders', id: 1 },
  { t: 'leave', forMs: 'long' },
];
for (const [index, message] of bad.entries())
  test(`to the guard: ${index}, ${JSON.stringify(message)?.slice(0, 120)}, is no message`, (t) => t.is(messageToGuard(message), null));

const orders: [request: unknown, good: boolean][] = [
  [{ key: 'group', group: 'db', set: { frozen: true, by: 'kim', why: 'x' } }, true],
  [{ key: 'group', group: 'db', set: { addClear: true } }, true],
  [{ key: 'group', group: 'db', set: { addFailover: failover } }, true],
  [{ key: 'group', group: 'db', set: { move: { id: 'm', to: 'b', by: 'kim', why: 'x' } } }, true],
  [{ key: 'node', node: 'a', set: { standby: true } }, true],
  [{ key: 'group', group: 'db' }, false],
  [{ key: 'group', group: 'db', set: null }, false],
  [{ key: 'group', group: 'db', set: [] }, false],
  [{ key: 'group', group: 'db', set: { failovers: 'none' } }, false],
  [{ key: 'group', group: 'db', set: { addFailover: null } }, false],
  [{ key: 'group', group: 'db', set: { toString: true } }, false],
  [{ key: 'group', group: 'db', set: { epoch: 9 } }, false],
  [{ key: 'group', group: '', set: {} }, false],
  [{ key: 'node', node: 'a', set: { standby: 'yes' } }, false],
  [{ key: 'node', node: 'x'.repeat(200), set: {} }, false],
  [{ key: 'lease', group: 'db', set: {} }, false],
];
for (const [request, is] of orders)
  test(`orders: ${JSON.stringify(request).slice(0, 100)} is ${is ? 'a change' : 'none'}, also when forwarded by a peer`, (t) => {
    t.is(ordersRequest(request) !== null, is);
    t.is(linkMessage({ t: 'order', id: '1', request }) !== null, is);
  });
