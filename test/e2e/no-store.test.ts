// `arbiter: { use: none }` whole: two nodes as real processes, two heartbeat networks, the emulator as EC2. All heartbeat
// networks cut at once: exactly one survives, and something is always active again (SAFETY e, row 26). Power loss, a fence that
// cannot be reached, orders. Oracle: the observer, the journals, the emulator's call log. ROUNDS = how many races.
import { randomBytes } from 'node:crypto';
import anyTest, { type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle, type Settled } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `ns${randomBytes(3).toString('hex')}`;
const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
/** Of the whole suite of rounds: a slow machine makes fewer of them, and says how many. */
const ROUNDS_LIMIT_MS = Number(process.env['ROUNDS_LIMIT_MS'] ?? 240_000);
const GROUP = 'web';

let lab: DrillLab;
anyTest.serial.before(async () => {
  if (obstacle !== null) return;
  const fencing = { policy: 'required', use: 'ec2', instances: { a: 'i-lab-a', b: 'i-lab-b' }, delay: { standby: '6s', random: '2s' } };
  lab = await DrillLab.start(ID, { timing: 'fast', settings: { watchdog: 'none', arbiter: { use: 'none' }, fencing } });
  await lab.settled(60_000);
});
anyTest.after.always(() => {
  if (obstacle === null) DrillLab.sweep(ID);
});

const online = (node: string, limitMs = 60_000) =>
  lab.until(`${node} online`, limitMs, async (last) => {
    const view = await lab.group(node, GROUP);
    last(`${view?.state}, active ${view?.active}: ${view?.because}`);
    return view?.state === 'online' && view.active === node;
  });
const cutAll = async (node: string) => {
  for (const network of ['heartbeat-1', 'heartbeat-2']) await lab.fault('cut', node, network);
};
const isOff = async (node: string): Promise<boolean> => {
  const host = (await lab.status()).hosts.find((each) => each.node === node);
  return host?.power === false;
};
/** Whoever was fenced is switched on by hand, as its operator would, and both hear each other again. */
const recover = async (): Promise<Settled> => {
  // A fence that has not seen its end yet would stop the node that is switched on again: an operator looks first.
  await lab.until('no fence is under way', 60_000, async (last) => {
    const views = await Promise.all(lab.nodes.map((node) => lab.view(node)));
    const running = views.flatMap((view) => Object.entries(view?.fences?.nodes ?? {}).filter(([, { running }]) => running));
    last(JSON.stringify(running));
    return running.length === 0;
  });
  await lab.fault('heal');
  for (const node of lab.nodes) if (await isOff(node)) await lab.fault('power-on', node);
  return lab.settled(60_000);
};

test('a move in order, and an order given on the standby: no store, and both know it', async (t) => {
  t.timeout(180_000);
  const before = await lab.settled();
  const status = await lab.done(before.active, 'status');
  t.regex(status, /no store/);
  await lab.done(before.active, 'switchover', GROUP, '--to', before.standby, '--why', 'a drill');
  const moved = await lab.settled();
  t.is(moved.active, before.standby);
  t.true(moved.epoch > before.epoch);
  // The order is typed where the group does not run, and there is no store that both read.
  await lab.done(moved.standby, 'stop', GROUP, '--why', 'a drill');
  await lab.until('the group is offline as both see it', 20_000, async (last) => {
    const views = await Promise.all(lab.nodes.map((node) => lab.group(node, GROUP)));
    last(JSON.stringify(views.map((view) => view?.state)));
    return views.every((view) => view?.state === 'offline');
  });
  await lab.done(moved.active, 'start', GROUP, '--why', 'a drill');
  await lab.settled();
  t.deepEqual(await lab.overlaps(), []);
});

test('all heartbeat networks cut, again and again: exactly one survives, and one is active again', async (t) => {
  t.timeout(ROUNDS_LIMIT_MS + 180_000);
  const beganMs = systemClock.nowMs();
  let done = 0;
  let stayed = 0;
  const serviceMs: number[] = [];
  for (; done < ROUNDS && systemClock.nowMs() - beganMs < ROUNDS_LIMIT_MS; done += 1) {
    const before = await lab.settled(60_000);
    const cutMs = systemClock.nowMs();
    await cutAll(before.standby);
    const loser = await lab.until('one of the two is off', 60_000, async () => {
      for (const node of lab.nodes) if (await isOff(node)) return node;
      return null;
    });
    const survivor = lab.other(loser);
    await online(survivor);
    serviceMs.push(systemClock.nowMs() - cutMs);
    if (survivor === before.active) stayed += 1;
    else {
      const fences = await lab.events(before.active, 'fence', cutMs);
      t.log(
        `round ${done + 1}: ${before.active} was active and lost: ${fences.map(({ kind, because, monoMs }) => `${Math.round(monoMs - cutMs)} ms ${kind} ${because}`).join('; ') || 'it fenced nobody'}`,
      );
    }
    // Longer than the other's own delay: nobody is shot who was not shot by now.
    await systemClock.sleep(3_000);
    t.false(await isOff(survivor), `round ${done + 1}: both were fenced`);
    await recover();
  }
  t.deepEqual(await lab.overlaps(), []);
  t.true(done >= Math.min(ROUNDS, 3), `only ${done} rounds within ${ROUNDS_LIMIT_MS} ms`);
  t.log(
    `${done} of ${ROUNDS} rounds, one survivor in each; in ${stayed} the group stayed where it was; active again after ${Math.round(Math.max(...serviceMs))} ms at most`,
  );
});

test('power loss of the active node: the standby waits its delay, sees it off, and takes over', async (t) => {
  t.timeout(180_000);
  const before = await lab.settled();
  const beganMs = systemClock.nowMs();
  await lab.fault('power-off', before.active);
  await online(before.standby);
  const events = await lab.events(before.standby, '', beganMs);
  const story = ['lease.fencing', 'fence.begin', 'fence.confirmed', 'lease.held'].map((kind) =>
    events.findIndex((event) => event.kind === kind),
  );
  t.false(story.includes(-1), story.join());
  t.deepEqual(
    story,
    [...story].sort((left, right) => left - right),
  );
  t.true(systemClock.nowMs() - beganMs >= 6_000, 'the active node had its time to fence first');
  const after = await recover();
  t.is(after.active, before.standby);
  t.deepEqual(await lab.overlaps(), []);
  t.log(`power loss → held ${Math.round(events[story[3]!]!.monoMs - beganMs)} ms`);
});

test('the fence cannot be reached: nothing starts, status says why, and a person lets it go', async (t) => {
  t.timeout(180_000);
  const before = await lab.settled();
  await lab.fault('ec2', 'deny', 'StopInstances');
  await lab.fault('power-off', before.active);
  const view = await lab.until('the standby waits for a proof', 60_000, async (last) => {
    const group = await lab.group(before.standby, GROUP);
    last(JSON.stringify(group));
    return group?.state === 'blocked' && group.nextCommand !== undefined ? group : null;
  });
  t.regex(view.because, new RegExp(`${before.active}`));
  t.regex(view.nextCommand ?? '', /fence confirm/);
  await systemClock.sleep(8_000);
  t.not((await lab.group(before.standby, GROUP))?.state, 'online', 'silence never becomes a proof');
  await lab.done(
    before.standby,
    'fence',
    'confirm',
    before.active,
    '--i-have-verified-it-is-off',
    '--why',
    'the drill has switched it off',
  );
  await online(before.standby);
  await lab.fault('ec2', 'clear');
  await recover();
  t.deepEqual(await lab.overlaps(), []);
});

test('both start without hearing each other: nobody starts, until a person says that the other is off', async (t) => {
  t.timeout(240_000);
  await lab.settled();
  for (const node of lab.nodes) await lab.fault('power-off', node);
  await cutAll('a');
  await lab.fault('power-on', 'a');
  await lab.until('a has looked', 40_000, async (last) => {
    const group = await lab.group('a', GROUP);
    last(JSON.stringify(group));
    return group?.state === 'blocked' && /has not been heard/.test(group.because) && /--force-no-arbiter/.test(group.nextCommand ?? '');
  });
  await systemClock.sleep(10_000);
  t.not((await lab.group('a', GROUP))?.state, 'online');
  const stops = (await lab.calls()).filter(
    ({ action, parameters, principal }) =>
      action === 'StopInstances' && parameters['DryRun'] !== 'true' && principal?.includes('a') && parameters['InstanceId.1'] === 'i-lab-b',
  );
  t.true(
    stops.every(({ outcome }) => outcome !== null),
    'asked for before',
  );
  await lab.done('a', 'start', GROUP, '--force-no-arbiter', GROUP, '--why', 'the drill has switched b off');
  await online('a');
  await lab.fault('heal');
  await lab.fault('power-on', 'b');
  const after = await lab.settled(60_000);
  t.is(after.active, 'a');
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
