// What the pages say is what the code does: tables, examples, commands, links. To refresh the tables that are made from the code:
// UPDATE_DOCS=1 npx ava test/docs/docs.test.ts
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import test from 'ava';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { ERRORS } from '../../core/errors/errors.js';
import { HOOK_POINTS } from '../../core/model/desired.js';
import { proveTiming, timingProfile } from '../../core/config/timing.js';
import { loadPlugins } from '../../core/plugin/load.js';
import { hookEnvironment } from '../../core/scheduler/hooks.js';
import { systemExec } from '../../core/system/exec-system.js';
import { problemsOf, warningsOf } from './accepted.js';
import { linesOf, told, unknownIn } from './command-lines.js';
import { fired, readKinds, writtenKinds } from './journal-kinds.js';
import { blocksOf, linksOf, pages } from './pages.js';
import { allCommands, commandReference, configMessages, errorTable, fill } from './tables.js';

const all = pages();
const page = (file: string): string => readFileSync(file, 'utf8');
/** First cells of every table row of a page, without the marks of code; one row may name several. */
const named = (text: string, pattern: RegExp): readonly string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...line.split(' | ')[0]!.matchAll(pattern)].map(([, name = '']) => name));

test('reference pages: what is made from the code is as the code is', async (t) => {
  const makers = { commands: await commandReference(), errors: errorTable(), 'config-messages': configMessages() };
  for (const file of ['docs/reference/cli.md', 'docs/reference/errors.md', 'docs/reference/config-messages.md']) {
    const text = fill(page(file), makers);
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, text);
    t.is(page(file), text, `${file} is out of date: UPDATE_DOCS=1 npx ava test/docs/docs.test.ts`);
  }
  t.throws(() => fill('<!-- made: nothing -->\n<!-- end -->', makers), { message: /nothing makes "nothing"/ });
});

test('docs/reference/errors.md: exactly the codes there are', (t) => {
  t.deepEqual(named(page('docs/reference/errors.md'), /`([A-Z_]+)`/g), Object.keys(ERRORS));
});

test('docs/reference/events.md: exactly the kinds that the code writes, and all that explain reads', (t) => {
  const written = writtenKinds();
  t.true(written.length > 40, 'the scan finds them');
  const text = page('docs/reference/events.md');
  t.deepEqual([...named(text, /`([a-z.-]+)`/g)].sort(), written);
  t.deepEqual(
    readKinds().filter((kind) => !written.includes(kind) && !text.includes(`\`${kind}\``)),
    [],
  );
});

test('docs/reference/hooks.md: every point in the order of the model, and those that nothing runs are named', (t) => {
  const text = page('docs/reference/hooks.md');
  const rows = text.split('\n').filter((line) => /^\| `(before|after|on)[A-Z]/.test(line));
  t.deepEqual(
    rows.map((row) => /`(\w+)`/.exec(row)![1]),
    [...HOOK_POINTS],
  );
  t.deepEqual(
    rows.filter((row) => row.includes('| not yet')).map((row) => /`(\w+)`/.exec(row)![1]),
    HOOK_POINTS.filter((point) => !fired().has(point)),
  );
  const moment = { epoch: 1, from: null, to: null, incident: null, because: '', role: 'active' } as const;
  t.deepEqual(named(text, /`(UNDERSTUDY_\w+)`/g), Object.keys(hookEnvironment({ cluster: 'c', node: 'a' }, 'g', 'onFault', moment)));
});

test("docs/reference/plugin-api.md: its members are the contract's", (t) => {
  const contract = readFileSync('core/plugin/contract.ts', 'utf8');
  const membersOf = (name: string) => {
    const [, body = ''] = new RegExp(`export interface ${name}[^{]*\\{\\n([^]*?)\\n\\}`).exec(contract) ?? [];
    return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, member]) => member!);
  };
  const text = page('docs/reference/plugin-api.md');
  const section = (title: string) => named(text.split(`## ${title}`)[1]!.split('\n## ')[0]!, /`(\w+)`/g);
  t.deepEqual(section('Members of a plugin'), membersOf('Plugin'));
  t.deepEqual(section('Members of an agent definition'), membersOf('AgentDefinition'));
  t.deepEqual([...section('Functions of an agent')].sort(), membersOf('Agent').sort());
});

test('links: every relative one leads to a file', (t) => {
  const dead = all.flatMap((one) =>
    linksOf(one)
      .filter((target) => !existsSync(join(dirname(one.file), target)))
      .map((target) => `${one.file}: ${target}`),
  );
  t.deepEqual(dead, []);
  const index = linksOf({ file: 'docs/index.md', text: page('docs/index.md') }).map((target) => join('docs', target));
  const missing = all
    .map(({ file }) => file)
    .filter((file) => file.startsWith('docs/') && file !== 'docs/index.md' && !file.startsWith('docs/adr/') && !index.includes(file));
  t.deepEqual(missing, [], 'docs/index.md leads to every page');
});

test('commands in code blocks: each exists, with these options', async (t) => {
  const commands = await allCommands();
  const lines = all.flatMap((one) => blocksOf(one).flatMap(linesOf));
  t.true(lines.length > 40, `${lines.length} found`);
  t.deepEqual(
    lines.flatMap(({ words, where }) => unknownIn(words, commands).map((what) => `${where}: ${what}`)),
    [],
  );
  t.deepEqual(unknownIn(['lab', 'exec', 'a', '--', 'understudy', 'statsu'], commands), ['there is no command statsu']);
  t.deepEqual(unknownIn(['status', '--wach'], commands), ['status has no option --wach']);
  t.deepEqual(unknownIn(['lab', 'fly'], commands), ['there is no command lab fly']);
});

test('commands that the program tells people to type exist', async (t) => {
  const commands = (await allCommands()).map(({ command }) => command.name());
  t.deepEqual(
    told().filter(({ command }) => !commands.includes(command)),
    [],
  );
});

const yaml = all.flatMap((one) => blocksOf(one).filter(({ language }) => language === 'yaml'));
test('there are config examples', (t) => t.true(yaml.length >= 10));
for (const block of yaml) {
  test(`${block.file}:${block.line}: a config, or a part of one, that understudy accepts`, async (t) => {
    t.deepEqual(await problemsOf(block.text), []);
  });
}

for (const name of ['overlay-ip', 'secondary-ip', 'ip-address']) {
  test(`templates/clusters/${name}: accepted as it is, without a warning that its page does not explain`, async (t) => {
    const text = page(`templates/clusters/${name}/understudy.config.yaml`);
    t.is(parseAllDocuments(text).length, 1);
    t.deepEqual(await problemsOf(text), []);
    const readme = page('templates/clusters/README.md');
    for (const warning of await warningsOf(text)) t.true(readme.includes(warning), warning);
    const cut = parse(text) as { groups: Record<string, { resources: Record<string, object> }> };
    for (const resource of Object.values(Object.values(cut.groups)[0]!.resources)) Object.assign(resource, { adress: 'x' });
    t.true(
      (await problemsOf(stringify(cut))).some((problem) => problem.includes('adress')),
      "the check reaches the agents' options",
    );
  });
}

test('docs/explanation/timing.md: the worst cases are those that check computes', (t) => {
  const text = page('docs/explanation/timing.md');
  for (const name of ['lan', 'fast', 'standard'] as const) {
    const proof = proveTiming(timingProfile(name));
    const [row = ''] = text.split('\n').filter((line) => line.startsWith(`| \`${name}\``));
    const cells = [proof.takeoverWorstMs, proof.preemptWorstMs.renewal, proof.preemptWorstMs.none, proof.plannedWorstMs].map(
      (ms) => `${(ms / 1000).toFixed(2)} s`,
    );
    t.deepEqual(
      row
        .split('|')
        .map((cell) => cell.trim())
        .slice(2, 6),
      cells,
    );
  }
  for (const { id, text: formula } of proveTiming(timingProfile('standard')).inequalities)
    t.true(text.includes(`| ${id} | \`${formula}\` |`), `${id} ${formula}`);
});

const DIRECTORY = 'dist/docs-plugins';
const plugins = all.flatMap((one) => blocksOf(one).filter(({ language, text }) => language === 'ts' && text.includes('definePlugin')));
test('plugins in the pages: they compile with the strict settings of the templates, and load as they are', async (t) => {
  t.true(plugins.length > 0);
  mkdirSync(DIRECTORY, { recursive: true, mode: 0o755 });
  copyFileSync('templates/plugin/tsconfig.json', join(DIRECTORY, 'tsconfig.json'));
  const files = plugins.map(({ text }, index) => {
    const file = join(DIRECTORY, `plugin-${index}.ts`);
    writeFileSync(file, text, { mode: 0o644 });
    return file;
  });
  const compiled = await systemExec().run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', DIRECTORY], { timeoutMs: 50_000 });
  t.is(`${compiled.stdout}${compiled.stderr}`, '');
  const { found } = await loadPlugins({ builtin: false, directories: [], configured: files.map((file) => resolve(file)) });
  t.deepEqual(
    found.map(({ problems }) => problems),
    files.map(() => []),
  );
});
