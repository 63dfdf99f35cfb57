// `${resource.key}`: followed on each node, in the order of start, and refused in words where it cannot be. And mirrors.
import test from 'ava';
import type { Catalogue, CatalogueAgent } from '../../core/config/catalogue.js';
import { options, text, z } from '../../core/config/fields.js';
import { parseConfig, parseConfigOrThrow } from '../../core/config/parse.js';
import { toDesired } from '../../core/config/to-desired.js';

const agents: Readonly<Record<string, CatalogueAgent>> = {
  copies: {
    summary: 'Keeps two copies.',
    mirror: true,
    promotable: true,
    options: options({ backing: text('Where it lies.'), pass: text('A secret.').optional() }),
    outputs: ({
      group,
      resource,
      node,
      options: { backing },
    }: {
      group: string;
      resource: string;
      node: string;
      options: { backing: string };
    }) => ({
      device: `/dev/understudy/${group}-${resource}`,
      where: `${node}:${backing}`,
    }),
  },
  mount: { summary: 'Mounts.', options: options({ device: z.string().regex(/^\//, 'write an absolute path'), mount: text('Where.') }) },
};
const catalogue: Catalogue = { agents, arbiters: { store: null, none: null }, settings: {} };

const file = (resources: string, { prefer = '[a, b]', arbiter = 'store', mirror = '' } = {}) => `
cluster: c
key: file:/k
nodes:
  a: { networks: { heartbeat: [10.0.1.1, 10.1.1.1]${mirror} } }
  b: { networks: { heartbeat: [10.0.1.2, 10.1.2.2] } }
  c: { networks: { heartbeat: [10.0.1.3, 10.1.3.3] } }
arbiter: { use: ${arbiter} }
groups:
  db:
    prefer: ${prefer}
    resources:
${resources
  .trim()
  .split('\n')
  .map((line) => `      ${line.trim()}`)
  .join('\n')}
`;
const DATA = 'data: { use: copies, backing: /dev/one, on: { b: { backing: /dev/two } } }';
const optionsAt = (text: string, resource: string, node: string) => {
  const made = toDesired(parseConfigOrThrow(text, 'c.yaml', catalogue).config, (type) => agents[type], node);
  if ('problems' in made) throw new Error(JSON.stringify(made.problems));
  return made.desired.groups[0]?.resources.find(({ id }) => id === resource)?.options;
};
const said = (text: string): readonly string[] => {
  const parsed = parseConfig(text, 'c.yaml', catalogue);
  return 'problems' in parsed
    ? parsed.problems.map(({ path, message, hint }) => `${path}: ${message}${hint === undefined ? '' : ` (${hint})`}`)
    : [];
};

test('a reference: what the agent provides, the option of that node, inside a longer text', (t) => {
  const text = file(`${DATA}\nfs: { use: mount, device: "\${data.device}", mount: "/\${data.where}\${data.backing}" }`);
  t.deepEqual(optionsAt(text, 'fs', 'a'), { device: '/dev/understudy/db-data', mount: '/a:/dev/one/dev/one' });
  t.deepEqual(optionsAt(text, 'fs', 'b'), { device: '/dev/understudy/db-data', mount: '/b:/dev/two/dev/two' });
});

test('a reference through a reference; and what only looks like one stays', (t) => {
  const text = file(
    `${DATA}\nfs: { use: mount, device: "\${data.device}", mount: /m }\nlog: { use: mount, device: "\${fs.device}", mount: "\${HOME}" }`,
  );
  t.deepEqual(optionsAt(text, 'log', 'a'), { device: '/dev/understudy/db-data', mount: '${HOME}' });
});

const refused: [title: string, resources: string, problem: RegExp][] = [
  [
    'a name that is nearly one',
    `${DATA}\nfs: { use: mount, device: "\${dat.device}", mount: /m }`,
    /fs\.device: there is no resource "dat" to refer to \(did you mean "?data"?\?\)/,
  ],
  [
    'a key that is nearly one',
    `${DATA}\nfs: { use: mount, device: "\${data.devise}", mount: /m }`,
    /"data" \(copies\) provides no "devise" \(did you mean "?device"?\?\)/,
  ],
  [
    'something that starts later',
    `fs: { use: mount, device: "\${data.device}", mount: /m }\n${DATA}`,
    /"fs" refers to "data", which does not start before it \(put "data" before it, or write after: \[data\]\)/,
  ],
  ['itself', 'fs: { use: mount, device: "${fs.mount}", mount: /m }', /"fs" refers to itself/],
  [
    'a secret',
    'data: { use: copies, backing: /x, password: file:/p }\nfs: { use: mount, device: "${data.password}", mount: /m }',
    /password/,
  ],
  [
    'what the schema does not take',
    `${DATA}\nfs: { use: mount, device: "\${data.where}", mount: /m }`,
    /fs\.device: write an absolute path/,
  ],
  [
    'a circle',
    'x: { use: mount, after: [y], device: "${y.device}", mount: /m }\ny: { use: mount, after: [x], device: "${x.device}", mount: /m }',
    /goes round in a circle/,
  ],
];
for (const [title, resources, problem] of refused)
  test(`a reference to ${title}: refused`, (t) => t.regex(said(file(resources)).join('\n'), problem));

test('a mirror: two nodes, one in a group, a store', (t) => {
  t.deepEqual(said(file(DATA)), []);
  t.regex(
    said(file(DATA, { prefer: '[a, b, c]' })).join(),
    /data: a mirror has two copies, and db has 3 nodes \(name two: prefer: \[a, b\]\)/,
  );
  t.regex(said(file(DATA, { prefer: '[a]' })).join(), /db has 1 node \(/);
  t.regex(said(file(`${DATA}\nmore: { use: copies, backing: /dev/three }`)).join(), /more: db has a mirror already \("data"\)/);
  t.regex(said(file(DATA, { arbiter: 'none' })).join(), /a mirror needs a store/);
});

test('mirror networks: one address or several, and the same number on every node', (t) => {
  const three = (mirror: string) =>
    file(DATA).replaceAll(
      /(10\.1\.(\d)\.\d)\]/g,
      (_whole, address: string, n: string) => `${address}], mirror: ${mirror.replaceAll('N', n)}`,
    );
  const networks = (text: string) => parseConfigOrThrow(text, 'c.yaml', catalogue).config.nodes.map((node) => node.networks.mirror);
  t.deepEqual(networks(three('10.9.N.1')), [['10.9.1.1'], ['10.9.2.1'], ['10.9.3.1']]);
  t.deepEqual(networks(three('[10.9.N.1, 10.8.N.1]'))[1], ['10.9.2.1', '10.8.2.1']);
  t.deepEqual(networks(file(DATA)), [[], [], []]);
  t.regex(said(file(DATA, { mirror: ', mirror: 10.9.1.1' })).join(), /nodes\.b\.networks: 0 mirror networks here, but 1 on node a/);
});
