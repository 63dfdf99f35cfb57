// Arbiters that are away, or away for one node, or not what they were (acceptance rows 16, 18, 20 and 21), with real processes and
// packets. Oracles: the observer never sees two nodes; a probe counts what clients lose. $ARBITER_DOWN_S says how long the arbiter
// is away (90; the table asks for 600). Timing `fast`: D is 4 s and W 8 s, so that is many times both.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { tool } from '../../core/lab/lab-process.js';
import { namespaceOf } from '../../core/lab/netns-names.js';
import { hostOf } from '../../core/lab/topology.js';
import { systemClock } from '../../core/system/clock.js';
import { DrillLab, drillObstacle, type Settled } from '../support/drill-lab.js';
import { etcdObstacle } from '../support/etcd-cluster.js';

const obstacle = drillObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs root (${obstacle})`, (t) => t.pass());

const DOWN_S = Number(process.env['ARBITER_DOWN_S'] ?? 90);
const GROUP = 'web';
/** The fast profile. */
const [W_MS, D_MS, S_MS] = [8000, 4000, 2000];
/** Two looks of the observer, and what a busy machine adds to them. */
const LOOK_MS = 500;
const MOVE_S = 20;

const ids: string[] = [];
const start = async (options: Parameters<typeof DrillLab.start>[1]): Promise<DrillLab> => {
  const id = `la${randomBytes(3).toString('hex')}`;
  ids.push(id);
  return DrillLab.start(id, { timing: 'fast', ...options });
};
let lab: DrillLab;
anyTest.serial.before(async () => {
  if (obstacle === null) lab = await start({ settings: { failsafe: { arbiterLossMove: `${MOVE_S}s` } } });
});
anyTest.after.always(() => {
  for (const id of ids) DrillLab.sweep(id);
});

/** What anybody did about the lease since a moment. */
const moves = async (on: DrillLab, sinceMs: number): Promise<readonly string[]> =>
  (await Promise.all(on.nodes.map((node) => on.events(node, 'lease', sinceMs))))
    .flat()
    .filter(({ kind }) => /acquiring|held|lost|released|fencing/.test(kind))
    .map(({ node, kind, because }) => `${node}: ${kind} (${because})`);

const startsOf = async (on: DrillLab, sinceMs: number): Promise<readonly string[]> =>
  (await Promise.all(on.nodes.map((node) => on.events(node, 'action.begin', sinceMs))))
    .flat()
    .filter(({ data }) => data?.['kind'] === 'start')
    .map(({ node, resource, because }) => `${node}: ${resource} (${because})`);

/** What runs now: the observer's intervals that have no end. */
const running = async (on: DrillLab): Promise<readonly string[]> =>
  ((await on.status()).observer?.intervals ?? []).filter(({ toMs }) => toMs === null).map(({ thing, node }) => `${thing} on ${node}`);

const inFailsafe = (on: DrillLab, node: string): Promise<readonly string[]> =>
  on.until(`${node} says FAILSAFE`, D_MS + 2000, async (last) => {
    const view = await on.view(node);
    const group = view?.groups.find(({ id }) => id === GROUP);
    last(`${group?.because}; alarms: ${view?.alarms.join('; ')}`);
    return (
      /FAILSAFE: .*extended by promise of/.test(group?.because ?? '') &&
      view?.alarms.some((alarm) => alarm.includes('FAILSAFE')) &&
      view.alarms
    );
  });
const outOfFailsafe = (on: DrillLab): Promise<boolean> =>
  on.until('no word of FAILSAFE', 20_000, async (last) => {
    const alarms = (await Promise.all(on.nodes.map((node) => on.view(node)))).flatMap((view) => view?.alarms ?? ['no answer']);
    last(alarms.join('; '));
    return !alarms.some((alarm) => /FAILSAFE|arbiter|no answer/.test(alarm));
  });

/** The whole outage under a probe: same node, same epoch, same process, nothing lost. */
const unnoticed = async (t: ExecutionContext, during: (before: Settled) => Promise<void>): Promise<void> => {
  const before = await lab.settled();
  const app = await lab.pid(before.active, 'app');
  const probe = await lab.probe({ forMs: DOWN_S * 1000 + 300_000 });
  const beganMs = systemClock.nowMs();
  await during(before);
  await outOfFailsafe(lab);
  // First what says why.
  t.deepEqual(await moves(lab, beganMs), []);
  t.deepEqual(await lab.settled(), before, 'same node, same epoch');
  t.is(await lab.pid(before.active, 'app'), app, 'the same process');
  t.is(await probe.lost(), 0, 'lost requests');
  await probe.stop();
  t.deepEqual(await moves(lab, beganMs), []);
  t.deepEqual(await startsOf(lab, beganMs), []);
  t.deepEqual(await lab.overlaps(), []);
};

test(`row 16: the arbiter is down for ${DOWN_S} s and the peer lives: FAILSAFE in status, the application serves all the time, the epoch stays`, async (t) => {
  t.timeout(DOWN_S * 1000 + 120_000);
  await unnoticed(t, async ({ active, epoch }) => {
    await lab.fault('witness', 'down');
    const untilMs = systemClock.nowMs() + DOWN_S * 1000;
    t.log((await inFailsafe(lab, active)).join('; '));
    while (systemClock.nowMs() < untilMs) {
      await systemClock.sleep(Math.min(5000, Math.max(0, untilMs - systemClock.nowMs())));
      const view = await lab.group(active, GROUP);
      t.deepEqual([view?.state, view?.active, view?.epoch], ['online', active, epoch]);
      t.regex(view?.because ?? '', /FAILSAFE/);
    }
    await lab.fault('witness', 'up');
  });
});

/** Only this node's way to the arbiter's port is cut, at the router; everything else beside the router is reached. */
const cutFromArbiter = (on: DrillLab, node: string): (() => void) => {
  const [, port = ''] = /address: \S+:(\d+)/.exec(readFileSync(on.config, 'utf8')) ?? [];
  const { index } = hostOf(on.topology, node);
  const nft = (script: string): void => void tool(['ip', 'netns', 'exec', namespaceOf(on.topology.id, 'router'), 'nft', '-f', '-'], script);
  nft(`table netdev arbiter {
  chain cut {
    type filter hook ingress device "svc${index}" priority 1;
    tcp dport ${port} drop
  }
}
`);
  return () => nft('delete table netdev arbiter\n');
};

test('row 18: the arbiter is away for the holder alone: it stays, by the promise of the peer', async (t) => {
  t.timeout(120_000);
  await unnoticed(t, async ({ active }) => {
    const heal = cutFromArbiter(lab, active);
    try {
      await inFailsafe(lab, active);
      // Long past D and W, and not as long as it takes to move.
      await systemClock.sleep(12_000 - D_MS);
    } finally {
      heal();
    }
  });
});

test(`row 18: the arbiter is away for the holder alone, and longer than arbiterLossMove: an orderly move, one epoch on, never two`, async (t) => {
  t.timeout(120_000);
  const before = await lab.settled();
  const beganMs = systemClock.nowMs();
  const heal = cutFromArbiter(lab, before.active);
  try {
    await inFailsafe(lab, before.active);
    await lab.until(`${GROUP} on ${before.standby}`, MOVE_S * 1000 + 20_000, async (last) => {
      const view = await lab.group(before.standby, GROUP);
      last(JSON.stringify(view));
      return view?.state === 'online' && view.active === before.standby;
    });
    const tookMs = systemClock.nowMs() - beganMs;
    // The silence counts from the last good renewal, which may be a period old.
    t.true(tookMs >= MOVE_S * 1000 - 1500, `moved after ${tookMs} ms`);
    const stops = (await lab.events(before.active, 'action.done', beganMs)).filter(({ data }) => data?.['kind'] === 'stop');
    t.deepEqual(
      stops.map(({ resource }) => resource ?? '').toSorted((one, other) => one.localeCompare(other)),
      ['app', 'vip'],
      'stopped by its own stop actions',
    );
    t.deepEqual(await lab.overlaps(), []);
    t.log(`moved after ${(tookMs / 1000).toFixed(1)} s`);
  } finally {
    heal();
  }
  await outOfFailsafe(lab);
  t.deepEqual(await lab.settled(), { active: before.standby, standby: before.active, epoch: before.epoch + 1 });
});

test('row 16: the arbiter is down and then the peer dies: the holder stops by D + S, and nothing starts anywhere until the arbiter is back', async (t) => {
  t.timeout(180_000);
  const before = await lab.settled();
  await lab.fault('witness', 'down');
  await inFailsafe(lab, before.active);
  const offMs = systemClock.nowMs();
  await lab.fault('power-off', before.standby);
  await lab.until('nothing runs', D_MS + S_MS + 3000, async (last) => {
    const now = await running(lab);
    last(now.join('; '));
    return now.length === 0;
  });
  const ended = ((await lab.status()).observer?.intervals ?? [])
    .filter(({ node }) => node === before.active)
    .map(({ toMs }) => toMs ?? Infinity);
  const lastMs = Math.max(...ended) - offMs;
  t.true(lastMs <= D_MS + S_MS + LOOK_MS, `the last of it ended ${lastMs} ms after the peer`);
  t.log(`stopped ${(lastMs / 1000).toFixed(1)} s after the peer was gone`);
  await systemClock.sleep(W_MS + 2000);
  t.deepEqual(await running(lab), [], 'W is no proof without the arbiter');
  await lab.fault('power-on', before.standby);
  await systemClock.sleep(W_MS + 4000);
  t.deepEqual(await running(lab), [], 'a node that comes up starts nothing');
  t.deepEqual(await startsOf(lab, offMs), []);
  await lab.fault('witness', 'up');
  const after = await lab.settled();
  t.is(after.epoch, before.epoch + 1);
  t.deepEqual(await lab.overlaps(), []);
  await lab.end();
});

/** All refuse, all say why, and nothing runs for longer than anybody waits. */
const refused = async (t: ExecutionContext, on: DrillLab, alarm: RegExp, sinceMs: number): Promise<void> => {
  const alarms = await on.until(`alarms on every node: ${alarm}`, W_MS, async (last) => {
    const views = await Promise.all(on.nodes.map((node) => on.view(node)));
    last(views.map((view) => `${view?.node}: ${view?.alarms.join('; ')}`).join('\n  '));
    return views.every((view) => view?.alarms.some((each) => alarm.test(each))) && views.flatMap((view) => view?.alarms ?? []);
  });
  t.log(alarms.filter((each) => alarm.test(each))[0]);
  await on.until('nothing runs', D_MS + S_MS + 3000, async (last) => {
    const now = await running(on);
    last(now.join('; '));
    return now.length === 0;
  });
  await systemClock.sleep(W_MS + 4000);
  t.deepEqual(await running(on), []);
  t.deepEqual(await startsOf(on, sinceMs), []);
  const taken = (await moves(on, sinceMs)).filter((move) => /acquiring|held/.test(move));
  t.deepEqual(taken, []);
  t.deepEqual(await on.overlaps(), []);
};

/** What is done to a store behind everyone's back, by somebody with the rights and the tools for it. */
interface Behind {
  backup(on: DrillLab): Promise<() => Promise<unknown>>;
  forget(on: DrillLab): Promise<unknown>;
}
const etcdctl = (on: DrillLab, ...words: readonly string[]): string =>
  tool([
    'ip',
    'netns',
    'exec',
    namespaceOf(on.topology.id, 'router'),
    'env',
    'ETCDCTL_API=3',
    'etcdctl',
    `--endpoints=${on.topology.serviceAddress}:2379`,
    ...words,
  ]);
const keyIn = (on: DrillLab): string => {
  const key = etcdctl(on, 'get', '--prefix', '', '--keys-only')
    .split('\n')
    .find((each) => each.endsWith(`/${GROUP}`) && !each.includes('/nodes/'));
  if (key === undefined) throw new Error('etcd has no record of the group');
  return key;
};
const STORES: Readonly<Record<string, Behind>> = {
  dynamodb: {
    backup: async (on) => {
      await on.fault('dynamodb', 'backup');
      return () => on.fault('dynamodb', 'restore');
    },
    forget: (on) => on.fault('dynamodb', 'forget', `understudy/lab-${on.topology.id}/${GROUP}`),
  },
  'etcd:1': {
    backup: async (on) => {
      const value = etcdctl(on, 'get', keyIn(on), '--print-value-only').replace(/\n$/, '');
      return async () => etcdctl(on, 'put', keyIn(on), '--', value);
    },
    forget: async (on) => etcdctl(on, 'del', keyIn(on)),
  },
};
const inEtcd = etcdObstacle();
if (inEtcd !== null) anyTest(`skipped: needs etcd (${inEtcd})`, (t) => t.pass());

for (const [arbiter, behind] of Object.entries(STORES).filter(([name]) => inEtcd === null || !name.startsWith('etcd'))) {
  test(`row 20, ${arbiter}: the arbiter is restored from a backup of an older epoch: the holder stops, everybody refuses and says why, nothing starts`, async (t) => {
    t.timeout(180_000);
    const on = await start({ arbiter });
    const old = await on.settled();
    const restore = await behind.backup(on);
    await on.done(old.active, 'switchover', GROUP, '--to', old.standby);
    t.is((await on.settled()).epoch, old.epoch + 1);
    const sinceMs = systemClock.nowMs();
    await restore();
    await refused(t, on, new RegExp(`^${GROUP}: the lease record went back to an older epoch`), sinceMs);
    await on.end();
  });

  test(`row 21, ${arbiter}: the record is deleted by hand: its holder stops, everybody refuses and says why, nothing starts`, async (t) => {
    t.timeout(180_000);
    const on = await start({ arbiter });
    const { epoch } = await on.settled();
    const sinceMs = systemClock.nowMs();
    await behind.forget(on);
    await refused(t, on, new RegExp(`^${GROUP}: the lease record is lost \\(it was at epoch ${epoch}\\)`), sinceMs);
    await on.end();
  });
}
