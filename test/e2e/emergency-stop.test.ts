// emergency-stop and the leash on what only root has: cgroups, addresses of interfaces, mounts. Interfaces live in a
// network namespace of their own.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { bootOffsetMs, readBootId } from '../../core/system/boot.js';
import { systemFiles } from '../../core/system/files-system.js';
import { openPageWriter } from '../../core/system/page-file.js';
import { pathsFrom } from '../../core/system/paths.js';

const script = (name: string) => fileURLToPath(new URL(`../../core/guard/${name}`, import.meta.url));
const CGROUP_ROOT = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find(
  (root) => existsSync(join(root, 'cgroup.procs')) && existsSync(join(root, 'cgroup.controllers')),
);
const NAME = `membership-${process.pid}`;
let serial = 0;

const can = process.getuid?.() === 0 && CGROUP_ROOT !== undefined && spawnSync('ip', ['-V']).error === undefined;
const rooted = (title: string, run: (t: ExecutionContext) => Promise<void> | void) =>
  test(title, async (t) => {
    if (can) return run(t);
    if (process.env['CI'] !== undefined) return t.fail('needs root, cgroup2 and ip');
    t.log('skipped: needs root');
    t.pass();
  });

const setUp = (t: ExecutionContext) => {
  const run = mkdtempSync(join(tmpdir(), 'membership-root-'));
  t.teardown(() => rmSync(run, { recursive: true, force: true }));
  for (const name of ['hardstop', 'lease']) mkdirSync(join(run, name));
  const list = (...lines: string[]) => writeFileSync(join(run, 'hardstop', 'db'), lines.map((line) => `${line}\n`).join(''));
  const stop = (args: readonly string[] = [], { prefix = [] as readonly string[], env = {} } = {}) => {
    const [file, ...rest] = [...prefix, '/bin/sh', script('emergency-stop.sh'), 'db', '--run-dir', run, ...args];
    const { status, stderr } = spawnSync(file!, rest, { encoding: 'utf8', timeout: 30_000, env: { ...process.env, ...env } });
    return { status, said: stderr.trim() };
  };
  return { run, list, stop };
};

const cgroup = (t: ExecutionContext): string => {
  const directory = join(CGROUP_ROOT!, `${NAME}-${(serial += 1)}`);
  mkdirSync(join(directory, 'child'), { recursive: true });
  t.teardown(() => {
    writeFileSync(join(directory, 'cgroup.kill'), '1');
    for (let tries = 0; tries < 100 && /populated 1/.test(readFileSync(join(directory, 'cgroup.events'), 'utf8')); tries++)
      spawnSync('sleep', ['0.01']);
    for (const path of [join(directory, 'child'), directory]) rmdirSync(path);
  });
  return directory;
};

const inside = async (directory: string, command = 'exec sleep 1000'): Promise<ChildProcess> => {
  const child = spawn('/bin/sh', ['-c', `echo $$ >"$0/cgroup.procs"; echo ready; ${command}`, directory], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  await once(child.stdout!, 'data');
  return child;
};
const populated = (directory: string) => /^populated 1$/m.test(readFileSync(join(directory, 'cgroup.events'), 'utf8'));

for (const [title, env] of [
  ['cgroup.kill', {}],
  ['freeze and kill, as before Linux 5.14', { UNDERSTUDY_NO_CGROUP_KILL: 'yes' }],
] as const) {
  rooted(`cgroup by ${title}: everything in it and below, also what forks and ignores signals`, async (t) => {
    const { list, stop } = setUp(t);
    const directory = cgroup(t);
    await inside(directory, 'trap "" TERM INT HUP; while :; do sleep 0.01 & sleep 0.01; done');
    await inside(join(directory, 'child'));
    list(`cgroup ${directory}`);
    t.is(stop(['--verify-only'], { env }).status, 1);
    t.true(populated(directory));
    t.deepEqual(stop([], { env }), { status: 0, said: '' });
    t.false(populated(directory));
    t.is(stop(['--verify-only'], { env }).status, 0);
  });
}

rooted('addr: taken from whatever interface has it, with whatever prefix; the others stay', (t) => {
  const { list, stop } = setUp(t);
  const space = `${NAME}-net`;
  const ip = (...args: string[]) => execFileSync('ip', ['-n', space, ...args], { encoding: 'utf8' });
  execFileSync('ip', ['netns', 'add', space]);
  t.teardown(() => execFileSync('ip', ['netns', 'delete', space]));
  const prefix = ['ip', 'netns', 'exec', space];
  ip('link', 'add', 'one', 'type', 'veth', 'peer', 'name', 'two');
  for (const [cidr, name] of [
    ['192.168.0.10/32', 'one'],
    ['192.168.0.10/24', 'two'],
    ['192.168.0.100/32', 'one'],
    ['fd00::10/128', 'two'],
    ['fd00::100/64', 'two'],
  ])
    ip('addr', 'add', cidr!, 'dev', name!);
  list('addr one 192.168.0.10/32', 'addr two fd00::10/128', 'addr gone 10.1.1.1/24');
  t.is(stop(['--verify-only'], { prefix }).status, 1);
  t.deepEqual(stop([], { prefix }), { status: 0, said: '' });
  const left = ip('-o', 'addr', 'show').match(/\S+\/\d+/g);
  t.deepEqual(left?.filter((one) => one.startsWith('192') || one.startsWith('fd00')).sort(), ['192.168.0.100/32', 'fd00::100/64']);
});

rooted('mount: unmounted once its users are gone, in the fixed order of the vocabulary', async (t) => {
  const { run, list, stop } = setUp(t);
  const directory = cgroup(t);
  const at = join(run, 'data of db');
  mkdirSync(at);
  execFileSync('mount', ['-t', 'tmpfs', NAME, at]);
  t.teardown(() => spawnSync('umount', ['-l', at]));
  await inside(directory, `cd '${at}'; exec sleep 1000`);
  list(`mount ${at}`, `cgroup ${directory}`);
  t.is(stop(['--verify-only']).status, 1);
  t.deepEqual(stop(), { status: 0, said: '' });
  t.false(readFileSync('/proc/mounts', 'utf8').includes(NAME));
});

rooted('mount, still busy: detached only where the device below ends every request with an error', async (t) => {
  const { run, list, stop } = setUp(t);
  const directory = cgroup(t);
  const at = join(run, 'busy');
  mkdirSync(at);
  execFileSync('mount', ['-t', 'tmpfs', NAME, at]);
  t.teardown(() => spawnSync('umount', ['-l', at]));
  await inside(directory, `cd '${at}'; exec sleep 1000`);
  list(`mount ${at}`);
  t.regex(stop(['--limit-ms', '1500']).said, /still mounted/);
  list(`mount ${at}`, `freeze ${run}/mirror-none.sock`);
  t.deepEqual(stop(['--limit-ms', '3000']), { status: 0, said: '' });
  t.false(readFileSync('/proc/mounts', 'utf8').includes(NAME));
});

rooted('the leash over a real cgroup: empty within D, 0.1 s and the stop', async (t) => {
  const { run, list } = setUp(t);
  const directory = cgroup(t);
  await inside(directory, 'trap "" TERM; while :; do sleep 0.05; done');
  list(`cgroup ${directory}`);
  const writer = openPageWriter(join(run, 'lease', 'db'), systemFiles);
  const deadlineMs = 700;
  writer.write({
    epoch: 3,
    state: 'HELD',
    deadlineMonoNs: process.hrtime.bigint() + BigInt(deadlineMs * 1e6),
    deadlineBootMs: uptime() * 1000 + deadlineMs,
    bootOffsetMs: bootOffsetMs(),
    bootId: readBootId(pathsFrom({ run }, {})),
    nonce: 'n',
    inSync: [],
  });
  const startMs = performance.now();
  const leash = spawn('/bin/sh', [script('leash.sh'), '--run-dir', run, '--reset-command', `touch ${run}/reset`], { stdio: 'ignore' });
  t.teardown(() => leash.kill('SIGKILL'));
  while (populated(directory) && performance.now() - startMs < 10_000) await new Promise((resolve) => setTimeout(resolve, 5));
  const tookMs = performance.now() - startMs;
  t.true(tookMs >= deadlineMs, `${tookMs}`);
  t.true(tookMs < deadlineMs + 1000, `${tookMs}`);
  while (!existsSync(join(run, 'lease', 'db.stopped.3')) && performance.now() - startMs < 10_000)
    await new Promise((resolve) => setTimeout(resolve, 5));
  t.true(existsSync(join(run, 'lease', 'db.stopped.3')));
  t.false(existsSync(join(run, 'reset')));
});
