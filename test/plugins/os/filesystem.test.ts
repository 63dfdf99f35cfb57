// filesystem on a table of mounts in memory: what is refused, what is seen, the ladder of a stop, and who is proven to be inside.
// On real devices, as root: test/e2e/filesystem.test.ts.
import test from 'ava';
import { agentContract, FakeClock, monitorOnce } from '../../../core/plugin/testkit/index.js';
import { makeActionContext, makeMonitorContext, type MakeContextOptions } from '../../../core/plugin/testkit/contexts.js';
import { UnderstudyError } from '../../../core/errors/errors.js';
import type { Processes } from '../../../core/system/process.js';
import { filesystem, filesystemOptions, type FilesystemOptions } from '../../../plugins/os/filesystem/definition.js';
import { Filesystem } from '../../../plugins/os/filesystem/filesystem.js';
import type { MountHost } from '../../../plugins/os/filesystem/host.js';
import { isOf, type Mount, mountAt, parseMounts } from '../../../plugins/os/filesystem/mounts.js';
import { mountedElsewhere, type Proc, type User, usersOf } from '../../../plugins/os/filesystem/users.js';

const NUMBERS: Readonly<Record<string, string>> = { '/dev/one': '8:1', '/dev/two': '8:2' };

/** A host whose commands work on a table. */
class Host implements MountHost {
  table: Mount[] = [];
  readonly ran: string[] = [];
  readonly signals: string[] = [];
  inside: User[] = [];
  outside: User[] = [];
  /** Whom a signal ends. */
  stubborn = new Set<number>();
  fsck: { exitCode: number; stdout: string } = { exitCode: 0, stdout: 'clean' };
  broken = false;
  mountsReadOnly = false;
  missing = new Set<string>();
  probes: 'work' | 'fail' | 'hang' = 'work';
  private ids = 40;

  mounts(): readonly Mount[] {
    if (this.broken) throw new Error('EMFILE: /proc/self/mountinfo');
    return [...this.table];
  }

  wanted(device: string) {
    const there = !this.missing.has(device) && (device in NUMBERS || device === '/dev/understudy/db-data');
    const path = device === '/dev/understudy/db-data' ? '/dev/one' : device;
    return { device, path: there ? path : null, number: there ? (NUMBERS[path] ?? null) : null };
  }

  directories = new Set(['/data']);
  makeDirectory = (path: string) => void this.directories.add(path);
  isDirectory = (path: string) => this.directories.has(path);
  users = () => this.inside;
  elsewhere = () => this.outside;
  ours = () => new Set([1, 99]);

  mount(source: string, at: string, more: Partial<Mount> = {}): void {
    this.table.push({
      id: (this.ids += 1),
      device: NUMBERS[source] ?? '0:9',
      at,
      type: 'ext4',
      source,
      readOnly: false,
      shutDown: false,
      ...more,
    });
  }

  run: NonNullable<MakeContextOptions<FilesystemOptions>['run']> = async (file, args, { okExit = [0] } = {}) => {
    this.ran.push([file, ...args].join(' '));
    const answer = (exitCode: number, stdout = '') => {
      if (!okExit.includes(exitCode)) throw new UnderstudyError('COMMAND_FAILED', `${file} exited with ${exitCode}: ${stdout}`);
      return { exitCode, signal: null, stdout, stderr: '', truncated: false, timedOut: false, aborted: false, elapsedMs: 3 };
    };
    if (file === 'fsck') return answer(this.fsck.exitCode, this.fsck.stdout);
    if (file === 'dd' && this.probes === 'hang') throw new UnderstudyError('TIMED_OUT', 'dd was ended after 5000 ms');
    if (file === 'dd') return this.probes === 'work' ? answer(0) : answer(1, 'Input/output error');
    if (file === 'mount') {
      this.mount(this.wanted(args.at(-2)!).path ?? args.at(-2)!, args.at(-1)!, { readOnly: this.mountsReadOnly });
      return answer(0);
    }
    if (this.inside.length > 0) return answer(32, 'target is busy');
    this.table.splice(
      this.table.findLastIndex(({ at }) => at === args[0]),
      1,
    );
    return answer(0);
  };

  processes = {
    signal: ({ pid }: { pid: number }, name: string) => {
      this.signals.push(`${name} ${pid}`);
      if (name === 'SIGKILL' || !this.stubborn.has(pid)) this.inside = this.inside.filter((user) => user.pid !== pid);
    },
  } as unknown as Processes;
}

const user = (pid: number, group: string | null = null): User => ({ pid, startTime: '1', command: `app ${pid}`, how: 'cwd /data', group });

const scene = (given: Record<string, unknown> = {}) => {
  const host = new Host();
  const clock = new FakeClock();
  const options = filesystemOptions.parse({ device: '/dev/one', mount: '/data', type: 'ext4', ...given });
  const context = { options, run: host.run, group: 'db' };
  const agent = new Filesystem(host, host.processes, clock);
  const acting = () => makeActionContext<FilesystemOptions>(context);
  /** Fake time passes while the agent waits. */
  const during = async <T>(work: Promise<T>): Promise<T> => {
    let settled = false;
    void work.then(
      () => (settled = true),
      () => (settled = true),
    );
    for (let turns = 0; !settled && turns < 400; turns += 1) await clock.advanceAsync(50);
    return work;
  };
  return {
    host,
    agent,
    options,
    acting,
    start: () => during(agent.start(acting())),
    stop: () => during(agent.stop(acting())),
    look: (active = true) => monitorOnce(agent, makeMonitorContext<FilesystemOptions>({ ...context, active })),
  };
};

agentContract(test, 'filesystem', () => {
  const { host, agent, options } = scene();
  return {
    definition: filesystem,
    agent,
    options,
    world: () => host.table.map(({ at, source }) => `${source} ${at}`),
    context: { run: host.run },
    breakDependency: () => (host.broken = true),
  };
});

test('start: checked first, mounted with its words, and done when it stands there already', async (t) => {
  const { host, start, look } = scene({ options: 'noatime' });
  t.like(await look(), { state: 'offline' });
  await start();
  t.deepEqual(host.ran, ['fsck -T -t ext4 /dev/one -p', 'mount -t ext4 -o noatime /dev/one /data']);
  t.like(await look(), { state: 'online' });
  t.like(await start(), { detail: { already: true } });
  t.is(host.ran.length, 2);
});

test('check: repaired is told, errors that are left are not mounted, with what the check said; the policy decides', async (t) => {
  const scenes = (fsck: Host['fsck'], given = {}) => {
    const made = scene(given);
    made.host.fsck = fsck;
    return made;
  };
  t.like(await scenes({ exitCode: 1, stdout: 'inode 12 fixed' }).start(), { detail: { corrected: ['inode 12 fixed'] } });
  const bad = scenes({ exitCode: 4, stdout: 'UNEXPECTED INCONSISTENCY\nRUN fsck MANUALLY' });
  await t.throwsAsync(bad.start(), {
    code: 'AGENT_FAILED',
    message: /\/dev\/one is not mounted: .*ended with 4: UNEXPECTED INCONSISTENCY \| RUN fsck/,
  } as never);
  t.deepEqual(bad.host.table, []);
  const forced = scenes({ exitCode: 0, stdout: '' }, { fsck: 'force' });
  await forced.start();
  t.is(forced.host.ran[0], 'fsck -T -t ext4 /dev/one -p -f');
  const never = scenes({ exitCode: 8, stdout: '' }, { fsck: 'never' });
  await never.start();
  t.is(never.host.ran.length, 1);
});

const refusals: [title: string, prepare: (host: Host) => unknown, given: Record<string, unknown>, message: RegExp][] = [
  [
    'another device stands there',
    (host) => host.mount('/dev/two', '/data'),
    {},
    /\/dev\/two \(ext4\) is mounted at \/data instead of \/dev\/one/,
  ],
  ['it is mounted elsewhere', (host) => host.mount('/dev/one', '/backup'), {}, /it is mounted at \/backup/],
  ['there is no such device', (host) => host.missing.add('/dev/one'), {}, /there is no such device/],
  ['there is no directory and none is made', (host) => host.directories.clear(), { makeDirectory: false }, /there is no such directory/],
  ['it is mounted read-only already', (host) => host.mount('/dev/one', '/data', { readOnly: true }), {}, /read-only already/],
  ['it can only be mounted read-only', (host) => (host.mountsReadOnly = true), {}, /only be mounted read-only, and was unmounted again/],
];
for (const [title, prepare, given, message] of refusals) {
  test(`start, ${title}: refused`, async (t) => {
    const { host, start } = scene(given);
    prepare(host);
    await t.throwsAsync(start(), { message });
    t.false(host.table.some(({ source, at, readOnly }) => source === '/dev/one' && at === '/data' && !readOnly));
  });
}

const looks: [
  title: string,
  mount: [string, string, Partial<Mount>?] | null,
  given: Record<string, unknown>,
  state: 'online' | 'offline' | 'faulted',
  reason?: RegExp,
][] = [
  ['nothing there', null, {}, 'offline'],
  ['somewhere else', ['/dev/one', '/backup'], {}, 'offline'],
  ['the device', ['/dev/one', '/data'], {}, 'online'],
  ['the device by another name', ['/dev/one', '/data'], { device: '/dev/understudy/db-data' }, 'online'],
  ['another device', ['/dev/two', '/data'], {}, 'faulted', /instead of/],
  ['read-only', ['/dev/one', '/data', { readOnly: true }], {}, 'faulted', /read-only/],
  ['read-only, as wanted', ['/dev/one', '/data', { readOnly: true }], { options: 'noatime,ro' }, 'online'],
  ['shut down', ['/dev/one', '/data', { shutDown: true }], {}, 'faulted', /shut down/],
];
for (const [title, mount, given, state, reason] of looks) {
  test(`monitor, ${title}: ${state}`, async (t) => {
    const { host, look } = scene(given);
    if (mount !== null) host.mount(...mount);
    const found = await look();
    t.is(found.state, state);
    if (reason !== undefined) t.regex(found.reason ?? '', reason);
  });
}

test('probes: a block read past the cache, a file written; broken is a fault, silent is unknown, and only the holder probes', async (t) => {
  const { host, look } = scene({ probe: 'write' });
  host.mount('/dev/one', '/data');
  t.like(await look(false), { state: 'online' });
  t.deepEqual(host.ran, []);
  t.like(await look(), { state: 'online' });
  t.deepEqual(host.ran, [
    'dd if=/dev/one of=/dev/null bs=4096 count=1 iflag=direct status=none',
    'dd if=/dev/zero of=/data/.understudy-probe bs=512 count=1 conv=fsync status=none',
  ]);
  host.probes = 'fail';
  t.like(await look(), { state: 'faulted' });
  host.probes = 'hang';
  t.like(await look(), { state: 'unknown' });
});

test('stop: whoever is inside is asked, its own group first, then the others, and killed last; named in the result', async (t) => {
  const { host, start, stop, look } = scene({ grace: '200ms' });
  await start();
  host.inside = [user(20), user(21, 'db'), user(22)];
  host.stubborn = new Set([22]);
  const report = await stop();
  t.deepEqual(host.signals, ['SIGTERM 21', 'SIGTERM 20', 'SIGTERM 22', 'SIGKILL 22']);
  t.like(report, { detail: { count: 3 } });
  t.regex(JSON.stringify(report), /21 app 21 \(cwd \/data\)/);
  t.like(await look(), { state: 'offline' });
});

test('stop: never this process, and not without leave; then it fails and says who', async (t) => {
  const kept = scene({ grace: '100ms' });
  await kept.start();
  kept.host.inside = [user(99)];
  await t.throwsAsync(kept.stop(), { message: /cannot be unmounted: .*target is busy.*used by 99 app 99/ });
  t.deepEqual(kept.host.signals, []);

  const asked = scene({ onBusy: 'fail' });
  await asked.start();
  asked.host.inside = [user(20)];
  await t.throwsAsync(asked.stop(), { message: /used by 20 app 20 \(cwd \/data\)/ });
  t.deepEqual(asked.host.signals, []);
});

test('stop: mounted still in a container’s namespace is not stopped', async (t) => {
  const { host, start, stop } = scene({ grace: '100ms' });
  await start();
  host.outside = [{ ...user(30), how: 'mounted at /data in its own mount namespace' }];
  await t.throwsAsync(stop(), { message: /unmounted at \/data and not stopped: used by 30/ });
});

test('stop: another device at the place is not touched; one whose device is gone is', async (t) => {
  const { host, stop, look } = scene();
  host.mount('/dev/two', '/data');
  await t.throwsAsync(stop(), { message: /not unmounted: \/dev\/two/ });
  host.table = [];
  host.mount('/dev/one', '/data');
  host.missing.add('/dev/one');
  t.like(await look(), { state: 'online' }, 'by its name');
  host.table = [];
  host.mount('/dev/old', '/data');
  t.regex((await look()).reason ?? '', /\/dev\/one is not there any more/);
  await stop();
  t.deepEqual(host.table, []);
});

test('plan: the very commands', async (t) => {
  const { agent, acting } = scene({ options: 'noatime' });
  const words = async (op: 'start' | 'stop') => (await agent.plan(op, acting())).map(({ what }) => what);
  t.deepEqual(await words('start'), ['fsck -T -t ext4 /dev/one -p', 'mount -t ext4 -o noatime /dev/one /data']);
  t.deepEqual(await words('stop'), ['umount /data']);
});

test('options: paths as they are, and behind a mirror the epoch fences', (t) => {
  for (const wrong of [
    { mount: '/' },
    { mount: 'data' },
    { mount: '/data/' },
    { mount: '/a/../b' },
    { options: 'a b' },
    { type: 'ext4;x' },
  ])
    t.false(filesystemOptions.safeParse({ device: '/dev/one', mount: '/data', ...wrong }).success, JSON.stringify(wrong));
  const fenced = filesystem.fencedByEpoch;
  t.true(typeof fenced === 'function' && fenced(scene({ device: '/dev/understudy/db-data' }).options));
  t.false(typeof fenced === 'function' && fenced(scene().options));
});

const INFO = `22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
40 22 8:1 / /data\\040of\\134db rw,noatime shared:9 - ext4 /dev/one rw,errors=remount-ro
41 22 8:1 / /data ro - ext4 /dev/one rw
42 22 0:50 / /data rw - tmpfs none rw,shutdown
noise
`;

test('the table of mounts: octal, stacked, read-only by either side, lines that are none', (t) => {
  const mounts = parseMounts(INFO);
  t.is(mounts.length, 4);
  t.like(mounts[1], { id: 40, device: '8:1', at: '/data of\\db', type: 'ext4', source: '/dev/one', readOnly: false });
  t.true(mounts[2]?.readOnly);
  t.like(mountAt(mounts, '/data'), { id: 42, shutDown: true });
  t.is(mountAt(mounts, '/dat'), undefined);
  t.true(isOf(mounts[1]!, { device: '/dev/disk/by-id/x', path: '/dev/sdb1', number: '8:1' }));
  t.false(isOf(mounts[1]!, { device: '/dev/two', path: '/dev/two', number: '8:2' }));
});

/** /proc of some processes, by path. */
const procOf = (files: Readonly<Record<string, string>>): Proc => ({
  pids: () => [...new Set(Object.keys(files).map((path) => Number(path.split('/')[2])))],
  text: (path) => files[path] ?? null,
  link: (path) => files[path] ?? null,
  names: (path) => Object.keys(files).flatMap((file) => (file.startsWith(`${path}/`) ? [file.slice(path.length + 1)] : [])),
  startTime: () => '5',
});
const DATA: Mount = { id: 41, device: '8:1', at: '/data', type: 'ext4', source: '/dev/one', readOnly: false, shutDown: false };
const HERE = { ns: 'mnt:[1]', info: '41 22 8:1 / /data rw - ext4 /dev/one rw\n' };
const inHost = (pid: number, more: Record<string, string>) => ({
  [`/proc/${pid}/ns/mnt`]: HERE.ns,
  [`/proc/${pid}/mountinfo`]: HERE.info,
  [`/proc/${pid}/cmdline`]: `app\0--n ${pid}\0`,
  ...Object.fromEntries(Object.entries(more).map(([name, value]) => [`/proc/${pid}/${name}`, value])),
});

const proofs: [title: string, files: Record<string, string>, how: string | null][] = [
  ['working directory inside', inHost(7, { cwd: '/data/pg' }), 'cwd /data/pg'],
  ['the directory itself', inHost(7, { cwd: '/data' }), 'cwd /data'],
  ['program inside', inHost(7, { cwd: '/', exe: '/data/bin/app' }), 'exe /data/bin/app'],
  ['open file by its mount', inHost(7, { 'fd/3': '/data/x (deleted)', 'fdinfo/3': 'pos:\t0\nmnt_id:\t41\n' }), 'fd 3 /data/x (deleted)'],
  ['mapped file', inHost(7, { maps: '7f00-7f01 r-xp 00000000 08:01 12 /data/lib.so\n' }), 'map /data/lib.so'],
  ['open file of another mount', inHost(7, { 'fd/3': '/data2/x', 'fdinfo/3': 'mnt_id:\t410\n' }), null],
  ['a name that only begins alike', inHost(7, { cwd: '/data2' }), null],
  ['mapped from another device', inHost(7, { maps: '7f00-7f01 r-xp 0 08:02 12 /data/lib.so\n' }), null],
  [
    'the same path in a container, another filesystem',
    { ...inHost(7, { cwd: '/data/pg', 'ns/mnt': 'mnt:[2]' }), '/proc/7/mountinfo': '9 1 8:9 / /data rw - ext4 /dev/x rw\n' },
    null,
  ],
  ['a child of whoever is inside', inHost(7, { cwd: '/', exe: '/usr/bin/sleep' }), null],
];
for (const [title, files, how] of proofs) {
  test(`inside, ${title}: ${how === null ? 'not proven' : 'proven'}`, (t) => {
    const users = usersOf(DATA, procOf(files));
    t.deepEqual(
      users.map((one) => one.how),
      how === null ? [] : [how],
    );
    if (how !== null) t.like(users[0], { pid: 7, startTime: '5', command: 'app --n 7', group: null });
  });
}

test('inside: the group that started it is known by its environment', (t) => {
  const files = inHost(7, { cwd: '/data', environ: 'PATH=/bin\0UNDERSTUDY_RESOURCE=db/pg\0' });
  t.is(usersOf(DATA, procOf(files))[0]?.group, 'db');
});

test('elsewhere: one process of each other namespace that has the filesystem', (t) => {
  const other = (pid: number, ns: string, at: string) => ({
    ...inHost(pid, { 'ns/mnt': ns }),
    [`/proc/${pid}/mountinfo`]: `9 1 8:1 / ${at} rw - ext4 /dev/one rw\n`,
  });
  const files = {
    ...inHost(1, {}),
    ...other(7, 'mnt:[2]', '/data'),
    ...other(8, 'mnt:[2]', '/data'),
    ...other(9, 'mnt:[3]', '/host/data'),
  };
  t.deepEqual(
    mountedElsewhere(DATA, procOf(files), 1).map(({ pid, how }) => `${pid} ${how}`),
    ['7 mounted at /data in its own mount namespace', '9 mounted at /host/data in its own mount namespace'],
  );
});
