// Scenes around the end of a lease: its deadline, what extends it, who stops the group, and who is not there to do it.
import type { Fault } from './fault-plan.js';
import { type Scene, HOLDER, IT, LONG_MS, OTHERS, bare, dogged, either, isolated, noLeash } from './scene.js';

export const ENDS: readonly Scene[] = [
  {
    // The deadline D, and W behind it.
    name: 'cut off',
    shape: either,
    faults: (round) => [isolated(round, round.atMs), ...noLeash(round, round.atMs)],
  },
  {
    // The last pet, and the watchdog behind it.
    name: 'cut off, then hung',
    shape: dogged,
    faults: (round) => {
      const { chance, atMs, timing } = round;
      const afterMs = chance.between(timing.petMaxAgeMs, timing.selfFenceMs + 0.9 * timing.stopBudgetMs);
      return [
        isolated(round, atMs),
        { atMs: atMs + afterMs, kind: 'hang', node: HOLDER, forMs: LONG_MS },
        ...(chance.happens(0.5) ? [{ atMs, kind: 'unkillable', node: HOLDER, forMs: LONG_MS } as const] : []),
      ];
    },
  },
  {
    // What resets a host whose group does not end.
    name: 'cut off, and nothing ends',
    shape: either,
    faults: (round) => [
      isolated(round, round.atMs),
      { atMs: round.atMs, kind: 'unkillable', node: HOLDER, forMs: LONG_MS },
      ...noLeash(round, round.atMs),
    ],
  },
  {
    // The leash reads a page, is stopped before it looks at the clock, and fires for a lease that was renewed meanwhile.
    name: 'a stalled leash',
    shape: either,
    faults: ({ chance, atMs, timing }) => [
      { atMs, kind: 'stall', node: HOLDER, process: 'leash', forMs: timing.selfFenceMs + chance.between(-2_000, 6_000) },
      ...(chance.happens(0.4)
        ? [{ atMs: atMs + timing.selfFenceMs + chance.between(0, 6_000), kind: 'kill', node: HOLDER, process: 'guard' } as const]
        : []),
    ],
  },
  {
    // A holder lives on by promises, and is then not heard any more.
    name: 'promised, then silent',
    shape: either,
    faults: (round) => {
      const { chance, atMs } = round;
      const endMs = atMs + chance.between(14_000, 24_000);
      return [
        { atMs, kind: 'arbiter', how: 'down', node: HOLDER, forMs: LONG_MS },
        chance.happens(0.7)
          ? isolated(round, endMs, LONG_MS - 8_000)
          : { atMs: endMs, kind: 'hang', node: HOLDER, forMs: LONG_MS - 10_000 },
        ...noLeash(round, endMs, 0.4),
      ];
    },
  },
  {
    // Questions and promises are longer under way than a round takes.
    name: 'promises on a slow line',
    shape: either,
    faults: ({ chance, atMs, timing, ids }) => {
      const late = (from: string, to: string): Fault => ({
        atMs: atMs - 500,
        kind: 'slow-line',
        from,
        to,
        lateMs: Math.round(chance.between(0.2, 1.6) * timing.attemptMs),
        forMs: LONG_MS,
      });
      return [
        { atMs, kind: 'arbiter', how: chance.pick(['down', 'unanswered'] as const), node: HOLDER, forMs: 30_000 },
        ...ids.flatMap((from) => ids.flatMap((to) => (from === to ? [] : [late(from, to)]))),
      ];
    },
  },
  {
    // The store answers, and says no.
    name: 'refused',
    shape: either,
    faults: ({ chance, atMs }) => {
      const forMs = chance.between(1_500, 20_000);
      return [
        { atMs, kind: 'arbiter', how: 'revoked', node: HOLDER, forMs },
        { atMs: atMs + forMs, kind: 'arbiter', how: 'down', node: HOLDER, forMs: 20_000 },
      ];
    },
  },
  {
    // A guard dies while it stops an epoch whose lease has time left.
    name: 'asked to stop, and dead',
    shape: (chance) => ({ ...either(chance), slowStops: true }),
    faults: ({ chance, atMs }) => [
      { atMs, kind: 'pause', node: HOLDER, process: 'controller', forMs: 30_000 },
      { atMs: atMs + 100, kind: 'move', to: OTHERS },
      { atMs: atMs + 200, on: 'stops', afterMs: chance.between(0, 1_500), kind: 'kill', node: IT, process: 'guard' },
    ],
  },
  {
    // The host sleeps beyond the deadline; sometimes its guard is gone when it wakes.
    name: 'cut off and asleep',
    shape: (chance) => (chance.happens(0.7) ? dogged() : bare()),
    faults: (round) => {
      const { chance, atMs, timing } = round;
      const sleepMs = atMs + chance.between(100, 1_500);
      const forMs = chance.between(0.85 * timing.selfFenceMs, Math.min(timing.watchdogMs - 400, timing.takeoverWaitMs));
      return [
        isolated(round, atMs),
        { atMs: sleepMs, kind: 'suspend', node: HOLDER, forMs },
        ...(chance.happens(0.4) ? [{ atMs: sleepMs + 100, kind: 'kill', node: HOLDER, process: 'guard' } as const] : []),
        ...noLeash(round, atMs, 0.8),
      ];
    },
  },
  {
    // The page cannot be written: what others read of the lease is older than what its guard knows.
    name: 'the page cannot be written',
    shape: either,
    faults: ({ chance, atMs, timing }) => {
      const forMs = timing.selfFenceMs + chance.between(-2_500, 2_000);
      return [
        { atMs, kind: 'disk', node: HOLDER, code: chance.pick(['ENOSPC', 'EROFS', 'EIO'] as const), under: '/run/', forMs },
        ...(chance.happens(0.6)
          ? [{ atMs: atMs + forMs + chance.between(-300, 900), kind: 'kill', node: HOLDER, process: 'guard' } as const]
          : []),
      ];
    },
  },
];
