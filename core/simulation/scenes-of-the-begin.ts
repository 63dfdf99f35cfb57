// Scenes around the beginning of an epoch: what the next holder has seen, how it wins, and what it starts.
import type { Fault } from './fault-plan.js';
import { type Scene, HOLDER, IT, LONG_MS, OTHERS, bare, dogged, either, handsOver, isolated, noLeash, tight } from './scene.js';

export const BEGINS: readonly Scene[] = [
  {
    // Between the question and what it shows, the holder renews for the last time.
    name: 'late reads',
    shape: () => ({ ...bare(), ...tight }),
    faults: (round) => {
      const { chance, atMs, timing } = round;
      return [
        {
          atMs: atMs - 8_000,
          kind: 'store-late',
          node: OTHERS,
          what: 'requests',
          lateMs: [0.85 * timing.attemptMs, 0.94 * timing.attemptMs],
          // The acquisition itself is quick: a late one gives the holder what it needs.
          forMs: 12_000,
        },
        { ...isolated(round, atMs + chance.between(0, 2_000)), store: 'down' } as Fault,
        { atMs: atMs + 2_000, kind: 'unkillable', node: HOLDER, forMs: LONG_MS },
        ...noLeash(round, atMs, 1),
      ];
    },
  },
  {
    // Who waits does not see that the holder lives, and is heard again at the moment of its acquisition.
    name: 'a deaf observer',
    shape: either,
    faults: ({ chance, atMs, timing: { takeoverWaitMs } }) => [
      {
        atMs,
        kind: 'arbiter',
        how: chance.pick(['down', 'unanswered'] as const),
        node: OTHERS,
        forMs: chance.between(takeoverWaitMs - 1_500, takeoverWaitMs + 2_500),
      },
    ],
  },
  {
    // What was written and not answered is no loss.
    name: 'lost answers',
    shape: (chance) => ({ ...either(chance), atMostEpochs: 1 }),
    faults: ({ chance, atMs, round }) => [
      ...(round === 0
        ? [{ atMs: 0, on: 'asks', kind: 'arbiter', how: 'unanswered', node: IT, forMs: chance.between(100, 800) } as const]
        : []),
      ...Array.from(
        { length: 6 },
        (_, index) =>
          ({
            atMs: atMs + index * 8_000 + chance.between(0, 3_000),
            kind: 'arbiter',
            how: 'unanswered',
            node: HOLDER,
            forMs: chance.between(200, 1_300),
          }) as const,
      ),
    ],
  },
  {
    // The answer to an acquisition comes late, and then nothing more comes.
    name: 'a late win',
    shape: either,
    faults: ({ chance, atMs, timing }) => [
      handsOver(atMs),
      {
        atMs,
        on: 'asks',
        kind: 'store-late',
        node: IT,
        what: 'answers',
        lateMs: [0.1 * timing.attemptMs, 0.95 * timing.attemptMs],
        forMs: 3_000,
      },
      { atMs, on: 'wins', afterMs: 1, kind: 'isolated', node: IT, store: chance.pick(['down', 'unanswered'] as const), forMs: LONG_MS },
    ],
  },
  {
    // An acquisition is found in the record when it is old.
    name: 'a lost win',
    shape: either,
    faults: ({ chance, atMs, timing }) => [
      handsOver(atMs),
      {
        atMs,
        on: 'asks',
        kind: 'arbiter',
        how: 'unanswered',
        node: IT,
        forMs: chance.between(timing.petMaxAgeMs, timing.selfFenceMs + 3_000),
      },
    ],
  },
  {
    // The same, and then the store is lost, and the host stops as soon as anything runs on it: the watchdog was just petted.
    name: 'an old win, then hung',
    shape: () => ({ ...dogged(), ...tight }),
    faults: ({ chance, atMs, timing, ids }) => {
      const foundMs = chance.between(timing.petMaxAgeMs + 500, timing.selfFenceMs - timing.attemptMs);
      const lateMs: readonly [number, number] = [0.3 * timing.attemptMs, 0.9 * timing.attemptMs];
      return [
        handsOver(atMs),
        { atMs, on: 'asks', kind: 'arbiter', how: 'unanswered', node: IT, forMs: foundMs },
        { atMs, on: 'asks', kind: 'store-late', node: IT, what: 'answers', lateMs, forMs: LONG_MS },
        // Nobody is there to promise anything.
        ...ids.flatMap((from) =>
          ids.flatMap((to) => (from === to ? [] : [{ atMs, on: 'asks', kind: 'cut', from, to, networks: [0, 1], forMs: 30_000 } as const])),
        ),
        {
          atMs,
          on: 'asks',
          afterMs: foundMs + chance.between(50, timing.attemptMs),
          kind: 'isolated',
          node: IT,
          store: 'down',
          forMs: LONG_MS,
        },
        { atMs: atMs + 200, on: 'begins', afterMs: chance.between(0, 300), kind: 'hang', node: IT, forMs: LONG_MS },
      ];
    },
  },
  {
    // Nobody tells the controller that the lease has run out.
    name: 'nobody tells the controller',
    shape: (chance) => ({ ...bare(), whole: chance.happens(0.5) }),
    faults: ({ chance, atMs, timing }) => [
      { atMs, kind: 'pause', node: HOLDER, process: 'guard', forMs: timing.selfFenceMs + 8_000 },
      { atMs, kind: 'pause', node: HOLDER, process: 'leash', forMs: timing.selfFenceMs + 8_000 },
      { atMs: atMs + timing.selfFenceMs + chance.between(300, 4_000), kind: 'app-dies', node: HOLDER },
    ],
  },
  {
    // A start takes longer than the lease lasts.
    name: 'lost while starting',
    shape: () => ({ ...bare(), whole: true }),
    faults: ({ chance, atMs, ids }) => [
      ...ids.map(
        (node) =>
          ({ atMs: atMs - 100, kind: 'misbehave', node, group: 'g', resource: 'ip', how: { start: 'slow' }, forMs: LONG_MS }) as const,
      ),
      handsOver(atMs),
      ...(chance.happens(0.5)
        ? [{ atMs, on: 'wins', afterMs: 300, kind: 'isolated', node: IT, store: 'down', forMs: LONG_MS } as const]
        : (['guard', 'leash'] as const).map(
            (process) => ({ atMs, on: 'wins', afterMs: 300, kind: 'pause', node: IT, process, forMs: LONG_MS + 20_000 }) as const,
          )),
    ],
  },
  {
    // A new controller finds the application running, and its first look at it takes long.
    name: 'taken up by a new controller',
    shape: (chance) => ({ ...either(chance), whole: true }),
    faults: ({ chance, atMs, ids }) => [
      ...ids.map(
        (node) => ({ atMs, kind: 'misbehave', node, group: 'g', resource: 'app', how: { monitor: 'is slow' }, forMs: LONG_MS }) as const,
      ),
      ...Array.from(
        { length: 4 },
        (_, index) =>
          ({ atMs: atMs + 1_000 + index * 9_000 + chance.between(0, 3_000), kind: 'kill', node: HOLDER, process: 'controller' }) as const,
      ),
    ],
  },
  {
    // A newer epoch is won while the old holder lives, has lease left and is on its way back; and something of it ends by itself
    // while it is being stopped.
    name: 'preempted alive',
    shape: (chance) => ({
      ...dogged(),
      takeover: 'preempt',
      confirm: chance.happens(0.8) ? 'none' : 'renewal',
      slowStops: true,
      heartbeatNetworks: chance.happens(0.5) ? 2 : 1,
    }),
    faults: (round) => {
      const { chance, atMs, timing } = round;
      const cutMs = atMs + chance.between(0, 18_000);
      return [
        isolated(round, cutMs, timing.suspectAfterMs + chance.between(200, 2_500)),
        { atMs: cutMs, on: 'stops', afterMs: chance.between(10, 900), kind: 'app-dies', node: IT },
      ];
    },
  },
];
