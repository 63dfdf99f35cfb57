import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import type { ArbiterError } from 'understudy/arbiter';
import type { ArbiterDefinition, Log } from 'understudy/plugin';
import { arbiterContract } from 'understudy/testkit';
import { parseAddress } from '../../../plugins/witness/address.js';
import { witnessArbiter } from '../../../plugins/witness/arbiter.js';
import { WitnessClient } from '../../../plugins/witness/client.js';
import { serve, witnessCommand } from '../../../plugins/witness/command.js';
import { witnessLabService } from '../../../plugins/witness/lab-service.js';
import { WitnessMemory } from '../../../plugins/witness/memory.js';
import { startWitness, type Witness } from '../../../plugins/witness/server.js';
import { createStateFile } from '../../../plugins/witness/state-file.js';
import { connectionKeys, greeting, Sealer } from '../../../plugins/witness/wire.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { until } from '../../support/until.js';

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const key = (fill: number) => ({ id: fill, bytes: Buffer.alloc(32, fill) });
const keysOf = (...fills: [number, ...number[]]) => ({ current: key(fills[0]), all: fills.map(key) });
const STATE_ID = 'ab'.repeat(16);
const after = (ms: number) => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error(`${ms} ms are over`)), ms).unref();
  return controller.signal;
};
const soon = () => after(8000);
const portOf = (address: string) => Number(address.split(':').at(-1));

const temporary = (t?: ExecutionContext) => {
  const directory = mkdtempSync(join(tmpdir(), 'membership-witness-'));
  t?.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
};

const clientOf = (port: number, { fill = 7, memory = new WitnessMemory(null, silent), log = silent } = {}) =>
  new WitnessClient({ host: '127.0.0.1', port, key: key(fill).bytes, cluster: 'orders', node: 'a', memory, log });

const start = (stateFile: string, port = 0, keys = keysOf(7)) => startWitness({ host: '127.0.0.1', port, stateFile, keys, log: silent });

const open = async (t?: ExecutionContext) => {
  const directory = temporary();
  const stateFile = join(directory, 'state');
  await createStateFile(stateFile, STATE_ID);
  let witness = await start(stateFile);
  const port = portOf(witness.address);
  const proxy = new TcpProxy({ host: '127.0.0.1', port });
  const clients = [clientOf(await proxy.listen())];
  let closing: Promise<void> | null = null;
  const closeAll = async () => {
    await Promise.all(clients.map((client) => client.close()));
    await proxy.close();
    await witness.close();
    rmSync(directory, { recursive: true });
  };
  const close = () => (closing ??= closeAll());
  t?.teardown(close);
  return {
    arbiter: clients[0]!,
    proxy,
    port,
    witness: () => witness,
    connect: () => {
      const client = clientOf(port);
      clients.push(client);
      return Promise.resolve(client);
    },
    close,
    faults: {
      lose: (what: 'none' | 'request' | 'answer') => proxy.lose(what),
      hold: () => Promise.resolve(proxy.hold()),
      reset: (on: boolean) => proxy.refuse(on),
      backup: async () => {
        const copy = readFileSync(stateFile);
        return async () => {
          await witness.close();
          writeFileSync(stateFile, copy);
          witness = await start(stateFile, port);
        };
      },
      restart: async () => {
        await witness.close();
        witness = await start(stateFile, port);
      },
    },
  };
};

arbiterContract(test, 'witness', () => open());

// ---- connection

test('a client before its witness: connects by itself soon after its start', async (t) => {
  const stateFile = join(temporary(t), 'state');
  await createStateFile(stateFile, STATE_ID);
  const first = await start(stateFile);
  const port = portOf(first.address);
  await first.close();
  const client = clientOf(port);
  // Also when this test fails: a client that is left connecting keeps the whole run from ending.
  t.teardown(() => client.close());
  // The refusal; or, where the process does not run in time to read it, that it did not come.
  const message = /no answer from the witness 127.0.0.1:\d+: (.*ECONNREFUSED|no connection within \d+ ms)/;
  await t.throwsAsync(client.read(['x'], after(500)), { message });
  const waiting = client.cas('x', null, '1', soon());
  const witness = await start(stateFile, port);
  t.teardown(() => witness.close());
  t.is((await waiting).outcome, 'done');
});

test('the connection is reset under way: unknown at once, not at the deadline; the next call works', async (t) => {
  const store = await open(t);
  await store.arbiter.cas('x', null, '1', soon());
  store.proxy.lose('answer');
  const startMs = performance.now();
  const cut = store.arbiter.cas('x', 'nonsense', '2', soon());
  setTimeout(() => store.proxy.reset(), 30);
  await t.throwsAsync(cut, { message: /no answer/ });
  t.true(performance.now() - startMs < 2000);
  store.proxy.lose('none');
  t.is((await store.arbiter.read(['x'], soon()))[0]?.value, '1');
  await store.close();
});

test('a value of 32 KiB, forty of them in one read, and one that is too long', async (t) => {
  const store = await open(t);
  const keys = Array.from({ length: 20 }, (_, n) => `large-${n}`);
  const value = 'x'.repeat(30_000);
  await Promise.all(keys.map((name) => store.arbiter.cas(name, null, value, soon())));
  t.deepEqual(
    (await store.arbiter.read(keys, soon())).map((one) => one?.value.length),
    keys.map(() => 30_000),
  );
  await t.throwsAsync(store.arbiter.cas('too long', null, 'x'.repeat(40_000), soon()));
  await Promise.all(Array.from({ length: 14 }, (_, n) => store.arbiter.cas(`more-${n}`, null, value, soon())));
  await t.throwsAsync(store.arbiter.cas('too much', null, value, soon()), { message: /witness is full/, name: 'ArbiterError' });
  t.is((await store.arbiter.read(['large-0'], soon()))[0]?.value, value, 'and it goes on');
  await store.close();
});

test('following over a restart of the witness: what changed meanwhile is told', async (t) => {
  const store = await open(t);
  const other = await store.connect();
  const told: string[] = [];
  const ending = new AbortController();
  const ended = store.arbiter.follow(['f'], ({ value }) => told.push(value), ending.signal);
  const first = await other.cas('f', null, '1', soon());
  store.proxy.lose('answer');
  await other.cas('f', first.outcome === 'done' ? first.version : '', '2', soon());
  store.proxy.lose('none');
  store.proxy.reset();
  for (let tries = 0; tries < 400 && told.at(-1) !== '2'; tries++) await new Promise((resolve) => setTimeout(resolve, 5));
  t.is(told.at(-1), '2');
  await store.close();
  await ended;
});

// ---- authentication

test('another cluster key: the client is not let in, and says so; the witness goes on', async (t) => {
  const store = await open(t);
  const stranger = clientOf(store.port, { fill: 9 });
  await t.throwsAsync(stranger.read(['x'], after(2500)), { message: /another cluster key\?/ });
  await stranger.close();
  t.deepEqual(await store.arbiter.read(['x'], soon()), [null]);
  await store.close();
});

test('two keys during a rotation: clients with either are let in', async (t) => {
  const stateFile = join(temporary(t), 'state');
  await createStateFile(stateFile, STATE_ID);
  const witness = await start(stateFile, 0, keysOf(8, 7));
  for (const fill of [7, 8]) {
    const client = clientOf(portOf(witness.address), { fill });
    t.deepEqual(await client.read(['x'], soon()), [null]);
    await client.close();
  }
  await witness.close();
});

const raw = async (port: number): Promise<{ socket: Socket; nonce: string; ended: Promise<unknown> }> => {
  const socket = connect(port, '127.0.0.1');
  const ended = once(socket, 'close');
  socket.on('error', () => {});
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  socket.resume();
  return { socket, nonce: (JSON.parse(chunk.subarray(4).toString()) as { nonce: string }).nonce, ended };
};

test('whatever a stranger sends: its connection ends, nothing is written', async (t) => {
  const store = await open(t);
  const nonce = '11'.repeat(16);
  const hello = { t: 'hello', cluster: 'orders', node: 'a' };
  const cas = { t: 'cas', id: 0, key: 'stolen', expected: null, value: 'x' };
  const sealerOf = (witnessNonce: string, fill: number) => new Sealer(connectionKeys(key(fill).bytes, witnessNonce, nonce)['to-witness']);
  const attempts: [title: string, bytes: (witnessNonce: string) => Buffer[]][] = [
    ['noise', () => [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
    ['a long greeting', () => [Buffer.from([0, 0, 8, 0]), Buffer.alloc(2048, 32)]],
    ['an empty frame', () => [Buffer.alloc(4)]],
    ['no hello', () => [greeting({ client: 1, nonce }), greeting(cas)]],
    ['a hello of length 0 but for nothing', () => [greeting({ client: 1, nonce }), Buffer.from([0, 0, 0, 1, 0])]],
    ['the wrong key', (witnessNonce) => [greeting({ client: 1, nonce }), sealerOf(witnessNonce, 9).seal(hello), greeting(cas)]],
    [
      'a recorded greeting of another connection',
      () => {
        const s = sealerOf('22'.repeat(16), 7);
        return [greeting({ client: 1, nonce }), s.seal(hello), s.seal(cas)];
      },
    ],
    ['a request in the place of the hello', (witnessNonce) => [greeting({ client: 1, nonce }), sealerOf(witnessNonce, 7).seal(cas)]],
    [
      'the same request twice',
      (witnessNonce) => {
        const s = sealerOf(witnessNonce, 7);
        const frames = [greeting({ client: 1, nonce }), s.seal(hello)];
        const read = s.seal({ t: 'read', id: 0, keys: [] });
        return [...frames, read, read];
      },
    ],
    [
      'frames in another order',
      (witnessNonce) => {
        const s = sealerOf(witnessNonce, 7);
        const first = s.seal(hello);
        const second = s.seal({ t: 'read', id: 0, keys: [] });
        const third = s.seal(cas);
        return [greeting({ client: 1, nonce }), first, third, second];
      },
    ],
    [
      'one bit changed',
      (witnessNonce) => {
        const s = sealerOf(witnessNonce, 7);
        const first = s.seal(hello);
        const second = s.seal(cas);
        second[second.length - 1]! ^= 1;
        return [greeting({ client: 1, nonce }), first, second];
      },
    ],
    [
      'an authentic message that is none',
      (witnessNonce) => {
        const s = sealerOf(witnessNonce, 7);
        return [greeting({ client: 1, nonce }), s.seal(hello), s.seal({ t: 'delete', key: 'x' })];
      },
    ],
  ];
  for (const [title, bytes] of attempts) {
    const { socket, nonce: witnessNonce, ended } = await raw(store.port);
    socket.write(Buffer.concat(bytes(witnessNonce)));
    await Promise.race([ended, new Promise((_, reject) => setTimeout(() => reject(new Error(`${title}: still connected`)), 5000).unref())]);
    t.is((await store.arbiter.read(['stolen'], soon()))[0], null, title);
  }
  await store.close();
});

test('strangers that only hold connections: the oldest are ended, clients still get in', async (t) => {
  const store = await open(t);
  const holders = await Promise.all(Array.from({ length: 40 }, () => raw(store.port)));
  const client = await store.connect();
  t.deepEqual(await client.read(['x'], soon()), [null]);
  for (const { socket } of holders) socket.destroy();
  await store.close();
});

// ---- a witness that lost its state

test('a client that knew another state, or a later one: refuses, until the right one is back', async (t) => {
  const directory = temporary(t);
  const [real, wiped] = [join(directory, 'real'), join(directory, 'wiped')];
  await createStateFile(real, STATE_ID);
  await createStateFile(wiped, 'cd'.repeat(16));
  let witness: Witness = await start(real);
  const port = portOf(witness.address);
  const early = readFileSync(real);
  const client = clientOf(port);
  t.is((await client.cas('x', null, '1', soon())).outcome, 'done');
  const turn = async (stateFile: string) => {
    await witness.close();
    witness = await start(stateFile, port);
  };

  await turn(wiped);
  await t.throwsAsync(client.cas('x', null, '2', after(3000)), {
    name: 'ArbiterError',
    message: /lost its state: it was abab.*now it is cdcd/,
  });
  await t.throwsAsync(client.read(['x'], after(3000)), { message: /lost its state/ }, 'and refuses at once from then on');
  await turn(real);
  const back = async (): Promise<string | undefined> => (await client.read(['x'], after(500)).catch(() => []))[0]?.value;
  let value = await back();
  for (let tries = 0; tries < 300 && value === undefined; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    value = await back();
  }
  t.is(value, '1');

  const older = join(directory, 'older');
  writeFileSync(older, early);
  await turn(older);
  await t.throwsAsync(client.read(['x'], after(3000)), { message: /it was at generation 1, now it is at 0/ });
  await client.close();
  await witness.close();
});

test('what is remembered in a file: outlives the client; damaged it is refused', async (t) => {
  const directory = temporary(t);
  const remember = join(directory, 'remembered');
  for (const [name, id] of [
    ['one', STATE_ID],
    ['two', 'cd'.repeat(16)],
  ] as const)
    await createStateFile(join(directory, name), id);
  const context = { cluster: 'orders', node: 'a', key: key(7).bytes, ports: {}, log: silent };
  const use = async (name: string) => {
    const witness = await start(join(directory, name));
    const client = await (witnessArbiter as ArbiterDefinition).open({ address: witness.address, remember }, context);
    try {
      return await client.read(['x'], after(3000));
    } finally {
      await client.close();
      await witness.close();
    }
  };
  t.deepEqual(await use('one'), [null]);
  t.is(readFileSync(remember, 'utf8'), `${STATE_ID} 0\n`);
  await t.throwsAsync(use('two'), { message: /lost its state/ });
  writeFileSync(remember, 'x');
  t.throws(() => new WitnessMemory(remember, silent), { code: 'REFUSED' });
});

// ---- processes, command, lab

const spawnWitness = async (stateFile: string, port = 0): Promise<{ child: ChildProcess; port: number }> => {
  const child = spawn(process.execPath, [new URL('../../support/witness-process.js', import.meta.url).pathname, stateFile, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
  return { child, port: portOf(line) };
};

test('kill -9 in the middle of many writes, three times: nothing acknowledged is lost', async (t) => {
  const stateFile = join(temporary(t), 'state');
  await createStateFile(stateFile, STATE_ID);
  let { child, port } = await spawnWitness(stateFile);
  t.teardown(() => child.kill('SIGKILL'));
  const client = clientOf(port);
  t.teardown(() => client.close());
  const acknowledged = new Map<string, { value: string; version: string }>();
  let n = 0;
  for (let round = 0; round < 3; round++) {
    let killed = false;
    const writer = async (lane: string) => {
      const key = `${lane}-${round}`;
      let version: string | null = null;
      while (!killed) {
        const value = `${lane} ${n++}`;
        try {
          const result = await client.cas(key, version, value, after(1000));
          version = result.outcome === 'done' ? result.version : (result.current?.version ?? null);
          if (result.outcome === 'done') acknowledged.set(key, { value, version: result.version });
        } catch (error) {
          // Unknown: the kill came first, or a busy machine answers later than in a second. What became of it, the next one's conflict says.
          t.is((error as ArbiterError).kind, 'unknown');
        }
      }
    };
    const lanes = ['p', 'q', 'r', 's'].map(writer);
    await until('an answer to every lane', () => acknowledged.size === 4 * (round + 1), 30_000);
    await new Promise((resolve) => setTimeout(resolve, 5 + 7 * round));
    child.kill('SIGKILL');
    killed = true;
    await Promise.all([...lanes, once(child, 'exit')]);
    ({ child } = await spawnWitness(stateFile, port));
    for (const [key, { value, version }] of acknowledged) {
      const [found] = await client.read([key], soon());
      // One more write may have landed whose answer the kill cut off: then the version is later.
      if (found?.version !== version) t.true(Number(found?.version.split('.')[1]) > Number(version.split('.')[1]), key);
      else t.is(found.value, value);
    }
  }
  t.is(acknowledged.size, 12, `${n} writes`);
  child.kill('SIGKILL');
  await once(child, 'exit');
});

test('two processes on one state: the second is refused', async (t) => {
  const stateFile = join(temporary(t), 'state');
  await createStateFile(stateFile, STATE_ID);
  const { child } = await spawnWitness(stateFile);
  t.teardown(() => child.kill('SIGKILL'));
  await t.throwsAsync(start(stateFile), { code: 'REFUSED', message: /another witness on this host serves/ });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await start(stateFile)).close();
});

test('understudy witness: creates only what is not there, starts only on what is', async (t) => {
  const directory = temporary(t);
  const state = join(directory, 'state');
  const keyFile = join(directory, 'key');
  writeFileSync(keyFile, `understudy-key-1 1 ${'0123456789abcdef'.repeat(4)}\n`, { mode: 0o400 });
  await t.throwsAsync(witnessCommand.run({}, []), { code: 'USAGE', message: /--state/ });
  await t.throwsAsync(witnessCommand.run({ state, key: keyFile, listen: '127.0.0.1:0' }, []), {
    code: 'REFUSED',
    message: /there is no state/,
  });
  t.is(await witnessCommand.run({ state, create: true }, []), 0);
  t.is(statSync(state).mode & 0o777, 0o600);
  await t.throwsAsync(witnessCommand.run({ state, create: true }, []), { code: 'REFUSED', message: /EEXIST/ });
  await t.throwsAsync(witnessCommand.run({ state, key: join(directory, 'none'), listen: '127.0.0.1:0' }, []), { code: 'KEY_UNUSABLE' });
  await t.throwsAsync(witnessCommand.run({ state, key: keyFile, listen: 'localhost:1' }, []), { code: 'USAGE' });
  await serve({ key: keyFile, listen: '127.0.0.1:0' }, state, Promise.resolve(null));
});

test('lab service: an address for the config, down and up on demand, one state for one lab', async (t) => {
  const directory = temporary(t);
  const keyFile = join(directory, 'key');
  writeFileSync(keyFile, `understudy-key-1 1 ${'07'.repeat(31)}08\n`, { mode: 0o400 });
  const context = {
    hosts: [],
    floating: [],
    listenAddress: '127.0.0.1',
    directory,
    keyFile,
    route: async () => {},
    power: async () => {},
    log: silent,
  };
  const service = await witnessLabService.start(context);
  const { arbiter } = service.config as { arbiter: { use: string; address: string } };
  t.is(arbiter.use, 'witness');
  const client = new WitnessClient({
    host: '127.0.0.1',
    port: portOf(arbiter.address),
    key: Buffer.from(`${'07'.repeat(31)}08`, 'hex'),
    cluster: 'lab',
    node: 'a',
    memory: new WitnessMemory(null, silent),
    log: silent,
  });
  await client.cas('x', null, '1', soon());
  t.is(await service.fault!(['down']), 'the witness is down');
  await t.throwsAsync(client.read(['x'], after(150)));
  t.is(await service.fault!(['up']), 'the witness is up');
  t.is((await client.read(['x'], soon()))[0]?.value, '1');
  t.like(service.state!(), { up: true, generation: 1 });
  await t.throwsAsync(service.fault!(['sideways']), { code: 'USAGE' });
  await client.close();
  await service.stop();
  t.true(existsSync(join(directory, 'witness.state')));
});

test('addresses: numeric with a port, IPv6 in brackets; names are none', (t) => {
  const cases: [string, { host: string; port: number } | null][] = [
    ['10.0.0.5:99', { host: '10.0.0.5', port: 99 }],
    ['10.0.0.5', { host: '10.0.0.5', port: 4472 }],
    ['[fd00::5]:99', { host: 'fd00::5', port: 99 }],
    ['[fd00::5]', { host: 'fd00::5', port: 4472 }],
    ['::1', { host: '::1', port: 4472 }],
    ['witness:99', null],
    ['10.0.0.5:99999', null],
    ['10.0.0.999:1', null],
    ['', null],
  ];
  for (const [text, expected] of cases) t.deepEqual(parseAddress(text, 4472), expected, text);
});
