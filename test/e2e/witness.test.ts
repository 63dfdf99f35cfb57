// The witness as a process of its own: the contract with kill -9, its state rolled back and deleted, the process paused, its disk
// full, and a second one that the lock cannot see. Oracle: what was acknowledged is there, or nobody serves.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, linkSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import anyTest, { type ExecutionContext } from 'ava';
import { ArbiterError } from 'understudy/plugin';
import { arbiterContract } from 'understudy/testkit';
import { WitnessClient } from '../../plugins/witness/client.js';
import { WitnessMemory } from '../../plugins/witness/memory.js';
import { createStateFile } from '../../plugins/witness/state-file.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const test = anyTest.serial;
const PROGRAM = new URL('../support/witness-process.js', import.meta.url).pathname;
const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const soon = (ms = 8000) => AbortSignal.timeout(ms);

const clientOf = (port: number): WitnessClient =>
  new WitnessClient({
    host: '127.0.0.1',
    port,
    key: Buffer.alloc(32, 7),
    cluster: 'orders',
    node: 'a',
    log,
    memory: new WitnessMemory(null, log),
  });

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly kill: () => Promise<void>;
}

/** Rejects with what it said when it ends instead of serving. */
const serve = async (stateFile: string, port = 0, before: readonly string[] = []): Promise<Running> => {
  const [program, ...args] = [...before, process.execPath, PROGRAM, stateFile, String(port)];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  child.stderr?.on('data', (bytes: Buffer) => (words += bytes.toString()));
  const exited = once(child, 'exit');
  const line = once(createInterface({ input: child.stdout! }), 'line') as Promise<[string]>;
  const first = await Promise.race([line, exited.then(() => null)]);
  if (first === null) throw new Error(words);
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return { child, port: Number(first[0].split(':').at(-1)), kill };
};

const newState = async (t?: ExecutionContext): Promise<string> => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-witness-'));
  t?.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const stateFile = join(directory, 'state');
  await createStateFile(stateFile, 'ab'.repeat(16));
  return stateFile;
};

arbiterContract(test, 'witness, a process', async () => {
  const stateFile = await newState();
  let running = await serve(stateFile);
  const proxy = new TcpProxy({ host: '127.0.0.1', port: running.port });
  const clients = [clientOf(await proxy.listen())];
  const again = async (between: () => void = () => {}): Promise<void> => {
    await running.kill();
    between();
    running = await serve(stateFile, running.port);
  };
  return {
    arbiter: clients[0]!,
    connect: () => {
      clients.push(clientOf(running.port));
      return Promise.resolve(clients.at(-1)!);
    },
    faults: {
      lose: (what) => proxy.lose(what),
      hold: () => Promise.resolve(proxy.hold()),
      reset: (on) => proxy.refuse(on),
      restart: () => again(),
      backup: () => {
        cpSync(stateFile, `${stateFile}.backup`);
        return Promise.resolve(() => again(() => cpSync(`${stateFile}.backup`, stateFile)));
      },
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await proxy.close();
      await running.kill();
      rmSync(join(stateFile, '..'), { recursive: true, force: true });
    },
  };
});

test('paused: unknown in time; it goes on where it was', async (t) => {
  const running = await serve(await newState(t));
  t.teardown(running.kill);
  const client = clientOf(running.port);
  t.teardown(() => client.close());
  const first = await client.cas('x', null, '1', soon());
  running.child.kill('SIGSTOP');
  const beganMs = performance.now();
  const error = await t.throwsAsync(client.read(['x'], soon(300)), { instanceOf: ArbiterError });
  t.true(error?.kind === 'unknown' && performance.now() - beganMs < 1000);
  running.child.kill('SIGCONT');
  t.is((await client.read(['x'], soon()))[0]?.version, first.outcome === 'done' ? first.version : '');
});

test('its state deleted: it does not start, and what is left of a draft is no state', async (t) => {
  const stateFile = await newState(t);
  const running = await serve(stateFile);
  await running.kill();
  cpSync(stateFile, `${stateFile}.new`);
  rmSync(stateFile);
  await t.throwsAsync(serve(stateFile), { message: /there is no state/ });
});

test('killed before the rename of a new log: the old one counts, whatever the draft holds', async (t) => {
  const stateFile = await newState(t);
  let running = await serve(stateFile);
  t.teardown(() => running.kill());
  const client = clientOf(running.port);
  t.teardown(() => client.close());
  await client.cas('x', null, '1', soon());
  await running.kill();
  cpSync(stateFile, `${stateFile}.older`);
  running = await serve(stateFile, running.port);
  const [one] = await client.read(['x'], soon());
  const two = await client.cas('x', one!.version, '2', soon());
  t.is(two.outcome, 'done');
  for (const draft of [() => cpSync(`${stateFile}.older`, `${stateFile}.new`), () => writeFileSync(`${stateFile}.new`, 'half a log')]) {
    await running.kill();
    draft();
    running = await serve(stateFile, running.port);
    t.is((await client.read(['x'], soon()))[0]?.value, '2');
  }
});

test('a second one by another name of the file: refused', async (t) => {
  const stateFile = await newState(t);
  const first = await serve(stateFile);
  t.teardown(first.kill);
  symlinkSync(stateFile, `${stateFile}-soft`);
  await t.throwsAsync(serve(`${stateFile}-soft`), { message: /another witness on this host serves/ });
  await first.kill();
  linkSync(stateFile, `${stateFile}-hard`);
  await t.throwsAsync(serve(`${stateFile}-hard`), { message: /has 2 names/ });
});

const root = process.getuid?.() === 0 ? test : anyTest.serial.skip;
if (root !== test && process.env['CI']) throw new Error('this suite cannot run in CI: it needs root');

root('a second one that the lock cannot see, in another network namespace: the first tells nothing more', async (t) => {
  const stateFile = await newState(t);
  const first = await serve(stateFile);
  t.teardown(first.kill);
  const [reader, writer] = [clientOf(first.port), clientOf(first.port)];
  t.teardown(() => Promise.all([reader.close(), writer.close()]));
  const before = await writer.cas('x', null, 'before', soon());
  await reader.read(['x'], soon());
  const exited = once(first.child, 'exit');
  // The lock is a name of the kernel's, in one network namespace only.
  const second = await serve(stateFile, 0, ['unshare', '--net', '--', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']);
  t.teardown(second.kill);
  for (const ask of [
    () => reader.read(['x'], soon(1000)),
    () => writer.cas('x', before.outcome === 'done' ? before.version : null, 'after', soon(1000)),
  ])
    await t.throwsAsync(ask(), { instanceOf: ArbiterError });
  await exited;
});

root('its disk is full: says so and ends, or does not start; with room again it goes on from what it acknowledged', async (t) => {
  const mount = mkdtempSync(join(tmpdir(), 'understudy-witness-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=10m', 'understudy-witness', mount]);
  t.teardown(() => {
    execFileSync('umount', ['-l', mount]);
    rmSync(mount, { recursive: true });
  });
  const [stateFile, ballast] = [join(mount, 'state'), join(mount, 'ballast')];
  await createStateFile(stateFile, 'ab'.repeat(16));
  let running = await serve(stateFile);
  t.teardown(() => running.kill());
  const client = clientOf(running.port);
  t.teardown(() => client.close());
  writeFileSync(ballast, Buffer.alloc(4 * 1024 * 1024));
  let acknowledged = { value: '', version: null as string | null };
  const exited = once(running.child, 'exit');
  for (let n = 0; n < 400; n++) {
    const value = `${n} ${'x'.repeat(20_000)}`;
    const result = await client.cas('x', acknowledged.version, value, soon(2000)).catch(() => null);
    if (result?.outcome !== 'done') break;
    acknowledged = { value, version: result.version };
  }
  t.true(acknowledged.version !== null && Number(acknowledged.version.split('.')[1]) < 400, 'the log was full before');
  await exited;
  t.false(existsSync(`${stateFile}.new`), 'nothing half made keeps the disk full');
  await t.throwsAsync(serve(stateFile, running.port), { message: /ENOSPC/ });
  rmSync(ballast);
  running = await serve(stateFile, running.port);
  const [found] = await client.read(['x'], soon());
  t.deepEqual([found?.value, found?.version], [acknowledged.value, acknowledged.version ?? '']);
  t.true(statSync(stateFile).size > 0);
});
