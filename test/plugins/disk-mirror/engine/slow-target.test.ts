// A standby that does not keep up with an application that goes on writing: how much it may owe, as the target of a resync, and in
// semi-sync, where it answers what it has not applied.
import test from 'ava';
import { MirrorWorld } from '../../../support/mirror-world/mirror-world.js';

test('an application that writes on: what the target owes stays within its bound', (t) => {
  const world = new MirrorWorld({ mode: 'sync', order: 'remote-first', async: { maxLagBytes: 1, maxLagMs: 1, full: 'throttle' } }, 1);
  const { nodes, link, application } = world;
  const quiet = (turns = 10) => {
    for (let turn = 0; turn < turns; turn++) {
      world.run(10_000);
      world.tick(50);
    }
    world.run(10_000);
  };
  nodes.a.start();
  nodes.b.start();
  link.connect();
  quiet();
  world.acquire('a');
  world.promote('a');
  quiet();
  link.break('cut');
  link.cut = true;
  for (let at = 0; at < 40; at++) application.write(at, 1, false);
  quiet();
  const alone = application.answered;
  t.is(alone, 40);
  link.cut = false;
  link.connect();
  const inResync = () => {
    for (let step = 0; step < 10_000; step++) {
      const { engine } = nodes.a;
      if (engine?.view().resync?.direction === 'source' && engine.view().resync!.doneBytes > 0) return true;
      world.run(1);
      if (step % 50 === 49) world.tick(1);
    }
    return false;
  };
  t.true(inResync());
  // One write after the other: none is begun before the last was answered.
  let [most, issued] = [0, 0];
  for (let step = 0; issued < 200 && step < 200_000; step++) {
    if (application.answered === alone + issued) {
      application.write(issued % 40, 1, false);
      issued += 1;
    }
    world.run(1);
    most = Math.max(most, nodes.a.engine?.view().lagBytes ?? 0);
    if (step % 50 === 49) world.tick(1);
  }
  quiet(20);
  // The bound, what crossed it, and one write that waits.
  t.true(most > 0 && most <= 32, `the target owed ${most} bytes`);
  t.is(application.answered, alone + 200);
  t.deepEqual(nodes.a.disk.cells, nodes.b.disk.cells);
  t.deepEqual(world.violations, []);
});

test('semi-sync: what the standby has received and not applied stays within its bound', (t) => {
  const world = new MirrorWorld({ mode: 'semi-sync', order: 'remote-first', async: { maxLagBytes: 1, maxLagMs: 1, full: 'throttle' } }, 1);
  const { nodes, link, application } = world;
  const quiet = () => {
    for (let turn = 0; turn < 20; turn++) {
      world.run(10_000);
      world.tick(50);
    }
  };
  nodes.a.start();
  nodes.b.start();
  link.connect();
  quiet();
  world.acquire('a');
  world.promote('a');
  quiet();
  // Four at a time, of one sector each.
  let [most, issued] = [0, 0];
  for (let step = 0; issued < 400 && step < 200_000; step++) {
    while (issued < 400 && issued - application.answered < 4) {
      application.write(issued % 40, 1, false);
      issued += 1;
    }
    world.run(1);
    most = Math.max(most, nodes.a.engine?.view().lagBytes ?? 0);
    if (step % 50 === 49) world.tick(1);
  }
  quiet();
  t.true(most > 16 && most <= 16 + 4 * 8, `the standby owed ${most} bytes`);
  t.is(application.answered, 400);
  t.deepEqual(nodes.a.disk.cells, nodes.b.disk.cells);
  t.deepEqual(world.violations, []);
});
