// Who has the place at an export, and when a newcomer gets it.
import test from 'ava';
import { FakeClock } from 'understudy/testkit';
import { Seat } from '../../../../plugins/disk-mirror/nbd/seat.js';

const setUp = () => {
  const clock = new FakeClock();
  const story: string[] = [];
  const seat = new Seat(clock, { graceMs: 250, settleMs: 10_000 }, (there) => story.push(there ? 'attached' : 'detached'));
  const claim = (name: string) => seat.claim((refused) => story.push(refused === null ? `${name} in` : `${name} refused`));
  return { clock, story, seat, claim };
};

test('a free place: given at once', (t) => {
  const { story, claim } = setUp();
  claim('a');
  t.deepEqual(story, ['attached', 'a in']);
});

test('a second client while the first lives: refused after the grace, the first keeps the place', (t) => {
  const { clock, story, claim } = setUp();
  claim('a');
  claim('b');
  clock.advance(249);
  t.deepEqual(story, ['attached', 'a in']);
  clock.advance(1);
  t.deepEqual(story, ['attached', 'a in', 'b refused']);
  t.is(clock.pendingTimers, 0);
});

test('the death of the first is seen within the grace: the second gets in', (t) => {
  const { clock, story, seat, claim } = setUp();
  claim('a');
  claim('b');
  clock.advance(100);
  seat.left();
  seat.free();
  t.deepEqual(story, ['attached', 'a in', 'detached', 'attached', 'b in']);
  t.is(clock.pendingTimers, 0);
});

test('the first is dead, its requests are not: the second waits until the export answered them', (t) => {
  const { clock, story, seat, claim } = setUp();
  claim('a');
  seat.left();
  claim('b');
  clock.advance(5000);
  t.deepEqual(story, ['attached', 'a in']);
  seat.free();
  t.deepEqual(story.slice(2), ['detached', 'attached', 'b in']);
});

test('the export never answers: the second is refused, and the place stays taken', (t) => {
  const { clock, story, seat, claim } = setUp();
  claim('a');
  seat.left();
  claim('b');
  clock.advance(10_250);
  t.deepEqual(story.slice(2), ['b refused']);
  claim('c');
  t.is(story.length, 3);
});

test('who withdraws gets no answer; the next in line is served', (t) => {
  const { story, seat, claim } = setUp();
  claim('a');
  const withdraw = claim('b');
  claim('c');
  withdraw();
  seat.free();
  t.deepEqual(story.slice(2), ['detached', 'attached', 'c in']);
});

test('a crowd: the ninth that waits is refused at once', (t) => {
  const { story, claim } = setUp();
  claim('a');
  for (let index = 0; index < 9; index += 1) claim(`n${index}`);
  t.deepEqual(story.slice(2), ['n8 refused']);
});

test('the server ends: all who wait are refused', (t) => {
  const { clock, story, seat, claim } = setUp();
  claim('a');
  claim('b');
  claim('c');
  seat.close('ending');
  t.deepEqual(story.slice(2), ['b refused', 'c refused']);
  t.is(clock.pendingTimers, 0);
});
