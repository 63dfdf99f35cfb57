// The door for plugins: found in every place, checked as a whole, built by the container, and harmless when broken.
import { fenceDevices } from '../../core/daemon/fence-devices.js';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import { container as rootContainer } from 'tsyringe';
import { agentsOf, catalogueOf, openConfig } from '../../core/plugin/catalogue-of.js';
import { checkPlugin, isClass } from '../../core/plugin/check.js';
import { loadPlugins, type LoadPluginsOptions } from '../../core/plugin/load.js';
import { Clock, systemClock } from '../../core/system/clock.js';
import { integrityOf } from '../../core/plugin/integrity.js';
import { FakeClock, makeMonitorContext, monitorOnce } from 'understudy/testkit';

const made: string[] = [];
const directory = (files: Readonly<Record<string, string>> = {}): string => {
  const root = mkdtempSync(join(tmpdir(), 'understudy-plugins-'));
  made.push(root);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
};
test.after.always(() => made.forEach((root) => rmSync(root, { recursive: true, force: true })));

const load = (root: string, configured: NonNullable<LoadPluginsOptions['configured']>, more: Partial<LoadPluginsOptions> = {}) =>
  loadPlugins({ builtin: false, directories: [], baseDirectory: root, configured, trustRootOnly: false, ...more });

/** A plugin as its author writes it, with the parts that matter to a test. */
const plugin = (name: string, agent: string, { more = '', head = '' } = {}) => `
  import { definePlugin, options, text } from 'understudy/plugin';
  import * as door from 'understudy/plugin';
  ${head}
  export default definePlugin({ name: '${name}', api: 1, agents: { '${name}': { summary: 'x', options: options({ word: text('A word') }), operations: 'none', agent: ${agent} } }, ${more} });`;
const online = "{ monitor: async () => 'online' }";
const stateOf = async (registry: Awaited<ReturnType<typeof load>>, type: string) =>
  monitorOnce(await registry.instance(type), makeMonitorContext({ options: {} as unknown }));

test('one .ts file with no build, outside any node_modules: loaded through the door', async (t) => {
  const root = directory({ 'one.ts': `interface Unused { readonly a: string }\n${plugin('one', online)}` });
  const registry = await load(root, ['./one.ts']);
  t.deepEqual(registry.found, [
    { name: 'one', version: 'unversioned', origin: 'config: ./one.ts', contributions: ['agent one'], problems: [] },
  ]);
  t.is((await stateOf(registry, 'one')).state, 'online');
  t.is(await registry.instance('one'), await registry.instance('one'));
});

test("places: directories by name, packages from the config file's directory, folders with an index; what is missing is a problem", async (t) => {
  const root = directory({
    'etc/b.ts': plugin('b', online),
    'etc/a.js': plugin('a', online),
    'etc/notes.txt': 'no plugin',
    'etc/c/index.ts': plugin('c', online),
    'etc/.hidden.ts': 'throw 1',
    'node_modules/@acme/oracle/package.json': '{ "name": "@acme/oracle", "type": "module", "exports": { "import": "./main.js" } }',
    'node_modules/@acme/oracle/main.js': plugin('oracle', online),
  });
  const registry = await load(root, ['@acme/oracle', '@acme/gone', './gone.ts', './etc'], {
    directories: [join(root, 'etc'), join(root, 'nowhere')],
  });
  t.deepEqual(
    registry.found.map(({ name, origin, problems }) => [name, origin, problems.length]),
    [
      ['oracle', 'package: @acme/oracle', 0],
      ['@acme/gone', 'package: @acme/gone', 1],
      ['gone', 'config: ./gone.ts', 1],
      ['etc', 'config: ./etc', 1],
      ['a', `directory: ${join(root, 'etc/a.js')}`, 0],
      ['b', `directory: ${join(root, 'etc/b.ts')}`, 0],
      ['c', `directory: ${join(root, 'etc/c')}`, 0],
    ],
  );
  t.regex(registry.found[1]!.problems[0]!, /package @acme\/gone was not found from .*a path begins with \.\//);
  t.deepEqual(registry.agentTypes, ['a', 'b', 'c', 'oracle']);
});

test('built-in plugins go through the same door, sorted, without a problem', async (t) => {
  const registry = await loadPlugins({ directories: [] });
  t.deepEqual(
    registry.found.filter(({ problems }) => problems.length > 0),
    [],
  );
  t.deepEqual(
    registry.found.map(({ origin }) => origin),
    registry.found.map(() => 'built-in'),
  );
});

test('a class gets what it asks for by token; a plugin provides more; a loader brings a module', async (t) => {
  const root = directory({
    'needs.ts': plugin('needs', 'Needs', {
      head: `const Greeting = Symbol('Greeting'); class Voice { word = 'hello'; }
        class Needs { static inject = [door.Clock, Greeting, Voice] as const; clock; greeting; voice;
          constructor(clock: any, greeting: string, voice: Voice) { this.clock = clock; this.greeting = greeting; this.voice = voice; }
          async monitor() { return { state: 'online', reason: this.greeting + ' ' + this.voice.word + ' ' + this.clock.nowMs() }; } }`,
      more: `settings: options({ name: text('x') }), provide: async (register, { name }) => { register.value(Greeting, 'dear ' + name); }`,
    }),
    'lazy.ts': plugin('lazy', "() => import('./lazy-agent.ts')"),
    'lazy-agent.ts': "export default class { monitor() { return Promise.resolve('offline' as const); } }",
  });
  const services = new Map<symbol, unknown>([[Clock, new FakeClock(5)]]);
  const registry = await load(root, ['./needs.ts', './lazy.ts'], { services, settings: { needs: { name: 'world' } } });
  t.is((await stateOf(registry, 'needs')).reason, 'dear world hello 5');
  t.is((await stateOf(registry, 'lazy')).state, 'offline');
  t.is(registry.settingsOwner('needs')?.name, 'needs');
  t.is(registry.settingsOwner('lazy'), undefined);

  const container = rootContainer.createChildContainer().register(Clock as never, { useValue: new FakeClock(7) });
  const other = await load(root, ['./needs.ts'], { container, settings: { needs: { name: 'you' } } });
  t.is((await stateOf(other, 'needs')).reason, 'dear you hello 7');
});

test('integrity: the pinned file is loaded, another one is refused with the fingerprint it has', async (t) => {
  const root = directory({ 'one.ts': plugin('one', online), 'two/index.ts': plugin('two', online) });
  const [one, two] = ['one.ts', 'two/index.ts'].map((name) => integrityOf(join(root, name))) as [string, string];
  t.regex(one, /^sha256-[A-Za-z0-9+/]{43}=$/);
  const good = await load(root, [
    { use: './one.ts', integrity: one },
    { use: './two', integrity: two },
  ]);
  t.deepEqual(
    good.found.flatMap(({ problems }) => problems),
    [],
  );
  t.is((await stateOf(good, 'one')).state, 'online');
  const bad = await load(root, [{ use: './one.ts', integrity: two }, './two']);
  t.deepEqual(bad.found[0]!.problems, [
    `${join(root, 'one.ts')} is not the file that the config pins: it has ${one}, and integrity says ${two}`,
  ]);
  t.is(bad.agent('one'), undefined);
  t.is((await stateOf(bad, 'two')).state, 'online');
});

test.serial('nothing is loaded from the working directory that the config does not name', async (t) => {
  const trap = 'globalThis.trapWasRun = true; export default {}';
  const root = directory({
    'plugins/a.js': trap,
    'understudy.plugin.js': trap,
    'index.js': trap,
    'node_modules/understudy-plugin-x/index.js': trap,
    'node_modules/@understudy/x/index.js': trap,
  });
  const before = process.cwd();
  process.chdir(root);
  t.teardown(() => process.chdir(before));
  const registry = await loadPlugins({ trustRootOnly: false });
  t.true(registry.found.every(({ origin }) => origin === 'built-in' || origin.startsWith('directory: /etc/understudy/plugins/')));
  t.false('trapWasRun' in globalThis);
});

test('settings are handed over frozen, at every depth', async (t) => {
  const root = directory({
    'grabs.ts': plugin('grabs', online, {
      head: "import { z } from 'understudy/plugin';",
      more: 'settings: z.strictObject({ deep: z.array(z.strictObject({ a: z.array(z.number()).readonly() })).readonly() }), provide: async (register, { deep }) => { deep[0].a.push(1); }',
    }),
  });
  const registry = await load(root, ['./grabs.ts'], { settings: { grabs: { deep: [{ a: [] }] } } });
  await t.throwsAsync(registry.instance('grabs'), { message: /provide failed: .*not extensible/ });
});

const broken: [title: string, source: string, expected: RegExp][] = [
  ['throws at import', 'throw new Error("no disk");', /could not be loaded: no disk/],
  ['does not parse', 'export default {', /could not be loaded: /],
  ['exports nothing', 'export const x = 1;', /has no plugin as its default export/],
  ['is of another api', 'export default { name: "x", api: 2 };', /is written for api 2, and this understudy speaks api 1/],
];
for (const [title, source, expected] of broken) {
  test(`a plugin that ${title}: listed with its problem, the others work`, async (t) => {
    const root = directory({ 'bad.ts': source, 'fine.ts': plugin('fine', online) });
    const registry = await load(root, ['./bad.ts', './fine.ts']);
    t.regex(registry.found[0]!.problems.join(), expected);
    t.deepEqual(registry.found[0]!.contributions, []);
    t.is((await stateOf(registry, 'fine')).state, 'online');
    await t.throwsAsync(registry.instance('bad'), { code: 'PLUGIN_INVALID', message: expected });
  });
}

test("a broken plugin's own agent types name its problem; a misspelt type gets the nearest", async (t) => {
  const root = directory({ 'bad.ts': plugin('bad', '{ monitor: 1 }'), 'fine.ts': plugin('fine', online) });
  const registry = await load(root, ['./bad.ts', './fine.ts']);
  await t.throwsAsync(registry.instance('bad'), {
    message: /^no agent "bad": plugin bad \(config: \.\/bad\.ts\) cannot be used: agent bad: agent "monitor" is not a function$/,
  });
  t.is(registry.agent('bad'), undefined);
  const alone = await load(root, ['./fine.ts']);
  await t.throwsAsync(alone.instance('fien'), { message: 'no plugin has an agent "fien": did you mean "fine"?' });
  t.is(alone.agent('toString'), undefined);
});

const unbuildable: [title: string, agent: string, options: { more?: string; head?: string }, expected: RegExp][] = [
  ['a loader that throws', '() => { throw new Error("gone"); }', {}, /agent bad could not be loaded: gone/],
  ['a loader that brings nothing', 'async () => 5', {}, /agent bad is neither an object of functions nor a class/],
  ['a class without a monitor', 'class { }', {}, /agent bad has no function "monitor"/],
  [
    'a constructor that throws',
    'class { constructor() { throw new Error("no"); } monitor() {} }',
    {},
    /agent bad could not be built: .*no/s,
  ],
  [
    'a token nobody registered',
    'class { static inject = [Symbol("Unknown")]; monitor() {} }',
    {},
    /could not be built: .*Symbol\(Unknown\)/,
  ],
  ['a class that does not say what it needs', 'class { constructor(clock) {} monitor() {} }', {}, /could not be built/],
  ['a provide that throws', online, { more: 'provide: () => { throw new Error("no cloud"); }' }, /plugin bad: provide failed: no cloud/],
  [
    'wrong settings',
    online,
    { more: 'settings: options({ region: text("x") }), provide: () => {}' },
    /plugin bad: its settings are wrong: bad\.region/,
  ],
];
for (const [title, agent, options, expected] of unbuildable) {
  test(`an agent with ${title}: PLUGIN_INVALID when it is asked for, not before`, async (t) => {
    const registry = await load(directory({ 'bad.js': plugin('bad', agent, options) }), ['./bad.js']);
    t.deepEqual(registry.found[0]?.problems, []);
    await t.throwsAsync(registry.instance('bad'), { code: 'PLUGIN_INVALID', message: expected });
    await t.throwsAsync(registry.instance('bad'), { code: 'PLUGIN_INVALID', message: expected });
  });
}

test('a plugin that never settles while loading, providing or building: late, and not waited for', async (t) => {
  const root = directory({
    'hangs.js': 'await new Promise(() => {});',
    'provides.js': plugin('provides', online, { more: 'provide: () => new Promise(() => {})' }),
    'loads.js': plugin('loads', '() => new Promise(() => {})'),
  });
  const impatient: Clock = { ...systemClock, after: (_ms, fire) => systemClock.after(300, fire) };
  const registry = await load(root, ['./hangs.js', './provides.js', './loads.js'], { clock: impatient });
  t.regex(registry.found[0]!.problems.join(), /loading did not end within 15000 ms/);
  await t.throwsAsync(registry.instance('provides'), { message: /provide did not end within/ });
  await t.throwsAsync(registry.instance('loads'), { message: /its loader did not end within/ });
});

test('what failed once may succeed later: provide is asked again', async (t) => {
  const registry = await load(
    directory({
      'p.js': plugin('p', online, {
        more: 'provide: () => { if (!(globalThis.triesOfP = (globalThis.triesOfP ?? 0) + 1, globalThis.triesOfP > 1)) throw new Error("not yet"); }',
      }),
    }),
    ['./p.js'],
  );
  await t.throwsAsync(registry.instance('p'), { message: /not yet/ });
  t.is((await stateOf(registry, 'p')).state, 'online');
});

test('a name that is taken: the later plugin is refused, whatever order the files have', async (t) => {
  const root = directory({
    'first.js': plugin('same', online),
    'second.js': plugin('same', "{ monitor: async () => 'faulted' }"),
    'third.js': plugin('third', online).replace("agents: { 'third'", "agents: { 'same'"),
  });
  const registry = await load(root, ['./first.js', './second.js', './third.js']);
  t.deepEqual(
    registry.found.map(({ problems }) => problems.length),
    [0, 2, 1],
  );
  t.regex(registry.found[2]!.problems[0]!, /agent "same" is taken by plugin same \(config: \.\/first\.js\)/);
  t.is((await stateOf(registry, 'same')).state, 'online');
});

test('the registry is frozen: every way to change it throws', async (t) => {
  const root = directory({ 'one.js': plugin('one', online, { more: 'hooks: { onFault: { limitMs: 5, run: async () => {} } }' }) });
  const registry = await load(root, ['./one.js']);
  const targets: readonly unknown[] = [
    registry,
    registry.found,
    registry.found[0],
    registry.found[0]?.contributions,
    registry.agentTypes,
    registry.agent('one'),
    registry.hooks('onFault')[0]?.definition,
  ];
  for (const target of targets) {
    t.throws(() => Object.assign(target as object, { summary: 'changed', name: 'changed', 0: 'changed' }), { instanceOf: TypeError });
    t.throws(() => Object.defineProperty(target, 'added', { value: 1 }), { instanceOf: TypeError });
  }
  t.is(registry.hooks('onFault')[0]?.plugin, 'one');
  t.deepEqual(registry.hooks('onFence'), []);
});

test('lazy contributions: arbiter, command and lab service are loaded when asked, and checked then', async (t) => {
  const root = directory({
    'p.js': `export default { name: 'p', api: 1, arbiters: { good: () => import('./arbiter.js'), bad: async () => ({ summary: 'x' }), gone: () => import('./gone.js') }, commands: { say: async () => ({ summary: 's', example: 'e', run: async () => 0 }) }, labServices: { cloud: async () => ({ summary: 's', start: async () => ({}) }) } };`,
    'arbiter.js': "globalThis.arbiterLoaded = true; export default { summary: 's', options: {}, open: async () => ({}) };",
  });
  const registry = await load(root, ['./p.js']);
  t.deepEqual([registry.arbiterNames, registry.commandNames], [['bad', 'gone', 'good'], ['say']]);
  t.false('arbiterLoaded' in globalThis);
  t.is((await registry.arbiter('good'))?.summary, 's');
  t.true('arbiterLoaded' in globalThis);
  t.is(await registry.arbiter('unknown'), undefined);
  await t.throwsAsync(registry.arbiter('bad'), { message: 'plugin p: arbiter bad lacks options, open' });
  await t.throwsAsync(registry.arbiter('gone'), { message: /plugin p: arbiter gone could not be loaded/ });
  t.is((await registry.command('say'))?.example, 'e');
  t.is((await registry.labServices[0]!.load()).summary, 's');
});

test('fences: opened with checked options and what the plugin provides; what cannot be opened says why, and may be tried again', async (t) => {
  const root = directory({
    'p.js': `
      import { options, text } from 'understudy/plugin';
      const token = Symbol('switch');
      const switches = { ready: false };
      globalThis.fenceSwitches = switches;
      const power = {
        summary: 's', limitMs: 5000, options: options({ outlet: text('Which') }),
        open: async ({ outlet }, { service }) => {
          if (!service(token).ready) throw new Error('the switch is away');
          return { fence: async ({ node }) => ({ evidence: node + ' at ' + outlet + ' is dark' }), close: async () => undefined };
        },
      };
      const hollow = { summary: 's', options: options({}), open: async () => ({}) };
      export default { name: 'p', api: 1, fences: { power: async () => power, hollow: async () => hollow }, provide: (register) => register.value(token, switches) };`,
  });
  const registry = await load(root, ['./p.js']);
  const context = { cluster: 'c', node: 'a', nodes: [], log: {} as never, run: async () => ({}) as never, clock: systemClock };
  t.true(registry.fenceNames.includes('power'));
  await t.throwsAsync(registry.openFence('powr', {}, context), { message: /no loaded plugin has a fence "powr": did you mean "power"/ });
  await t.throwsAsync(registry.openFence('power', { outlt: 1 }, context), { message: /fence power has wrong options/ });
  await t.throwsAsync(registry.openFence('hollow', {}, context), { message: /the device lacks fence, close/ });
  const config = {
    cluster: 'c',
    nodes: [],
    fencing: { levels: [[{ use: 'power', limitMs: null, nodes: ['b'], options: { outlet: '3' } }]] },
  };
  const around = { config: config as never, node: 'a', registry, exec: {} as never, clock: systemClock, log: () => ({}) as never };
  const handle = fenceDevices(around).levels[0]![0]!;
  t.is(handle.name, 'power (b)');
  await t.throwsAsync(handle.open(), { message: /fence power could not be opened: the switch is away/ });
  (globalThis as { fenceSwitches?: { ready: boolean } }).fenceSwitches!.ready = true;
  const { device, limitMs } = await handle.open();
  t.is(limitMs, 5000);
  const request = { node: 'b', bootId: 'b1', epoch: 1, attempt: 1, signal: new AbortController().signal, limitMs };
  t.deepEqual(await device.fence(request), { evidence: 'b at 3 is dark' });
  await handle.close();
});

test('shape: every error of a plugin at once', (t) => {
  const wrong = {
    name: 'Wrong Name',
    api: '1',
    agnets: {},
    provide: 1,
    settings: {},
    agents: {
      'Bad Type': { summary: 'x', options: checkPlugin, agent: online },
      web: {
        options: {},
        operations: 'on-of',
        promotable: 'yes',
        fencedByEpoch: 1,
        hardStop: [],
        defaults: { everyMs: 0, evryMs: 1 },
        agent: { monitor() {} },
        extra: 1,
      },
    },
    hooks: { afterFailovr: {}, afterStart: { run: 'x', limitMs: 0, onFailure: 'abort', on: 'both' } },
    arbiters: { x: {} },
  };
  t.deepEqual(checkPlugin(wrong).problems, [
    '"agnets" is not known here (did you mean "agents"?)',
    'name must be a text of a-z, 0-9 and "-"',
    'is written for api "1", and this understudy speaks api 1',
    'agent Bad Type: a type is named with a-z, 0-9 and "-"',
    'agent Bad Type: options must be a schema: options({ … }) with the builders of understudy/plugin',
    'agent Bad Type: agent is neither an object of functions nor a class',
    'agent web: "extra" is not known here (known: summary, options, operations, promotable, mirror, process, outputs, fencedByEpoch, defaults, permissions, programs, hardStop, agent)',
    'agent web: summary is missing: one sentence',
    'agent web: options must be a schema: options({ … }) with the builders of understudy/plugin',
    'agent web: operations "on-of" is not one of: on-off, on-only, none',
    'agent web: promotable must be true or false',
    'agent web: fencedByEpoch must be true, false or a function of the options',
    'agent web: hardStop must be a function',
    'agent web: defaults: "evryMs" is not known here (did you mean "everyMs"?)',
    'agent web: defaults: everyMs must be milliseconds greater than 0',
    'hook afterFailovr: there is no such hook point (did you mean "afterFailover"?)',
    'hook afterStart: run must be a function',
    'hook afterStart: limitMs must be milliseconds greater than 0: nothing waits for ever',
    'hook afterStart: on "both" is not one of: active, standby, all',
    'hook afterStart: onFailure "abort" is for before… only',
    "arbiter x: must be a function that loads it: () => import('./arbiter.js')",
    'settings must be a schema: options({ … }) with the builders of understudy/plugin',
    'provide must be a function',
  ]);
});

test('a class and a function that loads one are told apart', (t) => {
  class Plain {}
  const Old = function () {} as unknown as { prototype: Record<string, unknown> };
  Old.prototype['monitor'] = () => undefined;
  t.deepEqual([Plain, class {}, class extends Plain {}, Old, Object.assign(() => undefined, { inject: [] })].map(isClass), [
    true,
    true,
    true,
    true,
    true,
  ]);
  t.deepEqual([() => Plain, async () => Plain, function loader() {}, { monitor() {} }, null].map(isClass), [
    false,
    false,
    false,
    false,
    false,
  ]);
});

test("root's rule on real files: a writable plugin is not loaded", async (t) => {
  const root = directory({ 'open.js': 'globalThis.openWasRun = true; export default {}' });
  chmodSync(join(root, 'open.js'), 0o666);
  symlinkSync(join(root, 'open.js'), join(root, 'link.js'));
  for (const name of ['./open.js', './link.js']) {
    const registry = await load(root, [name], { trustRootOnly: true });
    t.regex(
      registry.found[0]!.problems.join(),
      process.getuid?.() === 0 ? /is not loaded as root: .* is writable by everybody/ : /belongs to uid/,
    );
  }
  t.false('openWasRun' in globalThis);
});

const cluster = (root: string, resource: string, head = '') => {
  writeFileSync(
    join(root, 'understudy.config.yaml'),
    `cluster: c
key: file:k
nodes: { a: { networks: { heartbeat: [10.0.1.1, 10.0.2.1] } }, b: { networks: { heartbeat: [10.0.1.2, 10.0.2.2] } } }
arbiter: { use: store, address: x }
watchdog: socket:/run/dog
plugins: [./p.js, ./store.js]
${head}
groups: { g: { resources: { r: ${resource} } } }
`,
  );
  return { workingDirectory: root, builtin: false, directories: [], trustRootOnly: false, systemDirectory: root };
};
const store =
  "import { options, text } from 'understudy/plugin'; export default { name: 'store', api: 1, arbiters: { store: async () => ({ summary: 's', options: options({ address: text('Where') }), open: async () => ({}) }) } };";

test('from the file to a checked config with its plugins in one call', async (t) => {
  const root = directory({ 'p.js': plugin('p', online), 'store.js': store });
  const { config, registry, warnings } = await openConfig(cluster(root, '{ use: p, word: hello }'));
  t.deepEqual([config.groups[0]?.resources[0]?.options, registry.agentTypes, warnings], [{ word: 'hello' }, ['p'], []]);
  await t.throwsAsync(openConfig(cluster(root, '{ use: p, wrod: hello }')), {
    code: 'CONFIG_INVALID',
    message: /understudy\.config\.yaml:8:\d+: groups\.g\.resources\.r\.wrod: "wrod" is not known here \(did you mean "word"\?\)/,
  });
  t.deepEqual(Object.keys((await catalogueOf(registry, { arbiter: 'store' })).arbiters), ['store']);
});

test('a broken plugin: check refuses the config, a daemon goes on and faults its resources only', async (t) => {
  const root = directory({ 'p.js': 'throw new Error("no disk")', 'store.js': store });
  const options = cluster(root, '{ use: p, word: hello }', 'p: { region: here }');
  await t.throwsAsync(openConfig(options), { code: 'CONFIG_INVALID', message: /there is no agent "p"/ });
  const { config, registry, warnings } = await openConfig({ ...options, lenient: true });
  t.is(config.groups[0]?.resources[0]?.use, 'p');
  t.deepEqual(
    warnings.map(({ path }) => path),
    ['p', 'groups.g.resources.r.use'],
  );
  t.regex(agentsOf(registry)('p').summary, /no loaded plugin has an agent "p"/);
  await t.throwsAsync(registry.instance('p'), { message: /no disk/ });
});

test('templates/plugin: the single file is loaded as it is and does its job', async (t) => {
  const root = directory();
  copyFileSync('templates/plugin/http-service.ts', join(root, 'http-service.ts'));
  const registry = await load(root, [], { directories: [root] });
  t.deepEqual(
    registry.found.map(({ contributions, problems }) => [contributions, problems]),
    [[['agent http-service', 'hook afterFailover'], []]],
  );
  const server = createServer((request, response) => response.writeHead(request.url === '/health' ? 200 : 500).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const agent = await registry.instance('http-service');
  const ask = (path: string) => monitorOnce(agent, makeMonitorContext({ options: { url: url + path, status: 200 } }));
  t.deepEqual([(await ask('/health')).state, (await ask('/other')).state], ['online', 'faulted']);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  t.is((await ask('/health')).state, 'offline');
  t.is(
    (await monitorOnce(agent, makeMonitorContext({ options: { url: 'http://127.0.0.1:1', status: 200 }, signal: AbortSignal.abort() })))
      .state,
    'unknown',
  );
});
