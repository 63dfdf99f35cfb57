// Both copies were written apart: each side must come to that, stay there, and say so, whichever of them is quicker to leave.
import test from 'ava';
import { decide } from '../../../../plugins/disk-mirror/handshake/decide.js';
import type { Meeting } from '../../../../plugins/disk-mirror/engine/ports.js';
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

test('one side looks at the other: both are heard, and both stay apart as they were, whoever asks and however often', (t) => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const world = parted(seed);
    const { a, b } = world.nodes;
    const before = [[...a.disk.cells], [...b.disk.cells]];
    for (const node of [a, b, b, a]) {
      const seen: Meeting[] = [];
      node.engine!.look((met) => seen.push(met));
      for (let turn = 0; turn < 8; turn += 1) {
        world.run(10_000);
        world.tick(50);
      }
      t.is(seen.length, 1, `seed ${seed}: answered once`);
      const [met] = seen;
      t.is(met?.now, true, `seed ${seed}: ${String(met?.now)}`);
      t.is(met!.peer === null ? '' : decide(met!.mine, met!.peer).kind, 'split');
      t.is(a.engine?.view().connection, 'split', `seed ${seed}: a, after ${node.side} looked`);
      t.like(b.engine?.view(), { connection: 'split', serving: true }, `seed ${seed}: b, after ${node.side} looked`);
    }
    t.deepEqual([[...a.disk.cells], [...b.disk.cells]], before);
  }
});

test('a look while the peer is away: answered in time with what was said last, and split as before', (t) => {
  const world = parted(3);
  const { a, b } = world.nodes;
  b.kill();
  const seen: Meeting[] = [];
  a.engine!.look((met) => seen.push(met));
  for (let turn = 0; turn < 40; turn += 1) {
    world.run(10_000);
    world.tick(50);
  }
  t.is(seen.length, 1);
  t.is(typeof seen[0]?.now, 'string');
  t.is(seen[0]?.peer?.node, 'b');
  t.is(a.engine!.view().connection, 'split');
});

test('a look at a peer that is connected, and by a copy that has met nobody: answered at once', (t) => {
  const world = new MirrorWorld({ mode: 'sync', order: 'remote-first', async: ASYNC }, 1);
  const { a, b } = world.nodes;
  a.start();
  const seen: Meeting[] = [];
  a.engine!.look((met) => seen.push(met));
  t.is(seen[0]?.peer, null);
  t.regex(String(seen[0]?.now), /not connected/);
  b.start();
  world.link.connect();
  for (let turn = 0; turn < 8; turn += 1) {
    world.run(10_000);
    world.tick(50);
  }
  a.engine!.look((met) => seen.push(met));
  t.like(seen[1], { now: true, mine: { node: 'a' }, peer: { node: 'b' } });
});
