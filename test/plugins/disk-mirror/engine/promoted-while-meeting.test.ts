// A promotion at any moment of the first meeting: the two understand each other at once, and not when a patience has ended.
import test from 'ava';
import { MirrorWorld } from '../../../support/mirror-world/mirror-world.js';

const MOMENTS = 60;

test('promoted at any step of the meeting: connected within a tenth of the patience', (t) => {
  for (let seed = 1; seed <= 20; seed++)
    for (let step = 0; step < MOMENTS; step++) {
      const world = new MirrorWorld(
        { mode: 'sync', order: 'remote-first', async: { maxLagBytes: 1, maxLagMs: 1, full: 'throttle' } },
        seed,
      );
      const { nodes, link } = world;
      nodes.a.start();
      nodes.b.start();
      link.connect();
      world.run(step);
      world.acquire('a');
      world.promote('a');
      for (let turn = 0; turn < 5; turn++) {
        world.run(10_000);
        world.tick(20);
        // Where a late word of the first meeting ended the connection it is made anew, as the link does.
        link.connect();
      }
      t.like(nodes.a.engine!.view(), { serving: true, connection: 'connected' }, `seed ${seed}, step ${step}`);
      t.like(nodes.b.engine!.view(), { connection: 'connected', disk: 'UpToDate' }, `seed ${seed}, step ${step}`);
    }
});
