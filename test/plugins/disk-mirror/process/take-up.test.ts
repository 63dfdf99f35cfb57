import test from 'ava';
import { takeUp } from '../../../../plugins/disk-mirror/process/take-up.js';
import { FakeClock } from '../../../support/fake-clock.js';

const world = (outcomes: readonly ('fails' | 'stays')[], wantedTries = Number.POSITIVE_INFINITY) => {
  const clock = new FakeClock();
  const tries: number[] = [];
  const told: string[] = [];
  const how = {
    clock,
    untilMs: clock.nowMs() + 10_000,
    wanted: () => tries.length < wantedTries,
    attach: () => {
      tries.push(clock.nowMs());
      return outcomes[tries.length - 1] === 'stays' ? Promise.resolve() : Promise.reject(new Error(`try ${tries.length}`));
    },
    trouble: (because: string) => void told.push(because),
  };
  return { clock, tries, told, how, fromMs: clock.nowMs() };
};

test('it fails twice: told each time, tried again, and no more once it stays', async (t) => {
  const { clock, tries, told, how, fromMs } = world(['fails', 'fails', 'stays']);
  takeUp(how, 0);
  await clock.advanceAsync(5_000);
  t.deepEqual(
    tries.map((atMs) => atMs - fromMs),
    [0, 250, 500],
  );
  t.deepEqual(told, ['try 1', 'try 2']);
});

test('a connection that was lost: not tried at once, or one that never stays would be made without end', async (t) => {
  const { clock, tries, how, fromMs } = world(['stays']);
  takeUp(how);
  await clock.advanceAsync(249);
  t.deepEqual(tries, []);
  await clock.advanceAsync(1);
  t.deepEqual(
    tries.map((atMs) => atMs - fromMs),
    [250],
  );
});

test('nobody wants it any more: not tried again', async (t) => {
  const { clock, tries, how } = world([], 2);
  takeUp(how, 0);
  await clock.advanceAsync(20_000);
  t.is(tries.length, 2);
});

test('the driver has given up: the tries end', async (t) => {
  const { clock, tries, how } = world([]);
  takeUp(how, 0);
  await clock.advanceAsync(60_000);
  t.is(tries.length, 41);
});
