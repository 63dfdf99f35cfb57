// Who is in sync (SAFETY a.4, a.7b, a.11): whose copy may be used, how the holder changes it, and what an answer means.
import test from 'ava';
import { NO_GROUP_ORDERS } from '../../core/model/lease.js';
import { leaseViewOf } from '../../core/ownership/lease-view.js';
import { nextWakeMs } from '../../core/ownership/machine.js';
import type { LeaseRecord } from '../../core/ownership/record.js';
import type { OwnershipPolicy } from '../../core/ownership/state.js';
import { LAN } from '../support/lease-world.js';
import { Bench, type Happening, beatOfB, record } from '../support/ownership-bench.js';

const MIRRORED: Partial<OwnershipPolicy> = { mirrored: true };
const entry = (id: string, bootId: string) => ({ id, bootId });
const freed = (change: Partial<LeaseRecord> = {}, version = 'v71') =>
  ({
    kind: 'record',
    version,
    record: record({ state: 'RELEASED', holder: null, prevHolder: 'b', members: [entry('a', 'a1'), entry('b', 'b1')], ...change }),
  }) as const;
const beat = (bootId: string): Happening => ({ kind: 'beat', from: 'b', bootId, cfgHash: 'cfg', group: null });

/** A machine that holds epoch 8 of a group with a mirror, both in sync, b heard in its boot b1. */
const holding = (policy: Partial<OwnershipPolicy> = MIRRORED): Bench => {
  const bench = new Bench(policy)
    .start()
    .step(beatOfB({ phase: 'observe' }))
    .read(freed())
    .will()
    .pass(100);
  if (bench.state.reading !== null) bench.read(freed());
  return bench.done('v8');
};
let asks = 0;
const ask = (change: Partial<Extract<Happening, { kind: 'in-sync' }>> = {}): Extract<Happening, { kind: 'in-sync' }> => ({
  kind: 'in-sync',
  askId: (asks += 1),
  change: 'remove',
  peer: 'b',
  bootId: null,
  epoch: 8,
  generation: '8.1.00ff',
  limitMs: 1_000,
  ...change,
});
const ids = (entries: readonly { readonly id: string }[]) => entries.map(({ id }) => id);

const eligibility: [title: string, found: Partial<LeaseRecord>, heardB: string | null, may: boolean, why?: RegExp][] = [
  ['in sync in this boot', { inSync: [entry('a', 'a1'), entry('b', 'b1')] }, 'b1', true],
  ['not in sync', { inSync: [entry('b', 'b1')] }, 'b1', false, /the copy of a is not in sync by the lease record \(in sync: b\)/],
  ['nobody in sync', { inSync: [] }, 'b1', false, /in sync: nobody/],
  [
    'in sync in an earlier boot',
    { inSync: [entry('a', 'a0'), entry('b', 'b1')] },
    'b1',
    false,
    /earlier boot, and a was not the last holder/,
  ],
  ['in sync in no boot that is known', { inSync: [entry('a', ''), entry('b', 'b1')] }, 'b1', false, /earlier boot/],
  [
    'last holder, rebooted, the other in sync as it was',
    { prevHolder: 'a', inSync: [entry('a', 'a0'), entry('b', 'b1')] },
    'b1',
    false,
    /and b may have a better one/,
  ],
  [
    'last holder, rebooted, the other not heard',
    { prevHolder: 'a', inSync: [entry('a', 'a0'), entry('b', 'b1')] },
    null,
    false,
    /b may have/,
  ],
  ['last holder, rebooted, and so is the other', { prevHolder: 'a', inSync: [entry('a', 'a0'), entry('b', 'b1')] }, 'b2', true],
  ['last holder, rebooted, alone in sync', { prevHolder: 'a', inSync: [entry('a', 'a0')] }, 'b1', true],
  [
    'last holder, rebooted, the other in no boot that is known',
    { prevHolder: 'a', inSync: [entry('a', 'a0'), entry('b', '')] },
    'b2',
    false,
  ],
];
for (const [title, found, heardB, may, why] of eligibility) {
  test(`group with a mirror, ${title}: ${may ? 'it may be taken' : 'it is not taken'}`, (t) => {
    const bench = new Bench(MIRRORED).start();
    if (heardB !== null) bench.step(beat(heardB));
    bench.read(freed(found)).will().pass(200);
    t.is(bench.state.writing?.purpose ?? null, may ? 'acquire' : null);
    if (why !== undefined) t.regex(leaseViewOf(bench.state, bench.nowMs).because, why);
  });
}

test('group without a mirror: members stay in sync over boots, and nobody is kept out', (t) => {
  for (const inSync of [[entry('b', 'b1')], [entry('a', 'a0')], []]) {
    const bench = new Bench().start().read(freed({ inSync })).will().pass(200);
    t.is(bench.state.writing?.purpose, 'acquire');
    t.is(leaseViewOf(bench.state, bench.nowMs).mirror, null);
  }
});

test('an acquisition inherits inSync as it is: an entry of another boot of the peer is not made good by it', (t) => {
  const bench = new Bench(MIRRORED).start().step(beat('b2'));
  bench
    .read(freed({ inSync: [entry('a', 'a1'), entry('b', 'b1')] }))
    .will()
    .pass(200);
  t.deepEqual(bench.attempt.record.inSync, [entry('a', 'a1'), entry('b', 'b1')]);
  bench.done('v8');
  t.deepEqual(leaseViewOf(bench.state, bench.nowMs).mirror, { stale: ['b'], forced: false, lacks: null });
  t.deepEqual(bench.all.findLast((effect) => effect.kind === 'write-page')?.inSync, ['a', 'b'], 'whoever acknowledges must still ask it');
});

test('the very first epoch: everybody may take it, and whoever is heard is in sync in its boot', (t) => {
  const bench = new Bench(MIRRORED).start().step(beat('b1')).read({ kind: 'absent' });
  t.is(bench.attempt.purpose, 'create');
  t.deepEqual(bench.attempt.record.inSync, [entry('a', 'a1'), entry('b', '')]);
  const created = { kind: 'record', version: 'v1', record: bench.attempt.record } as const;
  bench.done('v1').observeFor(LAN.takeoverWaitMs + 200, created);
  t.is(bench.attempt.purpose, 'acquire');
  t.deepEqual(bench.attempt.record.inSync, [entry('a', 'a1'), entry('b', 'b1')]);
});

test('removed: a renewal at once, the page behind it, and only then the answer', (t) => {
  const bench = holding();
  const wish = ask();
  bench.step(wish);
  t.is(bench.attempt.purpose, 'renew');
  t.deepEqual(ids(bench.attempt.record.inSync), ['a']);
  t.like(bench.attempt.record, { epoch: 8, seq: 72, state: 'HELD' });
  t.deepEqual(
    bench.state.tenure?.inSync.map(({ id }) => id),
    ['a', 'b'],
    'not before it is known to have happened',
  );
  const before = bench.all.length;
  bench.done('v9');
  const after = bench.all.slice(before).filter(({ kind }) => kind === 'write-page' || kind === 'in-sync-answer');
  t.like(after, [
    { kind: 'write-page', state: 'HELD', inSync: ['a'] },
    { kind: 'in-sync-answer', askId: wish.askId, answer: { kind: 'ok', seq: 72 } },
  ]);
  t.true(bench.said('lease.in-sync'));
  t.is(bench.state.inSyncWish, null);
});

test('added: only in a boot that is heard, and the entry carries it', (t) => {
  const bench = holding().step(ask()).done('v9').step(beat('b1'));
  const of = (bootId: string | null) => bench.step(ask({ change: 'add', bootId })).last('in-sync-answer')?.answer;
  t.like(of(null), { kind: 'refused', because: 'to be added it must be known in which boot' });
  t.like(of('b2'), { kind: 'refused', because: 'b is heard in its boot b1, not in b2' });
  bench.step(ask({ change: 'add', bootId: 'b1' }));
  t.deepEqual(bench.attempt.record.inSync, [entry('a', 'a1'), entry('b', 'b1')]);
  bench.done('v10');
  t.like(bench.last('in-sync-answer')?.answer, { kind: 'ok' });
  t.deepEqual(bench.last('write-page')?.inSync, ['a', 'b']);
});

test('added: the page shows it as soon as it is asked for: it may land without an answer and outlive this guard', (t) => {
  const bench = holding().step(ask()).done('v9').step(beat('b1'));
  const before = bench.all.length;
  bench.step(ask({ change: 'add', bootId: 'b1', limitMs: 40 }));
  const order = bench.all.slice(before).flatMap((effect) => (effect.kind === 'write-page' || effect.kind === 'cas' ? [effect] : []));
  t.like(order, [
    { kind: 'write-page', state: 'HELD', inSync: ['a', 'b'] },
    { kind: 'cas', attempt: { purpose: 'renew' } },
  ]);
  // No answer: it stays so until a renewal is known to have happened, and then the page says what the record says.
  bench.unknown().pass(50);
  t.like(bench.all.findLast((effect) => effect.kind === 'in-sync-answer')?.answer, { kind: 'unknown' });
  while (bench.state.writing === null) bench.pass(50);
  t.deepEqual(ids(bench.attempt.record.inSync), ['a']);
  bench.done('v11');
  t.deepEqual(bench.last('write-page')?.inSync, ['a']);
});

test('what is so already: one confirmed renewal tells, because a write without an answer may say otherwise', (t) => {
  const bench = holding();
  bench.step(ask({ change: 'add', bootId: 'b1' }));
  t.is(bench.last('in-sync-answer'), undefined);
  t.deepEqual(bench.attempt.record.inSync, [entry('a', 'a1'), entry('b', 'b1')]);
  t.like(bench.done('v9').last('in-sync-answer')?.answer, { kind: 'ok' });
});

test('a renewal is on its way when it is asked: the change goes with the next one', (t) => {
  const bench = holding();
  while (bench.state.writing === null) bench.pass(50);
  bench.step(ask());
  t.deepEqual(ids(bench.attempt.record.inSync), ['a', 'b']);
  bench.done('v9');
  t.is(bench.last('in-sync-answer'), undefined);
  t.deepEqual(bench.last('write-page')?.inSync, ['a', 'b']);
  t.deepEqual(ids(bench.attempt.record.inSync), ['a'], 'and that one at once');
  t.like(bench.done('v10').last('in-sync-answer')?.answer, { kind: 'ok', seq: 73 });
});

const refusals: [title: string, make: () => Bench, wish: Parameters<typeof ask>[0], because: RegExp][] = [
  ['a group without a mirror', () => holding({}), {}, /g has no mirror by the configuration of a/],
  ['nothing held', () => new Bench(MIRRORED).start(), {}, /g is not held here/],
  ['another epoch', () => holding(), { epoch: 7 }, /epoch 8 is held here, not 7/],
  ['itself', () => holding(), { peer: 'a' }, /a is the holder itself/],
  ['a stranger', () => holding(), { peer: 'c' }, /c is no member of g/],
  [
    'a new guard that has not read the record',
    () =>
      new Bench(MIRRORED).step({
        kind: 'start',
        leftover: { kind: 'adopt', phase: 'held', epoch: 8, deadlineMs: 11_200, nonce: 'n', members: ['a', 'b'] },
      }),
    {},
    /not read since this guard began/,
  ],
  ['a group that is being given back', () => holding().will({ want: 'release' }), {}, /not held here/],
];
for (const [title, make, wish, because] of refusals) {
  test(`refused: ${title}`, (t) => {
    const answer = make().step(ask(wish)).last('in-sync-answer')?.answer;
    t.is(answer?.kind, 'refused');
    t.regex(answer?.kind === 'refused' ? answer.because : '', because);
  });
}

test('no answer of the store: tried again on the same version, and unknown when the time is up', (t) => {
  const bench = holding().step(ask({ limitMs: 600 }));
  bench.unknown();
  t.is(bench.last('in-sync-answer'), undefined);
  while (bench.state.writing === null) bench.pass(50);
  t.deepEqual(ids(bench.attempt.record.inSync), ['a']);
  t.is(bench.attempt.expected, 'v8');
  bench.pass(600);
  const said = bench.all.filter((effect) => effect.kind === 'in-sync-answer');
  t.like(said, [{ answer: { kind: 'unknown' } }]);
  t.is(said.length, 1);
});

test('unknown, and it had happened: the next write finds it, the page follows, and asking again says so', (t) => {
  const bench = holding().step(ask({ limitMs: 40 }));
  const landed = bench.attempt.record;
  bench.unknown().pass(50);
  t.like(bench.all.findLast((effect) => effect.kind === 'in-sync-answer')?.answer, { kind: 'unknown' });
  while (bench.state.writing === null) bench.pass(50);
  t.deepEqual(ids(bench.attempt.record.inSync), ['a', 'b'], 'nobody wants it any more');
  bench.conflict({ kind: 'record', record: landed, version: 'v9' });
  t.deepEqual(bench.all.findLast((effect) => effect.kind === 'write-page')?.inSync, ['a']);
  t.is(bench.state.phase, 'held');
  bench.done('v10').step(ask());
  t.deepEqual(ids(bench.attempt.record.inSync), ['a']);
  t.like(bench.done('v11').last('in-sync-answer')?.answer, { kind: 'ok' });
});

test('asked and taken away again before anything was sent: the first hears that nothing happened', (t) => {
  const bench = holding();
  while (bench.state.writing === null) bench.pass(50);
  const first = ask();
  bench.step(first).step(ask({ change: 'add', bootId: 'b1' }));
  t.like(bench.last('in-sync-answer'), { askId: first.askId, answer: { kind: 'refused', because: 'another change was asked for' } });
});

test('the other node was faster: the change is not known, and the epoch is over', (t) => {
  const bench = holding().step(ask());
  bench.conflict({ kind: 'record', record: record({ epoch: 9, holder: 'b', bootId: 'b1', seq: 72 }), version: 'v9' });
  t.is(bench.state.phase, 'fencing-self');
  t.is(bench.last('in-sync-answer')?.answer.kind, 'unknown');
  t.deepEqual(bench.all.flatMap((effect) => (effect.kind === 'write-page' && effect.state === 'HELD' ? [effect.inSync] : [])).at(-1), [
    'a',
    'b',
  ]);
});

test('the machine wakes for whoever waits for it', (t) => {
  const bench = holding().step(ask({ limitMs: 70 }));
  t.true(nextWakeMs(bench.state) <= bench.nowMs + 70);
});

const forced = (node: string, epoch: number) => ({ ...NO_GROUP_ORDERS, forced: { node, epoch, by: 'ops', why: 'b is gone for good' } });

test('forced by an operator: taken although it is not in sync, alone in sync from then on, and the record says so', (t) => {
  const found = freed({ inSync: [entry('b', 'b1')] });
  const bench = new Bench(MIRRORED).start().read(found, forced('a', 7)).will().pass(200);
  t.like(bench.attempt, { purpose: 'acquire', record: { epoch: 8, inSync: [entry('a', 'a1')], forced: true } });
  bench.done('v8');
  t.deepEqual(leaseViewOf(bench.state, bench.nowMs).mirror, { stale: [], forced: true, lacks: null });
  t.regex(JSON.stringify(bench.all), /b is gone for good/);
});

test('forced: for another node, or another epoch than the record’s, it is no order', (t) => {
  for (const orders of [forced('b', 7), forced('a', 6), forced('a', 8)]) {
    const bench = new Bench(MIRRORED)
      .start()
      .read(freed({ inSync: [entry('b', 'b1')] }), orders)
      .will()
      .pass(200);
    t.is(bench.state.writing, null);
  }
});

test('forced although it is in sync: an ordinary acquisition', (t) => {
  const bench = new Bench(MIRRORED).start().read(freed(), forced('a', 7)).will().pass(200);
  t.is(bench.attempt.record.forced, undefined);
  t.deepEqual(ids(bench.attempt.record.inSync), ['a', 'b']);
});
