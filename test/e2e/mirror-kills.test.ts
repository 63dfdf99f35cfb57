// Mirror processes killed with SIGKILL at random moments under a storm of writes, one side, the other, both, and in the middle of a
// resync (SAFETY e, rows 30 and 37). What was answered must be there each time somebody serves again, and both images must end
// as the same bytes. MIRROR_KILLS (20) is the number of kills of each drill, MIRROR_RESYNC_KILLS (10) of that in a resync.
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { systemClock, systemRandom } from 'understudy/plugin';
import { lostOf } from '../support/stamps.js';
import { MirrorPair, type NodeName, otherOf } from '../support/mirror-pair/mirror-pair.js';
import { spreadSlots, StampLoad } from '../support/mirror-pair/stamp-load.js';
import { until } from '../support/until.js';

const test = anyTest.serial as unknown as TestFn;
const KILLS = Number(process.env['MIRROR_KILLS'] ?? 20);
const RESYNC_KILLS = Number(process.env['MIRROR_RESYNC_KILLS'] ?? 10);
const MORE_KILLS = 40;
const SIZE = 16 * 1024 * 1024;

const chance = (below: number): number => Number.parseInt(systemRandom.hex(4), 16) % below;

/** Some more answers, then a moment that is nobody's choice. */
const someAnswers = async (load: StampLoad): Promise<void> => {
  const enough = load.answers + 1 + chance(400);
  await until('more answers to the application', () => load.answers >= enough, 20_000);
};

/** The application goes on over a new connection; throws when something answered is not there. */
const goesOn = async (pair: MirrorPair, node: NodeName, load: StampLoad): Promise<void> => {
  await load.stop();
  await pair.until(`${node} serves again`, node, ({ serving }) => serving);
  await load.begin(await pair.client(node));
};

/** The serving process dies for good, the other side takes over: what was answered is there as well. */
const moves = async (t: ExecutionContext, pair: MirrorPair, from: NodeName, load: StampLoad): Promise<void> => {
  const to = otherOf(from);
  await pair.whole(from);
  await someAnswers(load);
  await pair.kill(from);
  await load.stop();
  pair.record.release();
  t.deepEqual(lostOf(pair.place(to).backing, load.written), [], `on the copy of ${to} before it is promoted`);
  await pair.takeOver(to);
  await load.begin(await pair.client(to));
  await pair.boot(from);
  await pair.whole(to);
  await someAnswers(load);
  await load.stop();
  await pair.equalAtRest(to);
  for (const node of ['a', 'b'] as const) t.deepEqual(lostOf(pair.place(node).backing, load.written), [], `at the end on ${node}`);
};

test(`the serving process is killed ${KILLS} times in a storm of writes: every answer is there each time it serves again, and on the other side after a takeover`, async (t) => {
  t.timeout(60_000 + KILLS * 10_000);
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE });
  const load = new StampLoad(spreadSlots(32, SIZE));
  await load.begin(await pair.client('a'));
  for (let kill = 0; kill < KILLS; kill += 1) {
    await someAnswers(load);
    await pair.kill('a');
    await pair.boot('a');
    await goesOn(pair, 'a', load);
  }
  await moves(t, pair, 'a', load);
  t.log(`${KILLS} kills, ${load.answers} answers, epoch ${pair.record.epoch}`);
});

test(`either process or both are killed, ${KILLS} times, with parallel writes: every answer is there`, async (t) => {
  t.timeout(60_000 + KILLS * 10_000);
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE, options: { order: 'parallel' } });
  const load = new StampLoad(spreadSlots(32, SIZE));
  await load.begin(await pair.client('a'));
  for (let kill = 0; kill < KILLS; kill += 1) {
    await someAnswers(load);
    const killed: readonly NodeName[] = [['b'], ['a'], ['b', 'a'], ['a', 'b']][kill % 4] as NodeName[];
    for (const node of killed) await pair.kill(node);
    for (const node of killed.toReversed()) await pair.boot(node);
    if (killed.includes('a')) await goesOn(pair, 'a', load);
    // Every other time the next kill meets copies that are not one yet.
    if (chance(2) === 0) await pair.whole('a');
  }
  await moves(t, pair, 'a', load);
  t.log(`${KILLS} kills, ${load.answers} answers, ${pair.record.removals.length} times out of the record`);
});

test(`source or target of a resync is killed, ${RESYNC_KILLS} times, under writes: the target is never promotable, and the copies end equal`, async (t) => {
  t.timeout(60_000 + (RESYNC_KILLS + MORE_KILLS) * 15_000);
  const pair = await MirrorPair.start(t, { sizeBytes: SIZE, options: { resyncMin: '4MiB', resyncMax: '8MiB', peerTimeout: '1s' } });
  const load = new StampLoad(spreadSlots(128, SIZE));
  await load.begin(await pair.client('a'));
  let caught = 0;
  let kill = 0;
  // On a busy machine a resync may end before its source dies: so often more it is tried, until one was met in the middle.
  for (; kill < RESYNC_KILLS || (caught === 0 && kill < RESYNC_KILLS + MORE_KILLS); kill += 1) {
    const known = pair.record.removals.length;
    const wasIn = pair.record.isInSync('b');
    await pair.kill('b');
    await until('the record calls b in sync no more', () => !wasIn || pair.record.removals.length > known, 20_000);
    const enough = load.answers + 300;
    await until('answers by one copy alone', () => load.answers >= enough, 20_000);
    await pair.boot('b');
    // It may take ten milliseconds and be over between two looks: then the record calls b in sync again.
    const seen = 'a resync, or its end';
    await pair.until(seen, 'b', ({ resync, disk }) => (resync !== null && disk === 'Inconsistent') || pair.record.isInSync('b'));
    // Every other death of the source comes while most is still to be copied, the first one at once.
    await systemClock.sleep(kill === 0 ? 0 : chance(kill % 4 === 0 ? 20 : 300));
    const victim: NodeName = kill % 2 === 0 ? 'a' : 'b';
    await pair.kill(victim);
    caught += await refusedWhileInconsistent(t, pair, victim);
    await pair.boot(victim);
    if (victim === 'a') await goesOn(pair, 'a', load);
    if (chance(2) === 0) await pair.whole('a');
  }
  t.true(caught > 0, 'a resync was met in the middle at least once');
  await pair.whole('a');
  await load.stop();
  await pair.equalAtRest('a');
  for (const node of ['a', 'b'] as const) t.deepEqual(lostOf(pair.place(node).backing, load.written), [], `at the end on ${node}`);
  t.log(`${kill} kills, ${caught} with an Inconsistent target looked at alone, ${load.answers} answers`);
});

/** The source is dead: even a lease page that calls this copy in sync, and force, do not open it. 1 = it was in the middle. */
const refusedWhileInconsistent = async (t: ExecutionContext, pair: MirrorPair, victim: NodeName): Promise<number> => {
  if (victim !== 'a') return 0;
  const { disk } = await pair.until('the target has seen the end of the source', 'b', ({ connection }) => connection !== 'connected');
  if (disk !== 'Inconsistent') return 0;
  t.false(pair.record.isInSync('b'), 'the record does not call the target of a resync in sync');
  const epoch = pair.record.epoch + 1;
  pair.record.lie('b', epoch);
  for (const force of [false, true]) await t.throwsAsync(pair.promote('b', epoch, force), { message: /Inconsistent/ }, `force: ${force}`);
  pair.record.restore('b');
  return 1;
};
