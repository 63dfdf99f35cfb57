import test from 'ava';
import { arbiterContract, FakeClock, MemoryArbiter, MemoryStore, objectionTo, type RecordedCall } from 'understudy/testkit';

const world = () => {
  const clock = new FakeClock();
  const store = new MemoryStore();
  return { clock, store, one: new MemoryArbiter({ clock, store }), two: new MemoryArbiter({ clock, store }) };
};
const never = new AbortController().signal;

test('two nodes write from the same version: one is done, the other sees what is there', async (t) => {
  const { one, two } = world();
  const first = await one.cas('k', null, 'a', never);
  t.is(first.outcome, 'done');
  t.like(await two.cas('k', null, 'b', never), { outcome: 'conflict', current: { value: 'a' } });
  t.like((await two.read(['k', 'absent'], never))[0], { value: 'a' });
  t.is((await two.read(['absent'], never))[0], null);
});

test('lost answer: the caller does not know, the store has it', async (t) => {
  const { one, store } = world();
  one.faults.loseAnswer = true;
  const deadline = new AbortController();
  const answer = one.cas('k', null, 'a', deadline.signal);
  deadline.abort(new Error('deadline'));
  await t.throwsAsync(answer, { name: 'ArbiterError', message: /in time/ });
  t.is(store.get('k')?.value, 'a');
});

test('late landing: the effect comes after the caller gave up', async (t) => {
  const { clock, one, store } = world();
  one.faults.requestDelayMs = 1_000;
  const deadline = new AbortController();
  const answer = one.cas('k', null, 'a', deadline.signal);
  clock.advance(250);
  deadline.abort(new Error('deadline'));
  await t.throwsAsync(answer);
  t.is(store.get('k'), null);
  clock.advance(750);
  t.is(store.get('k')?.value, 'a');
});

test('lost request and refusal: no effect', async (t) => {
  const { one, store } = world();
  one.faults.refuse = 'no such credentials';
  await t.throwsAsync(one.cas('k', null, 'a', never), { message: 'no such credentials' });
  one.faults.refuse = null;
  one.faults.loseRequest = true;
  const deadline = new AbortController();
  const answer = one.read(['k'], deadline.signal);
  deadline.abort(new Error('deadline'));
  await t.throwsAsync(answer);
  t.is(store.get('k'), null);
});

test('follow: tells of the keys asked for, until its signal', async (t) => {
  const { one, two } = world();
  const seen: string[] = [];
  const end = new AbortController();
  const following = one.follow?.(['k'], (value) => seen.push(value.value), end.signal);
  await two.cas('other', null, 'x', never);
  await two.cas('k', null, 'a', never);
  end.abort();
  await following;
  await two.cas('k2', null, 'b', never);
  t.deepEqual(seen, ['a']);
});

arbiterContract(test, 'memory', () => {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const arbiter = new MemoryArbiter({ clock, store });
  return Promise.resolve({
    arbiter,
    connect: () => Promise.resolve(new MemoryArbiter({ clock, store })),
    close: () => arbiter.close(),
    faults: {
      lose: (what) => void Object.assign(arbiter.faults, { loseRequest: what === 'request', loseAnswer: what === 'answer' }),
      hold: () => {
        arbiter.faults.requestDelayMs = 1;
        return Promise.resolve(() => {
          arbiter.faults.requestDelayMs = 0;
          clock.advance(1);
        });
      },
      deny: (on) => void (arbiter.faults.refuse = on ? 'not today' : null),
      forget: (key) => Promise.resolve(store.forget(key)),
      backup: () => {
        const restore = store.backup();
        return Promise.resolve(() => Promise.resolve(restore()));
      },
    },
  });
});

// ---- the checker of histories

const cas = (client: string, at: readonly [number, number], on: string | null, to: string, outcome: 'done' | 'unknown'): RecordedCall => ({
  client,
  kind: 'cas',
  beganMs: at[0],
  endedMs: at[1],
  on,
  to,
  outcome,
});
const read = (client: string, at: readonly [number, number], saw: string | null): RecordedCall => ({
  client,
  kind: 'read',
  beganMs: at[0],
  endedMs: at[1],
  outcome: 'value',
  saw,
});
const NEVER = Number.POSITIVE_INFINITY;

const histories: [title: string, calls: readonly RecordedCall[], expected: string | null][] = [
  ['nothing', [], null],
  ['a chain and reads between', [cas('a', [0, 2], null, 'x', 'done'), read('b', [1, 3], null), read('b', [4, 5], 'x')], null],
  [
    'two writes on one version',
    [cas('a', [0, 2], null, 'x', 'done'), cas('b', [1, 3], null, 'y', 'done')],
    'x and y were both written on nothing',
  ],
  [
    'a stale read',
    [cas('a', [0, 2], null, 'x', 'done'), read('b', [3, 4], null)],
    'b: read that saw nothing came after a: cas of x had ended',
  ],
  [
    'a read before its write',
    [read('b', [0, 1], 'x'), cas('a', [2, 3], null, 'x', 'done')],
    'a: cas of x came after b: read that saw x had ended',
  ],
  [
    'reads that go back',
    [cas('a', [0, 9], null, 'x', 'done'), read('b', [1, 2], 'x'), read('c', [3, 4], null)],
    'c: read that saw nothing came after b: read that saw x had ended',
  ],
  [
    'an unknown write that landed late',
    [cas('a', [0, NEVER], null, 'x', 'unknown'), read('b', [3, 4], null), read('b', [7, 8], 'x')],
    null,
  ],
  [
    'an unknown write and another on the same version',
    [cas('a', [0, NEVER], null, 'x', 'unknown'), cas('b', [3, 4], null, 'y', 'done')],
    null,
  ],
  [
    'an unknown write that landed over another',
    [cas('a', [0, NEVER], null, 'x', 'unknown'), cas('b', [3, 4], null, 'y', 'done'), read('b', [5, 6], 'x')],
    'x and y were both written on nothing',
  ],
  ['what nobody wrote', [read('b', [0, 1], 'z')], 'z was seen and never written'],
  ['a write on what never was', [cas('a', [0, 1], 'w', 'x', 'done'), cas('b', [0, 9], null, 'w', 'unknown')], null],
];
for (const [title, calls, expected] of histories) test(`histories: ${title}`, (t) => t.is(objectionTo(calls), expected));
