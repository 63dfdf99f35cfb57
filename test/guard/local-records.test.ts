// Two nodes without a store: this node's own records as an arbiter, and the orders that the two guards tell each other.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { LocalRecords, recordsFile } from '../../core/guard/local-records.js';
import { shareOrders } from '../../core/guard/orders-copies.js';
import { restoreRecord } from '../../core/guard/restore-record.js';
import type { Heartbeats, Message, Received } from '../../core/membership/contract.js';
import { MAX_BODY_BYTES } from '../../core/membership/frame.js';
import { decodeMessage, encodeMessage } from '../../core/membership/message.js';
import { NO_GROUP_ORDERS, NO_NODE_ORDERS } from '../../core/model/lease.js';
import { ArbiterError } from '../../core/ownership/arbiter.js';
import { encodeGroupOrders, encodeNodeOrders, parseGroupOrders } from '../../core/ownership/orders.js';
import { encodeRecord, parseRecord } from '../../core/ownership/record-codec.js';
import { type LeaseRecord, groupOrdersKey, leaseKey, nodeOrdersKey } from '../../core/ownership/record.js';
import { initialState } from '../../core/ownership/state.js';
import { systemClock } from '../../core/system/clock.js';
import type { Files } from '../../core/system/files.js';
import { systemFiles } from '../../core/system/files-system.js';
import type { Paths } from '../../core/system/paths.js';
import { FakeClock } from '../support/fake-clock.js';
import { LAN } from '../support/lease-world.js';

const directory = mkdtempSync(join(tmpdir(), 'understudy-records-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
let places = 0;
const place = (): Paths => {
  places += 1;
  return { run: join(directory, `${places}`, 'run'), state: join(directory, `${places}`), log: join(directory, `${places}`) };
};

const LEASE = leaseKey('c', 'web');
const ORDERS = groupOrdersKey('c', 'web');
const record = (more: Partial<LeaseRecord> = {}): string => {
  const members = ['a', 'b'].map((id) => ({ id, bootId: `${id}1` }));
  return encodeRecord({
    v: 1,
    epoch: 3,
    holder: 'a',
    bootId: 'a1',
    nonce: 'n1',
    seq: 1,
    state: 'HELD',
    fencing: [],
    ttlW: 3_000,
    d: 1_250,
    members,
    inSync: members,
    successor: null,
    watchdog: false,
    reason: '',
    prevHolder: null,
    cfgHash: 'x',
    ...more,
  });
};

test('what was answered is there after a restart; another version is a conflict', async (t) => {
  const paths = place();
  const records = new LocalRecords(systemFiles, paths, 'a');
  t.deepEqual(await records.read([LEASE]), [null]);
  const first = await records.cas(LEASE, null, record());
  t.is(first.outcome, 'done');
  t.like(await records.cas(LEASE, null, record({ epoch: 4 })), { outcome: 'conflict', current: { value: record() } });
  const [again] = await new LocalRecords(systemFiles, paths, 'a').read([LEASE]);
  t.is(again?.value, record());
  t.is(again?.version, first.outcome === 'done' ? first.version : '');
});

test('a renewal touches no disk; what gives or takes a right fails with it', async (t) => {
  const paths = place();
  let broken = false;
  const files: Files = {
    ...systemFiles,
    replace: (...words) => (broken ? Promise.reject(new Error('ENOSPC')) : systemFiles.replace(...words)),
  };
  const records = new LocalRecords(files, paths, 'a');
  const first = await records.cas(LEASE, null, record());
  t.is(first.outcome, 'done');
  if (first.outcome !== 'done') return;
  const text = readFileSync(recordsFile(paths), 'utf8');
  broken = true;
  const renewed = await records.cas(LEASE, first.version, record({ nonce: 'n2', seq: 2 }));
  t.is(renewed.outcome, 'done');
  t.is(readFileSync(recordsFile(paths), 'utf8'), text);
  const version = renewed.outcome === 'done' ? renewed.version : '';
  const error = await t.throwsAsync(records.cas(LEASE, version, record({ state: 'RELEASED', holder: null })), { instanceOf: ArbiterError });
  t.is((error as ArbiterError).kind, 'unknown');
  t.is((await records.read([LEASE]))[0]?.value, record({ nonce: 'n2', seq: 2 }), 'what is not on disk did not happen');
});

test('a file that cannot be read is no empty file: its leases cannot be used, its orders come from the peer again', async (t) => {
  const paths = place();
  await new LocalRecords(systemFiles, paths, 'a').cas(LEASE, null, record());
  for (const text of ['{"v":1,"values', '{"v":2,"values":{}}', '{"v":1,"values":{"k":{"value":1}}}']) {
    writeFileSync(recordsFile(paths), text);
    const records = new LocalRecords(systemFiles, paths, 'a');
    const [lease, orders] = await records.read([LEASE, ORDERS]);
    t.is(lease?.version, 'broken', text);
    t.is(orders, null);
    t.is((await records.cas(LEASE, null, record())).outcome, 'conflict', 'nobody makes a first record over it');
  }
});

/** Two nodes and a wire that may be cut. */
const pair = () => {
  const clock = new FakeClock();
  const end = new AbortController();
  const wire = { cut: false, dropped: 0, trouble: [] as string[] };
  const sides = ['a', 'b'].map((node) => ({
    node,
    records: new LocalRecords(systemFiles, place(), node),
    taken: 0,
    receive: (_received: Received) => {},
    change: (_change: Parameters<Parameters<Heartbeats['onChange']>[0]>[0]) => {},
  }));
  for (const [index, side] of sides.entries()) {
    const to = sides[1 - index]!;
    const send = (_to: string, message: Message) => {
      const bodies = encodeMessage(message, MAX_BODY_BYTES);
      if (bodies === null) wire.dropped += 1;
      if (wire.cut) return;
      for (const body of bodies ?? [])
        to.receive({ from: side.node, bootId: '', network: '', atMs: 0, message: decodeMessage(body)!.message });
    };
    const heartbeats = {
      send,
      onReceived: (listener: typeof side.receive) => (side.receive = listener),
      onChange: (listener: typeof side.change) => (side.change = listener),
    };
    shareOrders({
      arbiter: side.records,
      heartbeats: heartbeats as unknown as Heartbeats,
      clock,
      cluster: 'c',
      signal: end.signal,
      taken: () => (side.taken += 1),
      tell: ({ because }) => wire.trouble.push(because ?? ''),
    });
  }
  return { a: sides[0]!, b: sides[1]!, clock, wire, end };
};
const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
};
const ordersOf = async (records: LocalRecords) => parseGroupOrders((await records.read([ORDERS]))[0]?.value ?? null);

test('orders given on one side are known on the other, and the newest of two wins after a cut', async (t) => {
  const { a, b, clock, wire, end } = pair();
  const offline = encodeGroupOrders({ ...NO_GROUP_ORDERS, want: 'offline', by: 'mia' });
  t.is((await a.records.cas(ORDERS, null, offline)).outcome, 'done');
  await settle();
  t.like(await ordersOf(b.records), { orders: { want: 'offline', by: 'mia' } });
  t.is(b.taken, 1, 'told three times, taken once');
  wire.cut = true;
  const [there] = await b.records.read([ORDERS]);
  await b.records.cas(ORDERS, there?.version ?? null, encodeGroupOrders({ ...NO_GROUP_ORDERS, by: 'bob' }));
  await a.records.cas(nodeOrdersKey('c', 'b'), null, encodeNodeOrders({ ...NO_NODE_ORDERS, standby: true }));
  await settle();
  t.like(await ordersOf(a.records), { orders: { want: 'offline' } }, 'they cannot talk');
  wire.cut = false;
  clock.advance(5_000);
  await settle();
  t.like(await ordersOf(a.records), { orders: { want: 'online', by: 'bob' } });
  t.truthy((await b.records.read([nodeOrdersKey('c', 'b')]))[0]);
  t.deepEqual(await a.records.read([ORDERS]), await b.records.read([ORDERS]));
  end.abort();
});

test('orders that are longer than a frame are told without what is oldest', async (t) => {
  const { a, b, wire, end } = pair();
  const failovers = Array.from({ length: 16 }, (_, epoch) => ({
    epoch,
    from: 'a',
    to: 'b',
    because: `because of fault ${epoch} `.repeat(4),
  }));
  await a.records.cas(ORDERS, null, encodeGroupOrders({ ...NO_GROUP_ORDERS, frozen: true, failovers, why: 'w'.repeat(2_000) }));
  await settle();
  const parsed = await ordersOf(b.records);
  t.deepEqual([wire.dropped, wire.trouble], [0, []]);
  t.like(parsed, { kind: 'orders', orders: { frozen: true } });
  t.is(parsed.kind === 'orders' ? parsed.orders.failovers.at(-1)?.epoch : null, 15);
  end.abort();
});

test('what is no orders record is not taken from the peer', async (t) => {
  const { a, b, end } = pair();
  b.receive({
    from: 'a',
    bootId: '',
    network: '',
    atMs: 0,
    message: { kind: 'copy', key: 'web', count: 9, node: 'a', value: record({ epoch: 9 }) },
  });
  b.receive({
    from: 'a',
    bootId: '',
    network: '',
    atMs: 0,
    message: { kind: 'copy', key: 'web/orders', count: 9, node: 'a', value: '{}' },
  });
  await settle();
  t.deepEqual(await b.records.read([LEASE, ORDERS]), [null, null]);
  t.false(await a.records.take({ key: LEASE, value: encodeGroupOrders(NO_GROUP_ORDERS), count: 9, node: 'b' }));
  end.abort();
});

test('an operator restores what cannot be read: behind what a peer says, once, and never over a good record', async (t) => {
  const paths = place();
  await new LocalRecords(systemFiles, paths, 'a').cas(LEASE, null, record());
  writeFileSync(recordsFile(paths), 'garbage');
  const arbiter = new LocalRecords(systemFiles, paths, 'a');
  const told: string[] = [];
  const state = initialState(
    {
      self: 'a',
      bootId: 'a1',
      instance: 'i',
      group: 'web',
      members: ['a', 'b'],
      timing: LAN,
      fencing: 'required',
      takeover: 'lease',
      confirm: 'renewal',
      watchdog: false,
      cfgHash: 'x',
      failsafe: { peerLost: 'stop', arbiterLossMoveMs: 1 },
      pair: { peer: 'b', low: 0, fenceDelayMs: 1_000 },
    },
    0,
    3,
  );
  const heartbeats = {
    peers: () => [
      {
        node: 'b',
        state: 'member' as const,
        bootId: 'b1',
        links: [],
        silentMs: 0,
        cfgHash: 'x',
        groups: [{ group: 'web', epoch: 8, phase: 'observe' as const, stopped: false }],
      },
    ],
  };
  const desk = {
    arbiter,
    clock: systemClock,
    config: { cluster: 'c' },
    attemptMs: 2_000,
    heartbeats,
    state: () => state,
    tell: ({ kind }: { kind: string }) => void told.push(kind),
  };
  const wish = { epoch: null, why: 'a drill' };
  t.deepEqual(await restoreRecord(desk, 'web', wish), { ok: true, value: { restored: 8 } });
  const [stored] = await new LocalRecords(systemFiles, paths, 'a').read([LEASE]);
  t.like(parseRecord(stored?.value ?? ''), { kind: 'record', record: { epoch: 8, state: 'HELD-UNKNOWN', holder: null } });
  t.like(await restoreRecord(desk, 'web', wish), { ok: false, code: 'REFUSED' });
  t.deepEqual(told, ['lease.restored']);
});
