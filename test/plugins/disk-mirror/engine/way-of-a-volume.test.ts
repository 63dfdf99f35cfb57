// A volume's life in one story, in every mode: connect, serve, lose the peer, go on alone, resync, fail over, come back, switch over.
import test from 'ava';
import { MirrorWorld } from '../../../support/mirror-world/mirror-world.js';
import type { NodeOptions } from '../../../support/mirror-world/mirror-node.js';

const ASYNC = { maxLagBytes: 1_000_000, maxLagMs: 5_000, full: 'throttle' } as const;
const MODES: readonly NodeOptions[] = [
  { mode: 'sync', order: 'remote-first', async: ASYNC },
  { mode: 'sync', order: 'parallel', async: ASYNC },
  { mode: 'semi-sync', order: 'remote-first', async: ASYNC },
  { mode: 'async', order: 'remote-first', async: ASYNC },
];

const story = (options: NodeOptions) => {
  const world = new MirrorWorld(options, 1);
  const quiet = (turns = 6) => {
    for (let turn = 0; turn < turns; turn++) {
      world.run(10_000);
      world.tick(50);
    }
    world.run(10_000);
  };
  const write = (from: number, count: number) => {
    for (let at = 0; at < count; at++) world.application.write((from + at) % 40, 1 + (at % 6), at % 5 === 0);
    world.application.flush();
    quiet();
  };
  const views = () => [world.nodes.a.engine?.view(), world.nodes.b.engine?.view()] as const;
  return { world, quiet, write, views };
};

for (const options of MODES)
  test(`${options.mode} ${options.order}: a volume's life`, (t) => {
    const { world, quiet, write, views } = story(options);
    const { nodes, record, link, application } = world;
    nodes.a.start();
    nodes.b.start();
    link.connect();
    quiet();
    world.acquire('a');
    world.promote('a');
    quiet();
    t.like(views(), [
      { role: 'primary', serving: true, connection: 'connected' },
      { role: 'secondary', disk: 'UpToDate' },
    ]);

    write(0, 20);
    t.is(application.answered, 21, 'every write and the flush');
    t.like(views()[0], { dirtyChunks: 0, suspended: null }, 'flushed on both: nothing is dirty');

    link.break('cut');
    link.cut = true;
    write(3, 10);
    t.is(application.answered, 32, 'it goes on alone');
    t.false(record.has('b'), 'after the record says so');
    t.true(views()[0]!.dirtyChunks > 0);

    link.cut = false;
    link.connect();
    quiet(20);
    t.like(views(), [
      { dirtyChunks: 0, resync: null },
      { disk: 'UpToDate', resync: null },
    ]);
    t.true(record.hasAlive('b'));
    t.deepEqual(nodes.a.disk.cells, nodes.b.disk.cells);

    nodes.a.cutPower();
    world.acquire('b');
    world.promote('b');
    quiet();
    t.true(views()[1]!.serving, 'the standby takes over');
    write(7, 20);
    t.is(application.answered, 53);
    nodes.a.start();
    link.connect();
    quiet(20);
    t.deepEqual(nodes.a.disk.cells, nodes.b.disk.cells);
    t.true(record.hasAlive('a'), 'the old primary is in sync again, in its new boot');

    nodes.b.engine!.demote((refused) => t.is(refused, null));
    quiet();
    record.pages.b.state = 'over';
    world.acquire('a');
    world.promote('a');
    quiet();
    write(1, 5);
    t.like(views(), [
      { role: 'primary', dirtyChunks: 0 },
      { role: 'secondary', dirtyChunks: 0 },
    ]);
    application.check(nodes.a.disk.cells, 'a');
    application.check(nodes.b.disk.cells, 'b');
    t.deepEqual(world.violations, []);
  });
