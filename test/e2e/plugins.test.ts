// What users bring: a plugin in one .ts file that throws, hangs or holds the event loop, and a route-table script used as a
// hook. The lease and the heartbeats must not notice the one; the other must work unchanged, in its place.
// Timing `fast`: a busy machine may stand still for a second, which `lan` (D = 1.25 s) rightly answers with a self-fence.
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle } from '../support/drill-lab.js';
import { LeaseWatch } from '../support/lease-watch.js';
import { ODD_PLUGIN, TINY_AWS } from '../support/odd-plugin.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `dr${randomBytes(3).toString('hex')}`;
const COUNTER = fileURLToPath(new URL('../../core/lab/app/counter.js', import.meta.url));
const MOVE_ROUTE = fileURLToPath(new URL('../../../templates/scripts/linux/move-route.sh', import.meta.url));
const VIP = '192.168.0.10';
const ODD = ['thrower', 'hanger', 'leaver', 'forgetter', 'blocker'] as const;
const TABLES = ['rtb-lab-1', 'rtb-lab-2', 'rtb-lab-3'] as const;
/** Not in a directory for temporary files: what root runs must lie where only root writes. */
const directory = obstacle === null ? mkdtempSync('/opt/understudy-drill-') : '';
const hookLog = join(directory, 'hooks');
const script = (name: string): string => join(directory, 'scripts', name);

let lab: DrillLab;
anyTest.serial.before(async () => {
  if (obstacle !== null) return;
  mkdirSync(join(directory, 'scripts'));
  mkdirSync(join(directory, 'state'));
  writeFileSync(join(directory, 'odd.ts'), ODD_PLUGIN);
  writeFileSync(hookLog, '');
  copyFileSync(MOVE_ROUTE, script('move-route.sh'));
  writeFileSync(
    script('note.sh'),
    `#!/bin/sh\necho "$UNDERSTUDY_POINT $1 $UNDERSTUDY_NODE $UNDERSTUDY_GROUP $UNDERSTUDY_FROM $UNDERSTUDY_TO" >>${hookLog}\n`,
  );
  for (const name of ['move-route.sh', 'note.sh']) chmodSync(script(name), 0o755);
  const note = (word: string, more: object = {}) => ({ run: [script('note.sh'), word], ...more });
  const move = (more: object = {}) => ({ run: [script('move-route.sh')], timeout: '30s', ...more });
  const odd = (use: string) => ({ use, directory: join(directory, 'state'), after: [], every: '500ms', timeouts: { monitor: '500ms' } });
  const often = { prefer: ['a', 'b'], failover: { max: 1000, within: '1h' } };
  const groups = {
    // The routes are moved by the script alone.
    web: {
      ...often,
      resources: {
        vip: { use: 'ip-address', address: VIP, prefix: 32, interface: 'lo', announceCount: 0 },
        app: { use: 'app-script', mode: 'foreground', start: [process.execPath, COUNTER, `${VIP}:8080`], every: '1s' },
      },
      hooks: {
        beforeFailover: [note('second'), move({ onFailure: 'abort' }), note('last', { order: 'post' }), note('first', { order: 'pre' })],
        afterFailover: [note('after'), note('standby', { on: 'standby' })],
        afterSwitchover: [move({ order: 'pre' }), note('switched')],
      },
    },
    odd: { ...often, resources: Object.fromEntries(ODD.map((type) => [type, odd(type)])) },
  };
  lab = await DrillLab.start(ID, { groups, timing: 'fast', settings: { plugins: [join(directory, 'odd.ts')] } });
  // The lab's own endpoint is known only now; nothing calls the script before the first failover.
  const client = createRequire(import.meta.url).resolve('@aws-sdk/client-ec2');
  writeFileSync(script('aws'), TINY_AWS(process.execPath, client, lab.endpoint));
  chmodSync(script('aws'), 0o755);
  writeFileSync(
    script('move-route.conf'),
    `PATH=${join(directory, 'scripts')}:$PATH\nROUTE_TABLES='${TABLES.join(' ')}'\nADDRESS=${VIP}\nENI=eni-lab-$UNDERSTUDY_NODE\n`,
  );
  await lab.settled(40_000, 'odd');
  const { active } = await lab.settled(40_000, 'web');
  for (const table of TABLES) await lab.editRoute(table, VIP, `eni-lab-${active}`);
});
anyTest.after.always(() => {
  if (obstacle !== null) return;
  DrillLab.sweep(ID);
  rmSync(directory, { recursive: true, force: true });
});

const resource = async (node: string, id: string) => (await lab.group(node, 'odd'))?.resources.find((each) => each.id === id);
const quarantined = async (node: string): Promise<readonly string[]> => (await lab.api(node).plugins()).quarantined.map(({ type }) => type);

/** Lets one monitor misbehave until `seen`, and for a while more; nobody but its own resource may notice. */
const contained = async (
  t: ExecutionContext,
  type: string,
  how: string,
  seen: (active: string) => Promise<unknown>,
  moreMs: number,
): Promise<void> => {
  const [web, odd] = [await lab.settled(30_000, 'web'), await lab.settled(30_000, 'odd')];
  const app = await lab.pid(web.active, 'app');
  const watches = ['web', 'odd'].map((group) => new LeaseWatch(lab, group));
  const probe = await lab.probe();
  const beganMs = systemClock.nowMs();
  const trigger = join(directory, 'state', `${how}.${odd.active}`);
  writeFileSync(trigger, '');
  await seen(odd.active);
  await systemClock.sleep(moreMs);
  t.is(await probe.lost(), 0, 'lost requests of the other group');
  await probe.stop();
  for (const [at, watch] of watches.entries()) {
    watch.stop();
    const times = watch.writes.filter(({ notBeforeMs }) => notBeforeMs >= beganMs).map(({ seenMs }) => seenMs);
    const longestMs = Math.max(...times.map((time, index) => time - (times[index - 1] ?? beganMs)));
    // R is 1 s and D is 4 s: renewals come although the controller is busy or gone.
    t.true(
      times.length >= (systemClock.nowMs() - beganMs) / 2000 && longestMs < 3000,
      `renewals of ${['web', 'odd'][at]}: ${times.length}, the longest pause ${longestMs.toFixed(0)} ms`,
    );
  }
  t.deepEqual(await lab.events(web.standby, 'peer.suspect', beganMs), []);
  t.deepEqual(await lab.events(web.standby, 'lease.acquiring', beganMs), []);
  const others = (await lab.group(odd.active, 'odd'))?.resources.filter(({ id }) => id !== type).map(({ id, state }) => `${id} ${state}`);
  t.deepEqual(
    others,
    ODD.filter((id) => id !== type).map((id) => `${id} online`),
  );
  rmSync(trigger);
  await lab.done(odd.active, 'clear', 'odd');
  await lab.until(`${type} online again`, 15_000, async (last) => {
    const found = await resource(odd.active, type);
    last(JSON.stringify(found));
    return found?.state === 'online';
  });
  t.deepEqual(await lab.settled(30_000, 'web'), web, 'web: same node, same epoch');
  t.deepEqual(await lab.settled(30_000, 'odd'), odd, 'odd: same node, same epoch');
  t.is(await lab.pid(web.active, 'app'), app);
};

const unknown = (type: string, reason: RegExp) => (active: string) =>
  lab.until(`${type} unknown: ${reason}`, 15_000, async (last) => {
    const found = await resource(active, type);
    last(JSON.stringify(found));
    return found?.state === 'unknown' && reason.test(found.reason ?? '');
  });

test('the plugin is one .ts file without a build; plugins list names it, its origin and version', async (t) => {
  const plugins = JSON.parse(await lab.done('a', 'plugins', 'list', '--json')) as { name: string; version: string; origin: string }[];
  t.like(
    plugins.find(({ name }) => name === 'odd'),
    { version: '1.2.3', origin: `config: ${join(directory, 'odd.ts')}` },
  );
});

test('row 8: a monitor that throws: its own resource is unknown, nobody else notices', async (t) => {
  await contained(t, 'thrower', 'throw', unknown('thrower', /it is Monday/), 1000);
});

test('row 8: a monitor that never settles: unknown, quarantined after three, nobody else notices', async (t) => {
  await contained(
    t,
    'hanger',
    'hang',
    async (active) => {
      await unknown('hanger', /3 calls were given up/)(active);
      t.deepEqual(await quarantined(active), ['hanger']);
    },
    1000,
  );
});

/** Quarantined, with a line in the journal that says who and why. */
const outOfUse = (type: string, reason: RegExp) => async (active: string) => {
  const beganMs = systemClock.nowMs();
  await unknown(type, reason)(active);
  await lab.until(`${type} quarantined`, 5000, async () => (await quarantined(active)).join() === type);
  await lab.until('a line in the journal', 5000, async () =>
    // Journaled by a controller that may have begun before this look did.
    (await lab.events(active, 'plugin.quarantined', beganMs - 5000)).some(
      ({ data, because }) => data?.['type'] === type && reason.test(because ?? ''),
    ),
  );
};

test('row 8: a monitor that fails where nobody waits: quarantined, and the controller lives on', async (t) => {
  const { active } = await lab.settled(30_000, 'odd');
  const before = await lab.pid(active, 'controller');
  await contained(t, 'forgetter', 'forget', outOfUse('forgetter', /nobody waits for this|nor for this/), 1000);
  t.is(await lab.pid(active, 'controller'), before, 'the same controller');
});

test('row 8: a monitor that ends the process: another controller comes, without that agent', async (t) => {
  const { active } = await lab.settled(30_000, 'odd');
  const before = await lab.pid(active, 'controller');
  await contained(t, 'leaver', 'leave', outOfUse('leaver', /process\.exit\(3\) ended the controller/), 1000);
  t.not(await lab.pid(active, 'controller'), before);
});

test('row 8: a monitor that holds the event loop for 30 s: the guard ends the controller, which comes back without that agent', async (t) => {
  const { active } = await lab.settled(30_000, 'odd');
  const before = await lab.pid(active, 'controller');
  await contained(
    t,
    'blocker',
    'block',
    async (node) => {
      await lab.until('another controller', 15_000, async () => {
        const now = await lab.pids(node, 'controller');
        return now.length === 1 && now[0] !== before;
      });
      await unknown('blocker', /held the controller's loop/)(node);
      t.deepEqual(await quarantined(node), ['blocker']);
    },
    3000,
  );
});

const hookLines = (): readonly string[] => readFileSync(hookLog, 'utf8').trim().split('\n').filter(Boolean);
const leads = async (): Promise<readonly string[]> =>
  Promise.all(TABLES.map(async (table) => (await lab.routes(table))[`${VIP}/32`] ?? ''));

test('hooks run in the order that hooks list tells; the route script moves every table before the service starts', async (t) => {
  const { active, standby } = await lab.settled(30_000, 'web');
  const listed = (
    JSON.parse(await lab.done(standby, 'hooks', 'list', 'web', '--json')) as { point: string; name: string; on: string }[]
  ).filter(({ point }) => point === 'beforeFailover' || point === 'afterFailover');
  t.is(listed.length, 7, JSON.stringify(listed));
  writeFileSync(hookLog, '');
  const beganMs = systemClock.nowMs();
  await lab.fault('power-off', active);
  await lab.until(`web on ${standby}`, 20_000, async (last) => {
    const view = await lab.group(standby, 'web');
    last(JSON.stringify(view));
    return view?.active === standby && view.state === 'online';
  });
  t.deepEqual(
    await leads(),
    TABLES.map(() => `eni-lab-${standby}`),
  );
  await lab.until('the hooks after', 5000, () => hookLines().some((line) => line.includes(' after ')));
  const words = `${standby} web ${active} ${standby}`;
  t.deepEqual(hookLines(), [
    `beforeFailover first ${words}`,
    `beforeFailover second ${words}`,
    `beforeFailover last ${words}`,
    `afterFailover after ${words}`,
  ]);
  const story = await lab.until('the hooks in the journal', 5000, async () => {
    const events = (await lab.events(standby, '', beganMs)).filter(({ group }) => group === 'web');
    return events.some(({ kind, data }) => kind === 'hook.done' && data?.['hook'] === 'plugin:odd') && events;
  });
  const hooks = story.filter(({ kind }) => kind === 'hook.done');
  t.deepEqual(
    hooks.map(({ data }) => `${String(data?.['point'])} ${String(data?.['hook'])}`),
    listed.filter(({ on }) => on !== 'standby').map(({ point, name }) => `${point} ${name}`),
  );
  const started = story.find(({ kind, data }) => kind === 'action.begin' && data?.['kind'] === 'start')?.monoMs ?? 0;
  const moved = story.find(({ kind, data }) => kind === 'hook.done' && JSON.stringify(data).includes('move-route'))?.monoMs ?? Infinity;
  t.true(moved <= started, 'routes first, then the service');
  const probe = await lab.probe();
  t.is(probe.report?.lastNode, standby);
  await probe.stop();
  await lab.fault('power-on', active);
  await lab.settled(30_000, 'web');
});

test('the same script behind a planned move', async (t) => {
  const { active, standby } = await lab.settled(30_000, 'web');
  writeFileSync(hookLog, '');
  await lab.done(active, 'switchover', 'web', '--to', standby);
  await lab.until('routes moved', 10_000, async () => (await leads()).every((eni) => eni === `eni-lab-${standby}`));
  await lab.until('the hook behind it', 5000, () => hookLines().includes(`afterSwitchover switched ${standby} web ${active} ${standby}`));
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});
