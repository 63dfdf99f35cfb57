// The config file: everything that is wrong at once and where, what a good one means, and that no text at all can break it.
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { atNode, whichNode } from '../../core/config/identity.js';
import { findCycle, startOrder } from '../../core/config/order.js';
import { parseConfig, parseConfigOrThrow, peekConfig } from '../../core/config/parse.js';
import { protectionOf } from '../../core/config/protection.js';
import { editDistance, nearest } from '../../core/config/nearest.js';
import { formatProblem } from '../../core/config/problem.js';
import { RESOURCE_DEFAULTS, toDesired } from '../../core/config/to-desired.js';
import type { UnderstudyError } from '../../core/errors/errors.js';
import { catalogue } from './catalogue.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 200);
const good = readFileSync('test/config/good.yaml', 'utf8');
const agents = (type: string) => catalogue.agents[type];
const configOf = (text: string, file = '/etc/understudy/understudy.config.yaml') => parseConfigOrThrow(text, file, catalogue).config;

/** The line itself, with what a person reads of it. */
const said = (text: string, file = 'x.yaml'): string[] => {
  const parsed = parseConfig(text, file, catalogue);
  return [
    ...('problems' in parsed ? parsed.problems.map((problem) => formatProblem(problem)) : []),
    ...parsed.warnings.map((warning) => `warning ${formatProblem(warning)}`),
  ];
};

// Each broken file has its exact messages beside it, in file order: NAME.txt.
const broken = readdirSync('test/config/broken')
  .filter((name) => !name.endsWith('.txt'))
  .sort();
test('there are twenty broken configs or more', (t) => t.true(broken.length >= 20));
for (const name of broken) {
  test(`broken/${name}: exactly the messages of its .txt, all at once`, (t) => {
    const expected = readFileSync(`test/config/broken/${name.replace(/\.\w+$/, '.txt')}`, 'utf8')
      .trimEnd()
      .split('\n');
    t.deepEqual(said(readFileSync(`test/config/broken/${name}`, 'utf8'), name), expected);
    t.true('problems' in parseConfig(readFileSync(`test/config/broken/${name}`, 'utf8'), name, catalogue));
  });
}

test('the good file: no problem, no warning, defaults filled in, paths beside the file', (t) => {
  t.deepEqual(said(good), []);
  const config = configOf(good);
  t.is(config.keyFile, '/etc/understudy/cluster.key');
  t.deepEqual(config.watchdog, { driver: 'socket', path: '/run/dog/{node}.sock' });
  t.is(atNode('/run/dog/{node}.sock', 'a'), '/run/dog/a.sock');
  const device = configOf(good.replace(/watchdog: .*\n/, 'watchdog: device:/dev/watchdog1\n'));
  t.deepEqual(device.watchdog, { driver: 'device', path: '/dev/watchdog1' });
  t.is(device.timing.watchdogGranularityMs, 1000);
  t.is(device.timing.watchdogLingerMs, device.timing.watchdogMs);
  t.deepEqual(config.ports, { heartbeat: 4470, link: 4471, witness: 4472, api: 4473, mirror: 4480 });
  t.deepEqual(config.fencing, {
    policy: 'watchdog',
    unsafe: false,
    levels: [],
    delay: { standbyMs: 20_000, randomMs: 10_000 },
  });
  t.deepEqual(config.addresses, { kind: 'system' });
  t.deepEqual(config.settings, { cloud: { region: 'here' } });
  const [group] = config.groups;
  t.deepEqual(group?.failover, { max: 2, withinMs: 3_600_000 });
  t.deepEqual(group?.hooks, [
    {
      point: 'beforeFailover',
      name: './scripts/move-route.sh',
      run: { kind: 'script', argv: ['/etc/understudy/scripts/move-route.sh', '{group}'] },
      timeoutMs: 30_000,
      onFailure: 'abort',
      on: 'active',
      platform: 'any',
      order: 'normal',
    },
  ]);
  t.deepEqual(
    group?.resources.find(({ id }) => id === 'second')?.options,
    { address: '192.168.0.11' },
    'a merged block counts, and its own key wins',
  );
  t.deepEqual(group?.resources[2]?.options['start'], ['/opt/jobs', '${vip.address}'], 'references stay as they are');
});

test('fencing by default: what the hosts can keep', (t) => {
  t.is(configOf(good.replace('fencing: { policy: watchdog }\n', '')).fencing.policy, 'watchdog');
  t.is(configOf(good.replace('fencing: { policy: watchdog }\n', '').replace(/watchdog: .*\n/, '')).fencing.policy, 'required');
  t.deepEqual(said(good.replace('{ policy: watchdog }', '{ policy: none, unsafe: true }')), [
    'warning x.yaml:8:20: fencing.policy: unsafe: two nodes may run the group at once',
  ]);
});

test('without a catalogue: options are opaque, the meaning and its hash are the same', (t) => {
  const bare = parseConfigOrThrow(good, '/other/place/understudy.config.yaml').config;
  t.is(bare.cfgHash, configOf(good).cfgHash);
  t.true('config' in parseConfig(good.replace('use: floating', 'use: anything, nonsense: 1'), 'x.yaml'));
  const misspelt = parseConfig(good.replace('groups:', 'grups:'), 'x.yaml');
  t.true('problems' in misspelt && misspelt.problems.some(({ hint }) => hint === 'did you mean "groups"?'));
});

test('the hash: of the meaning, not of the writing, and without secrets', (t) => {
  const hash = configOf(good).cfgHash;
  t.is(configOf(`# a comment\n${good.replace('failback: never', 'failback:    "never"')}`).cfgHash, hash);
  t.is(configOf(good.replace('    failback: never\n', '')).cfgHash, hash, 'a default written out changes nothing');
  t.is(
    configOf(good.replace('key: file:cluster.key', 'key: file:/elsewhere/cluster.key')).cfgHash,
    hash,
    'where the key lies is a host matter',
  );
  t.not(configOf(good.replace('192.168.0.10', '192.168.0.12')).cfgHash, hash);
  const withPassword = (password: string) =>
    parseConfigOrThrow(good.replace('use: store,', `use: store, dbPassword: ${password},`), 'x.yaml').config.cfgHash;
  t.is(withPassword('file:/one'), withPassword('file:/two'));
  for (const literal of ['one', '1234', "'fil'"])
    t.throws(() => withPassword(literal), { message: /dbPassword: a secret does not belong in this file/ });
  const said = t.throws(() => withPassword('hunter2'));
  t.false(JSON.stringify([said.message, said.stack]).includes('hunter2'));
});

test('JSON with tabs is read by the same parser', (t) => {
  const { config } = parseConfigOrThrow(
    JSON.stringify(
      {
        cluster: 'c',
        key: 'file:k',
        nodes: { a: { networks: { heartbeat: ['10.0.0.1'] } }, b: { networks: { heartbeat: ['10.0.0.2'] } } },
        arbiter: { use: 'store', address: 'x' },
        groups: { g: { resources: { v: { use: 'floating', address: '1' } } } },
      },
      null,
      '\t',
    ),
    '/x/y.json',
    catalogue,
  );
  t.is(config.cluster, 'c');
});

const protections: [fencing: string, expected: RegExp][] = [
  ['watchdog', /watchdog \(socket\) has reset it when the takeover wait is over$/],
  ['{ policy: watchdog, use: bare }', /also fenced in the background by bare$/],
  ['required', /or a person says: understudy fence confirm$/],
  [
    '{ policy: required, levels: [[{ use: power, outlet: 1 }, { use: bare }], [{ use: bare }]] }',
    /or is seen off by power and bare, else bare$/,
  ],
  ['{ policy: none, unsafe: true }', /nothing protects it/],
];
for (const [fencing, expected] of protections)
  test(`what protects a group, fencing ${fencing}`, (t) => {
    const [sentence = ''] = protectionOf(configOf(good.replace('fencing: { policy: watchdog }', `fencing: ${fencing}`)));
    t.regex(sentence, expected);
    t.regex(sentence, /^orders-db: /);
  });

test('fencing: the short form is one level of one device; levels keep their order and their own keys', (t) => {
  const fencing = (text: string) => configOf(good.replace('fencing: { policy: watchdog }', `fencing: ${text}`)).fencing;
  t.deepEqual(fencing('{ policy: required, use: power, outlet: 3, timeout: 30s }').levels, [
    [{ use: 'power', limitMs: 30_000, nodes: null, options: { outlet: 3 } }],
  ]);
  const two = fencing(
    '{ policy: required, levels: [[{ use: power, outlet: 1, nodes: [a] }, { use: power, outlet: 2, nodes: [b] }], [{ use: bare }]] }',
  );
  t.deepEqual(two.levels, [
    [
      { use: 'power', limitMs: null, nodes: ['a'], options: { outlet: 1 } },
      { use: 'power', limitMs: null, nodes: ['b'], options: { outlet: 2 } },
    ],
    [{ use: 'bare', limitMs: null, nodes: null, options: {} }],
  ]);
  t.deepEqual(fencing('{ use: bare, delay: { standby: 5s } }').delay, { standbyMs: 5_000, randomMs: 10_000 });
});

test('a broken file as an error: every problem in the message, the code of timing only when nothing else is wrong', (t) => {
  const both = t.throws(() => configOf(readFileSync('test/config/broken/06-misspelt-words.yaml', 'utf8')));
  t.is((both as UnderstudyError).code, 'CONFIG_INVALID');
  t.regex(both!.message, /has 7 problems:\n[^]*:11:15: groups\.db\.failback/);
  t.is(
    (t.throws(() => configOf(readFileSync('test/config/broken/17-unsafe-timing.yaml', 'utf8'))) as UnderstudyError).code,
    'TIMING_UNSAFE',
  );
});

test('tables in the place of texts and lists, with a length of their own: refused, never a throw of another kind', (t) => {
  const lengths = ['1', 'null', '{}', '[{}]', '{ toString: 1, valueOf: 1 }', '[{ valueOf: {}, toString: {} }]', '.inf', '!!binary aGk='];
  const places = [
    /(?<=^cluster: ).*/m,
    /(?<=prefer: ).*/,
    /(?<=heartbeat: )\[[^\]]*\]/,
    /(?<=^plugins: ).*/m,
    /(?<=failback: ).*/,
    /(?<=use: )\w+/,
    /(?<=^watchdog: ).*/m,
  ];
  for (const length of lengths)
    for (const place of places) {
      const text = good.replace(place, `{ length: ${length} }`);
      if (text !== good) t.true('problems' in parseConfig(text, 'x.yaml'), `${String(place)} ${length}`);
    }
});

test('peek: what must be loaded first, also from a file that is wrong', (t) => {
  t.deepEqual(peekConfig(good, 'x.yaml'), {
    plugins: ['./plugins/redis.ts', '@acme/understudy-oracle'],
    arbiter: 'store',
    fences: [],
    settings: { cloud: { region: 'here' } },
  });
  t.deepEqual(peekConfig('{', 'x.yaml'), { plugins: [], arbiter: null, fences: [], settings: {} });
  t.deepEqual(peekConfig('fencing: { levels: [[{ use: power }, { use: 1 }], { use: power }, 3] }', 'x.yaml').fences, ['power']);
  const pin = `sha256-${'A'.repeat(43)}=`;
  t.deepEqual(peekConfig(`plugins: [{ use: p, integrity: ${pin} }, { use: q }]`, 'x.yaml').plugins, [{ use: 'p', integrity: pin }]);
  t.throws(() => configOf(good.replace('[./plugins/redis.ts,', '[{ use: x, integrity: sha256-xyz },')), {
    message: /plugins\[0\].*understudy plugins hash FILE/,
  });
  t.deepEqual(peekConfig('plugins: [1, p]\narbiter: []', 'x.yaml'), { plugins: ['p'], arbiter: null, fences: [], settings: {} });
});

test('preempt: the options decide where the agent lets them', (t) => {
  const preempt = good
    .replace('takeover: lease', 'takeover: preempt')
    .replace('start: [/opt/jobs, "${vip.address}"]', 'start: [/opt/jobs], grace: 2m');
  t.regex(said(preempt).join('\n'), /"pg" \(program\) is not one/);
  t.deepEqual(said(preempt.replace('grace: 5s', 'grace: 2m')), []);
});

test("to-desired: this node's overrides, the agents' defaults, the file's last word, start order", (t) => {
  const config = configOf(good);
  for (const [node, port] of [
    ['a', 1],
    ['b', 2],
  ] as const) {
    const result = toDesired(config, agents, node);
    if (!('desired' in result)) return t.fail();
    const [group] = result.desired.groups;
    t.deepEqual(
      group?.resources.map(({ id }) => id),
      ['vip', 'pg', 'jobs', 'second'],
    );
    const [vip, pg, jobs] = group!.resources;
    t.deepEqual(vip?.options, { address: '192.168.0.10', port, mode: 'safe' });
    t.deepEqual(
      [vip?.everyMs, vip?.startTimeoutMs, vip?.fencedByEpoch, vip?.operations],
      [RESOURCE_DEFAULTS.everyMs, 60_000, true, 'on-off'],
    );
    t.deepEqual([pg?.everyMs, pg?.startTimeoutMs, pg?.stopTimeoutMs, pg?.restart], [5000, 90_000, 60_000, { max: 3, withinMs: 1_200_000 }]);
    t.deepEqual([jobs?.everyMs, jobs?.startTimeoutMs, jobs?.critical], [1000, 30_000, false]);
    t.deepEqual(
      group?.resources.map(({ after }) => after),
      [[], ['vip'], ['vip'], []],
    );
    t.is(result.desired.cfgHash, config.cfgHash);
  }
});

test('to-desired without the agents: problems, no throw', (t) => {
  const result = toDesired(configOf(good), () => undefined, 'a');
  t.deepEqual(
    'problems' in result ? result.problems.map(({ path }) => path) : [],
    ['vip', 'pg', 'jobs', 'second'].map((id) => `groups.orders-db.resources.${id}.use`),
  );
});

test('which node: named, else by an address of this host', (t) => {
  const config = configOf(good);
  t.is(whichNode(config, 'b', []), 'b');
  t.is(whichNode(config, undefined, ['127.0.0.1', '10.0.22.10']), 'b');
  t.throws(() => whichNode(config, 'c', []), { message: /there is no node "c".*there are: a, b/ });
  t.throws(() => whichNode(config, undefined, ['127.0.0.1']), { message: /no address of any/ });
  t.throws(() => whichNode(config, '', ['10.0.1.10', '10.0.2.10']), { message: /addresses of a and b/ });
});

test('did you mean: near words only', (t) => {
  t.deepEqual(
    ['routetables', 'adress', 'taekover', 'x', 'vp', 'zzzz'].map((word) => nearest(word, ['routeTables', 'address', 'takeover', 'vip'])),
    ['routeTables', 'address', 'takeover', undefined, 'vip', undefined],
  );
  t.is(editDistance('ab', 'ba'), 1);
});

const graph = fc
  .uniqueArray(fc.stringMatching(/^[a-h]$/), { minLength: 1, maxLength: 8 })
  .chain((ids) => fc.tuple(...ids.map((id) => fc.record({ id: fc.constant(id), after: fc.option(fc.subarray(ids), { nil: null }) }))));
test('start order: every resource once; without a circle, each behind all it comes after; stable', (t) => {
  fc.assert(
    fc.property(graph, (resources) => {
      const order = startOrder(resources).map(({ id }) => id);
      t.deepEqual([...order].sort(), resources.map(({ id }) => id).sort());
      const cycle = findCycle(resources);
      if (cycle !== null) {
        t.is(cycle[0], cycle.at(-1));
        return;
      }
      for (const [index, { id, after }] of resources.entries()) {
        for (const before of after ?? resources.slice(index - 1, index).map((one) => one.id))
          t.true(index === 0 && after === null ? true : order.indexOf(before) < order.indexOf(id));
      }
    }),
    { numRuns },
  );
  t.deepEqual(
    startOrder([
      { id: 'c', after: [] },
      { id: 'a', after: [] },
      { id: 'b', after: ['c'] },
    ]).map(({ id }) => id),
    ['c', 'a', 'b'],
  );
});

test('any text, any structure: problems or a config, never a throw', (t) => {
  const anything = fc.oneof(
    fc.string({ maxLength: 400 }),
    fc.string({
      unit: fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ':',
        ' ',
        '\n',
        '-',
        '&a',
        '*a',
        '<<',
        '"',
        "'",
        '#',
        '!',
        '|',
        '>',
        '?',
        '__proto__',
        'nodes',
        'groups',
        '1',
        '\t',
      ),
      maxLength: 80,
    }),
    fc.json(),
    fc
      .record(
        {
          cluster: fc.jsonValue(),
          key: fc.jsonValue(),
          nodes: fc.dictionary(fc.string(), fc.jsonValue()),
          arbiter: fc.jsonValue(),
          timing: fc.jsonValue(),
          groups: fc.dictionary(
            fc.string(),
            fc.dictionary(fc.constantFrom('resources', 'hooks', 'prefer', 'takeover'), fc.dictionary(fc.string(), fc.jsonValue())),
          ),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
    fc
      .tuple(fc.nat(good.length), fc.nat(20), fc.string({ maxLength: 8 }))
      .map(([at, drop, add]) => good.slice(0, at) + add + good.slice(at + drop)),
  );
  fc.assert(
    fc.property(anything, (text) => {
      for (const known of [catalogue, undefined]) {
        const parsed = parseConfig(text, 'fuzz.yaml', known);
        if ('problems' in parsed) {
          t.true(parsed.problems.length > 0);
          for (const problem of parsed.problems) t.true(problem.line >= 1 && problem.column >= 1 && problem.message !== '');
        } else if (known !== undefined) t.true('desired' in toDesired(parsed.config, agents, 'a'));
      }
    }),
    { numRuns: numRuns * 2 },
  );
});

test('nesting without end, a structure that holds itself, a huge file: problems', (t) => {
  for (const text of [
    `a: ${'['.repeat(20_000)}`,
    `a: ${'{b: '.repeat(3000)}`,
    `a: ${'['.repeat(40)}${']'.repeat(40)}`,
    'a: &x { b: *x }',
    `a: ${'x'.repeat(2_000_000)}`,
  ]) {
    t.true('problems' in parseConfig(text, 'x.yaml', catalogue), text.slice(0, 20));
  }
});
