import test from 'ava';
import { MemoryArbiter, MemoryStore } from '../../core/plugin/testkit/memory-arbiter.js';
import { FakeClock } from '../support/fake-clock.js';

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
