// What `check` says about the arbiter: measured, too slow, or not to be reached; and who may be refused for it.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { objectionToProbe } from '../../core/cli/arbiter-probe.js';
import { generateKey, loadKeys } from '../../core/system/key-file.js';
import { systemRandom } from '../../core/system/random.js';
import { startWitness } from '../../plugins/witness/server.js';
import { createStateFile } from '../../plugins/witness/state-file.js';

const BIN = fileURLToPath(new URL('../../core/cli/bin.js', import.meta.url));
const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const check = (...args: readonly string[]): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: '1' };
    execFile(process.execPath, [BIN, 'check', ...args], { timeout: 30_000, env }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr }),
    );
  });

test('the verdict: as long as the slowest of ten is within an attempt, and never without a measurement', (t) => {
  const measured = (maxMs: number) => ({ kind: 'measured', reads: 10, p50Ms: 12, maxMs }) as const;
  t.is(objectionToProbe(measured(250), 'etcd', 250), null);
  t.regex(
    objectionToProbe(measured(251), 'etcd', 250)?.message ?? '',
    /etcd is too slow.*10 reads took 251 ms \(half of them 12 ms or less\).*250 ms/,
  );
  t.is(objectionToProbe({ kind: 'not measured', because: 'no way' }, 'etcd', 250), null);
});

test('check: measures an arbiter that answers; one that does not is no fault of the file, but with --probe it is', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-probe-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [file, key, stateFile] = ['understudy.config.yaml', 'cluster.key', 'state'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(key, generateKey(systemRandom), { mode: 0o400 });
  await createStateFile(stateFile, 'ab'.repeat(16));
  const witness = await startWitness({ host: '127.0.0.1', port: 0, stateFile, keys: loadKeys(key), log });
  writeFileSync(
    file,
    `cluster: orders
key: file:cluster.key
timing: standard
nodes:
  a: { networks: { service: 192.0.2.1, heartbeat: [198.51.100.1, 203.0.113.1] } }
  b: { networks: { service: 192.0.2.2, heartbeat: [198.51.100.2, 203.0.113.2] } }
arbiter: { use: witness, address: "${witness.address}" }
groups:
  db: { resources: { app: { use: app-script, start: [/bin/true], stop: [/bin/true], monitor: [/bin/true] } } }
`,
  );
  const good = await check('--config', file);
  t.regex(good.stdout, /Arbiter witness: 10 reads, half of them within \d+ ms, all within \d+ ms; an attempt may take 1.5 s/, good.stderr);
  t.is(good.status, 0);
  await witness.close();
  const [away, asked, silent] = await Promise.all([
    check('--config', file, '--json'),
    check('--config', file, '--probe'),
    check('--config', file, '--no-probe'),
  ]);
  t.is(away.status, 0);
  t.regex((JSON.parse(away.stdout) as { arbiter: { kind: string; because: string } }).arbiter.because, /no answer from the witness/);
  t.is(asked.status, 1);
  t.regex(asked.stderr, /arbiter witness could not be measured: no answer from the witness/);
  t.regex(silent.stdout, /not measured from here \(not asked to\)/);
});
