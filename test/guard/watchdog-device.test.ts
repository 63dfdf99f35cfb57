// The watchdog of the kernel: what is verified before it is relied on, what a restart of the guard does to it, and the door to
// real files. No device of the kernel is to be had where these tests run.
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { tellWatchdogReset } from '../../core/daemon/watchdog-of.js';
import { DogKeeper } from '../../core/guard/dog-keeper.js';
import { deviceWatchdog } from '../../core/guard/watchdog-device.js';
import type { NewEvent } from '../../core/model/event.js';
import type { Exec, RunResult } from '../../core/system/exec.js';
import { koffiIoctl, systemWatchdogDoor } from '../../core/system/watchdog-door.js';
import { FakeClock } from '../support/fake-clock.js';
import { KernelWatchdog } from '../support/kernel-watchdog.js';

const world = (change: Partial<KernelWatchdog> = {}) => {
  const clock = new FakeClock();
  const kernel = Object.assign(new KernelWatchdog(clock), change);
  return { clock, kernel, watchdog: deviceWatchdog({ door: kernel, clock }) };
};

test('armed with the timeout that was read back, petted with the age told, stopped by the magic character', async (t) => {
  const { clock, kernel, watchdog } = world();
  await watchdog.arm(12_000);
  t.like(kernel, { running: true, timeoutSeconds: 12, opened: 1 });
  await clock.advanceAsync(1_000);
  t.is(await watchdog.pet(), 1_000);
  t.is(kernel.bitesAtMs, clock.nowMs() + 12_000);
  await watchdog.disarm();
  t.like(kernel, { running: false, opened: 0 });
  await watchdog.disarm();
  await t.throwsAsync(watchdog.pet(), { code: 'REFUSED', message: /not armed by this guard/ });
});

const unusable: [title: string, change: Partial<KernelWatchdog>, timeoutMs: number, message: RegExp][] = [
  ['a timeout of half seconds', {}, 2_500, /whole seconds, and is 2500 ms/],
  ['a timeout of nothing', {}, 0, /whole seconds/],
  ['a device that makes another timeout of it', { keeps: (seconds) => Math.max(16, seconds) }, 12_000, /after 12 s and says 16 s/],
  ['a device that another process has', { busy: true }, 12_000, /cannot be opened: EBUSY/],
];
for (const [title, change, timeoutMs, message] of unusable) {
  test(`${title}: refused, and what did not run before does not run after`, async (t) => {
    const { kernel, watchdog } = world(change);
    await t.throwsAsync(watchdog.arm(timeoutMs), { code: 'REFUSED', message });
    t.like(kernel, { running: false, opened: 0 });
  });
}

test('a pet that does not arrive is told: the device says how little is left', async (t) => {
  const { clock, kernel, watchdog } = world();
  await watchdog.arm(12_000);
  kernel.deaf = true;
  await clock.advanceAsync(5_000);
  await t.throwsAsync(watchdog.pet(), { message: /only 7 s of 12 s are left/ });
});

test('without ioctl: the timeout is set by wdctl before the device is opened, and what stands there is believed', async (t) => {
  const { kernel, watchdog } = world({ ioctl: false });
  await watchdog.arm(12_000);
  t.deepEqual(kernel.wdctl, [12]);
  watchdog.close();
  await watchdog.arm(12_000);
  t.deepEqual(kernel.wdctl, [12], 'it stands there already');
  t.true(kernel.running);
});

test('a guard that is killed: the device stays armed, bites WD after the end, and the next guard takes it up or stops it', async (t) => {
  const { clock, kernel, watchdog } = world();
  await watchdog.arm(12_000);
  await clock.advanceAsync(11_000);
  kernel.killed();
  t.is(kernel.bitesAtMs, clock.nowMs() + 12_000, 'the end of its process petted it: Timing.watchdogLingerMs counts that');
  const next = deviceWatchdog({ door: kernel, clock });
  t.is(kernel.opened, 0, 'nothing opens it by itself, because that would pet it');
  await clock.advanceAsync(5_000);
  await next.arm(12_000);
  t.is(kernel.bitesAtMs, clock.nowMs() + 12_000);
  kernel.killed();
  const third = deviceWatchdog({ door: kernel, clock });
  await third.disarm();
  t.false(kernel.running);
});

const keeperOf = (kernel: KernelWatchdog, clock: FakeClock) => {
  const world = { may: true, needed: false, failures: [] as string[] };
  const keep = new DogKeeper({
    watchdog: deviceWatchdog({ door: kernel, clock }),
    clock,
    timeoutMs: 12_000,
    petEveryMs: 1_000,
    mayPet: () => world.may,
    needed: () => world.needed,
    petted: () => undefined,
    changed: () => undefined,
    failed: (because) => void world.failures.push(because),
  });
  const pass = async (ms: number) => {
    for (let spent = 0; spent < ms; spent += 500) {
      keep.consider();
      await clock.advanceAsync(500);
    }
  };
  return { keep, world, pass };
};

test('nowayout: an idle node goes on petting it, before and after a restart of its guard; one that never ran is let be', async (t) => {
  const { clock, kernel } = world({ nowayout: true });
  const first = keeperOf(kernel, clock);
  await first.pass(2_000);
  t.false(kernel.running, 'nobody needed it: it is not started');
  first.world.needed = true;
  t.true(await first.keep.arm());
  first.world.needed = false;
  await first.pass(30_000);
  t.true(kernel.bitesAtMs! > clock.nowMs() + 10_000);
  kernel.killed();
  const second = keeperOf(kernel, clock);
  await second.pass(30_000);
  t.true(kernel.bitesAtMs! > clock.nowMs() + 10_000);
  second.world.may = false;
  await second.pass(12_000);
  t.true(kernel.bitesAtMs! <= clock.nowMs() + 1_000, 'a group that forbids it is stronger');
  t.deepEqual([...first.world.failures, ...second.world.failures], []);
});

test('a device that runs on after it was told to stop: said, and petted until the host goes down', async (t) => {
  const { clock, kernel } = world({ stopsWhenTold: false });
  const { keep, world: asked, pass } = keeperOf(kernel, clock);
  asked.needed = true;
  t.true(await keep.arm());
  asked.needed = false;
  await pass(30_000);
  t.regex(asked.failures.join('\n'), /goes on running after it was told to stop/);
  t.true(kernel.bitesAtMs! > clock.nowMs());
});

test('another owner: said at the first look of an idle guard, not in the failover', async (t) => {
  const { clock, kernel } = world({ busy: true, running: true });
  const { world: asked, pass } = keeperOf(kernel, clock);
  await pass(500);
  t.regex(asked.failures[0]!, /cannot disarm the watchdog: .*EBUSY/);
});

const directory = mkdtempSync(join(tmpdir(), 'understudy-watchdog-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const ended: RunResult = {
  exitCode: 0,
  signal: null,
  stdout: '',
  stderr: '',
  truncated: false,
  timedOut: false,
  aborted: false,
  elapsedMs: 1,
};

/** Files as sysfs has them, and a plain file for the device. */
const files = (name: string, told: Readonly<Record<string, string>>) => {
  const classDirectory = join(directory, name);
  mkdirSync(join(classDirectory, 'watchdog0'), { recursive: true });
  for (const [attribute, value] of Object.entries(told)) writeFileSync(join(classDirectory, 'watchdog0', attribute), `${value}\n`);
  const path = join(classDirectory, 'watchdog');
  writeFileSync(path, '');
  const commands: string[] = [];
  const exec: Exec = {
    run: (file, args) => {
      commands.push([file, ...args].join(' '));
      return Promise.resolve(ended);
    },
    start: () => Promise.reject(new Error('nothing is started here')),
  };
  return { path, commands, door: systemWatchdogDoor({ path, exec, classDirectory, ioctl: () => Promise.resolve(null) }) };
};

test('the door: what sysfs tells, bytes that pet, the magic character only when it is to stop, wdctl', async (t) => {
  const { path, commands, door } = files('good', {
    state: 'active',
    nowayout: '0',
    timeout: '12',
    timeleft: '9',
    bootstatus: '32',
    identity: 'x',
  });
  t.deepEqual(door.facts(), { identity: 'x', running: true, nowayout: false, timeoutSeconds: 12, timeLeftSeconds: 9, resetLast: true });
  t.false(await door.canSet());
  const first = door.open();
  t.is(first.setSeconds(12), null);
  t.is(first.timeLeft(), null);
  first.pet();
  first.pet();
  first.close(false);
  t.deepEqual([...readFileSync(path)], [0, 0]);
  const second = door.open();
  second.pet();
  second.close(true);
  t.is(readFileSync(path, 'utf8'), '\0V');
  await door.setClosed(12);
  t.deepEqual(commands, [`wdctl --settimeout 12 ${path}`]);
});

test('the door: a kernel that does not tell the state, or no device at all, is refused in words', (t) => {
  t.throws(() => files('silent', { timeout: '12' }).door.facts(), { code: 'REFUSED', message: /the kernel does not tell its state in/ });
  const { door, path } = files('gone', { state: 'inactive', nowayout: '1' });
  t.like(door.facts(), { running: false, nowayout: true, timeoutSeconds: null, resetLast: null });
  rmSync(path);
  t.throws(() => door.facts(), { code: 'REFUSED', message: /there is no watchdog device .*ENOENT/ });
});

test('ioctl by koffi: an int goes in and comes out, and a refusal has its errno', async (t) => {
  const ioctl = await koffiIoctl();
  if (ioctl === null) return t.pass('only on Linux');
  const path = join(directory, 'bytes');
  writeFileSync(path, 'twelve bytes');
  const fd = openSync(path, 'r+');
  t.teardown(() => closeSync(fd));
  const FIONREAD = 0x541b;
  t.is(ioctl(fd, FIONREAD, 0), 12);
  writeSync(fd, 'three', 12);
  t.throws(() => ioctl(fd, 0xc0045706, 12), { message: /errno 25/ });
});

test('a boot after a reset by the watchdog: told once in that boot, whatever the guard lives through', (t) => {
  const { door } = files('after', { state: 'inactive', nowayout: '0', bootstatus: '32' });
  const run = join(directory, 'run');
  mkdirSync(run);
  chmodSync(run, 0o700);
  const events: NewEvent[] = [];
  const journal = { write: (event: NewEvent) => void events.push(event), sync: () => Promise.resolve(), close: () => Promise.resolve() };
  tellWatchdogReset(door, run, 'boot-1', journal);
  tellWatchdogReset(door, run, 'boot-1', journal);
  tellWatchdogReset(null, run, 'boot-1', journal);
  t.deepEqual(
    events.map(({ kind }) => kind),
    ['watchdog.reset-before'],
  );
  tellWatchdogReset(files('without', { state: 'inactive', nowayout: '0', bootstatus: '0' }).door, run, 'boot-2', journal);
  t.is(events.length, 1);
});
