import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { liftShutdownStandby, SHUTDOWN } from '../../core/daemon/after-boot.js';
import { composeController } from '../../core/daemon/compose.js';
import { handleCrashes } from '../../core/daemon/crash.js';
import { compileGuardConfig, loadGuardConfig } from '../../core/daemon/guard-config.js';
import { levelOf, parseDaemonOptions, wordsOf } from '../../core/daemon/options.js';
import { resetHost } from '../../core/daemon/reset-host.js';
import { type ChildPlan, childPlans, supervise } from '../../core/daemon/run.js';
import { notifyReady } from '../../core/daemon/sd-notify.js';
import { Orders } from '../../core/api/orders.js';
import { PlanViews } from '../../core/api/plan-view.js';
import { Routes } from '../../core/api/routes.js';
import { Link } from '../../core/link/link.js';
import { Loop } from '../../core/scheduler/loop.js';
import type { Exec, RunOptions } from '../../core/system/exec.js';
import { generateKey } from '../../core/system/key-file.js';
import { pathsFrom } from '../../core/system/paths.js';
import { readStat } from '../../core/system/process.js';
import { systemRandom } from '../../core/system/random.js';
import { FakeClock } from '../support/fake-clock.js';
import { FakeGuard, LAN, SILENT } from '../support/controller-world.js';
import { TOY_PLUGIN } from '../support/toy-plugin.js';
import { until } from '../support/until.js';

const scratch = (t: ExecutionContext) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-daemon-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return { directory, paths: pathsFrom({ run: join(directory, 'run'), state: join(directory, 'state'), log: join(directory, 'log') }) };
};

const noted = () => {
  const lines: string[] = [];
  const note = (message: string, data?: Record<string, unknown>) => void lines.push(`${message} ${JSON.stringify(data ?? {})}`);
  return { lines, log: { debug: note, info: note, warn: note, error: note } };
};

const alive = (pid: number | null | undefined): boolean => pid != null && readStat(pid)?.dead === false;

test('options: read, and handed on word for word; anything else is USAGE', (t) => {
  const words = ['--node', 'a', '--config', '/x.yaml', '--run-dir', '/r', '--log-level', 'debug'];
  const options = parseDaemonOptions(words);
  t.deepEqual([...wordsOf(options)], words);
  t.is(levelOf(options, {}), 'debug');
  t.throws(() => levelOf({ logLevel: 'loud' }, {}), { code: 'USAGE' });
  t.throws(() => parseDaemonOptions(['--nod', 'a']), { code: 'USAGE' });
});

const shell = (name: ChildPlan['name'], script: string): ChildPlan => ({ name, file: '/bin/sh', args: ['-c', script] });

test('a child that is killed: started again, in a session of its own, its output in a file; stop ends it', async (t) => {
  const { paths } = scratch(t);
  const supervised = supervise([shell('guard', 'echo began; exec sleep 60')], paths, SILENT);
  t.teardown(() => supervised.stop());
  const first = supervised.pids['guard']!;
  const output = () => (existsSync(join(paths.log, 'guard.out')) ? readFileSync(join(paths.log, 'guard.out'), 'utf8') : '');
  await until('its output', () => output() === 'began\n');
  t.is(readStat(first)?.session, first);
  process.kill(first, 'SIGKILL');
  await until('another one', () => supervised.pids['guard'] != null && supervised.pids['guard'] !== first);
  const second = supervised.pids['guard']!;
  await until('the output of both', () => output() === 'began\nbegan\n');
  await supervised.stop();
  t.false(alive(second));
});

test('a config that is wrong: tried again ever more rarely, not ten times a second', async (t) => {
  const { paths, directory } = scratch(t);
  const clock = new FakeClock();
  const { lines, log } = noted();
  const supervised = supervise([shell('controller', `echo x >>${directory}/tries; exit 2`)], paths, log, clock);
  t.teardown(() => supervised.stop());
  const tries = () => readFileSync(join(directory, 'tries'), 'utf8').length / 2;
  const waits: number[] = [];
  for (const at of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    // It is a real process, and it ends when the machine lets it; only what is waited between two is by the clock.
    await until('it has ended', () => lines.length === at);
    t.is(tries(), at);
    const { againInMs } = JSON.parse(lines.at(-1)!.replace(/^[^{]*/, '')) as { againInMs: number };
    waits.push(againInMs);
    clock.advance(againInMs - 1);
    t.is(supervised.pids['controller'], null, 'not earlier');
    clock.advance(1);
    t.not(supervised.pids['controller'], null);
  }
  t.deepEqual(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
});

test('the supervisor was killed and comes back: what it left is ended first, so that there are never two', async (t) => {
  const { paths } = scratch(t);
  const plans = [shell('leash', 'exec sleep 60')];
  const first = supervise(plans, paths, SILENT);
  const left = first.pids['leash']!;
  // The first supervisor's record is what a killed one leaves; it would start a third child when the second ends the first.
  const record = readFileSync(join(paths.run, 'supervised.json'), 'utf8');
  t.regex(record, new RegExp(`"pid":${left}`));
  const stopping = first.stop.bind(first);
  const second = supervise(plans, paths, SILENT);
  t.teardown(() => Promise.all([stopping(), second.stop()]).then(() => undefined));
  await until('the old one is gone', () => !alive(left));
  t.true(alive(second.pids['leash']));
});

test('the three of a node: guard, leash and controller with the same directories; no shell leash on Windows', (t) => {
  const { paths } = scratch(t);
  const plans = childPlans({ node: 'a', config: '/c.yaml' }, paths, LAN, {}, 'linux');
  t.deepEqual(
    plans.map(({ name }) => name),
    ['guard', 'leash', 'controller'],
  );
  for (const { args } of plans) t.true(args.includes(paths.run));
  const leash = (env: NodeJS.ProcessEnv) => childPlans({}, paths, LAN, env, 'linux')[1]!.args.join(' ');
  t.regex(leash({}), /--self-fence-ms 1250 --stop-budget-ms 750 /);
  t.notRegex(leash({}), /sysrq/);
  t.regex(leash({ UNDERSTUDY_RESET_HOST: 'sysrq' }), /sysrq-trigger/);
  t.deepEqual(
    childPlans({}, paths, LAN, {}, 'win32').map(({ name }) => name),
    ['guard', 'controller'],
  );
});

const configured = (t: ExecutionContext, more = '') => {
  const made = scratch(t);
  const config = join(made.directory, 'understudy.config.yaml');
  writeFileSync(join(made.directory, 'cluster.key'), generateKey(systemRandom), { mode: 0o400 });
  writeFileSync(join(made.directory, 'toy.ts'), TOY_PLUGIN, { mode: 0o600 });
  writeFileSync(
    config,
    `cluster: c
key: file:cluster.key
nodes:
  a: { networks: { service: 127.0.0.1, heartbeat: [127.0.0.1] } }
  b: { networks: { service: 127.0.0.2, heartbeat: [127.0.0.2] } }
arbiter: { use: witness, address: "127.0.0.9:4472" }
addresses: table:${made.directory}/{node}.addresses
plugins: [./toy.ts]
groups:
  g:
    prefer: [a, b]
    resources:
      app: { use: toy, directory: ${made.directory} }
${more}`,
    { mode: 0o600 },
  );
  return { ...made, config, options: { node: 'a', config, runDir: made.paths.run, stateDir: made.paths.state, logDir: made.paths.log } };
};

test('the composition: everything can be resolved, and the guard reads the same config as the controller', async (t) => {
  const { options, paths } = configured(t);
  const composed = await composeController(options);
  for (const service of [Loop, Link, Orders, PlanViews, Routes]) t.truthy(composed.container.resolve<object>(service as never));
  t.is(composed.node, 'a');
  t.is((await compileGuardConfig(options, paths, {})).config.cfgHash, composed.config.cfgHash);
  await composed.parts.journal.close();
  await composed.log.close();
});

test('a broken plugin: the controller begins, and only what it should have brought is missing', async (t) => {
  const { options, directory } = configured(t);
  writeFileSync(join(directory, 'toy.ts'), 'throw new Error("broken at load");', { mode: 0o600 });
  const { container, log, parts, registry } = await composeController(options);
  t.true(registry.found.some(({ problems }) => problems.some((problem) => problem.includes('broken at load'))));
  t.truthy(container.resolve(Loop));
  await parts.journal.close();
  await log.close();
});

test('the guard’s config: parsed once beside it, and again when a byte of it or of what is kept changed', async (t) => {
  const { options, paths, config } = configured(t);
  const file = join(paths.run, 'guard-config');
  const first = await loadGuardConfig(options, paths, {});
  t.deepEqual(first.arbiterOptions, { address: '127.0.0.9:4472' });
  const kept = readFileSync(file, 'utf8');
  const mark = (text: string, key = kept.split(' ')[0]) => `${key} ${createHash('sha256').update(text).digest('hex')}\n${text}`;
  const of = async (text: string) => {
    writeFileSync(file, text);
    return (await loadGuardConfig(options, paths, {})).config.cluster;
  };
  const body = kept.slice(kept.indexOf('\n') + 1);
  const other = body.replace('"cluster":"c"', '"cluster":"kept"');
  t.is(await of(mark(other)), 'kept', 'what is kept is used');
  t.is(await of(mark(body).replace('"cluster":"c"', '"cluster":"kept"')), 'c', 'not with another checksum');
  t.is(await of(mark(other, '0'.repeat(64))), 'c', 'not for other bytes');
  t.is(await of('torn'), 'c', 'not a part of it');
  chmodSync(file, 0o644);
  t.is(await of(mark(other)), 'c', 'not when others may read or write it');
  writeFileSync(config, readFileSync(config, 'utf8').replace('cluster: c', 'cluster: other'));
  t.is((await loadGuardConfig(options, paths, {})).config.cluster, 'other');
  writeFileSync(config, readFileSync(config, 'utf8').replace('groups:', 'gruops:'));
  await t.throwsAsync(loadGuardConfig(options, paths, {}), { code: 'CONFIG_INVALID' });
});

test.serial('what nobody caught: a plugin’s is quarantined, our own ends the process', async (t) => {
  const [quarantined, ended, exits]: [string[], string[], number[]] = [[], [], []];
  const { log } = noted();
  let culprit: string | null = 'toy';
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  const listeners = process.listeners('exit');
  const calm = handleCrashes({
    culprit: () => culprit,
    quarantine: (type, because) => quarantined.push(`${type}: ${because}`),
    ending: (type, what) => ended.push(`${type}: ${what}`),
    log,
    exit: (code) => exits.push(code),
  });
  t.teardown(() => {
    calm();
    for (const listener of others) process.on('unhandledRejection', listener);
  });
  void Promise.reject(new Error('forgotten'));
  await until('it is told', () => quarantined.length > 0);
  t.deepEqual(quarantined, ['toy: unhandled rejection: forgotten']);
  t.deepEqual(exits, []);
  for (const listener of process.listeners('exit')) if (!listeners.includes(listener)) listener.call(process, 3);
  t.deepEqual(ended, ['toy: its process.exit(3)']);
  culprit = null;
  void Promise.reject(new Error('ours'));
  await until('it ends', () => exits.length > 0);
  t.deepEqual(exits, [70]);
});

test('ready: told through systemd-notify, only under systemd, and a failure is a line in the log', async (t) => {
  const ran: string[] = [];
  const exec = {
    run: async (file: string, args: readonly string[], { addEnv }: RunOptions) => {
      ran.push([file, ...args.slice(0, 1), addEnv?.['NOTIFY_SOCKET']].join(' '));
      throw new Error('no such program');
    },
  } as unknown as Exec;
  const { lines, log } = noted();
  await notifyReady(exec, log, {});
  t.deepEqual(ran, []);
  await notifyReady(exec, log, { NOTIFY_SOCKET: '/run/systemd/notify' });
  t.deepEqual(ran, ['systemd-notify --ready /run/systemd/notify']);
  t.regex(lines.join(), /no such program/);
});

test('a reset that nobody armed: said, not done', (t) => {
  const { lines, log } = noted();
  resetHost(log, {})('g cannot be stopped');
  t.regex(lines.join(), /it is not told to/);
});

test('after an orderly shutdown: its own standby is lifted, trying until the arbiter answers; an operator’s is not', async (t) => {
  const view = (why: string) => ({
    ...new FakeGuard(['g']).current,
    nodeOrders: { a: { standby: true, maintenance: false, by: 'x', why } },
  });
  const asked: unknown[] = [];
  let failures = 2;
  const orders = async (request: unknown) => {
    asked.push(request);
    if ((failures -= 1) >= 0) throw new Error('silent');
  };
  const { log } = noted();
  await liftShutdownStandby(view('kernel update'), { orders, sleep: async () => undefined, log });
  t.deepEqual(asked, []);
  await liftShutdownStandby(view(SHUTDOWN), { orders, sleep: async () => undefined, log });
  t.is(asked.length, 3);
  t.like(asked[2], { key: 'node', node: 'a', set: { standby: false } });
});

test('the units: what systemd-analyze can check is right, and the reason of the shutdown is the one that is lifted', (t) => {
  const directory = new URL('../../../templates/systemd/', import.meta.url).pathname;
  const units = readdirSync(directory);
  t.deepEqual(units.sort(), [
    'understudy-apps.service',
    'understudy-controller.service',
    'understudy-guard.service',
    'understudy-mirror@.service',
    'understudy-witness.service',
    'understudy.service',
  ]);
  for (const unit of ['understudy-guard.service', 'understudy-controller.service', 'understudy-apps.service', 'understudy-mirror@.service'])
    t.regex(readFileSync(join(directory, unit), 'utf8'), /KillMode=process\n/);
  t.true(readFileSync(join(directory, 'understudy.service'), 'utf8').includes(`--why "${SHUTDOWN}"`));
  // An unmount of the hard-stop list must be one on the host: no mounts of its own for whoever runs it, nor for what applications inherit.
  const OWN_MOUNTS =
    /^(Protect\w+|Private\w+|(ReadWrite|ReadOnly|Inaccessible|Exec|NoExec|Bind|BindReadOnly)Paths|TemporaryFileSystem|ProcSubset|RootDirectory|DynamicUser|MountFlags)=/m;
  for (const unit of ['understudy-guard.service', 'understudy-apps.service', 'understudy-controller.service', 'understudy-mirror@.service'])
    t.notRegex(readFileSync(join(directory, unit), 'utf8'), OWN_MOUNTS, unit);
  // What works by the cgroup would work on every application below it.
  t.notRegex(readFileSync(join(directory, 'understudy-apps.service'), 'utf8'), /^(Device|ProtectClock|IPAddress|Memory|CPU|Tasks|IO)\w*=/m);
  // What the controller is denied its children are denied for ever.
  t.notRegex(
    readFileSync(join(directory, 'understudy-controller.service'), 'utf8'),
    /^(NoNew|Restrict|SystemCall|Capability|Lock|Device)\w*=/m,
  );
  if (!existsSync('/usr/bin/systemd-analyze')) return;
  const { stderr } = spawnSync('systemd-analyze', ['verify', ...units.map((unit) => join(directory, unit))], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  t.deepEqual(
    stderr.split('\n').filter((line) => line !== '' && !line.includes('is not executable')),
    [],
  );
  const most = { 'understudy-guard': 56, 'understudy-apps': 56, 'understudy-mirror@': 56, 'understudy-witness': 20, understudy: 15 };
  for (const [unit, threshold] of Object.entries(most)) {
    const judged = spawnSync(
      'systemd-analyze',
      ['security', '--offline=yes', `--threshold=${threshold}`, join(directory, `${unit}.service`)],
      { encoding: 'utf8', timeout: 10_000 },
    );
    t.is(judged.status, 0, `${unit}: ${judged.stdout.trim().split('\n').at(-1)} ${judged.stderr}`);
  }
});
