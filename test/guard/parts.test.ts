// Parts of the guard on their own: the watchdog and who may pet it, the controller's budget, the import graph.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import { ControllerWatch } from '../../core/guard/controller-watch.js';
import { DogKeeper } from '../../core/guard/dog-keeper.js';
import { GuardStore } from '../../core/guard/guard-store.js';
import { quickHardStop, scriptHardStop } from '../../core/guard/hard-stop.js';
import { type Eyes, looksGone } from '../../core/guard/look-gone.js';
import { LeaseClock, sleptBetween } from '../../core/guard/lease-clock.js';
import { PageDesk } from '../../core/guard/page-desk.js';
import { viewOf, type ViewParts } from '../../core/guard/view.js';
import { socketWatchdog } from '../../core/guard/watchdog-socket.js';
import { type Dog, dogStep, sleepingDog } from '../../core/lab/watchdog.js';
import { NO_GROUP_ORDERS } from '../../core/model/lease.js';
import { systemClock } from '../../core/system/clock.js';
import { systemExec } from '../../core/system/exec-system.js';
import { systemFiles } from '../../core/system/files-system.js';
import { openPageWriter } from '../../core/system/page-file.js';
import type { Exec, RunResult } from '../../core/system/exec.js';
import { FakeClock } from '../support/fake-clock.js';
import { TestDog } from '../support/guard-host.js';

const directory = mkdtempSync(join(tmpdir(), 'understudy-guard-parts-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

/** The lab's own watchdog behind a socket, in real time; `answer` may spoil what it says. */
const dogServer = async (
  path: string,
  answer: (words: object) => string | null = (words) => JSON.stringify(words),
): Promise<{ server: Server; dog: () => Dog }> => {
  let dog = sleepingDog;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    const lines = createInterface({ input: socket });
    // It hands on the errors of the socket, which has its own answer to them.
    lines.on('error', () => undefined);
    lines.on('line', (line) => {
      const step = dogStep(dog, line, systemClock.nowMs());
      dog = step.dog;
      const words = answer(step.answer);
      if (words !== null && !socket.destroyed) socket.write(`${words}\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { server, dog: () => dog };
};

test('watchdog by socket: armed, petted with the age told, disarmed; as the lab’s own dog understands it', async (t) => {
  const path = join(directory, 'dog.sock');
  const { server, dog } = await dogServer(path);
  const watchdog = socketWatchdog({ path, clock: new FakeClock(), timeoutMs: 1_000 });
  await watchdog.arm(2_000);
  t.like(dog(), { armed: true, timeoutMs: 2_000 });
  const [first, second] = await Promise.all([watchdog.pet(), watchdog.pet()]);
  t.true(first >= 0 && second >= 0);
  await watchdog.disarm();
  t.false(dog().armed);
  watchdog.close();
  server.close();
});

test('watchdog by socket: a wrong answer, a silent one and none at all are failures; the next request starts anew', async (t) => {
  const path = join(directory, 'bad-dog.sock');
  let say: string | null = '{"armed":1}';
  const { server } = await dogServer(path, (words) => (say === 'truth' ? JSON.stringify(words) : say));
  const clock = new FakeClock();
  const watchdog = socketWatchdog({ path, clock, timeoutMs: 100 });
  await t.throwsAsync(watchdog.arm(2_000), { message: /it answered \{"armed":1\}/ });
  say = null;
  const silent = t.throwsAsync(watchdog.arm(2_000), { message: /no answer within 100 ms/ });
  await clock.advanceAsync(100);
  await silent;
  say = 'truth';
  await watchdog.arm(2_000);
  watchdog.close();
  server.close();
  await t.throwsAsync(socketWatchdog({ path: join(directory, 'nobody.sock'), clock, timeoutMs: 100 }).arm(1_000), { message: /ENOENT/ });
});

const keeper = () => {
  const clock = new FakeClock();
  const dog: { armedWithMs: number | null } & TestDog = new TestDog(clock);
  const world = { may: true, needed: false, changes: [] as boolean[], failures: [] as string[] };
  const keep = new DogKeeper({
    watchdog: dog,
    clock,
    timeoutMs: 2_000,
    petEveryMs: 125,
    mayPet: () => world.may,
    needed: () => world.needed,
    petted: () => undefined,
    changed: (armed) => void world.changes.push(armed),
    failed: (because) => void world.failures.push(because),
  });
  return { clock, dog, world, keep };
};

test('dog keeper: petted while allowed, no more often than told, never while one group forbids it', async (t) => {
  const { clock, dog, world, keep } = keeper();
  world.needed = true;
  t.true(await keep.arm());
  for (let turn = 0; turn < 10; turn += 1) {
    await clock.advanceAsync(50);
    keep.consider();
  }
  await clock.settle();
  t.is(dog.pets, 3);
  world.may = false;
  await clock.advanceAsync(1_000);
  keep.consider();
  await clock.settle();
  t.is(dog.pets, 3);
});

test('dog keeper: what an earlier guard may have armed is not petted before the lease is fresh, and disarmed when nothing needs it', async (t) => {
  const { clock, dog, world, keep } = keeper();
  dog.armedWithMs = 2_000;
  world.needed = true;
  world.may = false;
  keep.consider();
  t.false(await keep.arm());
  t.is(dog.pettedMs, Number.NEGATIVE_INFINITY);
  world.needed = false;
  world.may = true;
  keep.consider();
  await clock.settle();
  t.true(dog.armedWithMs === null);
});

test('dog keeper: an acquisition during the disarming arms it again', async (t) => {
  const { dog, world, keep } = keeper();
  t.true(await keep.arm());
  keep.consider();
  world.needed = true;
  t.true(await keep.arm());
  t.is(dog.armedWithMs, 2_000);
  t.deepEqual(world.changes, [true, false, true]);
});

test('dog keeper: a reset is wanted, and it is never petted again', async (t) => {
  const { clock, dog, world, keep } = keeper();
  world.needed = true;
  await keep.arm();
  keep.wantReset();
  await clock.advanceAsync(500);
  keep.consider();
  await clock.settle();
  t.is(dog.pets, 0);
});

test('controller watch: hung, ended, its successor has its time, three ends and it is given up', (t) => {
  const watch = new ControllerWatch(0);
  const seen: string[] = [];
  let born = 0;
  watch.hello({ pid: 1, startTime: 's' }, 0);
  for (let nowMs = 0; nowMs < 40_000; nowMs += 100) {
    const verdict = watch.look(nowMs);
    if (verdict.kind === 'fine') continue;
    seen.push(`${verdict.kind}@${nowMs}`);
    if (verdict.kind === 'give-up') break;
    watch.hello({ pid: (born += 1), startTime: 's' }, nowMs + 50);
  }
  t.deepEqual(seen, ['hung@5100', 'hung@10200', 'hung@15300', 'give-up@20400']);
});

for (const [what, had, expected] of [
  ['never gets a processor', { ran: 0, waited: 0, runnable: true }, 'give-up@60000'],
  ['is given a processor half of the time and needs more', { ran: 0.5, waited: 0.5, runnable: true }, 'hung@8100'],
  ['runs all the time', { ran: 1, waited: 0, runnable: true }, 'hung@5100'],
  ['sleeps, and would wait if it woke', { ran: 0, waited: 0, runnable: false }, 'hung@5100'],
  ['wakes now and then and waits long each time', { ran: 0.05, waited: 0.9, runnable: false }, 'hung@32100'],
] as const)
  test(`controller watch: silent, and ${what}: ${expected}`, (t) => {
    let nowMs = 0;
    const watch = new ControllerWatch(0, () => ({
      ranMs: 5_000 + had.ran * nowMs,
      waitedMs: 7_000 + had.waited * nowMs,
      runnable: had.runnable,
    }));
    watch.hello({ pid: 1, startTime: 's' }, 0);
    let verdict = watch.look(nowMs);
    for (; verdict.kind === 'fine' && nowMs < 70_000; nowMs += 100) verdict = watch.look(nowMs);
    t.is(`${verdict.kind}@${nowMs - 100}`, expected);
  });

test('controller watch: silence while this process was paused, and an announced absence, do not count', (t) => {
  const watch = new ControllerWatch(0);
  watch.hello({ pid: 1, startTime: 's' }, 0);
  watch.progress(1_000);
  watch.paused(20_000);
  t.is(watch.look(22_000).kind, 'fine');
  watch.leave(100_000, 22_000);
  watch.gone();
  t.is(watch.look(120_000).kind, 'fine');
  t.is(watch.look(122_000 + 60_000).kind, 'give-up');
});

test('lease clock: what was said before a sleep and is read after it is older by the sleep', (t) => {
  const clock = new FakeClock(1_000);
  let offsetMs = 0;
  const lease = new LeaseClock(clock, () => offsetMs);
  t.is(lease.saidMs(900), 900);
  clock.advance(100);
  offsetMs = 13_000;
  t.is(lease.saidMs(1_050), 1_050, 'the sleep is found by the question');
  t.is(lease.nowMs(), 14_100);
  clock.advance(1_000);
  t.is(lease.saidMs(2_050), 15_050);
});

test('lease clock: a sleep of the host moves it on, a step of /proc/uptime does not', (t) => {
  const clock = new FakeClock(1_000);
  let offsetMs = 5_000;
  const lease = new LeaseClock(clock, () => offsetMs);
  offsetMs += 10;
  t.is(lease.look(), 0);
  t.is(lease.nowMs(), 1_000);
  offsetMs += 3_000;
  t.is(lease.look(), 3_010);
  t.is(lease.nowMs(), 4_010);
  t.is(lease.toMonoMs(lease.nowMs()), 1_000);
  t.is(lease.look(), 0);
  clock.advance(20);
  offsetMs += 2_000;
  t.is(lease.nowMs(), 6_030, 'counted before anybody looked');
  t.is(lease.look(), 2_000);
  offsetMs += 25_000;
  t.is(lease.nowMs(), 6_030, 'looked only just now');
  t.is(lease.eventMs(), 31_030, 'what is seen now is not 25 s old');
  t.is(lease.look(), 25_000);
});

test('guard store: epochs never fall, orders come back, and a broken file is not an empty one', async (t) => {
  const path = join(directory, 'guard.json');
  const troubles: (string | null)[] = [];
  const store = new GuardStore(systemFiles, path, (because) => void troubles.push(because));
  store.raiseEpoch('g', 7);
  store.raiseEpoch('g', 5);
  store.keepGroupOrders('g', { ...NO_GROUP_ORDERS, frozen: true });
  store.keepDead('g', { bootId: 'boot', epoch: 6 });
  await store.settled();
  const again = new GuardStore(systemFiles, path, () => undefined);
  t.is(again.maxEpochSeen('g'), 7);
  t.true(again.groupOrders['g']?.frozen);
  t.deepEqual(
    [
      { bootId: 'boot', epoch: 6 },
      { bootId: 'boot', epoch: 7 },
      { bootId: 'next', epoch: 6 },
    ].map((dead) => again.isDead('g', dead)),
    [true, false, false],
  );
  t.is(new GuardStore(systemFiles, join(directory, 'none.json'), () => undefined).maxEpochSeen('g'), 0);
  writeFileSync(path, '{"v":1,"maxEpo');
  const broken = new GuardStore(systemFiles, path, () => undefined);
  t.not(broken.lost, null);
  t.is(broken.maxEpochSeen('g'), 1);
  const nowhere = new GuardStore(systemFiles, join(path, 'guard.json'), (because) => void troubles.push(because));
  nowhere.raiseEpoch('g', 1);
  await nowhere.settled();
  t.regex(troubles.at(-1) ?? '', /cannot write/);
});

test('hard stop: only exit status 0 is verified, and why not is told in the script’s words', async (t) => {
  const ran: (readonly string[])[] = [];
  const result = (change: Partial<RunResult>): RunResult => ({
    exitCode: 0,
    signal: null,
    stdout: '',
    stderr: '',
    truncated: false,
    timedOut: false,
    aborted: false,
    elapsedMs: 1,
    ...change,
  });
  let answer = result({});
  const exec = { run: (file: string, args: readonly string[]) => (ran.push([file, ...args]), Promise.resolve(answer)) } as unknown as Exec;
  const stop = scriptHardStop(exec, '/run/u', '/x/emergency-stop.sh');
  t.true((await stop.stop('g', 750)).verified);
  t.true((await stop.verify('g', 750)).verified);
  const said = (how: string) => ['/bin/sh', '/x/emergency-stop.sh', 'g', '--run-dir', '/run/u', how, '--limit-ms', '650'];
  t.deepEqual(ran, [said('--verify'), said('--verify-only')]);
  answer = result({ exitCode: 1, stderr: 'cgroup /g: populated\n' });
  t.deepEqual(await stop.verify('g', 750), { verified: false, because: 'cgroup /g: populated' });
  answer = result({ exitCode: null, timedOut: true });
  t.regex((await stop.stop('g', 750)).because, /did not end within 750 ms/);
});

test('hard stop by the real script: nothing listed is verified, a held page without a list is not', async (t) => {
  const run = mkdtempSync(join(directory, 'run-'));
  const stop = scriptHardStop(systemExec(), run);
  t.like(await stop.verify('g', 5_000), { verified: true });
  openPageWriter(join(run, 'lease', 'g'), systemFiles).write({
    epoch: 1,
    state: 'HELD',
    deadlineMonoNs: 1n,
    deadlineBootMs: 1,
    bootOffsetMs: 0,
    bootId: 'b',
    nonce: 'n',
    inSync: [],
  });
  const refused = await stop.verify('g', 5_000);
  t.false(refused.verified);
  t.regex(refused.because, /there is no list/);
});

/** Files by path; what is not there does not exist; null stands for one that cannot be read. */
const eyes = (files: Record<string, string | null>, addresses: readonly string[] | null = []): Eyes => ({
  read: (path) => {
    const text = files[path];
    if (text === null) throw new Error(`EACCES ${path}`);
    return text ?? null;
  },
  alive: (pid) => pid === 77,
  hasAddress: (address) => addresses?.includes(address) ?? null,
});
const MOUNTED = { '/proc/self/mounts': 'proc /proc proc rw 0 0\n/dev/nbd0 /data ext4 rw 0 0\n' };
const looks: [list: string, eyes: Eyes, gone: boolean][] = [
  ['', eyes({}), true],
  ['# a word\ncgroup /c\npidfile /p\n', eyes({}), true],
  ['cgroup /c\n', eyes({ '/c/cgroup.events': 'populated 0\nfrozen 0\n' }), true],
  ['cgroup /c\n', eyes({ '/c/cgroup.events': 'populated 1\nfrozen 0\n' }), false],
  ['cgroup /c\n', eyes({ '/c/cgroup.events': '' }), false],
  ['cgroup /c\n', eyes({ '/c/cgroup.events': null }), false],
  ['cgroup /c/../d\n', eyes({}), false],
  ['cgroup c\n', eyes({}), false],
  ['addr eth0 10.0.0.5/32\n', eyes({}), true],
  ['addr eth0 10.0.0.5/32\n', eyes({}, ['10.0.0.5']), false],
  ['addr eth0 10.0.0.5/32\n', eyes({}, null), false],
  ['addr eth0\n', eyes({}), false],
  ['pidfile /p\n', eyes({ '/p': '76\n' }), true],
  ['pidfile /p\n', eyes({ '/p': '' }), true],
  ['pidfile /p\n', eyes({ '/p': '77\n' }), false],
  ['pidfile /p\n', eyes({ '/p': '77 1234\n' }), false],
  ['pidfile /p\n', eyes({ '/p': 'x\n' }), false],
  ['pidfile /p\n', eyes({ '/p': '1\n' }), false],
  ['table /t 127.0.0.10\n', eyes({ '/t': 'lo 127.0.0.11 32\n' }), true],
  ['table /t 127.0.0.10\n', eyes({ '/t': 'lo 127.0.0.11 32\nlo 127.0.0.10 32\n' }), false],
  ['mount /other\n', eyes(MOUNTED), true],
  ['mount /data\n', eyes(MOUNTED), false],
  ['mount /other\n', eyes({}), false],
  ['mount /with\\040blank\n', eyes(MOUNTED), false],
  ['cgroup /c\npids g/r\n', eyes({}), false],
  ['unit x.service\n', eyes({}), false],
  ['nbd /dev/nbd0\n', eyes({}), true],
  ['nbd /dev/nbd0\n', eyes({ '/sys/block/nbd0/pid': '77\n' }), false],
  ['nbd /dev/nbd0\n', eyes({ '/sys/block/nbd0/pid': null }), false],
  ['nbd /dev/../nbd0\n', eyes({}), false],
  ['freeze /s\n', eyes({}), false],
  ['freeze /s\n', eyes({ '/s.pid': '77 5\n' }), false],
  ['freeze /s\n', eyes({ '/s.pid': '77 5\n', '/s.idle': '77 5\n' }), true],
  ['freeze /s\n', eyes({ '/s.pid': '77 5\n', '/s.idle': '77 4\n' }), false],
  ['freeze /s\n', eyes({ '/s.pid': '76 5\n', '/s.idle': '76 5\n' }), false],
  ['freeze /s\n', eyes({ '/s.pid': 'x\n', '/s.idle': 'x\n' }), false],
  ['cgroup \n', eyes({}), false],
  ['nonsense /c\n', eyes({}), false],
];
for (const [index, [list, with_, gone]] of looks.entries())
  test(`look ${index}: ${JSON.stringify(list)} is ${gone ? 'seen to be gone' : 'left to the script'}`, (t) =>
    t.is(looksGone(list, with_), gone));

test('a look that sees nothing left asks no script; any doubt does, and a stop always does', async (t) => {
  const run = mkdtempSync(join(directory, 'run-'));
  const asked: string[] = [];
  const script = (how: string) => async () => (asked.push(how), { verified: false, because: 'the script says so' });
  const stop = quickHardStop({ stop: script('stop'), verify: script('verify') }, run, (list) => list === 'cgroup /gone\n');
  t.false((await stop.verify('g', 100)).verified, 'without a list the page decides, which the script reads');
  mkdirSync(join(run, 'hardstop'));
  writeFileSync(join(run, 'hardstop', 'g'), 'cgroup /gone\n');
  t.true((await stop.verify('g', 100)).verified);
  writeFileSync(join(run, 'hardstop', 'g'), 'cgroup /there\n');
  t.like(await stop.verify('g', 100), { verified: false, because: 'the script says so' });
  t.false((await stop.stop('g', 100)).verified);
  t.deepEqual(asked, ['verify', 'verify', 'stop']);
});

test('the guard loads little: no schema, logger, container or plugin behind run-guard', (t) => {
  const seen = new Set<string>();
  const outside = new Set<string>();
  const walk = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from '([^']+)'/gm)) {
      if (specifier.startsWith('.')) walk(posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts'));
      else outside.add(specifier);
    }
  };
  for (const entry of ['run-guard', 'watchdog-socket', 'watchdog-device', 'hard-stop', 'client']) walk(`core/guard/${entry}.ts`);
  t.deepEqual(
    [...outside].filter((specifier) => !specifier.startsWith('node:')),
    [],
  );
  t.deepEqual(
    [...seen].filter((file) => /core\/(config|log|plugin|scheduler|planner|daemon)\//.test(file)),
    [],
  );
});

test('alarms: a lost peer and a silent arbiter are alarms, one link down or a suspicion is none', (t) => {
  const alarms = (state: 'member' | 'suspect' | 'lost' | 'unseen', arbiter: 'ok' | 'silent' | 'refused' | 'unknown') => {
    const links = ['one', 'two'].map((network) => ({ network, state: 'down' as const, rttMs: null }));
    const parts: ViewParts = {
      self: 'a',
      bootId: 'boot',
      cfgHash: 'hash',
      peers: [{ node: 'b', state, bootId: null, links, silentMs: null, cfgHash: null, groups: [] }],
      arbiter: { state: arbiter, ageMs: null, because: 'no answer within 250 ms' },
      states: [],
      nowMs: 0,
      groupOrders: {},
      nodeOrders: {},
      watchdog: { driver: 'none', armed: false },
      leashAgeMs: null,
      dropped: {},
      alarms: ['one of its own'],
    };
    return viewOf(parts).alarms;
  };
  t.deepEqual(alarms('member', 'ok'), ['one of its own']);
  t.deepEqual(alarms('suspect', 'unknown'), ['one of its own']);
  t.deepEqual(alarms('unseen', 'ok'), ['one of its own']);
  t.regex(alarms('lost', 'ok')[1] ?? '', /^b is not heard over one, two: /);
  t.deepEqual(alarms('member', 'silent').slice(1), ['the arbiter is silent: no answer within 250 ms']);
  t.deepEqual(alarms('member', 'refused').slice(1), ['the arbiter refuses: no answer within 250 ms']);
});

test('lease page that cannot be written: readers still take it for held, until its deadline or until it can be written', (t) => {
  const clock = new FakeClock();
  let broken = false;
  const files = {
    ...systemFiles,
    openFixed: (path: string, size: number) => {
      const file = systemFiles.openFixed(path, size);
      const write = (bytes: Uint8Array) => {
        if (broken) throw new Error('EIO');
        file.write(bytes);
      };
      return { write, close: () => file.close() };
    },
  };
  const paths = { run: join(directory, 'unwritable'), state: '', log: '' };
  const desk = new PageDesk(files, paths, 'boot', new LeaseClock(clock, () => 0));
  const wish = { kind: 'write-page', epoch: 3, deadlineMs: clock.nowMs() + 1_000, nonce: 'n', inSync: [] } as const;
  desk.write('g', { ...wish, state: 'HELD' });
  t.is(desk.stillHeldMs('g'), 0, 'nothing else was wanted');
  broken = true;
  t.throws(() => desk.write('g', { ...wish, state: 'STOPPING' }));
  clock.advance(400);
  t.is(Math.round(desk.stillHeldMs('g')), 600);
  clock.advance(600);
  t.is(desk.stillHeldMs('g'), 0, 'the old page has run out');
  broken = false;
  t.is(desk.stillHeldMs('g'), 0);
  t.is(desk.left('g')?.state, 'STOPPING', 'what could not be written is written as soon as it can be');
  desk.close();
});

test('sleep: a lease that is taken up again is shorter by all of it, and rounding is no sleep', (t) => {
  t.is(sleptBetween(1_000, 1_211), 211);
  t.is(sleptBetween(1_000, 1_051), 51);
  t.is(sleptBetween(1_000, 1_050), 0);
  t.is(sleptBetween(1_000, 990), 0);
});
