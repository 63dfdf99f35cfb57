// The world itself: its order of events, what a paused process finds when it goes on, what dies with a process and with the
// power, and that real time is out of reach.
import test from 'ava';
import { SimNode } from '../../core/simulation/sim-node.js';
import type { SimProcess } from '../../core/simulation/sim-process.js';
import { World } from '../../core/simulation/world.js';

const worldWith = (start: (process: SimProcess) => void, rate = 1) => {
  const world = new World(1);
  const node = new SimNode(world, { id: 'a', rate });
  node.units.push({ name: 'guard', start, restartMs: () => 1_000_000 });
  node.powerOn();
  return { world, node };
};

test.serial('events: by time, then in the order of asking, promises settled between them', async (t) => {
  const world = new World(1);
  const seen: string[] = [];
  world.at(5, () => seen.push('late'));
  world.at(2, () => {
    seen.push('first');
    void (async () => {
      for (let hop = 0; hop < 100; hop += 1) await Promise.resolve();
      seen.push('its promises');
    })();
  });
  world.at(2, () => seen.push('second'));
  await world.run(10);
  t.deepEqual(seen, ['first', 'its promises', 'second', 'late']);
  t.is(world.nowMs, 10);
});

test.serial('a stopped process: overdue timers run before what waits in the sockets, immediates last', async (t) => {
  const seen: string[] = [];
  const { world, node } = worldWith((process) => {
    process.clock.after(100, () => {
      seen.push('timer');
      process.clock.soon(() => seen.push('soon'));
    });
  });
  world.at(50, () => node.processes.get('guard')?.pause(200));
  world.at(60, () => node.processes.get('guard')?.deliver('socket', () => seen.push('socket')));
  await world.run(1_000);
  t.deepEqual(seen, ['timer', 'socket', 'soon']);
});

test.serial('a pause between two instructions: the clock has moved on, and what is sent goes out later', async (t) => {
  const times: number[] = [];
  const { world } = worldWith((process) => {
    const before = process.clock.nowMs();
    process.stall(500);
    times.push(Math.round(process.clock.nowMs() - before));
    process.enqueue('socket', 0, () => times.push(Math.round(process.clock.nowMs() - before)));
  });
  await world.run(2_000);
  t.deepEqual(times, [500, 500]);
});

test.serial('a killed process: none of its callbacks runs any more', async (t) => {
  let ticks = 0;
  const { world, node } = worldWith((process) => void process.clock.every(10, () => (ticks += 1)));
  world.at(105, () => node.processes.get('guard')?.kill());
  await world.run(1_000);
  t.true(ticks >= 9 && ticks <= 11);
});

test.serial('the loss of power: the run directory is gone, synced state stays, un-synced state does not', async (t) => {
  const { world, node } = worldWith((process) => {
    const files = node.disk.forProcess(process);
    files.replaceSync('/run/page', 'page', { fsync: false });
    files.replaceSync('/state/kept', 'old', { fsync: true });
    files.replaceSync('/state/kept', 'new', { fsync: false });
    files.replaceSync('/state/lost', 'lost', { fsync: false });
  });
  world.at(10, () => node.powerOff('test'));
  await world.run(20);
  t.deepEqual(
    ['/run/page', '/state/kept', '/state/lost'].map((path) => node.disk.peek(path)),
    [null, 'old', null],
  );
});

test.serial('a host that sleeps: monotonic time stands, timers wait for it, boottime goes on', async (t) => {
  const fired: number[] = [];
  const { world, node } = worldWith((process) => void process.clock.after(1_000, () => fired.push(world.nowMs)));
  world.at(500, () => node.suspend(2_000));
  await world.run(5_000);
  t.is(Math.round(node.bootOffsetMs()), 2_000);
  t.is(fired.length, 1);
  t.true(Math.abs((fired[0] ?? 0) - 3_000) < 5, String(fired[0]));
});

test.serial('clock rates: a timer of a fast clock fires early in true time', async (t) => {
  const fired: number[] = [];
  const { world } = worldWith((process) => void process.clock.after(10_000, () => fired.push(world.nowMs)), 1.01);
  await world.run(20_000);
  t.true(Math.abs((fired[0] ?? 0) - 10_000 / 1.01) < 5);
});

test.serial('real time: touching it is a violation, and it throws', async (t) => {
  const world = new World(1);
  const threw: boolean[] = [];
  world.at(1, () => {
    try {
      Date.now();
    } catch {
      threw.push(true);
    }
  });
  await world.run(10);
  t.deepEqual(threw, [true]);
  t.is(world.violations[0]?.invariant, 'determinism');
  t.true(Date.now() > 0, 'and afterwards it is there again');
});
