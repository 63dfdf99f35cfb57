// Where the config is found, and that code is never run to find it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { findConfig } from '../../core/config/find.js';
import { printConfig, type PrintOptions } from '../../core/config/print.js';
import { systemExec } from '../../core/system/exec-system.js';
import { parseConfigOrThrow } from '../../core/config/parse.js';

const made: string[] = [];
const directory = (files: Readonly<Record<string, string>>): string => {
  const root = mkdtempSync(join(tmpdir(), 'understudy-find-'));
  made.push(root);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
};
test.after.always(() => made.forEach((root) => rmSync(root, { recursive: true, force: true })));

test('named by --config, by $UNDERSTUDY_CONFIG, else from the working directory upwards, else the system directory', async (t) => {
  const root = directory({
    'other.yaml': 'other',
    'w/.understudyrc': 'rc',
    'w/x/y/keep': '',
    'etc/understudy.config.json': 'etc',
    'deep/understudy.config.yml': 'yml',
    'deep/.understudyrc.yaml': 'second',
  });
  const systemDirectory = join(root, 'etc');
  const at = async (workingDirectory: string, more = {}) =>
    (await findConfig({ workingDirectory: join(root, workingDirectory), systemDirectory, ...more })).text;
  t.is(await at('w/x/y'), 'rc');
  t.is(await at('w', { config: '../other.yaml' }), 'other');
  t.is(await at('w', { env: { UNDERSTUDY_CONFIG: join(root, 'other.yaml') } }), 'other');
  t.is(await at('w', { config: '../deep/understudy.config.yml', env: { UNDERSTUDY_CONFIG: '/nowhere' } }), 'yml');
  t.is(await at('deep'), 'yml');
  t.is(await at('.'), 'etc');
  t.is((await findConfig({ workingDirectory: join(root, 'w/x'), systemDirectory })).file, join(root, 'w/.understudyrc'));
});

test('nothing, or a name that is not there: CONFIG_NOT_FOUND says where it looked', async (t) => {
  const root = directory({});
  await t.throwsAsync(findConfig({ workingDirectory: root, systemDirectory: root }), {
    message: new RegExp(`no config file in ${root}.*understudy.config.yaml`),
  });
  await t.throwsAsync(findConfig({ workingDirectory: root, config: 'gone.yaml' }), { message: /--config cannot be read: ENOENT/ });
});

test('only code: CONFIG_NEEDS_BUILD with the command to run, and the code is not run', async (t) => {
  const root = directory({
    'understudy.config.ts': `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify('MARK')}, '');`,
  });
  const message = `${root}/understudy.config.ts is code, and daemons read YAML and JSON only. Run: understudy check --print ${root}/understudy.config.ts > understudy.config.yaml`;
  await t.throwsAsync(findConfig({ workingDirectory: root, systemDirectory: root }), { message });
  await t.throwsAsync(findConfig({ workingDirectory: root, config: 'understudy.config.ts' }), { message });
  writeFileSync(join(root, 'understudy.config.yaml'), 'data');
  t.is((await findConfig({ workingDirectory: root, systemDirectory: root })).text, 'data');
});

test('code that lies where the process was started is not run by the search', (t) => {
  const root = directory({ '.config/config.js': 'require("node:fs").writeFileSync("ran", "")', 'understudy.config.yaml': 'data' });
  const find = new URL('../../core/config/find.js', import.meta.url).href;
  const { stdout } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { findConfig } = await import('${find}'); await findConfig().catch((error) => console.log(error.message))`,
    ],
    { cwd: root, encoding: 'utf8' },
  );
  t.false(existsSync(join(root, 'ran')));
  t.regex(stdout, /would run .*config\.js, so it was not made/);
});

const run: PrintOptions['run'] = (file, args, options) => systemExec().run(file, args, options);

test('check --print: a TypeScript config becomes YAML that reads back; what it prints itself is left out', async (t) => {
  const root = directory({
    'understudy.config.ts': `
    interface Node { networks: { heartbeat: string[] } }
    console.log('hello');
    const node = (last: number): Node => ({ networks: { heartbeat: [\`10.0.0.\${last}\`] } });
    export default async () => ({ cluster: 'c', key: 'file:k', nodes: { a: node(1), b: node(2) }, arbiter: { use: 'x' }, groups: { g: { resources: { r: { use: 'y', port: '0644' } } } } });`,
  });
  const yaml = await printConfig('understudy.config.ts', { run, workingDirectory: root });
  const { config } = parseConfigOrThrow(yaml, join(root, 'understudy.config.yaml'));
  t.deepEqual(
    config.nodes.map(({ networks }) => networks.heartbeat[0]),
    ['10.0.0.1', '10.0.0.2'],
  );
  t.is(config.groups[0]?.resources[0]?.options['port'], '0644');
  t.notRegex(yaml, /hello/);
});

test('check --print: a config that throws, hangs or exports nothing is an error with its own words', async (t) => {
  const root = directory({
    'throws.ts': 'throw new Error("no database of nodes")',
    'hangs.ts': 'for (;;) {}',
    'nothing.ts': 'export const x = 1',
  });
  await t.throwsAsync(printConfig('throws.ts', { run, workingDirectory: root }), { message: /could not be run:[^]*no database of nodes/ });
  await t.throwsAsync(printConfig('hangs.ts', { run, workingDirectory: root, timeoutMs: 400 }), { message: /did not end within 400 ms/ });
  await t.throwsAsync(printConfig('nothing.ts', { run, workingDirectory: root }), { message: /default export is not an object/ });
});
