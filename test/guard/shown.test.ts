// When the guard's view is looked at for news: what is said to be the same without a look is the same for the view too.
import test from 'ava';
import fc from 'fast-check';
import { remembered } from '../../core/guard/remembered.js';
import { Shown } from '../../core/guard/shown.js';
import { type ViewParts, isSame, newsOf, viewOf } from '../../core/guard/view.js';
import { NO_GROUP_ORDERS, NO_NODE_ORDERS } from '../../core/model/lease.js';
import type { LeaseRecord } from '../../core/ownership/record.js';
import { type OwnershipPolicy, type OwnershipState, initialState } from '../../core/ownership/state.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 5_000);
const timing = {
  selfFenceMs: 8_000,
  takeoverWaitMs: 16_000,
  attemptMs: 1_000,
  pollMs: 500,
  renewMs: 1_000,
  softMs: 2_000,
  rankDelayMs: 100,
};
const policy = {
  self: 'a',
  bootId: 'boot-a',
  instance: 'i',
  group: 'db',
  members: ['a', 'b', 'c'],
  timing,
  fencing: 'required',
  takeover: 'lease',
  confirm: 'renewal',
  watchdog: true,
  cfgHash: 'cfg',
  failsafe: { peerLost: 'fence-then-continue', arbiterLossMoveMs: 5_000 },
} as unknown as OwnershipPolicy;

const mirrored = { ...policy, mirrored: true };

const members = [
  { id: 'a', bootId: 'boot-a' },
  { id: 'b', bootId: 'boot-b' },
] as const;
const record: LeaseRecord = {
  v: 1,
  epoch: 4,
  holder: 'b',
  bootId: 'boot-b',
  nonce: 'n',
  seq: 1,
  state: 'HELD',
  fencing: [],
  ttlW: 16_000,
  d: 8_000,
  members,
  inSync: members,
  successor: null,
  watchdog: true,
  reason: '',
  prevHolder: null,
  cfgHash: 'cfg',
};
const records: readonly LeaseRecord[] = [
  record,
  { ...record, seq: 2, nonce: 'm', inSync: members.map((member) => ({ ...member })) },
  { ...record, epoch: 5 },
  { ...record, forced: true },
  { ...record, inSync: [members[0], { id: 'b', bootId: 'boot-b-before' }] },
  { ...record, holder: 'a', bootId: 'boot-a' },
  { ...record, state: 'RELEASED', successor: 'a' },
  { ...record, state: 'RELEASED' },
  { ...record, inSync: [members[0]] },
  { ...record, inSync: [members[1], members[0]] },
  { ...record, state: 'FENCING', fencing: [{ node: 'c', bootId: 'boot-c', epoch: 3 }] },
];
const tenure = {
  epoch: 4,
  current: null,
  deadlineMs: 9_000,
  renewedMs: 1_000,
  sentMs: 1_000,
  notBeforeMs: 0,
  nonce: 'n',
  inSync: members,
  inSyncSent: [],
  attempts: [],
  unproven: null,
  slow: false,
  refused: null,
  membersSent: [],
  membersKept: [],
};
const failsafe = {
  sinceMs: 1_000,
  round: 1,
  sentMs: 1_000,
  members: ['b'],
  granted: [],
  refused: [],
  atOnce: false,
  seeing: [{ id: 'b', sinceMs: 1_000 }],
  full: { sentMs: 1_000, by: ['b'] },
  trouble: 'b did not answer',
};
const stopped = {
  b: { bootId: 'boot-b', cfgHash: 'cfg', stopped: null, held: null, unattendedSinceMs: null, waits: true, announced: 4, retired: [] },
};

const stateOf: fc.Arbitrary<OwnershipState> = fc
  .record({
    phase: fc.constantFrom('observe', 'held', 'fencing', 'fencing-self'),
    because: fc.constantFrom('one thing', 'another'),
    known: fc.oneof(
      fc.constantFrom({ kind: 'unread' }, { kind: 'absent' }, { kind: 'invalid', because: 'x', version: '1' }),
      fc.constantFrom(...records).map((one) => ({ kind: 'record', record: one, version: '1', firstSeenMs: 10, ordersRead: true })),
    ),
    confirmedMs: fc.constantFrom(null, 100, 200),
    tenure: fc.oneof(
      fc.constant(null),
      fc
        .record({
          epoch: fc.constantFrom(4, 5),
          current: fc.oneof(
            fc.constant(null),
            fc.constantFrom(...records).map((one) => ({ version: '1', record: one })),
          ),
          unproven: fc.constantFrom(null, null, { node: 'c', bootId: 'boot-c', epoch: 3, dueMs: 1_500 }),
          deadlineMs: fc.constantFrom(9_000, 10_000),
        })
        .map((some) => ({ ...tenure, ...some })),
    ),
    orders: fc.constantFrom(
      { group: NO_GROUP_ORDERS, node: NO_NODE_ORDERS },
      { group: { ...NO_GROUP_ORDERS, maintenance: true, unwatched: true, by: 'me' }, node: NO_NODE_ORDERS },
    ),
    peers: fc.constantFrom({}, stopped, { b: { ...stopped.b, stopped: { epoch: 3, bootId: 'boot-b', atMs: 5 } } }),
    fenced: fc.constantFrom([], [{ node: 'c', bootId: 'boot-c', epoch: 3, evidence: 'seen off', atMs: 5 }]),
    failsafe: fc.constantFrom(null, null, null, failsafe),
    alarms: fc.constantFrom([], ['something is wrong']),
  })
  .map((some) => ({ ...initialState(policy, 0, 0), started: true, ...some }) as unknown as OwnershipState);

const newsAt = (state: OwnershipState, nowMs: number) =>
  newsOf(
    viewOf({
      self: 'a',
      bootId: 'boot-a',
      cfgHash: 'cfg',
      peers: [],
      arbiter: { state: 'ok', ageMs: 1, because: 'it answers' },
      states: [state],
      nowMs,
      groupOrders: {},
      nodeOrders: {},
      watchdog: { driver: 'none', armed: false },
      leashAgeMs: null,
      alarms: [],
      dropped: {},
    } satisfies ViewParts),
  );

/** A state, and one that differs from it in a few members. */
const twoStates = fc
  .tuple(
    stateOf,
    stateOf,
    fc.boolean(),
    fc.subarray(['phase', 'because', 'known', 'confirmedMs', 'tenure', 'orders', 'peers', 'fenced', 'failsafe', 'alarms']),
  )
  .map(([some, other, isMirrored, changed]): readonly [OwnershipState, OwnershipState] => {
    const one = isMirrored ? { ...some, policy: mirrored } : some;
    return [one, { ...one, ...Object.fromEntries(changed.map((key) => [key, other[key as keyof OwnershipState]])) }];
  });

test('two states that need no look: the view of both says the same, at any time', (t) => {
  let quiet = 0;
  let news = 0;
  fc.assert(
    fc.property(twoStates, fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 10_000 }), ([one, next], atMs, laterMs) => {
      const shown = new Shown([]);
      shown.mayDiffer(false, [one]);
      const same = isSame(newsAt(one, atMs), newsAt(next, atMs + laterMs));
      if (!same) news += 1;
      if (shown.mayDiffer(false, [next])) return true;
      quiet += 1;
      return same;
    }),
    { numRuns, seed: 7 },
  );
  t.true(quiet > numRuns / 20, `${quiet} pairs that need no look`);
  t.true(news > numRuns / 20, `${news} pairs with news`);
});

test('a state that only grew older: no look, unless time alone may change what is shown', (t) => {
  const state = { ...initialState(policy, 0, 0), started: true } as OwnershipState;
  const shown = new Shown([]);
  t.true(shown.mayDiffer(false, [state]), 'nothing was looked at before');
  t.false(shown.mayDiffer(false, [{ ...state, nowMs: 500, confirmedMs: 400, serial: 3, lastReadMs: 400 }]));
  const waiting = { ...state, tenure: { ...tenure, unproven: { node: 'c', bootId: 'boot-c', epoch: 3, dueMs: 1_500 } } } as OwnershipState;
  t.true(shown.mayDiffer(false, [waiting]));
  t.true(shown.mayDiffer(false, [waiting]), 'it is due at some moment');
});

test('anything else that the view comes from: one look for each change', (t) => {
  const state = initialState(policy, 0, 0);
  const part = { revision: 3 };
  const shown = new Shown([{ revision: 8 }, part]);
  shown.mayDiffer(false, [state]);
  t.false(shown.mayDiffer(false, [state]));
  part.revision = 4;
  t.true(shown.mayDiffer(false, [state]));
  t.false(shown.mayDiffer(false, [state]));
  t.true(shown.mayDiffer(true, [state]), 'the watchdog is armed');
});

test('a text of the store: parsed once for each key until it changes', (t) => {
  const parsed: (string | null)[] = [];
  const said = remembered((text) => {
    parsed.push(text);
    return { text };
  });
  t.is(said('one', 'x'), said('one', 'x'));
  t.deepEqual(said('other', 'x'), { text: 'x' });
  t.deepEqual(said('one', null), { text: null });
  t.deepEqual(said('one', 'x'), { text: 'x' });
  t.deepEqual(parsed, ['x', 'x', null, 'x']);
});
