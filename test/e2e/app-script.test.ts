// app-script in real cgroups: needs root and a cgroup2 that can be written. What cannot carry a mark is ended all the same.
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { monitorOnce } from '../../core/plugin/testkit/index.js';
import { cgroup2Mount } from '../../core/system/cgroup.js';
import { LinuxCgroups } from '../../core/system/cgroup-linux.js';
import { systemClock } from '../../core/system/clock.js';
import { appWorld, exec, processes, sh } from '../support/app-world.js';

const mount = process.platform === 'linux' ? cgroup2Mount(readFileSync('/proc/mounts', 'utf8')) : null;
const why = process.geteuid?.() !== 0 ? 'needs root' : mount === null ? 'needs cgroup2' : null;
const base = `${mount}/agents-e2e-${process.pid}`;
const cgroups = new LinuxCgroups(systemClock);

const withCgroups = (title: string, run: (t: ExecutionContext) => Promise<void>) =>
  test.serial(title, async (t) => {
    if (why === null) return run(t);
    // Where everything must run, a missing cgroup2 is a failure of the machine, not a reason to be content.
    if (process.env['CI'] !== undefined) return t.fail(why);
    t.log(`skipped: ${why}`);
    t.pass();
  });

test.before(() => {
  if (why !== null) return;
  mkdirSync(base);
  process.env['UNDERSTUDY_CGROUP'] = base;
});
test.after.always(() => {
  if (why !== null) return;
  cgroups.remove(`${base}/agents-test`);
  rmdirSync(base);
});

const world = (t: ExecutionContext, options: Record<string, unknown>, user?: string) => {
  const made = appWorld({ killAfter: '500ms', ...options }, { cgroups, ...(user === undefined ? {} : { user }) });
  t.teardown(made.end);
  return made;
};

withCgroups('a daemon that forks away, cleans its environment and ignores TERM: seen, and nothing is left after stop', async (t) => {
  const made = world(t, {
    start: sh('env -i setsid sh -c \'trap "" TERM; env -i setsid sleep 60 & sleep 60\' >/dev/null 2>&1 & sleep 0.1'),
  });
  const context = made.acting();
  await made.agent.start(context);
  const { cgroup } = context;
  if (cgroup === null) return t.fail();
  t.deepEqual(made.pids(), [], 'no mark is left to find it by');
  const members = cgroups.members(cgroup);
  t.true(members.length >= 2);
  t.is((await monitorOnce(made.successor(), made.monitoring())).state, 'online');
  t.deepEqual(made.hardStop(), [`cgroup ${cgroup}`]);
  await made.successor().stop(made.acting());
  t.deepEqual(
    members.filter((pid) => processes.identify(pid) !== null),
    [],
  );
  t.false(existsSync(`${cgroup}/cgroup.procs`) && cgroups.populated(cgroup));
});

withCgroups('death of everything in the cgroup: told at once, also to a controller that did not start it', async (t) => {
  const made = world(t, { start: sh('setsid sleep 60 >/dev/null 2>&1 &') });
  const delays: number[] = [];
  for (let round = 0; round < 5; round++) {
    await made.agent.start(made.acting());
    const { cgroup } = made.acting();
    const keep = setTimeout(() => {}, 10_000);
    let end = (): void => undefined;
    const agent = made.successor();
    // The event of the first process may still be under way: what counts is the first call that finds nothing alive.
    const told = new Promise<number>((resolve) => {
      end = agent.watch(made.monitoring(), () => cgroups.populated(cgroup ?? '') || resolve(systemClock.nowMs()));
    });
    const killedMs = systemClock.nowMs();
    for (const pid of cgroups.members(cgroup ?? '')) process.kill(pid, 'SIGKILL');
    delays.push((await told) - killedMs);
    end();
    clearTimeout(keep);
    t.is((await monitorOnce(agent, made.monitoring())).state, 'offline');
  }
  t.log(`told after ${delays.map((delay) => delay.toFixed(1)).join(', ')} ms`);
  t.true(Math.min(...delays) < 100);
});

withCgroups('another user in a cgroup: its rights, its groups, and still ended', async (t) => {
  const made = world(t, { mode: 'foreground', start: sh('id -un; exec sleep 60') }, 'games');
  await made.agent.start(made.acting());
  const { cgroup } = made.acting();
  const endMs = systemClock.nowMs() + 5000;
  while (made.read('log/app.log') !== 'games\n' && systemClock.nowMs() < endMs) await systemClock.sleep(5);
  t.is(made.read('log/app.log'), 'games\n');
  const members = cgroups.members(cgroup ?? '');
  t.is(members.length, 1);
  t.regex(readFileSync(`/proc/${members[0]}/status`, 'utf8'), /^Uid:\t5\t5\t5\t5$/m);
  await made.agent.stop(made.acting());
  t.is(processes.identify(members[0] ?? 0), null);
});

withCgroups('kernels without cgroup.kill: frozen, killed, thawed, and usable again', async (t) => {
  const cgroup = cgroups.make('agents-test', 'freeze');
  if (cgroup === null) return t.fail();
  const keep = setTimeout(() => {}, 30_000);
  t.teardown(() => {
    clearTimeout(keep);
    cgroups.remove(cgroup);
  });
  for (let round = 0; round < 2; round++) {
    const child = await exec.start('/bin/sh', ['-c', 'while :; do sleep 60 & sleep 60 & wait; done'], { cgroup });
    while (cgroups.members(cgroup).length < 3) await systemClock.sleep(5);
    t.true(await cgroups.kill(cgroup, 5000, 'freeze'));
    t.deepEqual(await child.exited, { exitCode: null, signal: 'SIGKILL' });
    t.regex(readFileSync(`${cgroup}/cgroup.events`, 'utf8'), /populated 0\nfrozen 0/);
  }
});
