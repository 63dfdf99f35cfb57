// What stands in the store and on the page is read strictly: a wrong value is never a default.
import test from 'ava';
import fc from 'fast-check';
import { NO_GROUP_ORDERS, NO_NODE_ORDERS } from '../../core/model/lease.js';
import { leftoverOf } from '../../core/ownership/adoption.js';
import { changeGroupOrders, encodeGroupOrders, encodeNodeOrders, parseGroupOrders, parseNodeOrders } from '../../core/ownership/orders.js';
import type { LeasePage } from '../../core/ownership/page.js';
import { encodeRecord, parseRecord } from '../../core/ownership/record-codec.js';
import type { LeaseRecord } from '../../core/ownership/record.js';
import { LAN } from '../support/lease-world.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 200);
const record: LeaseRecord = {
  v: 1,
  epoch: 7,
  holder: 'b',
  bootId: 'b1',
  nonce: 'n',
  seq: 70,
  state: 'HELD',
  fencing: [],
  ttlW: 3_000,
  d: 1_250,
  members: [{ id: 'a', bootId: '' }],
  inSync: [{ id: 'a', bootId: 'a1' }],
  successor: null,
  watchdog: true,
  reason: '',
  prevHolder: null,
  cfgHash: 'cfg',
};

test('record: what was written is what is read', (t) => t.deepEqual(parseRecord(encodeRecord(record)), { kind: 'record', record }));

test('record: without the list of earlier holders it is read as an empty one, and an empty one is not written', (t) => {
  t.false(encodeRecord(record).includes('fencing'));
  const waiting = { ...record, state: 'FENCING' as const, fencing: [{ node: 'b', bootId: 'b1', epoch: 6 }] };
  t.deepEqual(parseRecord(encodeRecord(waiting)), { kind: 'record', record: waiting });
});

const wrong: [title: string, text: string, because: RegExp][] = [
  ['no JSON', '{', /not a JSON object/],
  ['a list', '[]', /not a JSON object/],
  ['a newer version', JSON.stringify({ ...record, v: 2 }), /version 2/],
  ['a negative epoch', JSON.stringify({ ...record, epoch: -1 }), /`epoch` is -1/],
  ['a fraction as seq', JSON.stringify({ ...record, seq: 1.5 }), /`seq` is 1.5/],
  ['an epoch beyond exact numbers', JSON.stringify(record).replace('"epoch":7', '"epoch":9007199254740993'), /`epoch`/],
  ['a missing nonce', JSON.stringify({ ...record, nonce: undefined }), /`nonce` is missing/],
  ['a state of its own', JSON.stringify({ ...record, state: 'MINE' }), /`state` is "MINE"/],
  ['a member twice', JSON.stringify({ ...record, members: [...record.members, ...record.members] }), /`members`/],
  ['a stranger’s key', JSON.stringify({ ...record, extra: 1 }), /unknown member `extra`/],
  ['W not above D', JSON.stringify({ ...record, ttlW: 1_250 }), /not longer than/],
  ['HELD by nobody', JSON.stringify({ ...record, holder: null }), /HELD by nobody/],
  ['FENCING by nobody', JSON.stringify({ ...record, state: 'FENCING', holder: null }), /FENCING by nobody/],
  [
    'HELD with a proof outstanding',
    JSON.stringify({ ...record, fencing: [{ node: 'b', bootId: 'b1', epoch: 6 }] }),
    /b must be proven down/,
  ],
  ['an earlier holder without a boot', JSON.stringify({ ...record, state: 'FENCING', fencing: [{ node: 'b', epoch: 6 }] }), /`fencing`/],
  ['far too long', ' '.repeat(70_000), /characters long/],
];
for (const [title, text, because] of wrong) {
  test(`record with ${title}: invalid, and it says why`, (t) => {
    const parsed = parseRecord(text);
    t.is(parsed.kind, 'invalid');
    if (parsed.kind === 'invalid') t.regex(parsed.because, because);
  });
}

test('record and orders: no text whatever makes a parser throw', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      parseRecord(text);
      parseGroupOrders(text);
      parseNodeOrders(text);
    }),
    { numRuns },
  );
  t.pass();
});

test('orders: round trip, defaults where there is no record, and no defaults where it is broken', (t) => {
  const orders = { ...NO_GROUP_ORDERS, frozen: true, move: { id: '1', to: 'b', by: 'me', why: 'test' } };
  t.deepEqual(parseGroupOrders(encodeGroupOrders(orders)), { kind: 'orders', orders });
  t.deepEqual(parseNodeOrders(encodeNodeOrders({ ...NO_NODE_ORDERS, standby: true })), {
    kind: 'orders',
    orders: { ...NO_NODE_ORDERS, standby: true },
  });
  t.deepEqual(parseGroupOrders(null), { kind: 'orders', orders: NO_GROUP_ORDERS });
  t.is(parseGroupOrders('{"v":1,"want":"perhaps"}').kind, 'invalid');
  t.is(parseNodeOrders('').kind, 'invalid');
});

test('orders: changes', (t) => {
  const failover = (epoch: number) => ({ epoch, from: 'a', to: 'b', because: 'x' });
  t.is(changeGroupOrders(NO_GROUP_ORDERS, { addClear: true }).clears, 1);
  const moving = changeGroupOrders(NO_GROUP_ORDERS, { move: { id: '1', to: 'b', by: 'me', why: '' } });
  t.not(changeGroupOrders(moving, { removeMove: '2' }).move, null);
  t.is(changeGroupOrders(moving, { removeMove: '1' }).move, null);
  let many = NO_GROUP_ORDERS;
  for (let epoch = 1; epoch <= 20; epoch += 1)
    many = changeGroupOrders(changeGroupOrders(many, { addFailover: failover(epoch) }), { addFailover: failover(epoch) });
  t.deepEqual(
    many.failovers.map(({ epoch }) => epoch),
    Array.from({ length: 16 }, (_, index) => index + 5),
  );
});

const page = (change: Partial<LeasePage> = {}): LeasePage => ({
  epoch: 4,
  state: 'HELD',
  deadlineMonoNs: 5_000_000_000n,
  deadlineBootMs: 5_000,
  bootOffsetMs: 0,
  bootId: 'a1',
  nonce: 'n',
  inSync: [],
  ...change,
});
const remains = { phase: null, bootId: 'a1', leashFired: false, verifiedEmpty: false, nowMs: 4_000, offsetMs: 0, timing: LAN };
const leftovers: [title: string, change: Partial<Parameters<typeof leftoverOf>[0]>, expected: object][] = [
  ['nothing at all', { page: null, verifiedEmpty: true }, { kind: 'nothing', stoppedEpoch: 0 }],
  ['no page, but something runs', { page: null }, { kind: 'fence', epoch: 0 }],
  ['a page of another boot', { page: page({ bootId: 'a0' }), verifiedEmpty: true }, { kind: 'nothing', stoppedEpoch: 0 }],
  ['a held page with time left', { page: page() }, { kind: 'adopt', epoch: 4, deadlineMs: 5_000 }],
  ['a held page within the margin', { page: page(), nowMs: 4_900 }, { kind: 'fence', epoch: 4 }],
  ['a held page after a sleep', { page: page(), offsetMs: -900 }, { kind: 'fence', epoch: 4 }],
  ['a held page for which the leash has fired', { page: page(), leashFired: true }, { kind: 'fence', epoch: 4 }],
  ['a page that was being stopped', { page: page({ state: 'STOPPING' }), verifiedEmpty: true }, { kind: 'fence', epoch: 4 }],
  [
    'the page of an epoch that waited for a proof',
    { page: page({ state: 'STOPPING' }), phase: { epoch: 4, phase: 'fencing', members: ['a', 'b'] } },
    { kind: 'adopt', phase: 'fencing', epoch: 4, deadlineMs: 5_000 },
  ],
  [
    'the phase of another epoch beside a page that was being stopped',
    { page: page({ state: 'STOPPING' }), phase: { epoch: 3, phase: 'fencing', members: ['a', 'b'] } },
    { kind: 'fence', epoch: 4 },
  ],
  [
    'a held page beside the phase of a wait',
    { page: page(), phase: { epoch: 4, phase: 'fencing', members: ['a', 'b'] } },
    { kind: 'adopt', phase: 'held', epoch: 4 },
  ],
  [
    'the page of a wait for which the leash has fired',
    { page: page({ state: 'STOPPING' }), phase: { epoch: 4, phase: 'fencing', members: ['a', 'b'] }, leashFired: true },
    { kind: 'fence', epoch: 4 },
  ],
  [
    'a held page beside the phase of its stop, which the page could not tell',
    { page: page(), phase: { epoch: 4, phase: 'fencing-self', members: [] } },
    { kind: 'fence', epoch: 4 },
  ],
  ['a dead page, all gone', { page: page({ state: 'DEAD' }), verifiedEmpty: true }, { kind: 'nothing', stoppedEpoch: 4 }],
  ['a released page, but something runs', { page: page({ state: 'RELEASED' }) }, { kind: 'fence', epoch: 4 }],
];
for (const [title, change, expected] of leftovers) {
  test(`a guard that starts finds ${title}: ${JSON.stringify(expected)}`, (t) => {
    t.like(leftoverOf({ page: null, ...remains, ...change }), expected);
  });
}
