// What the entries of the processes load: the guard's memory and the time it is away after a crash are made of it, and so is
// the supervisor's memory. The real entries are started, and every module they load is written down.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { generateKey } from '../../core/system/key-file.js';
import { systemRandom } from '../../core/system/random.js';
import { until } from '../support/until.js';

/** Preloaded: notes each module as it is loaded, and writes the list at the end. */
const RECORDER = `
import { registerHooks } from 'node:module';
import { writeFileSync } from 'node:fs';
const loaded = [];
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
const keep = () => writeFileSync(process.env.LOADED_FILE + '.' + process.argv[1].split('/').pop(), loaded.join('\\n'));
process.on('exit', keep);
// A daemon that is ended before it listens for signals has no exit.
process.on('SIGTERM', keep);
`;

const HEAVY = /\/node_modules\/|\/core\/(cli|config\/(parse|fields|sections)|plugin\/(index|contract))[./]/;

const world = (t: ExecutionContext) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-entries-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'cluster.key'), `${generateKey(systemRandom)}\n`, { mode: 0o600 });
  writeFileSync(join(directory, 'recorder.mjs'), RECORDER);
  const config = join(directory, 'understudy.config.yaml');
  writeFileSync(
    config,
    `cluster: c
key: file:cluster.key
nodes:
  a: { networks: { service: 127.83.0.1, heartbeat: [127.83.0.1] } }
  b: { networks: { service: 127.83.0.2, heartbeat: [127.83.0.2] } }
arbiter: { use: witness, address: "127.83.0.9:4472" }
groups: { g: { prefer: [a, b], resources: { x: { use: ip-address } } } }
`,
    { mode: 0o600 },
  );
  const words = [
    '--node',
    'a',
    '--config',
    config,
    '--run-dir',
    join(directory, 'run'),
    '--state-dir',
    join(directory, 'state'),
    '--log-dir',
    join(directory, 'log'),
  ];
  /** Starts an entry and resolves with what it loaded until it was ready, after ending it. */
  const loadedBy = async (entry: string, first: readonly string[], ready: (said: string) => boolean): Promise<readonly string[]> => {
    const file = fileURLToPath(new URL(`../../core/${entry}`, import.meta.url));
    const child = spawn(process.execPath, ['--import', join(directory, 'recorder.mjs'), file, ...first, ...words], {
      env: { ...process.env, LOADED_FILE: join(directory, 'loaded'), NODE_V8_COVERAGE: '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    try {
      await until(`${entry} is ready: ${said}`, () => ready(said) || child.exitCode !== null);
      t.is(child.exitCode, null, said);
    } finally {
      await ended(child);
    }
    return readFileSync(join(directory, `loaded.${entry.split('/').pop()}`), 'utf8')
      .split('\n')
      .filter((url) => url.startsWith('file:'));
  };
  return { directory, loadedBy };
};

const ended = async (child: ChildProcess): Promise<void> => {
  const over = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode === null && child.kill('SIGTERM')) await over;
};

test.serial('the guard: no schema, container, logger, YAML or cloud library is in it, at its first start and after', async (t) => {
  const { loadedBy } = world(t);
  for (const start of ['first', 'second']) {
    const loaded = await loadedBy('daemon/guard-process.js', [], (said) => said.includes('guard ready'));
    t.true(
      loaded.some((url) => url.endsWith('/plugins/witness/witness-arbiter.js')),
      'the arbiter is loaded',
    );
    t.deepEqual(
      loaded.filter((url) => HEAVY.test(url)),
      [],
      `loaded at the ${start} start`,
    );
  }
});

test.serial('understudy guard, understudy run: the same, without the libraries of the command line', async (t) => {
  const { directory, loadedBy } = world(t);
  const guard = await loadedBy('cli/bin.js', ['guard'], (said) => said.includes('guard ready'));
  t.deepEqual(
    guard.filter((url) => HEAVY.test(url) && !url.endsWith('/core/cli/bin.js')),
    [],
  );
  const run = await loadedBy('cli/bin.js', ['run'], () => existsSync(join(directory, 'run', 'supervised.json')));
  t.deepEqual(
    run.filter((url) => HEAVY.test(url) && !url.endsWith('/core/cli/bin.js')),
    [],
  );
});
