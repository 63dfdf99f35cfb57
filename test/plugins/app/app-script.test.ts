// app-script with real processes: what it believes, what it ends, what it refuses. With cgroups: test/e2e/app-script.test.ts.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { agentContract, monitorOnce } from '../../../core/plugin/testkit/index.js';
import { systemClock } from '../../../core/system/clock.js';
import app from '../../../plugins/app/index.js';
import { appScript, appScriptOptions } from '../../../plugins/app/definition.js';
import { stateOf } from '../../../plugins/app/exit-codes.js';
import { checkScript, trustOf } from '../../../core/system/trusted-program.js';
import { endUnit, unitState } from '../../../plugins/app/unit.js';
import { type AppWorld, appWorld, processes, sh } from '../../support/app-world.js';

const world = (t: ExecutionContext, options: Record<string, unknown>): AppWorld => {
  const made = appWorld({ killAfter: '2s', ...options });
  t.teardown(made.end);
  return made;
};
const until = async (fact: () => boolean, limitMs = 5000) => {
  for (const endMs = systemClock.nowMs() + limitMs; systemClock.nowMs() < endMs; await systemClock.sleep(5)) if (fact()) return true;
  return false;
};
/** How long after `cause` the watch calls; fails the test after 5 s. */
const told = async (t: ExecutionContext, watch: (changed: () => void) => () => void, cause: () => void): Promise<number> => {
  const keep = setTimeout(() => {}, 10_000);
  let end = (): void => undefined;
  const change = new Promise<number>((resolve) => (end = watch(() => resolve(systemClock.nowMs()))));
  const causedMs = systemClock.nowMs();
  cause();
  const toldMs = await Promise.race([change, systemClock.sleep(5000).then(() => Number.NaN)]);
  end();
  clearTimeout(keep);
  t.false(Number.isNaN(toldMs), 'never told');
  return toldMs - causedMs;
};

const FORK = { start: sh('setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $! >DIR/pid'), pidfile: 'DIR/pid' };
const FOREGROUND = { start: ['/bin/sleep', '60'], mode: 'foreground' };

const MONITORED = {
  ...FOREGROUND,
  monitor: sh('test ! -e DIR/broken || exit 127; kill -0 "$(cut -d" " -f1 DIR/run/main)" 2>/dev/null || exit 3'),
};
for (const [name, options] of [
  ['app-script fork', { start: FORK.start }],
  ['app-script monitored', MONITORED],
  ['app-script pidfile', FORK],
  ['app-script foreground', FOREGROUND],
] as const) {
  agentContract(test.serial, name, () => {
    const made = appWorld({ killAfter: '1s', ...options });
    const { group, resource, runDir, logFile, run } = made.acting();
    return {
      definition: { operations: 'on-off', ...(appScript.hardStop === undefined ? {} : { hardStop: appScript.hardStop }) },
      agent: made.agent,
      options: made.options,
      world: made.pids,
      context: { group, resource, runDir, logFile, run },
      ...('monitor' in options ? { breakDependency: () => writeFileSync(join(made.directory, 'broken'), '') } : {}),
      end: made.end,
    };
  });
}

test.serial('plugin: one agent, by the public door', async (t) => {
  t.deepEqual([app.name, app.api, Object.keys(app.agents)], ['app', 1, ['app-script']]);
  t.is(await (app.agents['app-script'].agent as () => Promise<{ name: string }>)().then(({ name }) => name), 'AppScript');
  t.true(
    typeof appScript.fencedByEpoch === 'function' &&
      appScript.fencedByEpoch({ ...appScriptOptions.parse({ start: ['/a'] }), lingerSafe: true }),
  );
});

const exits: [code: number, table: Record<string, 'online' | 'offline' | 'faulted' | 'unknown'> | undefined, expected: string][] = [
  [0, undefined, 'online'],
  [3, undefined, 'offline'],
  [7, undefined, 'offline'],
  [1, undefined, 'faulted'],
  [4, undefined, 'unknown'],
  [126, undefined, 'unknown'],
  [127, undefined, 'unknown'],
  [255, undefined, 'faulted'],
  [1, { '1': 'offline' }, 'offline'],
  [3, { '3': 'faulted' }, 'faulted'],
  [9, { else: 'unknown' }, 'unknown'],
  [3, { else: 'unknown' }, 'offline'],
];
for (const [code, table, expected] of exits) {
  test(`exit status ${code} with ${JSON.stringify(table ?? 'defaults')}: ${expected}`, (t) =>
    t.is(stateOf(code, table), expected as never));
}

const wrong: [title: string, options: Record<string, unknown>, message: RegExp][] = [
  ['no start', {}, /start/],
  ['a shell line instead of argv', { start: '/opt/app start' }, /list of words, not a shell line/],
  ['relative program', { start: ['app'] }, /app.* is not an absolute path/],
  ['exit status out of range', { start: ['/a'], exitCodes: { '300': 'online' } }, /no exit status/],
  ['unknown state', { start: ['/a'], exitCodes: { '1': 'down' } }, /online/],
  ['line outside the vocabulary', { start: ['/a'], monitor: ['/b'], hardStop: ['rm -rf /'] }, /not a line of the hard-stop list/],
  ['hard-stop lines alone', { start: ['/a'], hardStop: ['cgroup /x'] }, /needs a `monitor` command/],
  ['unknown key', { start: ['/a'], sotp: ['/b'] }, /sotp/],
];
for (const [title, options, message] of wrong) {
  test(`options: ${title}: refused`, (t) => {
    const result = appScriptOptions.safeParse(options);
    t.regex(JSON.stringify(result.error?.issues), message);
  });
}

test.serial('hard-stop lines: unit, cgroup or mark, pidfile, then the given ones', (t) => {
  const options = appScriptOptions.parse({
    start: ['/a'],
    unit: 'pg.service',
    pidfile: '/run/pg.pid',
    hardStop: ['mount /data'],
    monitor: ['/m'],
  });
  const where = { options, group: 'g', resource: 'r', runDir: '/run', addressLine: () => '' };
  t.deepEqual(appScript.hardStop?.({ ...where, cgroup: '/cg/g/r' }), [
    'unit pg.service',
    'cgroup /cg/g/r',
    'pidfile /run/pg.pid',
    'mount /data',
  ]);
  t.deepEqual(appScript.hardStop?.({ ...where, cgroup: null })[1], 'pids g/r');
});

test.serial('start leaves nothing: an error that says what to name', async (t) => {
  const { agent, acting } = world(t, { start: sh('echo gone; true') });
  const error = await t.throwsAsync(agent.start(acting()));
  t.regex(error?.message ?? '', /left no process with its mark.*name its unit:, pidfile: or hardStop:: gone$/);
});

test.serial('start fails: status and last words of the command, and nothing is left of it', async (t) => {
  const { agent, acting, pids } = world(t, { start: sh('sleep 60 & echo starting; echo no licence >&2; exit 5') });
  await t.throwsAsync(agent.start(acting()), { message: '/bin/sh exited with 5: no licence' });
  t.deepEqual(pids(), []);
});

test.serial('start hangs: ended at the deadline with everything it began', async (t) => {
  const { agent, acting, pids } = world(t, { start: sh('setsid sleep 60 & sleep 60') });
  await t.throwsAsync(agent.start(acting({ limitMs: 300 })), { message: /was still starting after/ });
  t.deepEqual(pids(), []);
});

test.serial('start without a lease: nothing is begun', async (t) => {
  const { agent, acting, pids } = world(t, FOREGROUND);
  await t.throwsAsync(agent.start(acting({ lease: { held: false, remainingMs: 0 } })), { code: 'REFUSED' });
  t.deepEqual(pids(), []);
});

test.serial('foreground: ends while starting, told with its words; serving is what monitor says', async (t) => {
  const dying = world(t, { mode: 'foreground', start: sh('echo port in use >&2; exit 3'), settle: '5s' });
  await t.throwsAsync(dying.agent.start(dying.acting()), { message: '/bin/sh exited with 3 instead of serving: port in use' });
  const slow = world(t, {
    mode: 'foreground',
    start: sh('sleep 0.2; touch DIR/ready; exec sleep 60'),
    monitor: sh('test -e DIR/ready || exit 3'),
  });
  t.is((await monitorOnce(slow.agent, slow.monitoring())).state, 'offline');
  const startedMs = systemClock.nowMs();
  await slow.agent.start(slow.acting());
  t.true(systemClock.nowMs() - startedMs >= 150);
  t.is((await monitorOnce(slow.agent, slow.monitoring())).state, 'online');
});

test.serial('environment, working directory and log: as given, the mark cannot be overridden', async (t) => {
  const { agent, acting, read } = world(t, {
    mode: 'foreground',
    cwd: 'DIR',
    env: { PORT: '80', UNDERSTUDY_RESOURCE: 'else/where' },
    start: sh('echo words; echo "$PWD $PORT $UNDERSTUDY_RESOURCE $UNDERSTUDY_EPOCH" >DIR/env; exec sleep 60'),
  });
  const context = acting({ epoch: 7 });
  await agent.start(context);
  t.true(await until(() => read('env') !== null && read('env') !== ''));
  t.is(read('env'), `${context.options.cwd} 80 ${context.group}/${context.resource} 7\n`);
  t.is(read('log/app.log'), 'words\n');
});

test.serial('stop: the script first, then TERM to the main process, KILL to what ignores it, clean last', async (t) => {
  const made = world(t, {
    mode: 'foreground',
    killAfter: '300ms',
    start: sh('trap "" TERM; sleep 60 & setsid sleep 60 & wait; sleep 60'),
    stop: sh('echo stop >>DIR/order; exit 1'),
    clean: sh('echo clean >>DIR/order'),
  });
  await made.agent.start(made.acting());
  t.true(await until(() => made.pids().length >= 3));
  const report = await made.agent.stop(made.acting());
  t.deepEqual(made.pids(), []);
  t.is(made.read('order'), 'stop\nclean\n');
  t.deepEqual(report.detail, { notes: ['stop: /bin/sh exited with 1'] });
});

test.serial('stop: a well-behaved application gets the time to finish, and not a moment more', async (t) => {
  const made = world(t, {
    mode: 'foreground',
    killAfter: '30s',
    start: sh('trap "sleep 0.1; echo saved >DIR/saved; exit 0" TERM; while :; do sleep 0.02; done'),
  });
  await made.agent.start(made.acting());
  const beganMs = systemClock.nowMs();
  await made.agent.stop(made.acting({ limitMs: 60_000 }));
  t.is(made.read('saved'), 'saved\n');
  t.true(systemClock.nowMs() - beganMs < 10_000);
});

test.serial('stop: a stop script that hangs leaves time for the kill', async (t) => {
  const made = world(t, { ...FOREGROUND, stop: sh('sleep 60'), killAfter: '100ms' });
  await made.agent.start(made.acting());
  await made.agent.stop(made.acting({ limitMs: 800 }));
  t.deepEqual(made.pids(), []);
});

test.serial('stop: not seen by its processes and its monitor still says online: not stopped', async (t) => {
  const made = world(t, { start: sh('true'), hardStop: ['cgroup /none'], monitor: sh('exit 0') });
  await made.agent.start(made.acting());
  await t.throwsAsync(made.agent.stop(made.acting()), { message: /was stopped, but its monitor says online/ });
});

test.serial('adoption: another controller sees it, watches it and ends it; a start again begins nothing', async (t) => {
  for (const options of [FORK, FOREGROUND]) {
    const made = world(t, options);
    await made.agent.start(made.acting());
    const before = made.pids();
    const next = made.successor();
    t.is((await monitorOnce(next, made.monitoring())).state, 'online');
    t.deepEqual(await next.start(made.acting()), { detail: { found: 'already running' } });
    t.deepEqual(made.pids(), before);
    const delayMs = await told(
      t,
      (changed) => next.watch(made.monitoring(), changed),
      () => before.forEach((pid) => process.kill(pid, 'SIGKILL')),
    );
    t.true(delayMs < 4000, `${delayMs} ms`);
    t.is((await monitorOnce(next, made.monitoring())).state, 'offline');
    await next.stop(made.acting());
  }
});

test.serial('death of a child: told by its exit', async (t) => {
  const made = world(t, FOREGROUND);
  await made.agent.start(made.acting());
  t.true(
    (await told(
      t,
      (changed) => made.agent.watch(made.monitoring(), changed),
      () => process.kill(made.pids()[0] ?? 0, 'SIGKILL'),
    )) < 4000,
  );
});

test.serial('the main process dies, others are left: faulted, and the next start ends them first', async (t) => {
  const made = world(t, { mode: 'foreground', start: sh('setsid sleep 61 & exec sleep 60') });
  await made.agent.start(made.acting());
  t.true(await until(() => made.pids().length === 2));
  const main = Number(made.read('run/main')?.split(' ')[0]);
  const [other] = made.pids().filter((pid) => pid !== main);
  process.kill(main, 'SIGKILL');
  t.true(await until(() => processes.identify(main) === null));
  t.deepEqual(await monitorOnce(made.agent, made.monitoring()), { state: 'faulted', reason: 'its main process has gone, others are left' });
  await made.agent.start(made.acting());
  t.false(made.pids().includes(other ?? 0));
});

test.serial('pidfile names a stranger: unknown, and stop leaves the stranger alone', async (t) => {
  const made = world(t, { start: FORK.start, pidfile: 'DIR/pid' });
  writeFileSync(join(made.directory, 'pid'), `${process.pid}\n`);
  t.is((await monitorOnce(made.agent, made.monitoring())).state, 'unknown');
  await made.agent.stop(made.acting());
  t.truthy(processes.identify(process.pid));
});

test.serial('monitor command and processes must both be well', async (t) => {
  const made = world(t, { ...FOREGROUND, monitor: sh('exit $(cat DIR/code)') });
  const monitor = (code: string) => {
    writeFileSync(join(made.directory, 'code'), code);
    return monitorOnce(made.agent, made.monitoring());
  };
  t.deepEqual(await monitor('0'), {
    state: 'faulted',
    reason: '/bin/sh says it serves, but none of its processes is left: something else answers',
  });
  t.is((await monitor('3')).state, 'offline');
  writeFileSync(join(made.directory, 'code'), '0');
  await made.agent.start(made.acting());
  t.is((await monitor('0')).state, 'online');
  t.deepEqual(await monitor('1'), { state: 'faulted', reason: '/bin/sh exited with 1' });
  const late = world(t, { ...FOREGROUND, monitor: sh('sleep 60') });
  t.is((await monitorOnce(late.agent, late.monitoring({ limitMs: 200 }))).state, 'unknown');
});

test.serial('plan: every command, and who is ended', async (t) => {
  const { agent, monitoring } = world(t, { start: ['/a', 'x'], stop: ['/b'], clean: ['/c'], unit: 'u.service', user: 'games' });
  const text = async (op: 'start' | 'stop') =>
    (await agent.plan(op, monitoring({ group: 'g', resource: 'r' }))).map(
      ({ kind, what, on }) => `${kind}: ${what}${on ? ` (${on})` : ''}`,
    );
  t.deepEqual(await text('start'), ['command: /a x (as games)']);
  t.deepEqual(await text('stop'), [
    'command: /b (as games)',
    'command: systemctl stop u.service',
    'process: SIGTERM, after 2000 ms SIGKILL (every process with UNDERSTUDY_RESOURCE=g/r)',
    'command: /c (as games)',
  ]);
});

test.serial('script rules: what others can change is not run as root', (t) => {
  if (process.geteuid?.() !== 0) return t.notThrows(() => checkScript('anything', { uids: [], gids: [] }));
  const { directory } = world(t, FOREGROUND);
  const script = join(directory, 'bin/x');
  mkdirSync(join(directory, 'bin'));
  writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 });
  const none = trustOf({});
  t.notThrows(() => checkScript(script, none));
  t.notThrows(() => checkScript('/bin/sh', none));
  t.throws(() => checkScript('x', none), { message: 'x is not run as root: its path is not absolute' });
  t.throws(() => checkScript('/no/such', none), { message: '/no/such is not run as root: it cannot be found (ENOENT: /no)' });
  chmodSync(script, 0o757);
  t.throws(() => checkScript(script, none), { message: `${script} is not run as root: ${script} is writable by everybody` });
  chmodSync(script, 0o755);
  chmodSync(join(directory, 'bin'), 0o777);
  t.throws(() => checkScript(script, none), { message: `${script} is not run as root: ${directory}/bin is writable by everybody` });
  t.deepEqual(trustOf({ SUDO_UID: '1000', SUDO_GID: 'x' }), { uids: [1000], gids: [] });
});

test.serial('unit: the words of systemctl; stopped by force when asking takes too long', async (t) => {
  const words = ['active', 'active', 'failed', 'inactive'];
  const asked: string[] = [];
  const run = (async (file: string, args: readonly string[]) => {
    asked.push([file, ...args].join(' '));
    if (args[0] === 'stop') throw new Error('late');
    return { stdout: `${args[0] === 'is-active' ? words.shift() : ''}\n` };
  }) as never;
  t.deepEqual(await unitState(run, 'u'), { state: 'online', reason: 'u is active' });
  t.deepEqual(await endUnit(run, 'u', 10), ['late']);
  t.deepEqual(asked.slice(2), [
    'systemctl stop u',
    'systemctl kill --kill-who=all --signal=KILL u',
    'systemctl is-active u',
    'systemctl reset-failed u',
  ]);
  t.is((await unitState(run, 'u')).state, 'offline');
});
