import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { DesiredHook } from '../../core/model/desired.js';
import { bounded } from '../../core/scheduler/deadline.js';
import { hookEnvironment, type Moment, withPluginHooks } from '../../core/scheduler/hooks.js';
import { systemClock } from '../../core/system/clock.js';
import { FakeClock } from '../support/fake-clock.js';
import { group, hook, resource, world } from '../support/controller-world.js';

const moment: Moment = { epoch: 7, from: 'b', to: 'a', incident: 'g.e7', because: 'b is silent', role: 'active' };

const withHooks = async (t: Parameters<typeof world>[0], hooks: readonly DesiredHook[], clock?: FakeClock) => {
  const desired = group([resource('vip')], { hooks });
  return { ...(await world(t, { groups: [desired], begin: false, ...(clock === undefined ? {} : { clock }) })), group: desired };
};

const script = (t: {
  teardown: (end: () => void) => void;
}): { directory: string; say: (word: string) => readonly string[]; said: () => string } => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-hooks-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const out = join(directory, 'out');
  writeFileSync(out, '');
  return {
    directory,
    say: (word) => ['/bin/sh', '-c', `echo ${word} >>${out}`],
    said: () => readFileSync(out, 'utf8').trim().split('\n').join(' '),
  };
};

test('order: pre, normal, post, then as written; the same that list shows', async (t) => {
  const { say, said } = script(t);
  const words: [string, DesiredHook['order']][] = [
    ['n1', 'normal'],
    ['z', 'post'],
    ['n2', 'normal'],
    ['p', 'pre'],
  ];
  const { hooks, group: desired } = await withHooks(
    t,
    words.map(([word, order]) => hook('beforeFailover', say(word), { name: word, order })),
  );
  t.deepEqual(await hooks.run(desired, 'beforeFailover', moment), { ran: 4, abort: null, fault: null });
  t.is(said(), 'p n1 n2 z');
  t.deepEqual(
    hooks.list(desired).map(({ name, position }) => `${position} ${name}`),
    ['1 p', '2 n1', '3 n2', '4 z'],
  );
});

test('one at a time in a group, also when two points come at once', async (t) => {
  const { say, said, directory } = script(t);
  const slow = ['/bin/sh', '-c', `echo in >>${join(directory, 'out')}; sleep 0.05; echo out >>${join(directory, 'out')}`];
  const { hooks, group: desired } = await withHooks(t, [hook('onFault', slow), hook('onUnknown', say('second'))]);
  await Promise.all([hooks.run(desired, 'onFault', moment), hooks.run(desired, 'onUnknown', moment)]);
  t.is(said(), 'in out second');
});

test('a hook that fails: ignore goes on, fault is told and goes on, abort ends the row', async (t) => {
  const { say, said } = script(t);
  const bad = (onFailure: DesiredHook['onFailure'], code: number) =>
    hook('beforeStart', ['/bin/sh', '-c', `echo no >&2; exit ${code}`], { name: `bad-${onFailure}`, onFailure });
  const {
    hooks,
    group: desired,
    events,
  } = await withHooks(t, [
    bad('ignore', 1),
    bad('fault', 2),
    hook('beforeStart', say('between')),
    bad('abort', 3),
    hook('beforeStart', say('never')),
  ]);
  const outcome = await hooks.run(desired, 'beforeStart', moment);
  t.is(outcome.ran, 4);
  t.is(outcome.fault, 'beforeStart hook bad-fault: it exited with 2: no');
  t.is(outcome.abort, 'beforeStart hook bad-abort: it exited with 3: no');
  t.is(said(), 'between');
  t.deepEqual(
    events.map(({ kind }) => kind),
    ['hook.failed', 'hook.failed', 'hook.done', 'hook.failed'],
  );
  t.like(events[0], { incident: 'g.e7', epoch: 7 });
});

test('a hook that runs too long: it and its children are ended', async (t) => {
  const { directory } = script(t);
  const mark = join(directory, 'alive');
  const { hooks, group: desired } = await withHooks(t, [
    hook('afterFailover', ['/bin/sh', '-c', `(sleep 0.6; touch ${mark}) & wait`], { timeoutMs: 100, onFailure: 'fault' }),
  ]);
  t.regex(
    (await hooks.run(desired, 'afterFailover', moment)).fault ?? '',
    /ended, with its whole process group, after 100 ms|longer than 100 ms/,
  );
  await systemClock.sleep(700);
  t.false(existsSync(mark));
});

test('who runs a hook: by role and platform', async (t) => {
  const { say, said } = script(t);
  const { hooks, group: desired } = await withHooks(t, [
    hook('onPeerLost', say('active')),
    hook('onPeerLost', say('standby'), { on: 'standby' }),
    hook('onPeerLost', say('all'), { on: 'all' }),
    hook('onPeerLost', say('windows'), { on: 'all', platform: 'win32' }),
  ]);
  await hooks.run(desired, 'onPeerLost', { ...moment, role: 'standby' });
  t.is(said(), 'standby all');
  t.false(hooks.any(desired, 'onFault', 'active'));
});

test('a script is told everything in its environment, absent values as empty texts', (t) => {
  t.deepEqual(hookEnvironment({ cluster: 'c', node: 'a' }, 'g', 'beforeFailover', { ...moment, incident: null }), {
    UNDERSTUDY_CLUSTER: 'c',
    UNDERSTUDY_NODE: 'a',
    UNDERSTUDY_GROUP: 'g',
    UNDERSTUDY_POINT: 'beforeFailover',
    UNDERSTUDY_HOOK_RESOURCE: '',
    UNDERSTUDY_FROM: 'b',
    UNDERSTUDY_TO: 'a',
    UNDERSTUDY_EPOCH: '7',
    UNDERSTUDY_INCIDENT: '',
    UNDERSTUDY_BECAUSE: 'b is silent',
  });
});

test('hooks of plugins: behind the written ones of their order, never twice, told by a signal when their time is over', async (t) => {
  const seen: unknown[] = [];
  const definition = {
    limitMs: 50,
    run: async ({ group: name, to, signal }: { group: string | null; to: string | null; signal: AbortSignal }) => {
      seen.push([name, to]);
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('told to end'))));
    },
  };
  const source = { hooks: (point: string) => (point === 'afterFailover' ? [{ plugin: 'announce', definition }] : []) };
  const merged = withPluginHooks([], source);
  t.deepEqual(withPluginHooks(merged, source), merged);
  const desired = group([resource('vip')], { hooks: merged });
  const { hooks, clock, events } = await world(t, {
    groups: [desired],
    begin: false,
    pluginHooks: { afterFailover: [{ plugin: 'announce', definition }] },
  });
  const running = hooks.run(desired, 'afterFailover', moment);
  await clock.advanceAsync(60);
  t.deepEqual(await running, { ran: 1, abort: null, fault: null });
  t.deepEqual(seen, [['g', 'a']]);
  t.like(events[0], { kind: 'hook.failed', data: { hook: 'plugin:announce' } });
});

test('more hooks than may wait: dropped and journaled, not queued without end', async (t) => {
  const { hooks, group: desired, events } = await withHooks(t, [hook('onFault', ['/bin/true'])]);
  const all = Array.from({ length: 70 }, () => hooks.run(desired, 'onFault', moment));
  t.is(events.filter(({ data }) => data?.['dropped'] === 1).length, 6);
  await Promise.all(all);
});

test('a bounded call: begun in the turn, a synchronous throw is a value, a late one is told and given up', async (t) => {
  const clock = new FakeClock();
  let begun = false;
  const value = bounded(() => ((begun = true), 'v'), { clock, limitMs: 10 });
  t.true(begun);
  t.like(await value, { kind: 'value', value: 'v' });
  t.like(
    await bounded(
      () => {
        throw new Error('at once');
      },
      { clock, limitMs: 10 },
    ),
    { kind: 'threw' },
  );
  let late = 0;
  let end: () => void = () => undefined;
  const hanging = bounded(() => new Promise<void>((resolve) => (end = resolve)), {
    clock,
    limitMs: 10,
    graceMs: 5,
    onSettledLate: () => (late += 1),
  });
  await clock.advanceAsync(20);
  t.like(await hanging, { kind: 'late', settled: false });
  end();
  await clock.settle();
  t.is(late, 1);
  const outer = new AbortController();
  const aborted = bounded((signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('cleaned up')))), {
    clock,
    limitMs: 1000,
    signal: outer.signal,
  });
  outer.abort(new Error('the lease was lost'));
  const outcome = await aborted;
  t.like(outcome, { kind: 'aborted', settled: true });
  t.is(clock.pendingTimers, 0);
});
