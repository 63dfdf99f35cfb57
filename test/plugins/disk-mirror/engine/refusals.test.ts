// What must not be done, and is refused in words: rows 12, 13, 16, 20 and 21 of the crash table (SAFETY b.3), a.11.
import test from 'ava';
import { MirrorWorld } from '../../../support/mirror-world/mirror-world.js';

const OPTIONS = { mode: 'sync', order: 'remote-first', async: { maxLagBytes: 1_000_000, maxLagMs: 5_000, full: 'throttle' } } as const;

const begun = () => {
  const world = new MirrorWorld(OPTIONS, 5);
  const turns = (count = 8) => {
    for (let turn = 0; turn < count; turn++) {
      world.run(5_000);
      world.tick(50);
    }
  };
  const { a, b } = world.nodes;
  a.start();
  b.start();
  world.link.connect();
  turns();
  world.acquire('a');
  world.promote('a');
  turns();
  const promote = (node: typeof a, epoch: number, force: boolean): string | null => {
    let answer: string | null = 'no answer';
    node.engine!.promote(epoch, { force }, (refused) => (answer = refused));
    turns();
    return answer;
  };
  return { world, turns, a, b, promote };
};

/** The primary is written alone, then dies: the standby lacks what was answered. */
const aWroteAloneAndDied = () => {
  const begin = begun();
  begin.world.link.cut = true;
  begin.world.link.break('cut');
  begin.world.application.write(0, 4);
  begin.turns();
  begin.a.kill();
  begin.world.record.epoch += 1;
  begin.world.record.holder = 'b';
  begin.world.record.pages.b = { state: 'held', epoch: begin.world.record.epoch, inSync: begin.world.record.inSync };
  return begin;
};

test('row 12: a standby out of the record is not promoted, but by force; both wrote: split, until one is the victim', (t) => {
  const { world, turns, a, b, promote } = aWroteAloneAndDied();
  const { epoch } = world.record;
  t.is(promote(b, epoch, false), 'the record does not call this copy in sync');
  t.is(promote(b, epoch, true), null);
  world.application.write(20, 4);
  turns();
  a.start();
  world.record.pages.a.state = 'over';
  world.link.cut = false;
  world.link.connect();
  turns();
  t.is(a.engine!.view().connection, 'split');
  t.is(b.engine!.view().connection, 'split');
  t.true(b.engine!.view().serving, 'the group goes on where the lease is');
  t.is(a.disk.cells[0], 1, 'nothing is written over by itself');

  const refused: (string | null)[] = [];
  b.engine!.resolveAsVictim((answer) => refused.push(answer));
  a.engine!.resolveAsVictim((answer) => refused.push(answer));
  turns(20);
  t.deepEqual(refused, ['a primary gives nothing up: demote it first', null]);
  t.deepEqual(a.disk.cells, b.disk.cells);
  t.is(a.engine!.view().disk, 'UpToDate');
});

test('row 13: the target of a resync that did not end is promoted by no order', (t) => {
  const { world, a, b, promote, turns } = begun();
  world.link.break('cut');
  for (let at = 0; at < 40; at += 4) world.application.write(at, 4);
  turns();
  world.link.connect();
  for (let step = 0; step < 5_000 && b.metadata.superblock.disk !== 'Inconsistent'; step++) world.run(1);
  t.is(b.metadata.superblock.disk, 'Inconsistent');
  a.kill();
  b.kill();
  b.start();
  world.record.epoch += 1;
  world.record.holder = 'b';
  world.record.pages.b = { state: 'held', epoch: world.record.epoch, inSync: [{ side: 'b', bootId: b.bootId }] };
  for (const force of [false, true])
    t.is(promote(b, world.record.epoch, force), 'the copy is Inconsistent: the target of a resync that did not end');
});

test('row 21: an older primary is refused by its epoch, fences itself, and answers nothing more', (t) => {
  const { world, a, b, promote, turns } = begun();
  world.link.cut = true;
  world.link.break('cut');
  turns();
  world.acquire('b');
  t.is(promote(b, world.record.epoch, false), null);
  const answers: (string | null)[] = [];
  a.engine!.write(new Uint8Array(8), 0, false, (error) => answers.push(error));
  turns();
  t.deepEqual(answers, [], 'the record refuses to let it go on alone');
  world.link.cut = false;
  world.link.connect();
  turns();
  t.deepEqual(answers, ['ESHUTDOWN']);
  t.true(
    a.told.some((line) => line.startsWith('mirror.frozen: b has seen epoch 2')),
    a.told.join('\n'),
  );
});

test('row 16: what died in its demote counts as a primary that died', (t) => {
  const { world, a, turns } = begun();
  world.application.write(0, 4);
  a.engine!.demote(() => undefined);
  a.kill();
  t.true(a.metadata.superblock.primaryIndicator);
  a.start();
  turns();
  t.is(a.engine!.view().role, 'secondary');
});

test('a lease that is not held, or of another epoch: not promoted; a primary is demoted first', (t) => {
  const { world, a, b, promote } = begun();
  t.is(promote(b, 7, false), 'the lease page says over, epoch 0, not held of epoch 7');
  t.is(promote(a, 1, false), null, 'the same again is done already');
  world.record.pages.a = { ...world.record.pages.a, epoch: 2 };
  t.is(promote(a, 2, false), 'it is primary of epoch 1: demote it first');
});

test('an error of the disk: EIO, the peer is told, nothing is tried again', (t) => {
  const { world, a, b, turns } = begun();
  a.disk.broken = true;
  const answers: (string | null)[] = [];
  a.engine!.write(new Uint8Array(8), 0, false, (error) => answers.push(error));
  turns();
  a.disk.broken = false;
  a.engine!.write(new Uint8Array(8), 0, false, (error) => answers.push(error));
  turns();
  t.deepEqual(answers, ['EIO', 'EIO']);
  t.is(a.engine!.view().disk, 'Failed');
  t.true(b.told.some((line) => line.startsWith('mirror.peer-failed')));
  t.true(world.record.hasAlive('b'), 'the standby may take over');
});

test('an error of the standby: it leaves the record, the primary goes on', (t) => {
  const { world, b, turns } = begun();
  b.disk.broken = true;
  world.application.write(0, 4);
  turns(30);
  t.is(world.application.answered, 1);
  t.is(b.engine!.view().disk, 'Failed');
  t.false(world.record.has('b'));
});
