// Fencing: required, with real processes: a node loses power, the next one takes the epoch after W, fences, and starts nothing
// before the proof; and where the fence fails, nothing starts until a person vouches. Oracle: the observer, every 20 ms.
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `dr${randomBytes(3).toString('hex')}`;
const BROKEN = join(tmpdir(), `understudy-${ID}-fence-broken`);
const PLUGIN = fileURLToPath(new URL('../support/power-plugin.js', import.meta.url));
/** W of the fast profile. */
const W_MS = 8000;

let lab: DrillLab;
anyTest.serial.before(async () => {
  if (obstacle !== null) return;
  lab = await DrillLab.start(ID, {
    timing: 'fast',
    settings: { watchdog: 'none', plugins: [PLUGIN], fencing: { policy: 'required', use: 'lab-power', lab: ID, broken: BROKEN } },
  });
  await lab.settled();
});
anyTest.after.always(() => {
  rmSync(BROKEN, { force: true });
  if (obstacle === null) DrillLab.sweep(ID);
});

test('power loss: W, the epoch, the fence, the proof, the start, in this order; the old node comes back as the standby', async (t) => {
  const before = await lab.settled();
  const beganMs = systemClock.nowMs();
  await lab.fault('power-off', before.active);
  await lab.until('the standby serves', 40_000, async (last) => {
    const view = await lab.group(before.standby);
    last(`${view?.state}: ${view?.because}`);
    return view?.state === 'online' && view.active === before.standby;
  });
  t.true(systemClock.nowMs() - beganMs >= W_MS - 1000, 'silence alone moves nothing');
  const events = await lab.events(before.standby, undefined, beganMs);
  const at = (kind: string, wanted: (because: string) => boolean = () => true) =>
    events.findIndex((event) => event.kind === kind && wanted(event.because ?? ''));
  const story = [
    at('lease.fencing'),
    at('fence.begin'),
    at('fence.confirmed', (because) => because.includes(`${before.active} has no power`)),
    at('lease.held', (because) => because.includes('is fenced for epoch')),
    events.findIndex(({ kind, data }) => kind === 'action.begin' && data?.['kind'] === 'start'),
  ];
  t.false(story.includes(-1), `something is missing: ${story.join()}`);
  t.deepEqual(
    story,
    [...story].sort((left, right) => left - right),
  );
  await lab.fault('power-on', before.active);
  const after = await lab.settled();
  t.deepEqual([after.active, after.epoch], [before.standby, before.epoch + 1]);
  t.deepEqual(await lab.overlaps(), []);
});

test('a fence that fails: blocked and alarmed, nothing starts, until a person who has looked lets it go', async (t) => {
  const before = await lab.settled();
  writeFileSync(BROKEN, '');
  await lab.fault('power-off', before.active);
  const blocked = await lab.until('it is blocked after two attempts', 40_000, async (last) => {
    const view = await lab.group(before.standby);
    last(`${view?.state}: ${view?.because}`);
    return view?.state === 'blocked' && /failed twice/.test(view.because) ? view : null;
  });
  t.regex(blocked.because, /UnauthorizedOperation/);
  t.is(blocked.active, null);
  t.regex(blocked.nextCommand ?? '', new RegExp(`understudy fence confirm ${before.active} `));
  t.deepEqual(
    (await lab.status()).hosts.flatMap(({ addresses }) => addresses),
    [],
  );
  t.regex(await lab.done(before.standby, 'fence', 'status'), /lab-power/);

  await lab.done(before.standby, 'fence', 'confirm', before.active, '--i-have-verified-it-is-off', '--why', 'the plug is out');
  const view = await lab.group(before.standby);
  t.like(view, { state: 'online', active: before.standby });
  t.deepEqual(await lab.overlaps(), []);
  rmSync(BROKEN);
  await lab.fault('power-on', before.active);
  t.is((await lab.settled()).active, before.standby);
  await lab.end();
});
