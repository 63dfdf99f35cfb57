// The long-lived process of a resource: how it is named and supervised, what it is given, and that its end is its own.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseConfigOrThrow } from '../../core/config/parse.js';
import { readAlarms } from '../../core/daemon/alarm-file.js';
import { type ProcessSources, startPluginProcess } from '../../core/daemon/plugin-process.js';
import { parseProcessWords, processName } from '../../core/daemon/process-words.js';
import { childPlans } from '../../core/daemon/run.js';
import { readJournal } from '../../core/journal/read-journal.js';
import { type BuiltInAgents, mirroredGroups, processPlans } from '../../core/plugin/builtin-agents.js';
import { checkPlugin, onlyBuiltIn } from '../../core/plugin/check.js';
import { choice, definePlugin, options, type ProcessContext, text } from '../../core/plugin/index.js';
import { readBootId } from '../../core/system/boot.js';
import { systemFiles } from '../../core/system/files-system.js';
import { generateKey } from '../../core/system/key-file.js';
import { alarmFile } from '../../core/system/paths.js';
import { systemRandom } from '../../core/system/random.js';
import { LAN } from '../support/lease-world.js';

interface Options {
  readonly backing: string;
  readonly mode: string;
}

const seen: ProcessContext<Options>[] = [];
let stopped = 0;
const plugin = definePlugin({
  name: 'copies',
  api: 1,
  agents: {
    copy: {
      summary: 'Keeps a copy.',
      options: options({ backing: text('Where it lies.'), mode: choice('How.', ['sync', 'async']).default('sync') }),
      mirror: true,
      process: 'mirror',
      agent: { monitor: async () => 'online', start: async () => undefined, stop: async () => undefined },
    },
  },
  processes: {
    mirror: async () => ({
      summary: 'Carries the data.',
      start: async (context: ProcessContext<Options>) => {
        seen.push(context);
        return { stop: async () => void (stopped += 1) };
      },
    }),
  },
});
const agents: BuiltInAgents = new Map(Object.entries(plugin.agents).map(([type, definition]) => [type, { plugin, definition }] as const));

const scene = (t: ExecutionContext, { key = 'backing' } = {}) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-process-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'cluster.key'), `${generateKey(systemRandom)}\n`, { mode: 0o600 });
  const { config } = parseConfigOrThrow(
    `cluster: c
key: file:cluster.key
nodes:
  a: { networks: { heartbeat: [127.0.0.1], mirror: 127.0.9.1 } }
  b: { networks: { heartbeat: [127.0.0.2], mirror: 127.0.9.2 } }
  c: { networks: { heartbeat: [127.0.0.3], mirror: 127.0.9.3 } }
arbiter: { use: store }
ports: { mirror: 5000 }
groups:
  web: { prefer: [c], resources: { app: { use: other } } }
  one: { prefer: [a, b], resources: { data: { use: copy, ${key}: /dev/one } } }
  two: { prefer: [b, c], resources: { disk: { use: copy, ${key}: /dev/two, on: { c: { ${key}: /dev/far, mode: async } } } } }
`,
    join(directory, 'understudy.config.yaml'),
  );
  const sources: ProcessSources = {
    load: async () => ({
      config,
      arbiterOptions: {},
      mirrored: mirroredGroups(config, agents),
      processes: processPlans(config, agents),
    }),
    agentsOf: async () => agents,
  };
  const paths = { run: join(directory, 'run'), state: join(directory, 'state'), log: join(directory, 'log') };
  const words = (node: string) => ({ node, runDir: paths.run, stateDir: paths.state, logDir: paths.log });
  return { config, sources, paths, words };
};

test('which processes there are, on which nodes, and their ports: by the order of the file, the same on every node', (t) => {
  const { config } = scene(t);
  t.deepEqual(processPlans(config, agents), [
    { process: 'copies/mirror', group: 'one', resource: 'data', nodes: ['a', 'b'], port: 5000 },
    { process: 'copies/mirror', group: 'two', resource: 'disk', nodes: ['b', 'c'], port: 5001 },
  ]);
  t.deepEqual(mirroredGroups(config, agents), ['one', 'two']);
});

test('understudy run: one child for each process of this node, with words that name it', (t) => {
  const { config, paths } = scene(t);
  const plans = childPlans({ node: 'b' }, paths, LAN, {}, 'linux', processPlans(config, agents));
  t.deepEqual(
    plans.map(({ name }) => name),
    ['guard', 'leash', 'mirror.one.data', 'mirror.two.disk', 'controller'],
  );
  const args = plans[3]?.args ?? [];
  t.deepEqual(parseProcessWords(args.slice(1, 3)), { process: 'copies/mirror', group: 'two', resource: 'disk' });
  t.true(args.includes(paths.run));
  t.is(processName({ process: 'copies/mirror', group: 'two', resource: 'disk' }), 'mirror.two.disk');
});

test('words that name no process: said how to write them', (t) => {
  for (const words of [[], ['copies/mirror'], ['copies/mirror', 'two'], ['mirror', 'two.disk'], ['copies/mirror', '../x.y']])
    t.throws(() => parseProcessWords(words), { message: /write: understudy process PLUGIN\/NAME GROUP\.RESOURCE/ });
});

test.serial('started: what it is given, what it tells, and its end', async (t) => {
  const { sources, paths, words } = scene(t);
  const running = await startPluginProcess({ process: 'copies/mirror', group: 'two', resource: 'disk' }, words('b'), sources);
  const context = seen.at(-1)!;
  t.like(context, {
    cluster: 'c',
    node: 'b',
    group: 'two',
    resource: 'disk',
    options: { backing: '/dev/two', mode: 'sync' },
    networks: { mirror: ['127.0.9.2'], heartbeat: ['127.0.0.2'] },
    port: 5001,
    paths,
  });
  t.like(context.peers, [{ node: 'c', options: { backing: '/dev/far', mode: 'async' }, networks: { mirror: ['127.0.9.3'] } }]);
  t.is(context.peers.length, 1);
  t.like(context.leasePage.read(), { held: false, because: 'there is no lease page' });
  t.deepEqual(
    await context.guard.inSync({ group: 'two', change: 'remove', peer: 'c', bootId: null, epoch: 1, generation: '', limitMs: 10 }),
    {
      kind: 'refused',
      because: 'the guard is not connected',
    },
  );
  context.alarms.set('link', 'the peer is not reached');
  context.journal.write({ kind: 'mirror.link-down', group: 'two', because: 'of the test' });
  await running.stop();
  t.is(stopped, 1);
  const events = await readJournal(join(paths.state, 'journal'));
  t.deepEqual(
    events.map(({ kind, source }) => [kind, source]),
    [
      ['process.start', 'mirror.two.disk'],
      ['mirror.link-down', 'mirror.two.disk'],
    ],
  );
  const bootId = readBootId(paths);
  const file = alarmFile(paths, 'mirror.two.disk');
  t.deepEqual(readAlarms(systemFiles, file, bootId), ['the peer is not reached'], 'its end takes nothing back');
  t.deepEqual(readAlarms(systemFiles, file, 'another boot'), []);
  t.deepEqual(readAlarms(systemFiles, `${file}.x`, bootId), []);
  t.notThrows(() => JSON.parse(readFileSync(file, 'utf8')) as unknown);
});

test.serial('not to be started: another node, a resource without one, options that are wrong', async (t) => {
  const { sources, words } = scene(t);
  const start = (process: string, group: string, resource: string, node: string) =>
    startPluginProcess({ process, group, resource }, words(node), sources);
  await t.throwsAsync(start('copies/mirror', 'one', 'data', 'c'), { code: 'USAGE', message: /one runs on a and b, and this node is c/ });
  await t.throwsAsync(start('copies/mirror', 'web', 'app', 'c'), {
    code: 'USAGE',
    message: /has no process copies\/mirror web\.app; there are: copies\/mirror one\.data, copies\/mirror two\.disk/,
  });
  const wrong = scene(t, { key: 'baking' });
  await t.throwsAsync(startPluginProcess({ process: 'copies/mirror', group: 'one', resource: 'data' }, wrong.words('a'), wrong.sources), {
    code: 'CONFIG_INVALID',
    message: /one\.data on a: .*baking/,
  });
});

test('a plugin that is no part of the package may not have them; one that is must have what its agents ask for', (t) => {
  t.deepEqual(onlyBuiltIn(plugin), [
    'agent copy: mirror and process are for built-in plugins only',
    'processes are for built-in plugins only',
  ]);
  t.deepEqual(checkPlugin(plugin).problems, []);
  t.deepEqual(checkPlugin({ ...plugin, processes: {} }).problems, ['agent copy: there is no process "mirror" in processes']);
  t.deepEqual(checkPlugin({ ...plugin, processes: { mirror: 1 } }).problems.length, 1);
});
