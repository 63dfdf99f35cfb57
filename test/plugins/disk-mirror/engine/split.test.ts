// Both copies were written apart: each side must come to that, stay there, and say so, whichever of them is quicker to leave.
import test from 'ava';
import { MirrorWorld } from '../../../support/mirror-world/mirror-world.js';

const ASYNC = { maxLagBytes: 1_000_000, maxLagMs: 5_000, full: 'throttle' } as const;

const parted = (seed: number): MirrorWorld => {
  const world = new MirrorWorld({ mode: 'sync', order: 'remote-first', async: ASYNC }, seed);
  const quiet = (turns = 8) => {
    for (let turn = 0; turn < turns; turn += 1) {
      world.run(10_000);
      world.tick(50);
    }
    world.run(10_000);
  };
  const { nodes, link, application } = world;
  const write = (at: number) => {
    application.write(at, 1, false);
    application.flush();
    quiet();
  };
  nodes.a.start();
  nodes.b.start();
  link.connect();
  quiet();
  world.acquire('a');
  world.promote('a');
  quiet();
  write(1);
  link.break('cut');
  write(2);
  nodes.a.cutPower();
  // By an operator's order: of itself it may not.
  world.record.acquire('b');
  world.promote('b', true);
  quiet();
  write(3);
  nodes.a.start();
  link.connect();
  quiet(20);
  return world;
};

test('a forced promotion beside a copy that went on alone: both sides say split, and stay so', (t) => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const { a, b } = parted(seed).nodes;
    t.is(a.engine?.view().connection, 'split', `seed ${seed}: a`);
    t.like(b.engine?.view(), { connection: 'split', serving: true }, `seed ${seed}: b`);
  }
});
