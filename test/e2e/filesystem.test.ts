// filesystem on real devices: files behind loop devices, ext4, processes that keep the mount busy. Needs root and loop devices.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { makeActionContext, makeMonitorContext, monitorOnce } from '../../core/plugin/testkit/contexts.js';
import { systemClock } from '../../core/system/clock.js';
import { systemExec } from '../../core/system/exec-system.js';
import { LinuxProcesses } from '../../core/system/process-linux.js';
import { filesystemOptions, type FilesystemOptions } from '../../plugins/os/filesystem/definition.js';
import { Filesystem } from '../../plugins/os/filesystem/filesystem.js';
import { linuxMountHost } from '../../plugins/os/filesystem/host.js';

const can = process.getuid?.() === 0 && spawnSync('losetup', ['-f']).status === 0 && spawnSync('mkfs.ext4', ['-V']).error === undefined;
const rooted = (title: string, run: (t: ExecutionContext) => Promise<void>) =>
  test.serial(title, async (t) => {
    if (can) return run(t);
    if (process.env['CI'] !== undefined) return t.fail('needs root, loop devices and mkfs.ext4');
    t.log('skipped: needs root and loop devices');
    return t.pass();
  });

const scene = (t: ExecutionContext, given: Record<string, unknown> = {}) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-fs-'));
  const at = join(directory, 'data of db');
  const loops: string[] = [];
  const loop = (name: string): string => {
    const file = join(directory, name);
    execFileSync('truncate', ['-s', '16M', file]);
    execFileSync('mkfs.ext4', ['-q', '-F', file]);
    const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
    loops.push(device);
    return device;
  };
  t.teardown(() => {
    while (readFileSync('/proc/self/mounts', 'utf8').includes(directory)) if (spawnSync('umount', ['-l', at]).status !== 0) break;
    for (const device of loops) spawnSync('losetup', ['-d', device]);
    rmSync(directory, { recursive: true, force: true });
  });
  const device = loop('one.img');
  // As a mirror gives it: a name that leads to whatever device there is.
  symlinkSync(device, join(directory, 'device'));
  const options = filesystemOptions.parse({ device: join(directory, 'device'), mount: at, type: 'ext4', grace: '500ms', ...given });
  const agent = new Filesystem(linuxMountHost, new LinuxProcesses(systemClock), systemClock);
  const context = { options, exec: systemExec(), limitMs: 60_000, group: 'db' };
  return {
    at,
    device,
    loop,
    start: () => agent.start(makeActionContext<FilesystemOptions>(context)),
    stop: () => agent.stop(makeActionContext<FilesystemOptions>(context)),
    look: () => monitorOnce(agent, makeMonitorContext<FilesystemOptions>({ ...context, active: true })),
  };
};

const inside = async (t: ExecutionContext, command: string, env: Record<string, string> = {}): Promise<ChildProcess> => {
  const child = spawn('/bin/sh', ['-c', `${command}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
    env: { PATH: '/usr/bin:/bin', ...env },
  });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return child;
};
const lives = (child: ChildProcess) => existsSync(`/proc/${child.pid}`) && !/\) Z /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'));

rooted('mounted by a name that leads to the device, checked, probed, unmounted; each twice', async (t) => {
  const { at, start, stop, look } = scene(t, { probe: 'write' });
  t.is((await look()).state, 'offline');
  await start();
  t.like(await start(), { detail: { already: true } });
  t.like(await look(), { state: 'online', detail: { type: 'ext4' } });
  t.true(existsSync(join(at, '.understudy-probe')));
  await stop();
  await stop();
  t.is((await look()).state, 'offline');
});

rooted('busy: the group’s own process and a stranger that ignores TERM are ended, a bystander with the same parent is not', async (t) => {
  const { at, start, stop, look } = scene(t);
  await start();
  const own = await inside(t, `cd '${at}'; echo ready; exec sleep 1000`, { UNDERSTUDY_RESOURCE: 'db/pg' });
  const deaf = await inside(t, `trap '' TERM; exec 9>'${at}/file'; rm '${at}/file'; echo ready; while :; do sleep 0.1 9>&-; done`);
  const bystander = await inside(t, 'echo ready; exec sleep 1000');
  const report = await stop();
  t.like(report, { detail: { count: 2 } });
  t.regex(JSON.stringify(report), new RegExp(`${own.pid} sleep 1000 \\(cwd `));
  t.regex(JSON.stringify(report), new RegExp(`${deaf.pid} /bin/sh .*\\(fd \\d+ `));
  t.deepEqual([own, deaf, bystander].map(lives), [false, false, true]);
  t.is((await look()).state, 'offline');
});

rooted('remounted read-only: a fault; another device at the place: a fault, and neither start nor stop touches it', async (t) => {
  const { at, device, loop, start, stop, look } = scene(t);
  await start();
  execFileSync('mount', ['-o', 'remount,ro', at]);
  t.regex((await look()).reason ?? '', /read-only/);
  await stop();
  const other = loop('two.img');
  execFileSync('mount', [other, at]);
  t.regex((await look()).reason ?? '', new RegExp(`${other} \\(ext4\\) is mounted at .* instead of`));
  await t.throwsAsync(start(), { message: /instead of/ });
  await t.throwsAsync(stop(), { message: /not unmounted/ });
  t.true(readFileSync('/proc/self/mounts', 'utf8').includes(other));
  t.false(readFileSync('/proc/self/mounts', 'utf8').includes(`${device} `));
});

rooted('mounted elsewhere already: refused, with the place', async (t) => {
  const { at, device, start } = scene(t);
  const elsewhere = `${at}-elsewhere`;
  mkdirSync(elsewhere);
  execFileSync('mount', [device, elsewhere]);
  t.teardown(() => spawnSync('umount', ['-l', elsewhere]));
  await t.throwsAsync(start(), { message: /it is mounted at .*-elsewhere/ });
});

rooted('errors that cannot be repaired: not mounted, with the words of the check', async (t) => {
  const { device, start, look } = scene(t);
  // Both copies of the superblock are noise, and so is what follows.
  writeFileSync(device, Buffer.alloc(12 * 1024 * 1024, 7));
  execFileSync('blockdev', ['--flushbufs', device]);
  await t.throwsAsync(start(), { message: /is not mounted: fsck .* ended with \d+: / });
  t.is((await look()).state, 'offline');
});

rooted('kept alive by another mount namespace: not called stopped', async (t) => {
  const { at, start, stop } = scene(t);
  await start();
  const container = await inside(t, `exec unshare --mount --propagation private sh -c 'echo ready; exec sleep 1000'`);
  await t.throwsAsync(stop(), { message: new RegExp(`unmounted at .* and not stopped: used by ${container.pid} `) });
  container.kill('SIGKILL');
  await once(container, 'exit');
  await stop();
  t.false(readFileSync('/proc/self/mounts', 'utf8').includes(at));
});
