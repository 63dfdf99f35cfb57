// When a connection counts as dead, and how long between two tries.
import fc from 'fast-check';
import test from 'ava';
import { Backoff, Silence } from '../../../../plugins/disk-mirror/link/silence.js';

test('silence of three seconds: dead, not sooner', (t) => {
  const silence = new Silence(3000, 1000, 0);
  for (const [nowMs, dead] of [
    [1000, false],
    [2000, false],
    [3000, false],
    [4000, true],
  ] as const)
    t.is(silence.tick(nowMs), dead, `at ${nowMs}`);
});

test('something is heard: counted from then', (t) => {
  const silence = new Silence(3000, 1000, 0);
  silence.heard(2500);
  for (const nowMs of [1000, 2000, 3000, 4000, 5000]) t.false(silence.tick(nowMs), `at ${nowMs}`);
  t.true(silence.tick(6000));
});

test('a pause of this process alone, of any length: never death in the tick that ends it', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 2001, max: 10_000_000 }), fc.integer({ min: 0, max: 999 }), (pauseMs, sinceMs) => {
      const silence = new Silence(3000, 1000, 0);
      silence.tick(1000);
      silence.heard(1000 + sinceMs);
      t.false(silence.tick(1000 + pauseMs));
      // A peer that is really gone is still found, later.
      let nowMs = 1000 + pauseMs;
      let ticks = 0;
      while (!silence.tick((nowMs += 1000))) ticks += 1;
      t.true(ticks <= 3);
    }),
    { seed: 3 },
  );
});

test('backoff: twice as long each time up to its bound, never less than half of that, from the start after a good one', (t) => {
  for (const chance of [0, 0.5, 0.999]) {
    const backoff = new Backoff(100, 1000, () => chance);
    for (const full of [100, 200, 400, 800, 1000, 1000]) t.is(backoff.next(), full * (0.5 + 0.5 * chance));
    backoff.reset();
    t.is(backoff.next(), 100 * (0.5 + 0.5 * chance));
  }
});
