// The hooks that follow from looks and repairs, with real scripts, through the whole scheduler.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { DesiredHook, HookPoint } from '../../core/model/desired.js';
import type { MirrorStatus } from '../../core/model/mirror.js';
import { FakeAgent, group, hook, resource, world } from '../support/controller-world.js';
import { until } from '../support/until.js';

const MIRROR: MirrorStatus = {
  mode: 'sync',
  primary: 'b',
  connection: 'connected',
  disks: { a: 'UpToDate', b: 'UpToDate' },
  dirtyBytes: 0,
  lagBytes: 0,
  lagMs: 0,
  resyncs: { begun: 0, ended: 0 },
};

const begun = async (t: ExecutionContext, points: readonly HookPoint[], more: Partial<DesiredHook> = {}) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-resource-hooks-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const out = join(directory, 'out');
  const words = '$UNDERSTUDY_POINT $UNDERSTUDY_HOOK_RESOURCE $UNDERSTUDY_BECAUSE';
  const hooks = points.map((point) => hook(point, ['/bin/sh', '-c', `echo "${words}" >>${out}`], { on: 'all', ...more }));
  const agent = new FakeAgent();
  agent.state.set('data', { state: 'online', mirror: MIRROR });
  const made = await world(t, { groups: [group([resource('data')], { hooks })], agent });
  const said = (): readonly string[] => (existsSync(out) ? readFileSync(out, 'utf8').trim().split('\n') : []);
  const lines = async (count: number): Promise<readonly string[]> => {
    await until(`${count} lines of hooks: ${said().join('; ')}`, () => said().length >= count, 10_000);
    return said();
  };
  return { ...made, agent, lines, said };
};

test('a mirror that parts, and one that copies: their scripts run on a standby too, one after the other, with the words', async (t) => {
  const { agent, clock, lines, said } = await begun(t, ['onSplitBrain', 'onResyncStart', 'onResyncEnd']);
  await clock.advanceAsync(1_100);
  t.deepEqual(said(), []);
  agent.state.set('data', { state: 'online', mirror: { ...MIRROR, resyncs: { begun: 1, ended: 1 } } });
  await clock.advanceAsync(1_100);
  t.deepEqual(await lines(2), [
    'onResyncStart data data: a resync began',
    'onResyncEnd data data: a resync has ended: both copies are equal',
  ]);
  agent.state.set('data', { state: 'online', mirror: { ...MIRROR, connection: 'split', resyncs: { begun: 1, ended: 1 } } });
  await clock.advanceAsync(3_300);
  t.deepEqual((await lines(3)).slice(2), ['onSplitBrain data data: both copies were written apart from each other']);
});

test('a script that hangs is ended in its time, and the next one of the group runs', async (t) => {
  const { agent, clock, lines, events, hooks, desired } = await begun(t, ['onSplitBrain']);
  const [one] = desired.state.groups;
  const slow = hook('onSplitBrain', ['/bin/sh', '-c', 'sleep 60'], { on: 'all', order: 'pre', timeoutMs: 200, name: 'slow' });
  desired.state = { ...desired.state, groups: [{ ...one!, hooks: [...one!.hooks, slow] }] };
  t.deepEqual(
    hooks.list(desired.state.groups[0]!).map(({ point, name }) => `${point} ${name}`),
    ['onSplitBrain slow', 'onSplitBrain /bin/sh'],
  );
  agent.state.set('data', { state: 'online', mirror: { ...MIRROR, connection: 'split' } });
  await clock.advanceAsync(1_100);
  await clock.advanceAsync(300);
  const said = lines(1);
  for (let turn = 0; turn < 20; turn += 1) await clock.advanceAsync(100);
  t.is((await said).length, 1);
  t.true(events.some(({ kind, data }) => kind === 'hook.failed' && data?.['hook'] === 'slow'));
});

test('onMonitor: when a look finds something else than the one before, and never for the first', async (t) => {
  const { agent, clock, hold, lines, said } = await begun(t, ['onMonitor']);
  await hold();
  await clock.advanceAsync(5_000);
  t.deepEqual(said(), []);
  agent.state.set('data', { state: 'online', degraded: 'one route table is not reached' });
  await clock.advanceAsync(3_300);
  agent.state.set('data', { state: 'unknown', reason: 'no answer' });
  await clock.advanceAsync(3_300);
  t.deepEqual(await lines(2), [
    'onMonitor data data: online now: one route table is not reached',
    'onMonitor data data: online before, unknown now: no answer',
  ]);
});

test('onRestart: after a fault was mended here, not for a start as such', async (t) => {
  const { agent, clock, hold, lines, said } = await begun(t, ['onFault', 'onRestart'], { on: 'active' });
  agent.state.set('data', { state: 'offline' });
  await clock.advanceAsync(1_100);
  await hold();
  await clock.advanceAsync(2_200);
  t.true(agent.calls.includes('start data'));
  t.deepEqual(said(), []);
  agent.state.set('data', { state: 'faulted', reason: 'it ended' });
  await clock.advanceAsync(3_300);
  t.deepEqual(await lines(2), ['onFault data data: it ended', 'onRestart data data: it had failed and was started again']);
});
