// Every secret that a config can name is planted as a marker; then a node runs really: check, guard, controller, a hook, a fence agent
// that prints its password, a plugin that prints all it was given. No file, answer or output may hold a marker, plain or coded.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { generateKey, loadKeys } from '../../core/system/key-file.js';
import { systemRandom } from '../../core/system/random.js';
import { startWitness } from '../../plugins/witness/server.js';
import { createStateFile } from '../../plugins/witness/state-file.js';
import { SILENT } from '../support/controller-world.js';
import { until } from '../support/until.js';

const BIN = fileURLToPath(new URL('../../core/cli/bin.js', import.meta.url));
const NET = `127.${20 + (process.pid % 200)}`;
const directory = mkdtempSync(join(tmpdir(), 'understudy-secrets-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

/** What no output may hold. */
const markers: Record<string, Buffer> = {};
const marker = (name: string): string => {
  const text = `Mk${systemRandom.hex(12)}`;
  markers[name] = Buffer.from(text);
  return text;
};
const secretFile = (name: string): string => {
  mkdirSync(join(directory, 'secrets'), { recursive: true, mode: 0o700 });
  const file = join(directory, 'secrets', name);
  writeFileSync(file, `${marker(name)}\n`, { mode: 0o600 });
  return file;
};
const found = (bytes: Buffer): readonly string[] =>
  Object.entries(markers).flatMap(([name, secret]) => {
    const forms = {
      plain: secret,
      hex: Buffer.from(secret.toString('hex')),
      base64: Buffer.from(secret.toString('base64').replace(/=+$/, '')),
    };
    const list = Buffer.from([...secret].join(','));
    return Object.entries({ ...forms, list }).flatMap(([form, coded]) => (bytes.includes(coded) ? [`${name} (${form})`] : []));
  });
/** Every file below, apart from those that hold the secrets. */
const filesBelow = (path: string): readonly string[] =>
  readdirSync(path).flatMap((name) => {
    const file = join(path, name);
    if (name === 'secrets') return [];
    const stat = statSync(file, { throwIfNoEntry: false });
    return stat?.isDirectory() === true ? filesBelow(file) : stat?.isFile() === true ? [file] : [];
  });

const PLUGIN = `
import { inspect } from 'node:util';
import { definePlugin, options, secret, Secret } from 'understudy/plugin';
const loud = (context) => {
  const password = new Secret(context.options.password, 'the password');
  if (!password.reveal().startsWith('Mk')) throw new Error('the file was not read');
  context.log.warn('all I was given', { password, options: context.options, error: new Error(String(password)) });
  throw new Error([password, inspect({ password }, { showHidden: true, depth: 9 }), JSON.stringify({ password, context }), password.hideIn('it is ' + password.reveal())].join(' '));
};
export default definePlugin({ name: 'loud', api: 1, agents: { loud: {
  summary: 'Prints all that it was given.', options: options({ password: secret('The password') }), hardStop: () => [],
  agent: { monitor: async (context) => (context.active ? loud(context) : 'offline'), start: async (context) => loud(context), stop: async () => undefined },
} } });
`;
const AGENT = `#!/bin/sh
given=$(cat)
case $given in *action=metadata*) cat <<'XML'
<resource-agent name="fence_loud"><parameters><parameter name="plug"><content type="string"/></parameter><parameter name="password"><content type="string"/></parameter></parameters><actions><action name="off"/><action name="status"/><action name="monitor"/></actions></resource-agent>
XML
exit 0 ;; esac
password=$(printf '%s\\n' "$given" | sed -n 's/^password=//p')
echo "login with $password, $(printf %s "$password" | od -An -tx1 | tr -d ' \\n'), $(printf %s "$password" | base64) was refused" >&2
exit 1
`;

interface Said {
  readonly status: number | null;
  readonly output: Buffer;
}
const environment = { ...process.env, NO_COLOR: '1', AWS_SECRET_ACCESS_KEY: marker('AWS_SECRET_ACCESS_KEY of the daemon') };
const understudy = (args: readonly string[], limitMs = 30_000): { readonly said: Promise<Said>; readonly end: () => void } => {
  const child = spawn(process.execPath, [BIN, ...args], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  const said = new Promise<Said>((resolve) =>
    child.once('close', (status) => {
      clearTimeout(timer);
      resolve({ status, output: Buffer.concat(chunks) });
    }),
  );
  return { said, end: () => child.kill('SIGTERM') };
};

const configWith = (arbiter: string, name: string): string => {
  const node = (id: string, host: number) => `  ${id}: { networks: { heartbeat: [${NET}.1.${host}, ${NET}.2.${host}] } }`;
  const text = `cluster: secrets
key: file:${directory}/secrets/cluster.key
nodes:
${node('a', 1)}
${node('b', 2)}
arbiter: ${arbiter}
timing: lan
fencing: { policy: none, unsafe: true, use: exec, agent: ${directory}/fence_loud, options: { password: 'file:${directory}/secrets/fence' }, on: { a: { plug: 1 }, b: { plug: 2 } } }
ports: { heartbeat: 4470, link: 4471 }
addresses: table:${directory}/{node}.addresses
plugins: [${directory}/loud.ts]
groups:
  g:
    prefer: [a, b]
    hooks: { beforeStart: [{ run: [${directory}/hook.sh] }] }
    resources: { app: { use: loud, password: 'file:${directory}/secrets/plugin' } }
`;
  const file = join(directory, `${name}.config.yaml`);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};

test.before(async () => {
  for (const name of ['fence', 'plugin', 'etcd']) secretFile(name);
  writeFileSync(join(directory, 'secrets', 'cluster.key'), generateKey(systemRandom), { mode: 0o400 });
  markers['cluster key'] = Buffer.from(loadKeys(join(directory, 'secrets', 'cluster.key')).current.bytes);
  writeFileSync(join(directory, 'loud.ts'), PLUGIN, { mode: 0o600 });
  writeFileSync(join(directory, 'fence_loud'), AGENT, { mode: 0o755 });
  writeFileSync(join(directory, 'hook.sh'), `#!/bin/sh\nenv >>${directory}/environment-of-hooks\n`, { mode: 0o755 });
  writeFileSync(join(directory, 'ca.pem'), rootCertificates[0]!);
});

const clean = (t: { deepEqual(a: unknown, b: unknown, message?: string): unknown }, what: string, bytes: Buffer | string) =>
  t.deepEqual(found(Buffer.from(bytes)), [], what);

test.serial('a node that runs: guard with a witness, controller, hook, fence agent and plugin', async (t) => {
  t.timeout(120_000);
  const stateFile = join(directory, 'witness.state');
  await createStateFile(stateFile, systemRandom.hex(16));
  const witness = await startWitness({
    host: `${NET}.9.9`,
    port: 4472,
    stateFile,
    keys: loadKeys(join(directory, 'secrets', 'cluster.key')),
    log: SILENT,
  });
  t.teardown(() => witness.close());
  const config = configWith(`{ use: witness, address: "${NET}.9.9:4472" }`, 'witness');
  const places = ['run', 'state', 'log'].flatMap((name) => [`--${name}-dir`, join(directory, `node-${name}`)]);
  const daemons = understudy(['run', '--node', 'a', '--config', config, '--log-level', 'debug', ...places], 100_000);
  t.teardown(daemons.end);
  const answers: Record<string, Said> = {};
  const ask = async (...words: string[]) =>
    (answers[words.join(' ')] = await understudy([
      ...words,
      ...(words.includes('--config') ? [] : ['--run-dir', join(directory, 'node-run')]),
    ]).said);
  await until(
    'the plugin and the fence agent have said all they know',
    async () => {
      const status = (await ask('status', '--json')).output;
      return (
        existsSync(join(directory, 'environment-of-hooks')) && status.includes('it is (secret)') && status.includes('login with (secret)')
      );
    },
    60_000,
  );
  const state = ['--state-dir', join(directory, 'node-state')];
  for (const words of ['status', 'explain', 'explain g', 'plan switchover g --to b', 'hooks list g', 'fence status', 'stop g --why x'])
    await ask(...words.split(' '));
  for (const words of ['check --no-probe', 'check --no-probe --json', 'permissions', 'plugins list --json'])
    await ask(...words.split(' '), '--config', config);
  for (const words of ['events --json', 'events --audit']) t.true((await ask(...words.split(' '), ...state)).output.length > 0, words);
  daemons.end();
  const { output } = await daemons.said;
  clean(t, 'output of the daemons', output);
  for (const [words, said] of Object.entries(answers)) clean(t, `understudy ${words}`, said.output);
  const files = filesBelow(directory);
  for (const file of files) clean(t, file, readFileSync(file));
  for (const name of ['guard-config', 'controller.log', 'environment-of-hooks'])
    t.true(
      files.some((file) => file.endsWith(`/${name}`)),
      `${name} was looked at`,
    );
  t.regex(readFileSync(join(directory, 'node-run', 'guard-config'), 'utf8'), /file:/);
});

test.serial('a guard with etcd: the reference is kept, the password is not; check and --print as well', async (t) => {
  t.timeout(60_000);
  const config = configWith(
    `{ use: etcd, endpoints: ["${NET}.9.8:1"], user: ha, password: 'file:${directory}/secrets/etcd', tls: { ca: ${directory}/ca.pem } }`,
    'etcd',
  );
  const places = ['run', 'state', 'log'].flatMap((name) => [`--${name}-dir`, join(directory, `etcd-${name}`)]);
  const guard = understudy(['guard', '--node', 'a', '--config', config, '--log-level', 'debug', ...places]);
  await until(
    'the guard keeps its config',
    () => existsSync(join(directory, 'etcd-run', 'guard-config')) && existsSync(join(directory, 'etcd-run', 'guard.sock')),
    20_000,
  );
  guard.end();
  clean(t, 'output of the guard', (await guard.said).output);
  writeFileSync(
    join(directory, 'print.mjs'),
    `export default { cluster: 'x', key: 'file:${directory}/secrets/cluster.key', arbiter: { use: 'etcd', password: 'file:${directory}/secrets/etcd' } };`,
  );
  for (const args of [
    ['check', '--probe', '--config', config],
    ['check', '--print', join(directory, 'print.mjs')],
  ]) {
    const { output } = await understudy(args).said;
    t.true(output.length > 0);
    clean(t, args.join(' '), output);
  }
  writeFileSync(join(directory, 'secrets', 'etcd'), `${markers['etcd']!.toString()}\n${markers['etcd']!.toString()}\n`);
  const refused = await understudy(['guard', '--node', 'a', '--config', config, ...places]).said;
  t.regex(refused.output.toString(), /cannot use the password of etcd .*secrets\/etcd: it holds more than one line/);
  clean(t, 'output of a guard that does not start', refused.output);
  for (const file of filesBelow(directory)) clean(t, file, readFileSync(file));
});
