// The clock that all other unit tests trust.
import test from 'ava';
import { FakeClock } from 'understudy/testkit';

test('timers fire in order of due time, then of creation, at their own time', (t) => {
  const clock = new FakeClock(0);
  const seen: string[] = [];
  const note = (name: string) => () => seen.push(`${name}@${clock.nowMs()}`);
  clock.after(20, note('b'));
  clock.after(10, note('a'));
  clock.after(20, note('c'));
  clock.every(15, note('e'));
  clock.advance(30);
  t.deepEqual(seen, ['a@10', 'e@15', 'b@20', 'c@20', 'e@30']);
  t.is(clock.pendingTimers, 1);
});

test('a pause: periods missed are not made up for', (t) => {
  const clock = new FakeClock(0);
  const seen: number[] = [];
  clock.every(10, () => seen.push(clock.nowMs()));
  clock.pause(95);
  t.deepEqual(seen, []);
  clock.advance(10);
  t.deepEqual(seen, [95, 105]);
});

test('a cancelled timer does not fire; a sleep ends by its signal', async (t) => {
  const clock = new FakeClock(0);
  clock.after(5, () => t.fail()).cancel();
  const controller = new AbortController();
  const sleeping = clock.sleep(5, controller.signal);
  controller.abort(new Error('enough'));
  await t.throwsAsync(sleeping, { message: 'enough' });
  clock.advance(10);
  t.is(clock.pendingTimers, 0);
});

test('advanceAsync: what a promise callback arms is still fired inside the same span', async (t) => {
  const clock = new FakeClock(0);
  const seen: number[] = [];
  const work = async () => {
    for (let round = 0; round < 3; round += 1) {
      await clock.sleep(10);
      seen.push(clock.nowMs());
    }
  };
  const done = work();
  await clock.advanceAsync(30);
  await done;
  t.deepEqual(seen, [10, 20, 30]);
});
