// Finding the place of the applications' cgroups, and reading one. A copy of the kernel's files in a directory stands for the
// kernel; the real thing is in test/e2e/app-script.test.ts.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { basesFrom, directoryName } from '../../core/system/cgroup.js';
import { LinuxCgroups } from '../../core/system/cgroup-linux.js';
import { systemClock } from '../../core/system/clock.js';

const UNIFIED = 'proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n';
const HYBRID = 'cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n';
const APPS = 'understudy-apps.service';

const cases: [title: string, mounts: string, self: string, given: string | undefined, expected: string[]][] = [
  [
    'systemd: the unit beside ours, then below ours',
    UNIFIED,
    '0::/system.slice/understudy-controller.service\n',
    undefined,
    [`/sys/fs/cgroup/system.slice/${APPS}`, '/sys/fs/cgroup/system.slice/understudy-controller.service/understudy-apps'],
  ],
  [
    'hybrid: the unified mount and the 0:: line',
    HYBRID,
    '4:memory:/x\n0::/box\n',
    undefined,
    [`/sys/fs/cgroup/unified/${APPS}`, '/sys/fs/cgroup/unified/box/understudy-apps'],
  ],
  ['root of the tree: below it', HYBRID, '0::/\n', undefined, ['/sys/fs/cgroup/unified/understudy-apps']],
  ['only cgroup v1: nowhere', 'cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n', '1:cpu:/\n', undefined, []],
  ['given: that place only', UNIFIED, '0::/x\n', '/sys/fs/cgroup/lab/a', ['/sys/fs/cgroup/lab/a']],
  ['given none: nowhere', UNIFIED, '0::/x\n', 'none', []],
  ['blank in the mount point: decoded', 'cgroup2 /sys/a\\040b cgroup2 rw 0 0\n', '0::/\n', undefined, ['/sys/a b/understudy-apps']],
];
for (const [title, mounts, self, given, expected] of cases) {
  test(title, (t) => t.deepEqual(basesFrom(mounts, self, given), expected));
}

test('names: one to one, never a way out or a kernel file', (t) => {
  t.is(directoryName('orders-db_1'), 'orders-db_1');
  t.deepEqual(['..', 'a/b', 'cgroup.procs', 'a b'].map(directoryName), ['%2e%2e', 'a%2fb', 'cgroup%2eprocs', 'a%20b']);
});

test.serial('a base of ours: directories are made, read and removed', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'understudy-cgroup-'));
  t.teardown(() => {
    rmSync(base, { recursive: true });
    delete process.env['UNDERSTUDY_CGROUP'];
  });
  writeFileSync(join(base, 'cgroup.procs'), '');
  process.env['UNDERSTUDY_CGROUP'] = base;
  const cgroups = new LinuxCgroups(systemClock);
  t.is(cgroups.base, base);
  const directory = cgroups.make('orders', 'pg');
  t.is(directory, join(base, 'orders/pg'));
  if (directory === null) return;
  t.false(cgroups.populated(directory), 'no files yet: nothing lives in it');
  t.true(await cgroups.kill(directory, 10), 'nothing to kill');
  mkdirSync(join(directory, 'inner'));
  t.true(cgroups.remove(directory));
  t.true(cgroups.remove(directory), 'already gone');

  cgroups.make('orders', 'pg');
  mkdirSync(join(directory, 'inner'));
  writeFileSync(join(directory, 'cgroup.procs'), '12\n13\n');
  writeFileSync(join(directory, 'inner/cgroup.procs'), '99\n');
  writeFileSync(join(directory, 'cgroup.events'), 'populated 1\nfrozen 0\n');
  writeFileSync(join(directory, 'cgroup.kill'), '');
  t.deepEqual(cgroups.members(directory), [12, 13, 99]);
  t.true(cgroups.populated(directory));
  const changed = new Promise<void>((resolve) => t.teardown(cgroups.watch(directory, resolve)));
  const killed = cgroups.kill(directory, 10_000);
  t.is(readFileSync(join(directory, 'cgroup.kill'), 'utf8'), '1');
  writeFileSync(join(directory, 'cgroup.events'), 'populated 0\nfrozen 0\n');
  t.true(await killed);
  const keep = setTimeout(() => {}, 10_000);
  await changed;
  clearTimeout(keep);
  writeFileSync(join(directory, 'cgroup.events'), 'populated 1\nfrozen 0\n');
  t.false(await cgroups.kill(directory, 20), 'still alive when the time is over: said so');
});

test.serial('kept ready for a start: the process stays where it is, and it ends by itself', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'understudy-cgroup-'));
  t.teardown(() => {
    rmSync(base, { recursive: true });
    delete process.env['UNDERSTUDY_CGROUP'];
  });
  writeFileSync(join(base, 'cgroup.procs'), '');
  process.env['UNDERSTUDY_CGROUP'] = base;
  const place = () => readFileSync('/proc/self/cgroup', 'utf8');
  const before = place();
  const sleeps: number[] = [];
  let nowMs = 0;
  const clock = { ...systemClock, nowMs: () => nowMs, sleep: async (ms: number) => (sleeps.push(ms), void (nowMs += ms)) };
  new LinuxCgroups(clock).keepReady(20);
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.is(place(), before);
  t.true(sleeps.length <= 3, `moves of 20 ms: ${sleeps.length}`);
});

test.serial('no place of ours: null, and no directory', (t) => {
  process.env['UNDERSTUDY_CGROUP'] = 'none';
  t.teardown(() => delete process.env['UNDERSTUDY_CGROUP']);
  const cgroups = new LinuxCgroups(systemClock);
  t.is(cgroups.base, null);
  t.is(cgroups.make('g', 'r'), null);
});
