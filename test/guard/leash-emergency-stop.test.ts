import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { encodePage } from '../../core/ownership/page-codec.js';

const SCRIPT = fileURLToPath(new URL('../../core/guard/emergency-stop.sh', import.meta.url));
const SHELLS: (readonly string[])[] = [['/bin/sh'], ['bash', '--posix'], ['busybox', 'sh']].filter(
  ([program]) => spawnSync(program!, ['--help']).error === undefined,
);
let hosts = 0;

const setUp = (t: ExecutionContext) => {
  const run = mkdtempSync(join(tmpdir(), 'membership-stop-'));
  // Tests run side by side on one /proc: each is a host of its own.
  const ownHost = `membership-${process.pid}-${(hosts += 1)}`;
  t.teardown(() => rmSync(run, { recursive: true, force: true }));
  for (const name of ['hardstop', 'lease']) mkdirSync(join(run, name));
  const list = (...lines: string[]) => writeFileSync(join(run, 'hardstop', 'db'), lines.map((line) => `${line}\n`).join(''));
  const env = { PATH: process.env['PATH'], UNDERSTUDY_LAB_HOST: ownHost };
  const runStop = (shell: readonly string[], ...args: string[]) => {
    const { status, stderr } = spawnSync(shell[0]!, [...shell.slice(1), SCRIPT, 'db', '--run-dir', run, ...args], {
      encoding: 'utf8',
      env,
      timeout: 30_000,
    });
    return { status, said: stderr.trim() };
  };
  const stop = (...args: string[]) => runStop(SHELLS[0]!, ...args);
  const start = async (resource: string, { host = ownHost, command = 'sleep 1000', detached = true } = {}): Promise<ChildProcess> => {
    const child = spawn('/bin/sh', ['-c', `echo ready; ${command}`], {
      detached,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: process.env['PATH'], UNDERSTUDY_RESOURCE: resource, UNDERSTUDY_LAB_HOST: host },
    });
    t.teardown(() => kill(-child.pid!));
    await once(child.stdout!, 'data');
    return child;
  };
  return { run, list, stop, runStop, start, env };
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};
const lives = (child: ChildProcess) => existsSync(`/proc/${child.pid}`) && !/\) Z /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'));
const startTime = (pid: number) =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')[19]!;
const page = (state: 'HELD' | 'STOPPING' | 'RELEASED' | 'DEAD') =>
  encodePage({ epoch: 1, state, deadlineMonoNs: 1n, deadlineBootMs: 1, bootOffsetMs: 0, bootId: 'b', nonce: 'n', inSync: [] });

test('a list with nothing on it: verified', (t) => {
  const { list, stop } = setUp(t);
  list('# only a comment', '');
  t.deepEqual(stop(), { status: 0, said: '' });
});

const missing: [title: string, content: Uint8Array | string | null, status: number][] = [
  ['no page: nothing was ever started', null, 0],
  ['a blank page: nothing was ever held', `${' '.repeat(511)}\n`, 0],
  ['a page that says HELD: not verified', page('HELD'), 3],
  ['a page that says RELEASED: verified', page('RELEASED'), 0],
  ['a page that says DEAD: verified', page('DEAD'), 0],
  ['a page that cannot be read: not verified', 'noise', 3],
];
for (const [title, content, status] of missing) {
  test(`no list and ${title}`, (t) => {
    const { run, stop } = setUp(t);
    if (content !== null) writeFileSync(join(run, 'lease', 'db'), content);
    t.is(stop().status, status);
    t.is(stop('--verify-only').status, status);
  });
}

test('wrong usage: exit 2', (t) => {
  const { run } = setUp(t);
  const status = (...args: string[]) => spawnSync('/bin/sh', [SCRIPT, ...args]).status;
  t.deepEqual(
    [
      status(),
      status('db'),
      status('--run-dir', run),
      status('a/b', '--run-dir', run),
      status('..', '--run-dir', run),
      status('db', 'other', '--run-dir', run),
      status('db', '--run-dir', run, '--limit-ms', 'x'),
    ],
    [2, 2, 2, 2, 2, 2, 2],
  );
});

test('a line that is not understood: not verified, and the others are still done', async (t) => {
  const { list, stop, start } = setUp(t);
  const child = await start('db/app');
  list('explode /dev/sda', 'addr', 'pids db/app');
  const { status, said } = stop();
  t.is(status, 1);
  t.regex(said, /"explode \/dev\/sda": not in the vocabulary/);
  t.regex(said, /"addr": says no on what/);
  t.false(lives(child));
});

for (const shell of SHELLS) {
  test(`${shell[0]}: pids: every process with the mark dies, with its children, whatever signals it ignores; others live`, async (t) => {
    const { list, runStop, start } = setUp(t);
    const ours = [await start('db/app', { command: 'trap "" TERM INT HUP; sleep 1000 & sleep 1000' }), await start('db/app')];
    const others = [await start('db/app2'), await start('other/app'), await start('db/app', { host: 'another-host' })];
    list('pids db/app');
    t.is(runStop(shell, '--verify-only').status, 1, 'only looking changes nothing');
    t.true(ours.every(lives));
    t.deepEqual(runStop(shell), { status: 0, said: '' });
    t.false(ours.some(lives));
    t.true(others.every(lives));
    t.is(runStop(shell, '--verify-only').status, 0);
  });

  test(`${shell[0]}: pidfile: the process and its session; a pid that is another's by now is left alone`, async (t) => {
    const { run, list, runStop, start } = setUp(t);
    const file = join(run, 'app.pid');
    const child = await start('x/y', { command: 'sleep 1000 & wait' });
    list(`pidfile ${file}`);
    t.is(runStop(shell).status, 0, 'no file: gone');
    writeFileSync(file, `${child.pid}\n${Number(startTime(child.pid!)) - 1}\n`);
    t.is(runStop(shell).status, 0);
    t.true(lives(child), 'another start time: another process');
    writeFileSync(file, `${child.pid}\n${startTime(child.pid!)}\n`);
    t.is(runStop(shell, '--verify-only').status, 1);
    t.deepEqual(runStop(shell), { status: 0, said: '' });
    t.false(lives(child));
    t.is(
      spawnSync(
        'sh',
        ['-c', `cat /proc/[0-9]*/stat 2>/dev/null | awk '{sub(/^.*\\) /, ""); if ($4 == ${child.pid} && $1 != "Z") print}'`],
        { encoding: 'utf8' },
      ).stdout,
      '',
      'nothing of its session',
    );

    const again = await start('x/y');
    writeFileSync(file, String(again.pid));
    t.is(runStop(shell).status, 0, 'without a start time, without a newline');
    t.false(lives(again));
    writeFileSync(file, 'nonsense\n');
    t.is(runStop(shell).status, 1);
    writeFileSync(file, '1\n');
    t.is(runStop(shell).status, 1, 'init is never ours');
  });

  test(`${shell[0]}: table: the address is taken out, the other lines stay`, (t) => {
    const { run, list, runStop } = setUp(t);
    const file = join(run, 'address table');
    list(`table ${file} 192.168.0.10`);
    t.is(runStop(shell).status, 0, 'no table: no address');
    writeFileSync(file, 'lo 192.168.0.1 32\neth0 192.168.0.10 32\nlo 192.168.0.100 32\nlo 192.168.0.10 24');
    t.is(runStop(shell, '--verify-only').status, 1);
    t.deepEqual(runStop(shell), { status: 0, said: '' });
    t.is(readFileSync(file, 'utf8'), 'lo 192.168.0.1 32\nlo 192.168.0.100 32\n');
    t.is(runStop(shell, '--verify-only').status, 0);
  });
}

/** What serves data, as far as sh can tell: its files, and how it answers a request. */
const serving = async (
  t: ExecutionContext,
  { run, start }: Pick<ReturnType<typeof setUp>, 'run' | 'start'>,
  answer: 'at once' | 'never',
): Promise<{ socket: string; child: ChildProcess }> => {
  const socket = join(run, 'mirror-data.sock');
  const reply = answer === 'at once' ? `[ -e ${socket}.freeze ] && cp ${socket}.pid ${socket}.idle; ` : '';
  const child = await start('db/other', { command: `trap '' TERM; while :; do ${reply}sleep 0.01; done` });
  t.teardown(() => kill(-child.pid!));
  writeFileSync(`${socket}.pid`, `${child.pid} ${startTime(child.pid!)}\n`);
  return { socket, child };
};

for (const shell of SHELLS) {
  test(`freeze, ${shell.join(' ')}: whoever serves is asked, answers, lives on, and is verified as long as it serves nobody`, async (t) => {
    const scene = setUp(t);
    const { socket, child } = await serving(t, scene, 'at once');
    scene.list(`freeze ${socket}`);
    t.is(scene.runStop(shell, '--verify-only').status, 1);
    t.false(existsSync(`${socket}.freeze`), 'a look asks nothing');
    t.deepEqual(scene.runStop(shell), { status: 0, said: '' });
    t.true(lives(child));
    t.false(existsSync(`${socket}.freeze`), 'the request is over');
    t.is(scene.runStop(shell, '--verify-only').status, 0);
    rmSync(`${socket}.idle`);
    t.regex(scene.runStop(shell, '--verify-only').said, new RegExp(`process ${child.pid} may still answer`));
  });
}

test('freeze: whoever does not answer in time is killed', async (t) => {
  const scene = setUp(t);
  const { socket, child } = await serving(t, scene, 'never');
  scene.list(`freeze ${socket}`);
  t.deepEqual(scene.stop(), { status: 0, said: '' });
  t.false(lives(child));
});

test('freeze: the word of a process that has ended counts for no other; another with its pid is left alone', async (t) => {
  const scene = setUp(t);
  const { socket, child } = await serving(t, scene, 'never');
  scene.list(`freeze ${socket}`);
  writeFileSync(`${socket}.idle`, `${child.pid} 1\n`);
  t.is(scene.stop('--verify-only').status, 1);
  writeFileSync(`${socket}.pid`, `${child.pid} 1\n`);
  t.deepEqual(scene.stop(), { status: 0, said: '' });
  t.true(lives(child));
});

test('nbd: disconnected by nbd-client, else by the end of the process that keeps it; whatever else stands there is left', async (t) => {
  const { run, list, start, env } = setUp(t);
  const [bin, sys] = [join(run, 'bin'), join(run, 'sys')];
  mkdirSync(bin);
  mkdirSync(join(sys, 'nbd0'), { recursive: true });
  const stop = (path: string) =>
    spawnSync('/bin/sh', [SCRIPT, 'db', '--run-dir', run, '--limit-ms', '600'], {
      encoding: 'utf8',
      timeout: 30_000,
      env: { ...env, PATH: path, UNDERSTUDY_SYS_BLOCK: sys },
    });
  list('nbd /dev/nbd0');
  const bystander = await start('db/other');
  writeFileSync(join(sys, 'nbd0', 'pid'), `${bystander.pid}\n`);
  const left = stop('/usr/bin:/bin');
  t.regex(left.stderr, /nbd \/dev\/nbd0: still connected/);
  t.true(lives(bystander));
  writeFileSync(join(bin, 'nbd-client'), `#!/bin/sh\n[ "$*" = "-d /dev/nbd0" ] && rm -f ${sys}/nbd0/pid\n`, { mode: 0o755 });
  t.is(stop(`${bin}:/usr/bin:/bin`).status, 0);
});

test('a mirror that may still take writes: not verified', async (t) => {
  const { run, list, stop } = setUp(t);
  const path = join(run, 'mirror.sock');
  list(`freeze ${path}`);
  t.is(stop().status, 0);
  const server = createServer().listen(path);
  await once(server, 'listening');
  t.is(stop().status, 1);
  server.close();
});

test('units, devices and mounts that are not there: gone; a unit without systemd: not verified', (t) => {
  const { list, stop } = setUp(t);
  list('nbd /dev/nbd-none', 'mount /no/such/mount', 'cgroup /sys/fs/cgroup/unified/no-such-cgroup');
  t.deepEqual(stop(), { status: 0, said: '' });
  list('mount /proc');
  t.is(stop('--verify-only').status, 1);
  list('cgroup /sys/fs/cgroup/unified');
  t.is(stop().status, 1, 'never the whole host');
  if (spawnSync('systemctl', ['--version']).error === undefined) return;
  list('unit postgresql.service');
  t.is(stop().status, 1);
});

test('something that cannot be ended: not verified within the limit', async (t) => {
  const { run, list, stop, start } = setUp(t);
  const child = await start('db/app');
  const file = join(run, 'sealed', 'table');
  mkdirSync(join(run, 'sealed'));
  writeFileSync(file, 'lo 10.9.9.9 32\n');
  // A table that comes back each time it is changed stands for whatever fights back.
  const fighter = spawn('/bin/sh', ['-c', `while [ -e ${run} ]; do echo 'lo 10.9.9.9 32' >${file}; done`], { stdio: 'ignore' });
  t.teardown(() => fighter.kill('SIGKILL'));
  list(`table ${file} 10.9.9.9`, 'pids db/app');
  const startMs = performance.now();
  const { status, said } = stop('--limit-ms', '300');
  fighter.kill('SIGKILL');
  t.true(performance.now() - startMs < 3000);
  // Either it lost the fight, or it says so; it never claims what is not.
  if (status === 0) t.notRegex(readFileSync(file, 'utf8'), /never/);
  else t.regex(said, /table .* 10\.9\.9\.9: the address is still there|alive/);
  kill(-child.pid!);
});

test('run from inside the application: does not take itself for it', (t) => {
  const { run, list, env } = setUp(t);
  list('pids db/app');
  const { status } = spawnSync('/bin/sh', [SCRIPT, 'db', '--run-dir', run], { env: { ...env, UNDERSTUDY_RESOURCE: 'db/app' } });
  t.is(status, 0);
});

test('a list that cannot be read: not verified', (t) => {
  const { run, list, stop } = setUp(t);
  list('pids db/app');
  rmSync(join(run, 'hardstop', 'db'));
  mkdirSync(join(run, 'hardstop', 'db'));
  t.is(stop().status, 1);
});
