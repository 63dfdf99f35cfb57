// The machine's laws one by one (SAFETY a.4, a.6, a.7, a.7b): each test plays the guard, the store and the peers by hand.
import test from 'ava';
import { NO_GROUP_ORDERS, NO_NODE_ORDERS, type Will } from '../../core/model/lease.js';
import type { Found } from '../../core/ownership/events.js';
import { mayPet, needsDog, nextWakeMs } from '../../core/ownership/machine.js';
import type { LeaseRecord } from '../../core/ownership/record.js';
import { leaseViewOf } from '../../core/ownership/lease-view.js';
import { type OwnershipPolicy, type OwnershipState, beatOf } from '../../core/ownership/state.js';
import { LAN } from '../support/lease-world.js';
import { Bench, type Happening, beatOfB, heldByB, record, released } from '../support/ownership-bench.js';

test('before it is known what the last guard left: facts are taken in, nothing is decided', (t) => {
  const bench = new Bench()
    .will()
    .step({ kind: 'tick', gapMs: 0 })
    .step(beatOfB({ stopped: true, phase: 'idle' }));
  t.deepEqual(bench.all, []);
  t.is(nextWakeMs(bench.state), Number.POSITIVE_INFINITY);
  t.is(bench.start().read(heldByB()).state.writing?.purpose, 'acquire');
});

test('an unchanged record: nothing before W, then a CAS on exactly the version that was observed', (t) => {
  const bench = new Bench().start().read(heldByB()).will();
  bench.observeFor(2_950, heldByB());
  t.is(bench.state.writing, null);
  bench.observeFor(100, heldByB());
  t.is(bench.attempt.expected, 'v70');
  t.like(bench.attempt.record, { epoch: 8, seq: 71, holder: 'a', bootId: 'a1', state: 'HELD', prevHolder: 'b' });
});

test('any change of the record: the wait begins again', (t) => {
  const bench = new Bench().start().read(heldByB()).will().observeFor(2_900, heldByB());
  bench.nextRead(heldByB({ seq: 71, nonce: 'm' }, 'v71'));
  bench.observeFor(2_900, heldByB({ seq: 71, nonce: 'm' }, 'v71'));
  t.is(bench.state.writing, null);
});

test('W is the one in the record, not the own', (t) => {
  const bench = new Bench()
    .start()
    .read(heldByB({ ttlW: 9_000 }))
    .will()
    .observeFor(8_900, heldByB({ ttlW: 9_000 }));
  t.is(bench.state.writing, null);
  t.not(bench.observeFor(300, heldByB({ ttlW: 9_000 })).state.writing, null);
});

const obstacles: [title: string, make: () => Bench][] = [
  ['no will', () => new Bench().start().read(released())],
  ['a will older than 3 s', () => new Bench().start().will().pass(3_050)],
  ['a will that does not want it', () => new Bench().start().will({ want: 'none' })],
  ['a blocker', () => new Bench().start().will({ blockers: ['disk is full'] })],
  [
    'a gate of the host',
    () =>
      new Bench()
        .start()
        .will()
        .step({ kind: 'gate', blockers: ['no leash'] }),
  ],
  ['another configuration', () => new Bench({ cfgHash: 'other' }).start().will()],
  ['no member in the record', () => new Bench({ self: 'c', members: ['a', 'b', 'c'] }).start().will()],
  ['a record behind what was seen', () => new Bench({}, 9).start().will()],
];
for (const [title, make] of obstacles) {
  test(`released, but ${title}: no acquisition`, (t) => {
    const bench = make();
    if (bench.state.reading === null) bench.pass(100);
    if (bench.state.reading !== null) bench.read(released());
    bench.step({ kind: 'tick', gapMs: 0 });
    t.is(bench.state.writing, null);
  });
}

const orders: [title: string, orders: typeof NO_GROUP_ORDERS][] = [
  ['ordered offline', { ...NO_GROUP_ORDERS, want: 'offline' }],
  ['frozen', { ...NO_GROUP_ORDERS, frozen: true }],
  ['in maintenance', { ...NO_GROUP_ORDERS, maintenance: true }],
];
for (const [title, given] of orders) {
  test(`released, but ${title}: no acquisition`, (t) => t.is(new Bench().start().will().read(released(), given).state.writing, null));
}

test('orders that cannot be read: no acquisition', (t) => {
  const bench = new Bench().start().will();
  bench.step({ kind: 'read-done', readId: bench.state.reading?.id ?? 0, found: released(), orders: { invalid: 'torn' } });
  t.is(bench.state.writing, null);
  t.regex(leaseViewOf(bench.state, bench.nowMs).because, /orders could not be read/);
});

test('another configuration that every member is heard with: the record alone is old, and it goes on', (t) => {
  const bench = new Bench({ cfgHash: 'new' }).start().will();
  bench.step({ kind: 'beat', from: 'b', bootId: 'b1', cfgHash: 'new', group: null }).read(released());
  t.is(bench.attempt.record.cfgHash, 'new');
});

test('released: at once in rank 0, after its rank delay in rank 1', (t) => {
  t.not(new Bench().start().will().read(released()).state.writing, null);
  const second = new Bench().start().will({ rank: 1 }).read(released());
  t.is(second.state.writing, null);
  t.is(second.pass(100).state.writing, null);
  t.not(second.pass(50).state.writing, null);
});

test('released long ago, the last obstacle falls now: rank 1 waits its delay from now', (t) => {
  const bench = new Bench()
    .start()
    .will({ rank: 1, blockers: ['ordered offline'] })
    .read(released())
    .pass(5000);
  t.is(bench.state.writing, null);
  bench.will({ rank: 1 }).read(released());
  t.is(bench.state.writing, null);
  t.not(bench.pass(LAN.rankDelayMs + LAN.pollMs).state.writing, null);
});

test('released to a named successor: that one at once, others leave it a chance', (t) => {
  t.not(
    new Bench()
      .start()
      .will({ rank: 1 })
      .read(released({ successor: 'a' })).state.writing,
    null,
  );
  t.is(
    new Bench()
      .start()
      .will()
      .read(released({ successor: 'b' }))
      .pass(300).state.writing,
    null,
  );
});

test('holder counts from before the send: the deadline is t0 + D however late the answer', (t) => {
  const bench = new Bench().start().will().read(released());
  const sentMs = bench.nowMs;
  bench.pass(200).done();
  t.is(bench.state.phase, 'held');
  t.is(bench.state.tenure?.deadlineMs, sentMs + LAN.selfFenceMs);
  bench.pass(50);
  const renewSentMs = bench.attempt.sentMs;
  bench.pass(150).done();
  t.is(bench.state.tenure?.deadlineMs, renewSentMs + LAN.selfFenceMs);
});

test('an acquisition without an answer: the own nonce found by reading counts from the first send', (t) => {
  const bench = new Bench().start().will().read(released());
  const { record: mine, sentMs } = bench.attempt;
  bench.pass(300);
  t.is(bench.state.writing, null);
  bench.read({ kind: 'record', record: mine, version: 'v8' });
  t.is(bench.state.phase, 'held');
  t.is(bench.state.tenure?.deadlineMs, sentMs + LAN.selfFenceMs);
});

test('an own nonce found too late: it counts as foreign and W is waited', (t) => {
  const bench = new Bench().start().will().read(released());
  const { record: mine } = bench.attempt;
  bench.pass(LAN.selfFenceMs - LAN.selfFenceMs / 8);
  bench.nextRead({ kind: 'record', record: mine, version: 'v8' });
  t.is(bench.state.phase, 'observe');
  t.is(bench.observeFor(2_900, { kind: 'record', record: mine, version: 'v8' }).state.writing, null);
});

test('an own nonce found behind a pause, with no look at the time before it: too late as well', (t) => {
  const bench = new Bench().start().will().read(released());
  const { record: mine, sentMs } = bench.attempt;
  bench.pass(300);
  t.not(bench.state.reading, null);
  bench.nowMs = sentMs + LAN.selfFenceMs - LAN.selfFenceMs / 8;
  bench.read({ kind: 'record', record: mine, version: 'v8' });
  t.is(bench.state.tenure, null);
  t.is(bench.state.phase, 'observe');
});

test('a late answer to an acquisition that was given up is discarded', (t) => {
  const bench = new Bench().start().will().read(released());
  const { id } = bench.attempt;
  bench.pass(300).step({ kind: 'cas-done', attemptId: id, version: 'v8' });
  t.is(bench.state.tenure, null);
});

test('a conflict that shows the own nonce is a success; any other is not', (t) => {
  const own = new Bench().start().will().read(released());
  own.conflict({ kind: 'record', record: own.attempt.record, version: 'v8' });
  t.is(own.state.phase, 'held');
  const lost = new Bench()
    .start()
    .will()
    .read(released())
    .conflict(heldByB({ epoch: 8, holder: 'b' }, 'v8'));
  t.is(lost.state.phase, 'observe');
  t.true(lost.said('lease.conflict'));
});

test('all renewals of a node fall on one grid', (t) => {
  const bench = Bench.holding();
  t.is(nextWakeMs(bench.state) <= (Math.floor(bench.nowMs / LAN.renewMs) + 1) * LAN.renewMs, true);
  bench.pass(250);
  t.is(bench.attempt.purpose, 'renew');
  t.true(bench.attempt.sentMs % LAN.renewMs < 50);
});

test('a renewal without an answer is tried again on the same version; a conflict with the own earlier nonce counts from that send', (t) => {
  const bench = Bench.holding().pass(250);
  const first = bench.attempt;
  bench.unknown().pass(100);
  const second = bench.attempt;
  t.is(second.expected, first.expected);
  t.not(second.record.nonce, first.record.nonce);
  bench.conflict({ kind: 'record', record: first.record, version: 'late' });
  t.is(bench.state.phase, 'held');
  t.is(bench.state.tenure?.deadlineMs, first.sentMs + LAN.selfFenceMs);
  t.is(bench.attempt.expected, 'late');
});

const losses: [title: string, found: Found][] = [
  ['another holder', heldByB({ epoch: 9 }, 'v9')],
  ['a record that is gone', { kind: 'absent' }],
  ['a record that cannot be read', { kind: 'invalid', because: 'torn', version: 'v9' }],
  ['the own epoch in another boot', heldByB({ epoch: 8, holder: 'a', bootId: 'a0' }, 'v9')],
];
for (const [title, found] of losses) {
  test(`a renewal meets ${title}: the group is stopped now and the epoch never written again`, (t) => {
    const bench = Bench.holding().pass(250).conflict(found);
    t.is(bench.state.phase, 'fencing-self');
    t.is(bench.last('write-page')?.state, 'STOPPING');
    t.is(bench.last('hard-stop')?.epoch, 8);
    bench.pass(600);
    t.is(bench.state.writing, null);
  });
}

test('silence of the store: slow at soft, over at the deadline, whatever event comes first after it', (t) => {
  const bench = Bench.holding();
  bench.pass(LAN.softMs);
  t.true(bench.said('lease.renew-slow'));
  t.is(bench.state.phase, 'held');
  bench.nowMs = bench.state.tenure?.deadlineMs ?? 0;
  bench.step({ kind: 'cas-done', attemptId: bench.state.writing?.id ?? 0, version: 'late' });
  t.is(bench.state.phase, 'fencing-self');
  t.false(mayPet(bench.state, bench.nowMs));
});

test('a pause longer than D, a higher epoch in a beat, a tombstone, a controller given up: the group is stopped', (t) => {
  const happenings: Happening[] = [
    { kind: 'tick', gapMs: LAN.selfFenceMs + 1 },
    beatOfB({ epoch: 9, phase: 'observe' }),
    { kind: 'tombstone', epoch: 8 },
    { kind: 'give-up', because: 'the controller never came back' },
  ];
  for (const happening of happenings) t.is(Bench.holding().step(happening).state.phase, 'fencing-self', happening.kind);
  t.is(Bench.holding().step({ kind: 'tombstone', epoch: 7 }).state.phase, 'held');
});

test('the stop is verified: DEAD, STOPPED(e) in the beats, and the own record is given back', (t) => {
  const bench = Bench.holding().step({ kind: 'give-up', because: 'x' });
  t.false(beatOf(bench.state).stopped);
  bench.step({ kind: 'hard-stopped', epoch: 8, verified: true, because: '' });
  t.is(bench.all.findLast((effect) => effect.kind === 'write-page')?.state, 'DEAD');
  t.like(beatOf(bench.state), { epoch: 8, stopped: true, phase: 'idle' });
  bench.will({ want: 'none' }).read(heldByB({ epoch: 8, holder: 'a', bootId: 'a1' }, 'v8'));
  t.is(bench.attempt.purpose, 'clear');
  t.like(bench.attempt.record, { epoch: 8, state: 'RELEASED', holder: null, prevHolder: 'a' });
});

test('the stop is not verified within S: the host is reset, and the stop is tried again meanwhile', (t) => {
  const bench = Bench.holding()
    .step({ kind: 'give-up', because: 'x' })
    .step({ kind: 'hard-stopped', epoch: 8, verified: false, because: 'pid 7 lives' });
  t.is(bench.all.filter(({ kind }) => kind === 'hard-stop').length, 1);
  bench.pass(150);
  t.is(bench.all.filter(({ kind }) => kind === 'hard-stop').length, 2);
  t.false(bench.all.some(({ kind }) => kind === 'reset-host'));
  bench.pass(LAN.stopBudgetMs);
  t.true(bench.all.some(({ kind }) => kind === 'reset-host'));
  t.is(bench.state.phase, 'fencing-self');
});

test('planned release: page STOPPING, then verified, then RELEASED with the successor, then the nudge', (t) => {
  const bench = Bench.holding().will({ want: 'release', successor: 'b' });
  t.is(bench.state.phase, 'releasing');
  t.is(bench.last('write-page')?.state, 'STOPPING');
  t.is(bench.last('verify-stopped')?.epoch, 8);
  t.is(bench.state.writing, null);
  bench.step({ kind: 'stop-verified', epoch: 8, verified: true, because: '' });
  t.like(bench.attempt, { purpose: 'release', expected: 'v8', record: { state: 'RELEASED', successor: 'b', epoch: 8 } });
  bench.done('v9');
  t.is(bench.state.phase, 'observe');
  t.like(bench.last('nudge'), { to: 'b', epoch: 8 });
  t.is(bench.last('write-page')?.state, 'RELEASED');
  t.true(beatOf(bench.state).stopped);
});

test('a stop that is not verified: no release, the lease is kept', (t) => {
  const bench = Bench.holding()
    .will({ want: 'release' })
    .step({ kind: 'stop-verified', epoch: 8, verified: false, because: 'the address is still there' });
  t.is(bench.state.phase, 'held');
  t.is(bench.last('write-page')?.state, 'HELD');
  t.regex(leaseViewOf(bench.state, bench.nowMs).because, /address is still there/);
});

test('RELEASED without an answer: never held again, found released it is done', (t) => {
  const bench = Bench.holding().will({ want: 'release' }).step({ kind: 'stop-verified', epoch: 8, verified: true, because: '' });
  const first = bench.attempt;
  bench.unknown().will({ want: 'hold' }).pass(100);
  t.is(bench.attempt.purpose, 'release');
  bench.conflict({ kind: 'record', record: first.record, version: 'v9' });
  t.is(bench.state.phase, 'observe');
  t.true(bench.said('lease.released'));
});

const evidence: [title: string, happenings: Happening[], expected: boolean][] = [
  ['STOPPED(e) from the holder’s boot', [beatOfB({ stopped: true, phase: 'idle' })], true],
  ['STOPPED of another epoch', [beatOfB({ stopped: true, phase: 'idle', epoch: 6 })], false],
  ['STOPPED(e) from another boot of the holder', [{ ...beatOfB({ stopped: true, phase: 'idle' }), bootId: 'b0' } as Happening], false],
  ['STOPPED(e) from somebody else', [{ ...beatOfB({ stopped: true, phase: 'idle' }), from: 'c' } as Happening], false],
  ['a new boot of the holder', [beatOfB(), { kind: 'boot-changed', peer: 'b', from: 'b1', to: 'b2' }], true],
  ['a new boot that was never the record’s', [beatOfB(), { kind: 'boot-changed', peer: 'b', from: 'b0', to: 'b1' }], false],
  ['a fence of that boot and epoch', [{ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: 7, evidence: 'stopped' }], true],
  ['a fence for another epoch', [{ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: 6, evidence: 'stopped' }], false],
  ['a fence of another boot', [{ kind: 'fenced', node: 'b', bootId: 'b0', forEpoch: 7, evidence: 'stopped' }], false],
  ['silence', [beatOfB(), { kind: 'peer-suspect', peer: 'b', steadyMs: 90_000, lastHeardMs: 10_000 }], false],
];
for (const fencing of ['watchdog', 'required'] as const) {
  for (const [title, happenings, expected] of evidence) {
    test(`held by b, fencing ${fencing}, ${title}: ${expected ? 'acquired at once' : 'not before W'}`, (t) => {
      const bench = new Bench({ fencing }).start().will().read(heldByB());
      for (const happening of happenings) bench.step(happening);
      t.is(bench.state.writing?.purpose, expected ? 'acquire' : undefined);
    });
  }
}

const B7 = { node: 'b', bootId: 'b1', epoch: 7 };
/** Node a took epoch 8 after W from b, which nothing speaks for but its silence. */
const waiting = (policy: Partial<OwnershipPolicy> = {}, seen: Found = heldByB()): Bench =>
  new Bench({ fencing: 'required', ...policy }).start().read(seen).will().observeFor(3_100, seen).done('v8');
const pages = (bench: Bench): readonly string[] => bench.all.flatMap((effect) => (effect.kind === 'write-page' ? [effect.state] : []));

const afterW: [title: string, policy: Partial<OwnershipPolicy>, seen: Partial<LeaseRecord>, state: string, fencing: object[]][] = [
  ['required', { fencing: 'required' }, {}, 'FENCING', [B7]],
  ['required, the holder had a watchdog', { fencing: 'required' }, { watchdog: true }, 'FENCING', [B7]],
  ['watchdog, the holder had one', {}, { watchdog: true }, 'HELD', []],
  ['watchdog, the holder had none', {}, { watchdog: false }, 'FENCING', [B7]],
  ['none', { fencing: 'none' }, { watchdog: false }, 'HELD', []],
  ['required, nobody known', { fencing: 'required' }, { state: 'HELD-UNKNOWN', holder: null, bootId: '' }, 'HELD', []],
  // A holder that only waited never started anything: what it waited for is waited for, and not the holder itself.
  [
    'required, b only waited',
    { fencing: 'required' },
    { state: 'FENCING', fencing: [{ node: 'c', bootId: 'c1', epoch: 5 }] },
    'FENCING',
    [{ node: 'c', bootId: 'c1', epoch: 5 }],
  ],
  [
    'required, b only waited for this node',
    { fencing: 'required' },
    { state: 'FENCING', fencing: [{ node: 'a', bootId: 'a0', epoch: 5 }] },
    'HELD',
    [],
  ],
];
for (const [title, policy, seen, state, fencing] of afterW) {
  test(`after W, fencing ${title}: the next epoch is ${state}`, (t) => {
    const bench = new Bench(policy).start().read(heldByB(seen)).will().observeFor(3_100, heldByB(seen));
    t.like(bench.attempt.record, { epoch: 8, state, holder: 'a' });
    t.deepEqual(bench.attempt.record.fencing, fencing as never);
  });
}

test('released with a proof outstanding: taken at once, and waited for', (t) => {
  const left = released({ fencing: [B7], prevHolder: 'c', epoch: 8 });
  const bench = new Bench({ fencing: 'required', members: ['a', 'b', 'c'] }).start().will().read(left);
  t.like(bench.attempt.record, { epoch: 9, state: 'FENCING' });
  t.deepEqual(bench.attempt.record.fencing, [B7]);
});

test('waiting for a proof: renewed, petted, the page forbids every start, and the view names who must be confirmed', (t) => {
  const bench = waiting();
  t.is(bench.state.phase, 'fencing');
  t.is(bench.last('persist-phase')?.phase, 'fencing');
  bench.pass(300);
  t.like(bench.attempt, { purpose: 'renew', record: { state: 'FENCING', seq: 72 } });
  bench.done('v9').pass(600);
  t.true(mayPet(bench.state, bench.nowMs + 60_000));
  t.deepEqual([...new Set(pages(bench))], ['STOPPING']);
  const view = leaseViewOf(bench.state, bench.nowMs);
  t.like(view, { phase: 'fencing', record: 'fencing', holder: 'a' });
  t.deepEqual(view.fencing, [{ ...B7, proof: null }]);
  t.regex(view.because, /nothing starts before b \(epoch 7\) is proven down/);
});

const proofs: [title: string, happenings: Happening[], proven: boolean][] = [
  ['STOPPED(e) from the holder’s boot', [beatOfB({ stopped: true, phase: 'idle' })], true],
  ['STOPPED(e) from a later boot of the holder', [{ ...beatOfB({ stopped: true, phase: 'observe' }), bootId: 'b2' } as Happening], true],
  ['STOPPED of another epoch', [beatOfB({ stopped: true, phase: 'idle', epoch: 6 })], false],
  ['STOPPED(e) from somebody else', [{ ...beatOfB({ stopped: true, phase: 'idle' }), from: 'c' } as Happening], false],
  ['a beat of another boot, no more', [{ ...beatOfB({ phase: 'observe', epoch: 8 }), bootId: 'b2' } as Happening], false],
  ['a new boot of the holder', [beatOfB(), { kind: 'boot-changed', peer: 'b', from: 'b1', to: 'b2' }], true],
  ['a new boot that was never the holder’s', [{ kind: 'boot-changed', peer: 'b', from: 'b0', to: 'b1' }], false],
  ['a fence of that boot and epoch', [{ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: 7, evidence: 'off' }], true],
  ['a fence for another epoch', [{ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: 8, evidence: 'off' }], false],
  ['a fence of another boot', [{ kind: 'fenced', node: 'b', bootId: 'b0', forEpoch: 7, evidence: 'off' }], false],
  ['a fence of this node itself', [{ kind: 'fenced', node: 'a', bootId: 'a1', forEpoch: 8, evidence: 'off' }], false],
  ['silence', [{ kind: 'peer-suspect', peer: 'b', steadyMs: 90_000, lastHeardMs: 10_000 }], false],
];
for (const [title, happenings, proven] of proofs) {
  test(`waiting for b, ${title}: ${proven ? 'it begins to hold' : 'it waits on'}`, (t) => {
    const bench = waiting();
    for (const happening of happenings) bench.step(happening);
    if (bench.state.writing === null) bench.pass(300);
    t.is(bench.attempt.record.state, proven ? 'HELD' : 'FENCING');
    t.is(bench.state.phase, 'fencing');
    bench.done('v9');
    t.is(bench.state.phase, proven ? 'held' : 'fencing');
    t.is(pages(bench).includes('HELD'), proven);
    t.is(bench.said('lease.held'), proven);
  });
}

test('the answer that says HELD came late: nothing begins until a fresh renewal', (t) => {
  const bench = waiting({ timing: { ...LAN, petMaxAgeMs: 100 } }).step({
    kind: 'fenced',
    node: 'b',
    bootId: 'b1',
    forEpoch: 7,
    evidence: 'off',
  });
  t.is(bench.attempt.record.state, 'HELD');
  bench.pass(150).done('v9');
  t.is(bench.state.phase, 'fencing');
  t.like(bench.attempt.record, { state: 'HELD', seq: 73 });
  t.is(bench.done('v10').state.phase, 'held');
});

test('an acquisition answered later than a pet may be old: with a watchdog nothing begins until a fresh renewal (I4)', (t) => {
  const bench = new Bench({ watchdog: true, timing: { ...LAN, petMaxAgeMs: 100 } }).start().will().read(released());
  bench.step({ kind: 'dog', armed: true }).pass(150).done('v8');
  t.is(bench.state.phase, 'fencing');
  t.false(bench.said('lease.held'));
  t.is(bench.attempt.purpose, 'renew');
  bench.pass(50).done('v9');
  t.is(bench.state.phase, 'held');
  // Without one there is no bite to bound: D alone counts.
  t.is(new Bench({ timing: { ...LAN, petMaxAgeMs: 100 } }).start().will().read(released()).pass(150).done('v8').state.phase, 'held');
});

test('maintenance keeps lease and watchdog; without the watchdog only by order, and the record says so', (t) => {
  const bench = new Bench({ watchdog: true }).start().will().read(released()).step({ kind: 'dog', armed: true }).done('v8');
  const order = (orders: Partial<typeof NO_GROUP_ORDERS>) => {
    const group = { ...NO_GROUP_ORDERS, ...orders };
    bench.pass(LAN.pollMs);
    if (bench.state.writing !== null) bench.done(`v${bench.nowMs}`);
    const { record, version } = bench.state.tenure?.current ?? {};
    const found = { kind: 'record', record, version } as Found;
    bench.step({ kind: 'read-done', readId: bench.state.reading?.id ?? 0, found, orders: { group, node: NO_NODE_ORDERS } });
  };
  order({ maintenance: true });
  t.true(needsDog(bench.state));
  order({ maintenance: false, unwatched: true });
  t.true(needsDog(bench.state), 'outside maintenance it means nothing');
  order({ maintenance: true, unwatched: true });
  t.false(needsDog(bench.state));
  t.is(bench.state.phase, 'held');
  if (bench.state.writing !== null) bench.done('v99');
  bench.step({ kind: 'dog', armed: false });
  for (let step = 0; step < 10 && bench.state.writing === null; step += 1) bench.pass(50);
  t.false(bench.attempt.record.watchdog);
});

test('a record behind what a peer has spoken of (a store that went back): nobody acquires, whatever the evidence', (t) => {
  const bench = new Bench().start().will();
  bench.step({
    kind: 'beat',
    from: 'b',
    bootId: 'b1',
    cfgHash: 'cfg',
    group: { group: 'g', epoch: 9, seq: 90, version: 'v', phase: 'held', stopped: false },
  });
  bench.read(released({ epoch: 7 }));
  t.is(bench.state.writing, null);
  t.regex(leaseViewOf(bench.state, bench.nowMs).because, /b knows of epoch 9, the record is at 7/);
  bench.nextRead(released({ epoch: 9 }));
  t.is(bench.state.phase, 'acquiring');
});

test('HELD is not said while the watchdog is not armed, and then at once', (t) => {
  const bench = new Bench({ fencing: 'required', watchdog: true }).start().read(heldByB()).will().observeFor(3_100, heldByB());
  bench.step({ kind: 'dog', armed: true }).done('v8').step({ kind: 'dog', armed: false });
  bench.step({ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: 7, evidence: 'off' }).pass(300);
  t.is(bench.attempt.record.state, 'FENCING');
  bench.done('v9').step({ kind: 'dog', armed: true });
  t.is(bench.attempt.record.state, 'HELD');
});

test('proofs come one by one: each renewal says what is left', (t) => {
  const seen = heldByB({
    state: 'FENCING',
    fencing: [
      { node: 'c', bootId: 'c1', epoch: 5 },
      { node: 'd', bootId: 'd1', epoch: 4 },
    ],
  });
  const bench = waiting({}, seen).step({ kind: 'fenced', node: 'd', bootId: 'd1', forEpoch: 4, evidence: 'off' });
  t.deepEqual(bench.attempt.record.fencing, [{ node: 'c', bootId: 'c1', epoch: 5 }]);
  bench.done('v9');
  t.true(bench.said('lease.proof'));
  bench.step({ kind: 'fenced', node: 'c', bootId: 'c1', forEpoch: 5, evidence: 'off' });
  t.like(bench.attempt.record, { state: 'HELD' });
  t.deepEqual(bench.attempt.record.fencing, []);
});

test('waiting, and somebody took over: the epoch is dead, and nothing was ever started', (t) => {
  const bench = waiting().pass(300);
  bench.conflict(heldByB({ epoch: 9, holder: 'c', bootId: 'c1', state: 'FENCING', fencing: [B7] }, 'v9'));
  t.is(bench.state.phase, 'fencing-self');
  bench.step({ kind: 'hard-stopped', epoch: 8, verified: true, because: '' });
  t.is(bench.state.phase, 'idle');
  t.false(pages(bench).includes('HELD'));
});

test('HELD without an answer while another takes over: whoever was second learns it', (t) => {
  const bench = waiting().step({ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: 7, evidence: 'off' });
  const first = bench.attempt;
  bench.unknown().pass(100);
  // It had landed: the conflict shows the own nonce, and what is written next is on top of it.
  bench.conflict({ kind: 'record', record: first.record, version: 'v9' });
  t.like(bench.attempt.record, { state: 'HELD', seq: first.record.seq + 1 });
  t.is(bench.done('v10').state.phase, 'held');
});

test('waiting, and given back: RELEASED keeps what is owed; refused, it waits on', (t) => {
  const bench = waiting().will({ want: 'release', successor: 'c' });
  t.is(bench.state.phase, 'releasing');
  bench.step({ kind: 'stop-verified', epoch: 8, verified: false, because: 'an address is there' });
  t.is(bench.state.phase, 'fencing');
  t.false(pages(bench).includes('HELD'));
  bench.pass(300).will({ want: 'release', successor: 'c' }).step({ kind: 'stop-verified', epoch: 8, verified: true, because: '' });
  if (bench.state.writing?.purpose !== 'release') bench.done('v9');
  t.like(bench.attempt, { purpose: 'release', record: { state: 'RELEASED', successor: 'c' } });
  t.deepEqual(bench.attempt.record.fencing, [B7]);
});

const readopted: [title: string, found: Partial<LeaseRecord>, phase: OwnershipState['phase']][] = [
  ['still FENCING', { state: 'FENCING', fencing: [B7] }, 'fencing'],
  ['HELD, which its page did not say yet', { state: 'HELD' }, 'fencing-self'],
  ['somebody else’s', { epoch: 9, holder: 'c', bootId: 'c1' }, 'fencing-self'],
];
for (const [title, found, phase] of readopted) {
  test(`a guard that starts on a wait finds the record ${title}: ${phase}`, (t) => {
    const bench = new Bench({ fencing: 'required' });
    bench.step({
      kind: 'start',
      leftover: { kind: 'adopt', phase: 'fencing', epoch: 8, deadlineMs: bench.nowMs + 1_000, nonce: 'old', members: ['a', 'b'] },
    });
    t.is(bench.state.phase, 'fencing');
    bench.read(heldByB({ epoch: 8, holder: 'a', bootId: 'a1', ...found }, 'v90'));
    t.is(bench.state.phase, phase);
    t.false(pages(bench).includes('HELD'));
  });
}

test('the old holder in the same boot: it stops, and says STOPPED(e) for as long as somebody waits for it', (t) => {
  const bench = Bench.holding().pass(300);
  const waited = heldByB({ epoch: 9, state: 'FENCING', fencing: [{ node: 'a', bootId: 'a1', epoch: 8 }] }, 'v9');
  bench.conflict(waited);
  t.is(bench.state.phase, 'fencing-self');
  t.like(beatOf(bench.state), { phase: 'fencing-self', stopped: false });
  bench.step({ kind: 'hard-stopped', epoch: 8, verified: true, because: '' });
  t.like(beatOf(bench.state), { epoch: 8, stopped: true });
  bench.nextRead(waited);
  t.like(beatOf(bench.state), { epoch: 8, stopped: true });
  bench.nextRead(heldByB({ epoch: 9, seq: 99 }, 'v10'));
  t.like(beatOf(bench.state), { epoch: 9, stopped: false });
});

test('after W with a watchdog the old holder may be fenced in the background, until it is proven down', (t) => {
  const bench = new Bench().start().read(heldByB()).will().observeFor(3_100, heldByB()).done('v8');
  t.deepEqual(leaseViewOf(bench.state, bench.nowMs).unproven, { ...B7, proof: null });
  bench.step({ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: 7, evidence: 'off' });
  t.regex(leaseViewOf(bench.state, bench.nowMs).unproven?.proof ?? '', /off/);
  t.is(bench.state.phase, 'held');
});

test('rebooted: the own old epoch is released for the others, not resumed', (t) => {
  const bench = new Bench({})
    .start()
    .will({ want: 'none' })
    .read(heldByB({ holder: 'a', bootId: 'a0' }));
  t.like(bench.attempt, { purpose: 'clear', record: { state: 'RELEASED', epoch: 7, prevHolder: 'a' } });
});

test('no record: it is created as held by nobody known, and W is waited by its maker too', (t) => {
  const bench = new Bench().start().will().read({ kind: 'absent' });
  t.like(bench.attempt, { purpose: 'create', expected: null, record: { epoch: 0, state: 'HELD-UNKNOWN', holder: null } });
  const made = { kind: 'record', record: bench.attempt.record, version: 'v1' } as const;
  bench.done('v1');
  bench.read(made).observeFor(2_900, made);
  t.is(bench.state.writing, null);
  t.is(bench.observeFor(300, made).attempt.record.epoch, 1);
});

test('no record although there was one: an alarm, and nobody creates it', (t) => {
  const bench = new Bench({}, 5).start().will().read({ kind: 'absent' });
  t.is(bench.state.writing, null);
  t.regex(bench.state.alarms.join(), /lease record is lost/);
});

test('a watchdog that could not be armed: the epoch is given up unused', (t) => {
  const bench = new Bench({ watchdog: true }).start().will().read(released()).step({ kind: 'dog', armed: false }).done();
  t.is(bench.state.phase, 'fencing-self');
  t.false(bench.all.some((effect) => effect.kind === 'write-page' && effect.state === 'HELD'));
});

const adoption: [title: string, restMs: number, phase: OwnershipState['phase']][] = [
  ['with time left', LAN.selfFenceMs / 2, 'held'],
  ['within the margin', LAN.selfFenceMs / 8 - 1, 'fencing-self'],
];
for (const [title, restMs, phase] of adoption) {
  test(`a guard that starts on a held page ${title}: ${phase}`, (t) => {
    const bench = new Bench();
    const deadlineMs = bench.nowMs + restMs;
    bench.step({ kind: 'start', leftover: { kind: 'adopt', phase: 'held', epoch: 8, deadlineMs, nonce: 'old', members: ['a', 'b'] } });
    t.is(bench.state.phase, phase);
    if (phase !== 'held') return;
    bench.read(heldByB({ epoch: 8, holder: 'a', bootId: 'a1', seq: 90 }, 'v90'));
    t.like(bench.attempt, { purpose: 'renew', expected: 'v90', record: { epoch: 8, seq: 91 } });
    t.is(bench.state.tenure?.deadlineMs, deadlineMs);
  });
}

test('adopted, but the record has another holder: stopped at once', (t) => {
  const bench = new Bench().step({
    kind: 'start',
    leftover: { kind: 'adopt', phase: 'held', epoch: 8, deadlineMs: 10_900, nonce: 'old', members: ['a', 'b'] },
  });
  t.is(bench.read(heldByB({ epoch: 9 })).state.phase, 'fencing-self');
});

const suspecting = (
  policy: Partial<OwnershipPolicy>,
  will: Partial<Will> = {},
  steadyMs = 60_000,
  seen: Found = heldByB(),
  jeopardy = false,
) => {
  const bench = new Bench({ takeover: 'preempt', ...policy }).start().will(will).read(seen).step(beatOfB());
  for (let beats = 0; beats < 610; beats += 1) {
    bench.nowMs += 100;
    bench.step(beatOfB()).will(will);
    if (bench.state.reading !== null)
      bench.read(
        heldByB({ watchdog: seen.kind === 'record' && seen.record.watchdog, seq: 70 + beats, nonce: `n${beats}` }, `v${70 + beats}`),
      );
  }
  const lastHeardMs = bench.nowMs;
  const last = heldByB({ watchdog: seen.kind === 'record' && seen.record.watchdog, seq: 900, nonce: 'last' }, 'v900');
  bench.step(beatOfB({ seq: 900, version: 'v900' }));
  bench.nowMs += LAN.suspectAfterMs;
  return { bench: bench.step({ kind: 'peer-suspect', peer: 'b', steadyMs, lastHeardMs, jeopardy }), lastHeardMs, last };
};

test('preempt without confirmation: a read sent after the edge, then the CAS on what it showed, at once', (t) => {
  const { bench, last } = suspecting({ confirm: 'none' });
  t.is(bench.state.reading?.sentMs, bench.nowMs);
  bench.nowMs += 5;
  bench.read(last);
  t.like(bench.attempt, { purpose: 'acquire', expected: 'v900', record: { epoch: 8 } });
});

test('preempt with confirmation by renewal: not before R and the store’s round trip after the last beat', (t) => {
  const { bench, last, lastHeardMs } = suspecting({});
  bench.read(last);
  t.is(bench.state.writing, null);
  t.is(nextWakeMs(bench.state) <= lastHeardMs + LAN.renewMs + LAN.arbiterRttMs, true);
  bench.nowMs = lastHeardMs + LAN.renewMs + LAN.arbiterRttMs;
  t.is(bench.step({ kind: 'tick', gapMs: 50 }).attempt.expected, 'v900');
});

test('preempt is one attempt: a conflict ends it, and W applies', (t) => {
  const { bench, last } = suspecting({ confirm: 'none' });
  bench.read(last).conflict(heldByB({ seq: 901, nonce: 'alive' }, 'v901'));
  t.is(bench.observeFor(2_800, heldByB({ seq: 901, nonce: 'alive' }, 'v901')).state.writing, null);
});

test('no preemption: not steady, not allowed by the controller, no watchdog in the record, heard again, or renewed meanwhile', (t) => {
  const none = (bench: Bench) => t.is(bench.state.writing, null);
  none(suspecting({ confirm: 'none' }, {}, 30_000).bench.pass(50));
  const unwilling = suspecting({ confirm: 'none' }, { preemptOk: false });
  none(unwilling.bench.read(unwilling.last));
  const dogless = suspecting({ confirm: 'none' }, {}, 60_000, heldByB({ watchdog: false }));
  none(dogless.bench.pass(50));
  const jeopardy = suspecting({ confirm: 'none' }, {}, 60_000, heldByB(), true);
  none(jeopardy.bench.pass(50));
  const promised = suspecting({ confirm: 'none' });
  promised.bench.step({ kind: 'asked', from: 'b', bootId: 'b1', epoch: 7, round: 1, waitMs: 3_000 });
  none(promised.bench.read(promised.last).pass(50));
  const back = suspecting({});
  none(back.bench.read(back.last).step(beatOfB()).pass(300));
  const alive = suspecting({});
  alive.bench
    .read(alive.last)
    .pass(100)
    .read(heldByB({ seq: 901, nonce: 'alive' }, 'v901'));
  none(alive.bench.pass(250));
});

test('a holder in preempt mode that no longer hears its peer renews at once', (t) => {
  const bench = Bench.holding({ takeover: 'preempt' });
  t.is(bench.state.writing, null);
  bench.step({ kind: 'peer-suspect', peer: 'b', steadyMs: 0, lastHeardMs: bench.nowMs });
  t.is(bench.attempt.purpose, 'renew');
});

test('a peer asks to stop: only where the own controller is silent', (t) => {
  t.is(Bench.holding().step({ kind: 'please-stop', from: 'b', epoch: 8 }).state.phase, 'held');
  const silent = Bench.holding();
  for (let turn = 0; turn < 20; turn += 1) {
    silent.pass(200);
    if (silent.state.writing !== null) silent.done(`w${turn}`);
  }
  t.is(silent.step({ kind: 'please-stop', from: 'b', epoch: 8 }).state.phase, 'fencing-self');
});

test('the state handed in is never touched', (t) => {
  const bench = Bench.holding();
  const before = structuredClone(bench.state);
  const kept = bench.state;
  bench.pass(2_000);
  t.deepEqual(kept, before);
});

/** Node a holds epoch 2, its last renewal sent now, and the arbiter is silent from now on. */
const silent = (policy: Partial<OwnershipPolicy> = {}): Bench => {
  const members = policy.members ?? ['a', 'b'];
  const bench = new Bench(policy).start().will();
  bench.read({ ...HELD_BY_NOBODY, record: { ...HELD_BY_NOBODY.record, members: members.map((id) => ({ id, bootId: `${id}1` })) } });
  bench.nowMs += 1;
  bench.step({ kind: 'tick', gapMs: 1 });
  bench.done();
  return bench;
};
const HELD_BY_NOBODY = {
  kind: 'record' as const,
  version: '1',
  record: { ...record({ state: 'RELEASED', holder: null, prevHolder: 'b' }) },
};

test('failsafe: nobody is asked before soft, then everybody; all promises of one round count from its send', (t) => {
  const bench = silent({ members: ['a', 'b', 'c'] });
  const sentMs = bench.state.tenure?.renewedMs ?? 0;
  bench.pass(LAN.softMs - 50);
  t.false(bench.all.some(({ kind }) => kind === 'ask'));
  bench.pass(50);
  const ask = bench.last('ask');
  t.deepEqual(ask?.to, ['b', 'c']);
  const roundMs = bench.nowMs;
  bench.nowMs += 20;
  const epoch = bench.state.tenure?.epoch ?? 0;
  bench.step({ kind: 'granted', from: 'b', epoch, round: ask?.round ?? 0, sees: false });
  t.is(bench.state.tenure?.deadlineMs, sentMs + LAN.selfFenceMs, 'one of two is nothing');
  bench.step({ kind: 'granted', from: 'c', epoch, round: (ask?.round ?? 0) - 1, sees: false });
  t.is(bench.state.tenure?.deadlineMs, sentMs + LAN.selfFenceMs, 'a promise of another round is nothing');
  bench.step({ kind: 'granted', from: 'c', epoch, round: ask?.round ?? 0, sees: false });
  t.is(bench.state.tenure?.deadlineMs, roundMs + LAN.selfFenceMs, 'from before the send, not from the answer');
  t.like(bench.last('write-page'), { state: 'HELD', deadlineMs: roundMs + LAN.selfFenceMs });
  t.true(mayPet(bench.state, roundMs + LAN.petMaxAgeMs));
  t.false(mayPet(bench.state, roundMs + LAN.petMaxAgeMs + 1));
  const view = leaseViewOf(bench.state, bench.nowMs);
  t.is(view.phase, 'held');
  t.regex(view.because, /^FAILSAFE: arbiter silent since \d+ s, extended by promise of b, c$/);
});

test('failsafe: promises that are said twice, by somebody else, of another epoch or for another round count for nothing', (t) => {
  const bench = silent({ members: ['a', 'b', 'c'] }).pass(LAN.softMs);
  const [round, epoch] = [bench.last('ask')?.round ?? 0, bench.state.tenure?.epoch ?? 0];
  const deadlineMs = bench.state.tenure?.deadlineMs;
  const said = (from: string, more: { epoch?: number; round?: number } = {}) =>
    bench.step({ kind: 'granted', from, epoch, round, sees: false, ...more });
  said('b');
  for (const [from, more] of [
    ['b', {}],
    ['b', {}],
    ['a', {}],
    ['x', {}],
    ['c', { epoch: epoch - 1 }],
    ['c', { round: round - 1 }],
    ['c', { round: round + 1 }],
  ] as const) {
    said(from, more);
    t.is(bench.state.tenure?.deadlineMs, deadlineMs, `${from} ${JSON.stringify(more)}`);
  }
  // A refusal by nobody, or of another round, keeps nobody's promise from counting.
  bench
    .step({ kind: 'refused', from: 'x', epoch, round, knows: epoch, because: 'no' })
    .step({ kind: 'refused', from: 'c', epoch, round: round - 1, knows: epoch, because: 'no' });
  said('c');
  t.true((bench.state.tenure?.deadlineMs ?? 0) > (deadlineMs ?? 0));
});

test('failsafe: a refusal or silence extends nothing, and the holder stops at its deadline', (t) => {
  const bench = silent();
  const deadlineMs = bench.state.tenure?.deadlineMs ?? 0;
  bench.pass(LAN.softMs);
  const round = bench.last('ask')?.round ?? 0;
  bench.step({ kind: 'refused', from: 'b', epoch: 8, round, knows: 7, because: 'it is acquiring the lease itself' });
  bench.pass(deadlineMs - bench.nowMs - 1);
  t.is(bench.state.phase, 'held');
  t.true(bench.all.filter(({ kind }) => kind === 'ask').length >= 2, 'it is asked once more');
  bench.pass(1);
  t.is(bench.state.phase, 'fencing-self');
  t.regex(bench.state.because, /b did not answer|b refused/);
});

test('failsafe: never after a conflict, never after the arbiter has refused', (t) => {
  const conflict = silent();
  conflict.pass(LAN.renewMs);
  conflict.conflict({ kind: 'absent' });
  t.is(conflict.state.phase, 'fencing-self');
  t.false(conflict.pass(LAN.softMs).all.some(({ kind }) => kind === 'ask'));

  const refused = silent();
  refused.pass(LAN.renewMs);
  refused.step({ kind: 'cas-unknown', attemptId: refused.attempt.id, because: 'forbidden', refused: true });
  t.false(refused.pass(LAN.selfFenceMs - LAN.renewMs - 60).all.some(({ kind }) => kind === 'ask'));
  t.is(refused.state.phase, 'held');
  t.is(refused.pass(100).state.phase, 'fencing-self');
});

test('failsafe: a higher epoch in an answer or a question ends this one', (t) => {
  const answer = silent().pass(LAN.softMs);
  answer.step({ kind: 'refused', from: 'b', epoch: answer.state.tenure?.epoch ?? 0, round: 0, knows: 9, because: 'it knows of epoch 9' });
  t.is(answer.state.phase, 'fencing-self');
  const question = silent();
  question.step({ kind: 'asked', from: 'b', bootId: 'b1', epoch: 9, round: 1, waitMs: 3_000 });
  t.is(question.state.phase, 'fencing-self');
  t.like(question.last('refuse'), { to: 'b', epoch: 9 });
});

test('failsafe goes on behind a guard that crashed: the next one asks whom the last one kept, and nobody when it kept none', (t) => {
  const adopted = (members: readonly string[]) => {
    const bench = new Bench();
    return bench.step({
      kind: 'start',
      leftover: { kind: 'adopt', phase: 'held', epoch: 8, deadlineMs: bench.nowMs + LAN.selfFenceMs, nonce: 'n', members },
    });
  };
  const bench = adopted(['a', 'b']).pass(LAN.softMs);
  const ask = bench.last('ask');
  t.like(ask, { to: ['b'], epoch: 8, waitMs: LAN.takeoverWaitMs });
  const sentMs = bench.nowMs;
  bench.step({ kind: 'granted', from: 'b', epoch: 8, round: ask?.round ?? 0, sees: false });
  t.is(bench.state.tenure?.deadlineMs, sentMs + LAN.selfFenceMs);
  t.is(bench.pass(LAN.selfFenceMs).state.phase, 'fencing-self', 'one round counts once');
  const alone = adopted([]).pass(LAN.softMs);
  t.is(alone.last('ask'), undefined);
  // The store answers, and says no: that is no silence.
  const denied = adopted(['a', 'b']);
  denied.step({ kind: 'read-failed', readId: denied.state.reading?.id ?? 0, because: 'denied', refused: true }).pass(LAN.softMs);
  t.is(denied.last('ask'), undefined);
});

test('whom the next guard must ask is kept before a renewal that adds a member is sent', (t) => {
  const bench = new Bench({ members: ['a', 'b', 'c'] }).start().will().read(released()).done('v8');
  t.deepEqual(
    bench.all.findLast((effect) => effect.kind === 'persist-phase'),
    { kind: 'persist-phase', epoch: 8, phase: 'held', members: ['a', 'b'] },
  );
  for (const from of ['b', 'c']) bench.step({ kind: 'beat', from, bootId: `${from}1`, cfgHash: 'cfg', group: null });
  bench.all = [];
  bench.pass(LAN.renewMs + 50);
  t.deepEqual(
    bench.all.filter(({ kind }) => kind === 'persist-phase' || kind === 'cas').map(({ kind }) => kind),
    ['persist-phase', 'cas'],
  );
  t.deepEqual(bench.state.tenure?.membersKept, ['a', 'b', 'c']);
});

test('failsafe: a good renewal ends it, and the next silence begins anew', (t) => {
  const bench = silent().pass(LAN.softMs);
  t.not(bench.state.failsafe, null);
  for (let turn = 0; turn < 5 && bench.state.writing === null; turn += 1) bench.pass(20);
  bench.done('9');
  t.is(bench.state.failsafe, null);
  t.true(bench.all.some((effect) => effect.kind === 'journal' && effect.event === 'failsafe.ended'));
});

const asks = { kind: 'asked' as const, from: 'b', bootId: 'b1', epoch: 7, round: 7, waitMs: 2_000 };
const observing = (policy: Partial<OwnershipPolicy> = {}): Bench =>
  new Bench(policy).start().will().read({ kind: 'record', version: '1', record: record() });

test('a promise: given by who holds nothing, kept for W whatever the record says, given anew with each question', (t) => {
  const bench = observing();
  bench.pass(LAN.takeoverWaitMs - 100);
  bench.step(asks);
  t.like(bench.last('grant'), { round: 7, promise: { to: 'b', epoch: 7, untilMs: bench.nowMs + LAN.takeoverWaitMs } });
  const atMs = bench.nowMs;
  bench.pass(LAN.takeoverWaitMs - 500).will();
  t.is(bench.state.phase, 'observe', 'the record has not changed for far more than W');
  for (; bench.nowMs < atMs + LAN.takeoverWaitMs + 100 && bench.state.phase === 'observe'; ) {
    t.true(nextWakeMs(bench.state) <= atMs + LAN.takeoverWaitMs);
    bench.pass(10);
  }
  t.is(bench.state.phase, 'acquiring');
  t.is(bench.nowMs, atMs + LAN.takeoverWaitMs);
});

test('a promise: proof that the holder has ended discharges it', (t) => {
  const bench = observing();
  bench.step(asks);
  bench.step({ kind: 'boot-changed', peer: 'b', from: 'b1', to: 'b2' });
  for (let turn = 0; turn < 5 && bench.state.phase === 'observe'; turn += 1)
    bench.pass(50).nextRead({ kind: 'record', version: '1', record: record() });
  t.is(bench.state.phase, 'acquiring');
  t.is(bench.state.promise, null);
});

test('a promise outlives the guard that gave it, within the boot', (t) => {
  const given = observing().step(asks).last('grant')?.promise ?? null;
  const next = new Bench();
  next.nowMs += 100;
  next.step({ kind: 'start', leftover: { kind: 'nothing', stoppedEpoch: 0 }, promise: given }).will();
  // A record whose W is shorter than what was promised.
  next.read({ kind: 'record', version: '1', record: record({ ttlW: 500 }) });
  for (let turn = 0; turn < 10; turn += 1) next.will().pass(100);
  t.is(next.state.phase, 'observe');
});

test('no promise: what is held, known to be newer, being acquired, stopped, or of another boot by the record', (t) => {
  t.like(
    observing()
      .step({ ...asks, epoch: 0 })
      .last('refuse'),
    { knows: 7 },
  );
  t.regex(
    observing()
      .step({ ...asks, bootId: 'b0' })
      .last('refuse')?.because ?? '',
    /does not hold epoch 7/,
  );
  t.regex(
    observing()
      .step({ ...asks, from: 'c', bootId: 'c1' })
      .last('refuse')?.because ?? '',
    /does not hold epoch 7/,
  );
  t.regex(
    silent()
      .step({ ...asks, epoch: 0 })
      .last('refuse')?.because ?? '',
    /has epoch 8 itself/,
  );
  const stopped = observing().step({
    kind: 'beat',
    from: 'b',
    bootId: 'b1',
    cfgHash: 'cfg',
    group: { group: 'g', epoch: 7, seq: 70, version: '1', phase: 'idle', stopped: true },
  });
  t.not(stopped.step(asks).last('refuse'), undefined);
  const acquiring = observing();
  acquiring.pass(LAN.takeoverWaitMs + 100);
  if (acquiring.state.reading !== null) acquiring.read({ kind: 'record', version: '1', record: record() });
  acquiring.will().pass(200);
  t.is(acquiring.state.phase, 'acquiring');
  t.regex(acquiring.step(asks).last('refuse')?.because ?? '', /acquiring/);
});

test('failsafe with fence-then-continue: a confirmed fence of the silent member, in its last boot, counts until it is heard', (t) => {
  const bench = silent({ failsafe: { peerLost: 'fence-then-continue', arbiterLossMoveMs: 60_000 } }).pass(LAN.softMs);
  const epoch = bench.state.tenure?.epoch ?? 0;
  bench.pass(LAN.attemptMs);
  t.deepEqual(leaseViewOf(bench.state, bench.nowMs).failsafe?.fence, [{ node: 'b', bootId: 'b1' }]);
  bench.step({ kind: 'fenced', node: 'b', bootId: 'b0', forEpoch: epoch, evidence: 'an older boot' });
  t.is(bench.state.failsafe?.full, null);
  bench.step({ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: epoch, evidence: 'off' });
  t.is(bench.state.tenure?.deadlineMs, bench.nowMs + LAN.selfFenceMs);
  bench.step({ kind: 'beat', from: 'b', bootId: 'b2', cfgHash: 'cfg', group: null });
  t.deepEqual(bench.state.fencedMembers, []);
  const stop = silent().pass(LAN.softMs);
  stop.step({ kind: 'fenced', node: 'b', bootId: 'b1', forEpoch: epoch, evidence: 'off' });
  t.is(stop.state.failsafe?.full, null, 'not by default');
});

test('failsafe and a verified release: STOPPED is said at once, for the store cannot be told', (t) => {
  const bench = silent().pass(LAN.softMs);
  const ask = bench.last('ask');
  const epoch = bench.state.tenure?.epoch ?? 0;
  bench.step({ kind: 'granted', from: 'b', epoch, round: ask?.round ?? 0, sees: true });
  t.is(moveAfter(bench, 60_000), 'b', 'b sees the arbiter');
  t.is(moveAfter(bench, 59_000), null, 'not before arbiterLossMove');
  bench.will({ want: 'release', successor: 'b' });
  t.is(bench.state.phase, 'releasing');
  bench.step({ kind: 'stop-verified', epoch, verified: true, because: '' });
  for (let turn = 0; turn < 10 && bench.state.phase === 'releasing'; turn += 1) bench.pass(50);
  t.is(bench.state.phase, 'idle');
  t.like(beatOf(bench.state), { epoch, stopped: true });
  t.like(
    bench.all.findLast((effect) => effect.kind === 'write-page'),
    { state: 'DEAD' },
  );
});

test('the arbiter was away for everybody and comes back to the others first: no move before they alone have seen it for arbiterLossMove', (t) => {
  const bench = silent().pass(LAN.softMs);
  const epoch = bench.state.tenure?.epoch ?? 0;
  const granting = (sees: boolean, forMs: number) => {
    for (const endMs = bench.nowMs + forMs; bench.nowMs < endMs; bench.pass(LAN.renewMs))
      bench.step({ kind: 'granted', from: 'b', epoch, round: bench.last('ask')?.round ?? 0, sees });
  };
  granting(false, 90_000);
  t.is(bench.state.phase, 'held');
  t.is(moveAfter(bench, 0), null);
  granting(true, LAN.renewMs);
  t.is(moveAfter(bench, 0), null, 'b has seen it for a moment only');
  granting(true, 58_000);
  t.is(moveAfter(bench, 0), null);
  granting(false, LAN.renewMs);
  granting(true, 58_000);
  t.is(moveAfter(bench, 0), null, 'with a break: from the second time on');
  granting(true, 3_000);
  t.is(moveAfter(bench, 0), 'b');
});

const moveAfter = ({ state, nowMs }: Bench, ms: number) => leaseViewOf(state, nowMs + ms).failsafe?.moveTo;

const heldByPeer = (unattended: boolean) => ({
  kind: 'beat' as const,
  from: 'b',
  bootId: 'b1',
  cfgHash: 'cfg',
  group: {
    group: 'g',
    epoch: 7,
    seq: 70,
    version: '1',
    phase: 'held' as const,
    stopped: false,
    ...(unattended ? { unattended: true as const } : {}),
  },
});

test('please stop: a holder that nobody looks after is asked after half a minute, or at once when the group is ordered here', (t) => {
  const watch = (orders = NO_GROUP_ORDERS, unattended = true, forMs = 29_000, rank = 0) => {
    const bench = observing();
    let version = 1;
    for (const endMs = bench.nowMs + forMs; bench.nowMs < endMs; ) {
      version += 1;
      bench.will({ rank }).step(heldByPeer(unattended));
      bench.nextRead({ kind: 'record', version: String(version), record: record({ seq: 70 + version }) }, orders).pass(100);
    }
    return bench.all.filter(({ kind }) => kind === 'please-stop').length;
  };
  const ordered = { ...NO_GROUP_ORDERS, move: { id: 'm', to: 'a', by: 'ops', why: 'patch day' } };
  t.is(watch(), 0);
  t.true(watch(NO_GROUP_ORDERS, true, 33_000) >= 2);
  t.is(watch(NO_GROUP_ORDERS, true, 33_000, 1), 0, 'only who is first in line');
  t.is(watch(ordered, false, 3_000), 0, 'its controller speaks');
  t.true(watch(ordered, true, 1_000) >= 1);
});

test('please stop: not followed while the controller has left on purpose, or the guard has just begun', (t) => {
  const bench = silent();
  bench.step({ kind: 'leave', untilMs: bench.nowMs + 600_000 });
  for (let turn = 0; turn < 10; turn += 1) {
    bench.pass(400);
    if (bench.state.writing !== null) bench.done(`${turn}`);
  }
  t.is(beatOf(bench.state).unattended, undefined);
  bench.step({ kind: 'please-stop', from: 'b', epoch: bench.state.tenure?.epoch ?? 0 });
  t.is(bench.state.phase, 'held');
  bench.step({ kind: 'leave', untilMs: bench.nowMs });
  t.is(beatOf(bench.state).unattended, true);
  bench.step({ kind: 'please-stop', from: 'b', epoch: bench.state.tenure?.epoch ?? 0 });
  t.is(bench.state.phase, 'fencing-self');

  const born = new Bench();
  born.step({
    kind: 'start',
    leftover: { kind: 'adopt', phase: 'held', epoch: 7, deadlineMs: born.nowMs + 1_000, nonce: 'n', members: ['a', 'b'] },
  });
  born.step({ kind: 'please-stop', from: 'b', epoch: 7 });
  t.is(born.state.phase, 'held');
});

test('first start: a preferred member that is heard and not ready gets W once more; one that is silent, not', (t) => {
  const unknown = record({ state: 'HELD-UNKNOWN', holder: null, bootId: '', epoch: 0, seq: 1 });
  const takenAfter = (heard: boolean, rank: number) => {
    const bench = new Bench({ self: 'b', bootId: 'b1' }).start().will({ rank });
    bench.read({ kind: 'record', version: '1', record: unknown });
    const startMs = bench.nowMs;
    if (heard)
      bench.step({
        kind: 'beat',
        from: 'a',
        bootId: 'a1',
        cfgHash: 'cfg',
        group: { group: 'g', epoch: 0, seq: 1, version: '1', phase: 'observe', stopped: false },
      });
    for (let turn = 0; turn < 20 && bench.state.phase === 'observe'; turn += 1) {
      bench.will({ rank });
      if (bench.state.reading !== null) bench.read({ kind: 'record', version: '1', record: unknown });
      for (let tick = 0; tick < 50 && bench.state.phase === 'observe'; tick += 1) {
        bench.pass(10);
        if (bench.state.reading !== null) bench.read({ kind: 'record', version: '1', record: unknown });
      }
    }
    return bench.nowMs - startMs;
  };
  const rankMs = LAN.rankDelayMs + LAN.pollMs;
  t.is(takenAfter(false, 1), LAN.takeoverWaitMs + rankMs);
  t.is(takenAfter(true, 1), 2 * LAN.takeoverWaitMs + rankMs, 'bounded');
  t.is(takenAfter(true, 0), LAN.takeoverWaitMs, 'the planner knows that the preferred one cannot');
});

test('another configuration than the record’s: only with every member heard with it; who is down may have the old file', (t) => {
  const may = (heard: Readonly<Record<string, string>>) => {
    const bench = new Bench({ members: ['a', 'b', 'c'], cfgHash: 'new' }).start().will();
    for (const [from, cfgHash] of Object.entries(heard)) bench.step({ kind: 'beat', from, bootId: `${from}1`, cfgHash, group: null });
    bench.read({ kind: 'record', version: '1', record: record({ state: 'RELEASED', holder: null, prevHolder: 'b', cfgHash: 'old' }) });
    return bench.pass(50).state.phase;
  };
  t.is(may({ b: 'new' }), 'observe', 'c is down, and what it has is not known');
  t.is(may({ b: 'new', c: 'old' }), 'observe');
  t.is(may({ b: 'new', c: 'new' }), 'acquiring');
});

test('the record’s W counts for who observes, not the own one', (t) => {
  const taken = (ttlW: number) => {
    const bench = new Bench().start();
    bench.will().read({ kind: 'record', version: '1', record: record({ ttlW }) });
    const startMs = bench.nowMs;
    while (bench.state.phase === 'observe' && bench.nowMs < startMs + 20_000) {
      bench.will().pass(50);
      if (bench.state.reading !== null) bench.read({ kind: 'record', version: '1', record: record({ ttlW }) });
    }
    return bench.nowMs - startMs;
  };
  t.is(taken(8_000), 8_000);
  t.is(taken(1_500), 1_500);
});

test('fencing-self: a page that could not be written is written again, also while a stop runs', (t) => {
  const bench = Bench.holding().step({ kind: 'give-up', because: 'the group is given up' });
  const pages = () => bench.all.filter((effect) => effect.kind === 'write-page' && effect.state === 'STOPPING').length;
  const before = pages();
  t.is(bench.pass(300).state.fencing?.running, true);
  t.is(pages(), before);
  bench.step({ kind: 'give-up', because: 'the page cannot be written' }).pass(300);
  t.is(pages(), before + 1);
});
