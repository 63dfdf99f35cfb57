// `understudy arbiter restore`, the decision: only a record that is gone, cannot be used or went back is written, and behind every
// epoch that was seen or heard of.
import test from 'ava';
import type { Found } from '../../core/ownership/events.js';
import { restoration } from '../../core/ownership/restore.js';
import type { LeaseRecord } from '../../core/ownership/record.js';
import { encodeRecord, parseRecord } from '../../core/ownership/record-codec.js';
import { type OwnershipState, initialState } from '../../core/ownership/state.js';
import { LAN } from '../support/lease-world.js';

const stateWith = (more: Partial<OwnershipState> = {}): OwnershipState => ({
  ...initialState(
    {
      self: 'a',
      bootId: 'a1',
      instance: 'i',
      group: 'web',
      members: ['a', 'b'],
      timing: LAN,
      fencing: 'watchdog',
      takeover: 'lease',
      confirm: 'renewal',
      watchdog: true,
      cfgHash: 'x',
      failsafe: { peerLost: 'stop', arbiterLossMoveMs: 1 },
    },
    0,
    7,
  ),
  ...more,
});
const member = (held: OwnershipState['peers'][string]['held']) => ({
  b: { bootId: 'b1', cfgHash: 'x', stopped: null, held, unattendedSinceMs: null, waits: held === null, announced: 0, retired: [] },
});
const record = (more: Partial<LeaseRecord>): Found => ({
  kind: 'record',
  version: '5',
  record: {
    v: 1,
    epoch: 7,
    holder: 'b',
    bootId: 'b1',
    nonce: 'n',
    seq: 40,
    state: 'HELD',
    fencing: [],
    ttlW: 3_000,
    d: 1_250,
    members: [],
    inSync: [],
    successor: null,
    watchdog: true,
    reason: '',
    prevHolder: null,
    cfgHash: 'x',
    ...more,
  },
});
const WISH = { epoch: null, why: 'a drill' };

const written: readonly (readonly [string, Found, readonly number[], number | null, { epoch: number; expected: string | null }])[] = [
  ['it is gone', { kind: 'absent' }, [], null, { epoch: 7, expected: null }],
  ['it cannot be used', { kind: 'invalid', because: 'garbage', version: '9' }, [], null, { epoch: 7, expected: '9' }],
  ['it went back', record({ epoch: 6 }), [], null, { epoch: 7, expected: '5' }],
  ['a peer has heard of more', { kind: 'absent' }, [9, 3], null, { epoch: 9, expected: null }],
  ['the record is what this node saw, and a peer has heard of more', record({}), [8], null, { epoch: 8, expected: '5' }],
  ['the operator knows of more', { kind: 'absent' }, [9], 40, { epoch: 40, expected: null }],
  ['the operator knows of less', { kind: 'absent' }, [9], 2, { epoch: 9, expected: null }],
];
for (const [what, found, heard, epoch, { epoch: at, expected }] of written)
  test(`restored: ${what}`, (t) => {
    const decided = restoration(stateWith({ peers: member(null) }), found, heard, { epoch, why: 'a drill' });
    t.is(decided.kind, 'write');
    if (decided.kind !== 'write') return;
    t.is(decided.expected, expected);
    t.like(decided.record, { epoch: at, state: 'HELD-UNKNOWN', holder: null, ttlW: LAN.takeoverWaitMs });
    t.deepEqual(parseRecord(encodeRecord(decided.record)).kind, 'record');
  });

const refused: readonly (readonly [string, Partial<OwnershipState>, Found, RegExp])[] = [
  ['the record is good', {}, record({}), /is good: epoch 7, HELD b/],
  [
    'the record is newer than what was seen',
    {},
    record({ epoch: 12, state: 'RELEASED', holder: null }),
    /is good: epoch 12, RELEASED by nobody/,
  ],
  [
    'a peer holds it',
    { peers: member({ epoch: 7, bootId: 'b1', sinceMs: 0, seq: 1 }) },
    { kind: 'absent' },
    /b is heard and says that it holds epoch 7/,
  ],
  ['this node has it', { tenure: { epoch: 7 } as OwnershipState['tenure'] }, { kind: 'absent' }, /a has epoch 7 of web itself/],
  ['it is no member', { policy: { ...stateWith().policy, members: ['b'] } }, { kind: 'absent' }, /a is no member of web/],
];
for (const [what, more, found, because] of refused)
  test(`not restored: ${what}`, (t) => {
    const decided = restoration(stateWith(more), found, [], WISH);
    t.is(decided.kind, 'refused');
    t.regex(decided.kind === 'refused' ? decided.because : '', because);
  });
