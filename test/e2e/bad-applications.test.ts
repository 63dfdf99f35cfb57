// Applications that do what none should, under a whole cluster (acceptance rows 27 and 29): one that will not stop, and monitors
// that hang, answer garbage or flood. Oracles: the observer, the cgroup of the application, and the controller's own memory.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { cgroupRoot } from '../../core/lab/netns-cleanup.js';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle, type Settled } from '../support/drill-lab.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const ID = `ba${randomBytes(3).toString('hex')}`;
const COUNTER = fileURLToPath(new URL('../../core/lab/app/counter.js', import.meta.url));
/** The fast profile. */
const [W_MS, D_MS, S_MS] = [8000, 4000, 2000];
/** Not in a directory for temporary files: what root runs must lie where only root writes. */
const directory = obstacle === null ? mkdtempSync('/opt/understudy-drill-') : '';
const file = (name: string): string => join(directory, name);

let lab: DrillLab;
anyTest.serial.before(async () => {
  if (obstacle !== null) return;
  // A daemon in a session of its own, with a clean environment, that ignores TERM, and a stop script that does nothing.
  writeFileSync(
    file('stubborn'),
    `#!/bin/sh
case $1 in
start) env -i setsid sh -c 'trap "" TERM HUP INT; env -i setsid ${process.execPath} ${COUNTER} 127.0.0.1:8090 & while :; do sleep 1; done' >/dev/null 2>&1 </dev/null & sleep 0.2 ;;
stop) exit 0 ;;
esac
`,
  );
  // What the monitor does is said by a file: hang, flood or an exit status.
  writeFileSync(
    file('odd'),
    `#!/bin/sh
[ "$1" = status ] || { [ "$1" = start ] && { setsid sleep 100000 >/dev/null 2>&1 </dev/null & }; exit 0; }
case $(cat ${file('does')} 2>/dev/null) in
hang) trap "" TERM; sleep 1000 ;;
flood) head -c 104857600 /dev/zero | tr '\\\\0' x; exit 0 ;;
garbage) printf '\\\\033[2J\\\\377\\\\376'; exit 255 ;;
esac
`,
  );
  for (const name of ['stubborn', 'odd']) chmodSync(file(name), 0o755);
  const often = { prefer: ['a', 'b'], failover: { max: 1000, within: '1h' } };
  const groups = {
    stubborn: {
      ...often,
      resources: {
        app: { use: 'app-script', start: [file('stubborn'), 'start'], stop: [file('stubborn'), 'stop'], killAfter: '300ms', every: '1s' },
      },
    },
    odd: {
      ...often,
      resources: {
        app: {
          use: 'app-script',
          start: [file('odd'), 'start'],
          monitor: [file('odd'), 'status'],
          every: '500ms',
          timeouts: { monitor: '500ms' },
          restart: { max: 1000, within: '1h' },
        },
      },
    },
  };
  lab = await DrillLab.start(ID, { groups, timing: 'fast' });
  await lab.settled(60_000, 'stubborn');
  await lab.settled(60_000, 'odd');
});
anyTest.afterEach.always(() => rmSync(file('does'), { force: true }));
anyTest.after.always(() => {
  if (obstacle !== null) return;
  DrillLab.sweep(ID);
  rmSync(directory, { recursive: true, force: true });
});

const populated = (node: string, group: string): boolean => {
  const events = join(cgroupRoot() ?? '', `understudy-lab-${ID}`, node, 'applications', group, 'app', 'cgroup.events');
  return existsSync(events) && readFileSync(events, 'utf8').includes('populated 1');
};

const moved = (group: string, { standby, epoch }: Settled): Promise<unknown> =>
  lab.until(`${group} online on ${standby}`, 30_000, async (last) => {
    const view = await lab.group(standby, group);
    last(JSON.stringify(view));
    return view?.state === 'online' && view.active === standby && view.epoch > epoch;
  });

test('row 27: an application that ignores TERM and has forked away ends with its cgroup in a planned move', async (t) => {
  const before = await lab.settled(60_000, 'stubborn');
  t.true(populated(before.active, 'stubborn'));
  await lab.done(before.active, 'switchover', 'stubborn', '--to', before.standby);
  await moved('stubborn', before);
  t.false(populated(before.active, 'stubborn'), 'nothing of it is left where it was');
  t.true(populated(before.standby, 'stubborn'));
});

test('row 27: the same when its node fences itself: gone within D + S of the last renewal, and only then taken over', async (t) => {
  const before = await lab.settled(60_000, 'stubborn');
  const cutMs = systemClock.nowMs();
  await lab.fault('cut', before.active, 'all');
  const goneMs = await lab.until(
    'the application gone',
    D_MS + S_MS + 5000,
    () => !populated(before.active, 'stubborn') && systemClock.nowMs(),
  );
  t.true(goneMs - cutMs <= D_MS + S_MS + 100, `it lived ${Math.round(goneMs - cutMs)} ms`);
  await moved('stubborn', before);
  const acquired = (await lab.events(before.standby, 'lease.acquiring', cutMs)).find(({ group }) => group === 'stubborn');
  t.true((acquired?.monoMs ?? 0) > goneMs, 'taken over after it was gone');
  t.true((acquired?.monoMs ?? 0) - cutMs < W_MS + 3000);
  await lab.fault('heal');
  t.deepEqual(await lab.overlaps(), []);
  await lab.settled(60_000, 'stubborn');
});

for (const [does, seen] of [
  ['hang', /no answer|did not|within/],
  ['flood', /./],
  ['garbage', /255/],
] as const)
  test(`row 29: a monitor that answers with ${does}: seen for what it is, memory bounded, the lease and the other group untouched`, async (t) => {
    const [odd, other] = [await lab.settled(60_000, 'odd'), await lab.settled(60_000, 'stubborn')];
    const controller = await lab.pid(odd.active, 'controller');
    const memory = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${controller}/status`, 'utf8'))?.[1] ?? 0) / 1024;
    const beforeMb = memory();
    let mostMb = 0;
    const watch = systemClock.every(20, () => (mostMb = Math.max(mostMb, existsSync(`/proc/${controller}`) ? memory() : 0)));
    const beganMs = systemClock.nowMs();
    writeFileSync(file('does'), does);
    if (does === 'flood') {
      // Exit 0 is online, however much it says; on a busy machine it may not be done in time, which is unknown and moves nothing.
      await systemClock.sleep(5000);
      t.regex((await lab.group(odd.active, 'odd'))?.resources[0]?.state ?? '', /^(online|unknown)$/);
    } else {
      await lab.until(`${does} is seen`, 20_000, async (last) => {
        const found = (await lab.group(odd.active, 'odd'))?.resources[0];
        last(JSON.stringify(found));
        return found?.state !== 'online' && seen.test(found?.reason ?? '');
      });
    }
    rmSync(file('does'));
    watch.cancel();
    t.log(`${does}: the controller had ${beforeMb.toFixed(0)} MB before, ${mostMb.toFixed(0)} at most`);
    // Each flood is 100 MB, every half second: what is read of it is dropped, not kept.
    t.true(mostMb - beforeMb < 64, 'memory is bounded');
    await lab.done(odd.active, 'clear', 'odd');
    const after = await lab.settled(60_000, 'odd');
    t.deepEqual([after.active, after.epoch], [odd.active, odd.epoch], 'the group has not moved');
    t.deepEqual(await lab.settled(60_000, 'stubborn'), other);
    t.is(await lab.pid(odd.active, 'controller'), controller, 'the same controller');
    t.deepEqual(await lab.events(odd.active, 'pause', beganMs), []);
  });
