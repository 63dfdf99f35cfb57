// The CLI as an operator meets it: exit statuses, messages with a next step, and the API's view unchanged under --json.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Command } from 'commander';
import type { StatusView } from '../../core/api/views.js';
import { COMMANDS } from '../../core/cli/command-table.js';

const BIN = fileURLToPath(new URL('../../core/cli/bin.js', import.meta.url));

interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const understudy = (
  args: readonly string[],
  { nodeOptions = [], cwd, env = {} }: { nodeOptions?: readonly string[]; cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Said> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [...nodeOptions, BIN, ...args],
      { cwd, timeout: 30_000, env: { ...process.env, NO_COLOR: '1', ...env } },
      (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
      },
    );
  });

const directory = mkdtempSync(join(tmpdir(), 'understudy-cli-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const STATUS: StatusView = {
  cluster: 'orders',
  node: 'b',
  source: 'controller',
  nodes: [
    { id: 'a', state: 'lost', standby: false, maintenance: false, links: [{ network: 'heartbeat-1', state: 'down', rttMs: null }] },
    { id: 'b', state: 'member', standby: false, maintenance: false, links: [] },
  ],
  arbiter: { state: 'ok', ageMs: 120, because: '' },
  groups: [
    {
      id: 'orders-db',
      state: 'faulted',
      active: null,
      epoch: 7,
      leaseRemainingMs: 0,
      because: '2 failovers within an hour: gave up',
      frozen: false,
      maintenance: false,
      resources: [{ id: 'pg', type: 'systemd-unit', node: 'b', state: 'faulted', since: null, reason: 'exit status 1' }],
      standbys: [{ node: 'a', ready: false, blockers: ['the node is lost'] }],
      nextCommand: 'understudy clear orders-db',
    },
  ],
  mirrors: [],
  alarms: ['the leash has not beaten for 5 s'],
  watchdog: null,
  dropped: {},
};

/** An API that answers the status, refuses every order, and remembers what was asked. */
const fakeApi = async (runDir: string): Promise<{ server: Server; asked: string[] }> => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked.push(`${request.method} ${request.url} ${body}`);
      const [status, answer] =
        request.url === '/v1/status'
          ? [200, STATUS]
          : [
              409,
              {
                code: 'REFUSED',
                message: 'a is not ready to take orders-db: the node is lost',
                hint: 'Wait until understudy status shows it ready.',
                exit: 4,
              },
            ];
      response.writeHead(status as number, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(join(runDir, 'api.sock'), resolve));
  return { server, asked };
};

test('a Node that is too old: says which is needed and exits 2', async (t) => {
  const old = join(directory, 'old.cjs');
  writeFileSync(old, "Object.defineProperty(process.versions, 'node', { value: '20.11.0' });");
  const { status, stderr } = await understudy(['status'], { nodeOptions: ['--require', old] });
  t.is(status, 2);
  t.regex(stderr, /needs Node\.js 24 or newer/);
});

test('an unknown command: exits 2 and names the nearest one', async (t) => {
  const { status, stderr } = await understudy(['statsu']);
  t.is(status, 2);
  t.regex(stderr, /status/);
});

test('an unknown option: exits 2', async (t) => {
  t.is((await understudy(['status', '--jsn'])).status, 2);
});

test('help: every command is listed', async (t) => {
  const { status, stdout } = await understudy(['--help']);
  t.is(status, 0);
  for (const { name } of COMMANDS) t.regex(stdout, new RegExp(`^  ${name} `, 'm'), name);
  for (const name of ['witness', 'emulator']) t.regex(stdout, new RegExp(`^  ${name} `, 'm'), `${name}, which a plugin brings`);
});

for (const { name, load } of COMMANDS) {
  test(`${name} --help: has an example`, async (t) => {
    const command = new Command(name);
    (await load()).define(command);
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    t.regex(help, new RegExp(`Example: understudy ${name}`));
  });
}

test('no daemon: exits 3 with the command that starts one', async (t) => {
  const runDir = mkdtempSync(join(directory, 'none-'));
  const { status, stderr } = await understudy(['status', '--run-dir', runDir]);
  t.is(status, 3);
  t.regex(stderr, /understudy run/);
});

test('keygen: a private key file, never overwritten', async (t) => {
  const file = join(directory, 'cluster.key');
  t.is((await understudy(['keygen', file])).status, 0);
  t.is(statSync(file).mode & 0o777, 0o400);
  const before = readFileSync(file, 'utf8');
  const again = await understudy(['keygen', file]);
  t.is(again.status, 1);
  t.regex(again.stderr, /EEXIST/);
  t.is(readFileSync(file, 'utf8'), before);
});

test('check: a broken file exits 2 with file:line:column for every problem', async (t) => {
  const file = join(directory, 'broken.yaml');
  writeFileSync(
    file,
    'cluster: orders\nkey: file:cluster.key\ntiming: standrad\nnodes: {}\narbiter: { use: witness, address: "127.0.0.1:4472" }\ngropus: {}\n',
  );
  const { status, stderr } = await understudy(['check', '--config', file]);
  t.is(status, 2);
  t.regex(stderr, /broken\.yaml:3:9: timing: .*standard/);
  t.regex(stderr, /broken\.yaml:6:1: .*gropus.*groups/);
});

test('check without a config anywhere: exits 2 and says where it looked', async (t) => {
  const { status, stderr } = await understudy(['check'], { cwd: mkdtempSync(join(directory, 'empty-')) });
  t.is(status, 2);
  t.regex(stderr, /understudy\.config\.yaml/);
});

test('plugins list: the built-in plugins with what they contribute', async (t) => {
  const { status, stdout } = await understudy(['plugins', 'list', '--json'], { cwd: mkdtempSync(join(directory, 'plugins-')) });
  t.is(status, 0);
  const found = JSON.parse(stdout) as { name: string; origin: string; contributions: string[]; problems: string[] }[];
  t.deepEqual(
    found.flatMap((plugin) => plugin.problems),
    [],
  );
  for (const agent of ['overlay-ip', 'secondary-ip', 'ip-address', 'app-script'])
    t.true(
      found.some((plugin) => plugin.contributions.includes(`agent ${agent}`)),
      agent,
    );
});

test('status: a bad state comes with its cause and the next command; --json is the API’s view', async (t) => {
  const runDir = mkdtempSync(join(directory, 'api-'));
  const { server } = await fakeApi(runDir);
  t.teardown(() => server.close());
  const text = await understudy(['status', '--run-dir', runDir]);
  t.is(text.status, 0);
  t.regex(text.stdout, /alarm: the leash has not beaten/);
  t.regex(text.stdout, /orders-db {2}faulted/);
  t.regex(text.stdout, /gave up/);
  t.regex(text.stdout, /standby a: not ready: the node is lost/);
  t.regex(text.stdout, /next: understudy clear orders-db/);
  t.notRegex(text.stdout, new RegExp(String.fromCharCode(27)), 'no colours off a terminal');
  t.deepEqual(JSON.parse((await understudy(['status', '--json', '--run-dir', runDir])).stdout), STATUS);
});

test('a refused order: exits 4 with the reason and what to do; the order carries who and why', async (t) => {
  const runDir = mkdtempSync(join(directory, 'order-'));
  const { server, asked } = await fakeApi(runDir);
  t.teardown(() => server.close());
  const { status, stderr } = await understudy(['switchover', 'orders-db', '--to', 'a', '--why', 'kernel update', '--run-dir', runDir]);
  t.is(status, 4);
  t.regex(stderr, /a is not ready to take orders-db/);
  t.regex(stderr, /next: {2}Wait until/);
  const order = JSON.parse(asked[0]?.replace(/^POST \/v1\/orders /, '') ?? '{}') as Record<string, unknown>;
  t.like(order, { verb: 'switchover', group: 'orders-db', to: 'a', why: 'kernel update', wait: true, timeoutMs: 60_000 });
  t.truthy(order['by']);
});

test('check on a node, by root: names every program of the config that root would refuse to run', async (t) => {
  const file = join(directory, 'programs.config.yaml');
  const [open, closed] = ['open.sh', 'closed.sh'].map((name) => join(directory, name)) as [string, string];
  for (const [path, mode] of [
    [open, 0o777],
    [closed, 0o755],
  ] as const) {
    writeFileSync(path, '#!/bin/sh\n');
    chmodSync(path, mode);
  }
  writeFileSync(
    file,
    [
      'cluster: web',
      'key: file:/etc/understudy/cluster.key',
      'nodes:',
      '  a: { networks: { heartbeat: [10.0.11.10, 10.0.21.10] } }',
      '  b: { networks: { heartbeat: [10.0.11.11, 10.0.21.11] } }',
      'arbiter: { use: witness, address: 10.0.3.5 }',
      `fencing: { policy: required, use: exec, agent: ${open}, on: { a: { plug: 1 }, b: { plug: 2 } } }`,
      'groups:',
      '  web:',
      `    hooks: { beforeStart: [{ run: [${open}] }, { run: [${closed}] }] }`,
      `    resources: { app: { use: app-script, start: [${closed}], monitor: [${open}], stop: [/no/such] } }`,
      '',
    ].join('\n'),
  );
  const args = ['check', '--no-probe', '--config', file];
  const elsewhere = await understudy(args);
  t.is(elsewhere.status, 0, elsewhere.stderr);
  const { status, stderr, stdout } = await understudy(args, { env: { UNDERSTUDY_NODE: 'a' } });
  if (process.geteuid?.() !== 0) return t.is(status, 0);
  t.is(status, 2, stdout);
  for (const what of ['beforeStart hook of web', 'web/app', 'fence exec'])
    t.true(stderr.includes(`${what}: ${open} is not run as root: ${open} is writable by everybody`), stderr);
  t.notRegex(stderr, /closed\.sh/);
  chmodSync(open, 0o755);
  const good = await understudy(args, { env: { UNDERSTUDY_NODE: 'a' } });
  t.is(good.status, 0);
  t.regex(good.stdout, /warning: web\/app: \/no\/such is not on this host/);
});

test('plugins hash: what integrity must say, of the file that would be loaded', async (t) => {
  const file = join(directory, 'pinned.js');
  writeFileSync(file, 'export default {};');
  const { stdout } = await understudy(['plugins', 'hash', './pinned.js'], { cwd: directory });
  t.is(stdout, `sha256-${createHash('sha256').update('export default {};').digest('base64')}  ${file}\n`);
  t.is((await understudy(['plugins', 'hash'])).status, 2);
  t.is((await understudy(['plugins', 'hash', './nowhere.js'], { cwd: directory })).status, 1);
});

test('permissions: those of the fences too, for exact machines and for each node', async (t) => {
  const file = join(directory, 'fenced.config.yaml');
  writeFileSync(
    file,
    [
      'cluster: web',
      'key: file:/etc/understudy/cluster.key',
      'nodes:',
      '  a: { networks: { service: 10.0.1.10, heartbeat: [10.0.11.10, 10.0.21.10] } }',
      '  b: { networks: { service: 10.0.1.11, heartbeat: [10.0.11.11, 10.0.21.11] } }',
      'arbiter: { use: witness, address: 10.0.3.5 }',
      "fencing: { policy: required, use: ec2, instances: { a: i-0a1, b: i-0b1 }, account: '111122223333' }",
      'groups: { web: { resources: { app: { use: app-script, mode: foreground, start: [/usr/bin/true] } } } }',
      '',
    ].join('\n'),
  );
  const { status, stdout } = await understudy(['permissions', '--json', '--config', file]);
  t.is(status, 0);
  const stops = (JSON.parse(stdout) as { node: string; resource: string; actions: string[]; resources: string[] }[]).filter(({ actions }) =>
    actions.includes('ec2:StopInstances'),
  );
  t.deepEqual(
    stops.map(({ node, resource, resources }) => [node, resource, ...resources]),
    [
      ['a', 'fence ec2', 'arn:aws:ec2:*:111122223333:instance/i-0b1'],
      ['b', 'fence ec2', 'arn:aws:ec2:*:111122223333:instance/i-0a1'],
    ],
    'a node never needs the right to stop itself',
  );
  const one = await understudy(['permissions', '--node', 'a', '--config', file]);
  t.regex(one.stdout, /fence ec2 on a: power the other node off\n {2}ec2:StopInstances\n {4}on .*i-0b1\n/);
  t.notRegex(one.stdout, /i-0a1| on b:/);
  t.is((await understudy(['permissions', '--node', 'c', '--config', file])).status, 2);
});

test('a reader that has enough of the output: the command ends without a word', async (t) => {
  // `:` reads nothing and is gone long before the first line is written.
  const script = '"$0" "$1" --help | :; echo "${PIPESTATUS[0]}"';
  const told = await new Promise<Said>((resolve) => {
    execFile('bash', ['-c', script, process.execPath, BIN], { timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : -1, stdout, stderr }),
    );
  });
  t.deepEqual(told, { status: 0, stdout: '0\n', stderr: '' });
});
