// Real children: what Exec promises about groups, deadlines, pipes, users and environments.
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../core/system/clock.js';
import { commandLine, environmentFor, PosixExec } from '../../core/system/exec-posix.js';
import { parseStat } from '../../core/system/process.js';
import { LinuxProcesses } from '../../core/system/process-linux.js';

const exec = new PosixExec(systemClock);
const processes = new LinuxProcesses(systemClock);
const directory = mkdtempSync(join(tmpdir(), 'understudy-exec-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const sh = (script: string, options: Partial<Parameters<PosixExec['run']>[2]> = {}) =>
  exec.run('/bin/sh', ['-c', script], { timeoutMs: 10_000, ...options });
const until = async (fact: () => boolean, limitMs = 5000) => {
  for (const endMs = systemClock.nowMs() + limitMs; systemClock.nowMs() < endMs; await systemClock.sleep(5)) if (fact()) return true;
  return false;
};

test('command ends: status, both streams and time are told', async (t) => {
  const result = await sh('echo out; echo err >&2; exit 7');
  t.like(result, { exitCode: 7, signal: null, stdout: 'out\n', stderr: 'err\n', truncated: false, timedOut: false, aborted: false });
  t.true(result.elapsedMs > 0);
});

test('trusted programs only: root runs nothing that others could have written, right before the start', async (t) => {
  const script = join(directory, 'hook.sh');
  writeFileSync(script, '#!/bin/sh\necho ran\n');
  const run = (mode: number) => {
    chmodSync(script, mode);
    return exec.run(script, [], { timeoutMs: 5000, trustedOnly: true });
  };
  t.is((await run(0o755)).stdout, 'ran\n');
  t.is((await exec.run('true', [], { timeoutMs: 5000, trustedOnly: true })).exitCode, 0, 'a bare name is found on the fixed PATH');
  if (process.geteuid?.() !== 0) return;
  await t.throwsAsync(run(0o757), { code: 'COMMAND_FAILED', message: /writable by everybody/ });
  await t.throwsAsync(exec.run('./hook.sh', [], { timeoutMs: 5000, trustedOnly: true, cwd: directory }), { message: /not absolute/ });
  chownSync(script, 12_345, 0);
  await t.throwsAsync(run(0o755), { message: /belongs to uid 12345/ });
});

test('output up to the last byte before exit: all of it is kept', async (t) => {
  const results = await Promise.all(Array.from({ length: 20 }, () => sh('head -c 60000 /dev/zero; printf end')));
  t.deepEqual([...new Set(results.map(({ stdout }) => stdout.length))], [60_003]);
  t.true(results.every(({ stdout, truncated }) => stdout.endsWith('end') && !truncated));
});

test('endless output: kept to the limit, the child never blocks, truncated says so', async (t) => {
  const result = await sh('head -c 3000000 /dev/zero; exit 3', { maxOutputBytes: 1000 });
  t.like(result, { exitCode: 3, truncated: true });
  t.is(result.stdout.length, 1000);
});

test('a grandchild holds the pipe: the result comes at the exit of the child', async (t) => {
  const result = await sh('sleep 30 & echo $!', { timeoutMs: 20_000 });
  t.true(result.elapsedMs < 5000);
  t.is(result.exitCode, 0);
  process.kill(Number(result.stdout), 'SIGKILL');
});

test('a grandchild writes for ever: the result still comes', async (t) => {
  const result = await sh('(while :; do echo x; done) & echo $! >&2');
  t.is(result.exitCode, 0);
  t.true(result.elapsedMs < 5000);
  process.kill(Number(result.stderr), 'SIGKILL');
});

test('deadline: the whole group is killed, a child that ignores TERM with it', async (t) => {
  const result = await sh('trap "" TERM; sleep 40 & echo $!; wait', { timeoutMs: 300 });
  t.like(result, { exitCode: null, signal: 'SIGKILL', timedOut: true });
  const grandchild = Number(result.stdout);
  t.true(await until(() => processes.identify(grandchild) === null));
});

test('deadline with grace: TERM first, its handler may finish', async (t) => {
  const result = await sh('trap "echo tidy; exit 5" TERM; while :; do sleep 0.05; done', { timeoutMs: 300, termGraceMs: 5000 });
  t.like(result, { exitCode: 5, stdout: 'tidy\n', timedOut: true });
});

test('abort: the group ends at once; an aborted signal starts nothing', async (t) => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 100);
  const result = await sh('sleep 40', { signal: abort.signal });
  t.like(result, { exitCode: null, aborted: true, timedOut: false });
  t.true(result.elapsedMs < 5000);
  const file = join(directory, 'never');
  t.like(await sh(`touch ${file}`, { signal: abort.signal }), { aborted: true, exitCode: null });
  t.false(existsSync(file));
});

test('stdin: /dev/null unless there is input', async (t) => {
  t.is((await sh('readlink /proc/self/fd/0')).stdout, '/dev/null\n');
  t.is((await sh('cat', { input: 'words' })).stdout, 'words');
  t.is((await sh('exit 4', { input: 'x'.repeat(1_000_000) })).exitCode, 4);
});

test('cannot be started: COMMAND_FAILED in words', async (t) => {
  const missing = await t.throwsAsync(exec.run('/no/such/program', ['x'], { timeoutMs: 1000 }));
  t.like(missing, {
    code: 'COMMAND_FAILED',
    message: '/no/such/program x could not be started: the program or its working directory does not exist',
  });
  await t.throwsAsync(exec.start('/no/such/program', [], {}), { message: /could not be started/ });
});

test('environment: short, with the UNDERSTUDY_ variables of this process, and nothing else of it', async (t) => {
  process.env['UNDERSTUDY_LAB_HOST'] = 'exec-test';
  process.env['SECRET_OF_THE_DAEMON'] = 'x';
  const { stdout } = await sh('env', { addEnv: { UNDERSTUDY_RESOURCE: 'g/r' } });
  const names = stdout
    .split('\n')
    .map((line) => line.split('=')[0])
    .filter((name) => name && !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(name));
  t.deepEqual(
    names.filter((name) => !name?.startsWith('UNDERSTUDY_')).sort((one = '', other = '') => one.localeCompare(other)),
    ['HOME', 'LANG', 'PATH'],
  );
  t.true(stdout.includes('UNDERSTUDY_LAB_HOST=exec-test') && stdout.includes('UNDERSTUDY_RESOURCE=g/r'));
  t.deepEqual(environmentFor({ env: { A: '1' }, addEnv: { B: '2' } }), { A: '1', B: '2' });
  t.false('HOME' in environmentFor({ user: 'no-such-user' }));
});

test('wrapping: only for a cgroup or another user', (t) => {
  t.deepEqual(commandLine('/bin/a', ['b'], {}), ['/bin/a', 'b']);
  const [shell, , script, name, ...words] = commandLine('/bin/a', ['b'], { cgroup: '/cg/x' });
  t.is(shell, '/bin/sh');
  t.is(script, 'echo $$ >"$1/cgroup.procs" || exit 126; shift; exec "$@"');
  t.deepEqual([name, ...words], ['understudy', '/cg/x', '/bin/a', 'b']);
});

test('another user: root becomes it with its groups and without a way back; others are told why not', async (t) => {
  if (process.geteuid?.() !== 0) {
    await t.throwsAsync(exec.run('/usr/bin/id', [], { timeoutMs: 1000, user: 'root' }), { message: /only root/ });
    return;
  }
  const { stdout, stderr } = await sh('id -un; id -Gn; echo $HOME; grep NoNewPrivs /proc/self/status', { user: 'games' });
  t.is(stderr, '');
  t.regex(stdout, /^games\ngames\n\/usr\/games\nNoNewPrivs:\t1\n$/);
  const missing = await sh('true', { user: 'no-such-user' });
  t.like(missing, { exitCode: 126, stderr: 'understudy: no such user: no-such-user\n' });
});

test('start: goes on in its own session, appends to its log, its death is told at once', async (t) => {
  const logFile = join(directory, 'app.log');
  const app = await exec.start('/bin/sh', ['-c', 'echo begun; echo wrong >&2; sleep 40 & wait'], { logFile });
  t.true(await until(() => existsSync(logFile) && readFileSync(logFile, 'utf8') === 'begun\nwrong\n'));
  t.deepEqual(processes.identify(app.pid), { pid: app.pid, startTime: app.startTime });
  t.true(await until(() => processes.session(app.pid).length === 2));
  const killedAt = systemClock.nowMs();
  app.kill('SIGKILL');
  t.deepEqual(await app.exited, { exitCode: null, signal: 'SIGKILL' });
  t.true(systemClock.nowMs() - killedAt < 1000);
  t.true(await until(() => processes.session(app.pid).length === 0));
  t.notThrows(() => app.kill('SIGKILL'));
});

test('start: a program that ends at once still has its start time and its status', async (t) => {
  const app = await exec.start('/bin/sh', ['-c', 'exit 9'], {});
  t.regex(app.startTime, /^\d+$/);
  t.deepEqual(await app.exited, { exitCode: 9, signal: null });
});

test('stat: the command name may hold spaces and parentheses', (t) => {
  const tail = 'S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20';
  t.deepEqual(parseStat(`12 (a) b) (c) ${tail}`), { dead: false, runnable: false, session: 3, startTime: '777' });
  t.deepEqual(parseStat(`12 (a) ${tail.replace('S', 'Z')}`), { dead: true, runnable: false, session: 3, startTime: '777' });
  t.is(parseStat(''), null);
});

test('marked: found by the environment mark, killed until nothing is left', async (t) => {
  const mark = `test/${process.pid}`;
  const app = await exec.start('/bin/sh', ['-c', 'setsid sleep 40 & setsid setsid sleep 40 & wait'], {
    addEnv: { UNDERSTUDY_RESOURCE: mark },
  });
  t.true(await until(() => processes.marked(mark).length === 3));
  t.deepEqual(processes.marked(`${mark}0`), []);
  t.deepEqual(await processes.killAll(() => processes.marked(mark), 5000), []);
  await app.exited;
  t.deepEqual(processes.marked(mark), []);
});

test('watch: a process that is not our child: its end is seen', async (t) => {
  const { stdout } = await sh('sleep 40 >/dev/null 2>&1 & echo $!');
  const identity = processes.identify(Number(stdout));
  if (identity === null) return t.fail('not started');
  t.false(processes.alive({ ...identity, startTime: '1' }), 'another process with the same pid is not it');
  const gone = new Promise<number>((resolve) => processes.watch(identity, () => resolve(systemClock.nowMs())));
  const keep = setTimeout(() => {}, 10_000);
  const killedAt = systemClock.nowMs();
  processes.signal(identity, 'SIGKILL');
  t.true((await gone) - killedAt < 1000);
  clearTimeout(keep);
});
