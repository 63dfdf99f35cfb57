// The arbiter `etcd` on Debian's etcd: the contract on one member, on three, and over TLS with users; a storm of writes while
// the leader is paused and killed, with its whole history checked; stores that forgot. Oracle: etcd's own history of each key.
import { setTimeout as sleep } from 'node:timers/promises';
import anyTest, { type TestFn } from 'ava';
import { type Arbiter, ArbiterError, type CasResult, type Versioned } from 'understudy/plugin';
import { arbiterContract } from 'understudy/testkit';
import { etcdArbiter } from '../../plugins/etcd/arbiter.js';
import { EtcdCluster, etcdObstacle } from '../support/etcd-cluster.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const obstacle = etcdObstacle();
const test = (obstacle === null ? anyTest.serial : anyTest.serial.skip) as unknown as TestFn;
if (obstacle !== null) anyTest(`skipped: needs etcd (${obstacle})`, (t) => t.pass());

const soon = (ms = 8000) => AbortSignal.timeout(ms);
const kindOf = (error: unknown): string => (error instanceof ArbiterError ? error.kind : String(error));
const endpoint = (text: string) => ({ host: text.slice(0, text.lastIndexOf(':')), port: Number(text.slice(text.lastIndexOf(':') + 1)) });

/**
 * Tests of one cluster, each with keys of its own; the first client's requests go through a proxy to each member. No `hold`:
 * the client's cancellation is behind the request on the wire, and etcd, which gets both at once, may drop what it cancels.
 */
const shared = (size: 1 | 3, secure = false) => {
  let cluster: EtcdCluster | null = null;
  let opened = 0;
  test.after.always(`ends etcd (${size}, ${secure ? 'TLS' : 'plain'})`, async () => cluster?.stop());
  return async () => {
    const etcd = (cluster ??= await EtcdCluster.start(size, { secure }));
    const proxies = etcd.cluster.endpoints.map((text) => new TcpProxy(endpoint(text)));
    const endpoints = await Promise.all(proxies.map(async (proxy) => `127.0.0.1:${await proxy.listen()}`));
    const prefix = `${etcd.options.prefix ?? ''}${++opened}/`;
    const arbiter = await etcd.connect({ endpoints, prefix });
    return {
      arbiter,
      connect: () => etcd.connect({ prefix }),
      faults: {
        lose: (what: 'request' | 'answer' | 'none') => proxies.forEach((proxy) => proxy.lose(what)),
        reset: (on: boolean) => proxies.forEach((proxy) => proxy.refuse(on)),
        forget: (key: string) => Promise.resolve(void etcd.control('del', `${prefix}${key}`)),
        ...(secure ? { deny: (on: boolean) => etcd.permit(!on) } : {}),
        ...(size === 1 && !secure ? { backup: () => etcd.backup() } : {}),
        restart: async () => {
          for (let member = 0; member < size; member++) await etcd.cluster.signal(member, 'SIGKILL');
          await etcd.cluster.start();
        },
      },
      close: async () => {
        await arbiter.close();
        await Promise.all(proxies.map((proxy) => proxy.close()));
      },
    };
  };
};

arbiterContract(test, 'etcd, one member', shared(1));
arbiterContract(test, 'etcd, three members', shared(3));
arbiterContract(test, 'etcd, one member, TLS and users', shared(1, true));

// ---- a storm

interface Operation {
  readonly key: string;
  readonly id: string | null;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly result: CasResult | Versioned | null | 'unknown';
}

/** Every value a key ever had, in order, by etcd's own watch from the beginning; until `last`. */
const historyOf = async (at: string, key: string, last: string): Promise<readonly { readonly id: string; readonly version: string }[]> => {
  const found: { id: string; version: string }[] = [];
  const body = JSON.stringify({ create_request: { key: Buffer.from(key).toString('base64'), start_revision: '1' } });
  const answer = await fetch(`http://${at}/v3/watch`, { method: 'POST', body, signal: soon() });
  let kept = '';
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    kept += chunk;
    const lines = kept.split('\n');
    kept = lines.pop() ?? '';
    for (const line of lines) {
      const { result } = JSON.parse(line) as { result: { events?: { kv: { value: string; mod_revision: string } }[] } };
      for (const { kv } of result.events ?? []) found.push({ id: Buffer.from(kv.value, 'base64').toString(), version: kv.mod_revision });
    }
    if (found.at(-1)?.version === last) return found;
  }
  throw new Error(`the history of ${key} ends before version ${last}`);
};

/** Reads, and writes a value that names the one it replaces; until told to end. */
const storm = async (arbiter: Arbiter, name: string, keys: readonly string[], ended: () => boolean): Promise<readonly Operation[]> => {
  const operations: Operation[] = [];
  const timed = async <T extends Operation['result']>(key: string, id: string | null, ask: () => Promise<T>): Promise<T | 'unknown'> => {
    const fromMs = performance.now();
    const result = await ask().catch((error: unknown) => {
      if (kindOf(error) !== 'unknown') throw error;
      return 'unknown' as const;
    });
    operations.push({ key, id, fromMs, untilMs: performance.now(), result });
    return result;
  };
  for (let n = 0; !ended(); n++) {
    const key = keys[n % keys.length]!;
    const current = await timed(key, null, async () => (await arbiter.read([key], soon(250)))[0] ?? null);
    if (current === 'unknown') continue;
    const id = `${name}.${n} after ${current?.value.split(' ')[0] ?? 'none'}`;
    await timed(key, id, () => arbiter.cas(key, current?.version ?? null, id, soon(250)));
    await sleep(2);
  }
  return operations;
};

test('three members, the leader paused and then killed during a storm of writes: one chain, nothing lost, nothing twice', async (t) => {
  const etcd = await EtcdCluster.start(3);
  t.teardown(() => etcd.stop());
  const clients = await Promise.all(Array.from({ length: 4 }, () => etcd.connect()));
  const keys = ['register-1', 'register-2'];
  let over = false;
  const storms = clients.map((client, n) => storm(client, `c${n}`, keys, () => over));
  await sleep(800);
  const paused = await etcd.leader();
  await etcd.cluster.signal(paused, 'SIGSTOP');
  await sleep(1500);
  await etcd.cluster.signal(paused, 'SIGCONT');
  await sleep(800);
  const killed = await etcd.leader();
  await etcd.cluster.signal(killed, 'SIGKILL');
  await sleep(1500);
  await etcd.cluster.startMember(killed);
  await sleep(800);
  over = true;
  const operations = (await Promise.all(storms)).flat();
  const count = { done: 0, conflict: 0, unknown: 0 };
  for (const key of keys) {
    const own = operations.filter((operation) => operation.key === key);
    const [last] = await clients[0]!.read([key], soon());
    const chain = await historyOf(etcd.cluster.endpoints[0]!, key, last?.version ?? '');
    for (const [n, { id }] of chain.entries())
      t.is(id.split(' ')[2], n === 0 ? 'none' : chain[n - 1]!.id.split(' ')[0], `${id} is in its place`);
    const versionOf = new Map(chain.map(({ id, version }) => [id, version]));
    t.is(versionOf.size, chain.length, 'no value twice');
    // What each operation saw or made; linearizable when whatever began after it ended saw no less.
    const points: { readonly fromMs: number; readonly untilMs: number; readonly version: number; readonly made: boolean }[] = [];
    for (const { id, result, fromMs, untilMs } of own) {
      if (id !== null && result !== 'unknown' && result !== null && 'outcome' in result) {
        count[result.outcome] += 1;
        t.is(versionOf.get(id), result.outcome === 'done' ? result.version : undefined, id);
        if (result.outcome === 'done') points.push({ fromMs, untilMs, version: Number(result.version), made: true });
        else points.push({ fromMs, untilMs, version: Number(result.current?.version ?? 0), made: false });
      } else if (result === 'unknown') count.unknown += 1;
      else if (id === null && (result === null || 'version' in result))
        points.push({ fromMs, untilMs, version: Number(result?.version ?? 0), made: false });
    }
    const ends = points.toSorted((a, b) => a.untilMs - b.untilMs);
    let at = 0;
    let floor = -1;
    for (const point of points.toSorted((a, b) => a.fromMs - b.fromMs)) {
      for (; ends[at]!.untilMs < point.fromMs; at++) floor = Math.max(floor, ends[at]!.version);
      t.true(point.made ? point.version > floor : point.version >= floor, `version ${point.version} after ${floor} was known`);
    }
  }
  t.log(`${count.done} done, ${count.conflict} lost their race, ${count.unknown} of unknown outcome`);
  t.true(count.done > 50 && count.unknown > 0);
  await Promise.all(clients.map((client) => client.close()));
});

// ---- the loss of a member

test('three members, the one in use is paused: one attempt is lost at most, then the next is used', async (t) => {
  const etcd = await EtcdCluster.start(3);
  t.teardown(() => etcd.stop());
  const leader = await etcd.leader();
  const follower = (leader + 1) % 3;
  // Only the follower's is good at first: the client is there.
  const arbiter = await etcd.connect({ endpoints: [etcd.cluster.endpoints[follower]!, etcd.cluster.endpoints[leader]!] });
  t.teardown(() => arbiter.close());
  let version: string | null = null;
  const write = async (): Promise<string> => {
    const result: CasResult = await arbiter.cas('x', version, 'value', soon(250));
    if (result.outcome === 'conflict') version = result.current?.version ?? null;
    else ({ version } = result);
    return result.outcome;
  };
  await arbiter.read(['x'], soon());
  t.is(await write(), 'done');
  await etcd.cluster.signal(follower, 'SIGSTOP');
  const outcomes: string[] = [];
  for (let n = 0; n < 8; n++) outcomes.push(await write().catch(kindOf));
  t.true(outcomes.filter((outcome) => outcome === 'unknown').length <= 1, outcomes.join(' '));
  t.is(outcomes.at(-1), 'done');
  await etcd.cluster.signal(follower, 'SIGCONT');
  await etcd.cluster.signal(leader, 'SIGKILL');
  const values = await arbiter.read(['x'], soon());
  t.is(values[0]?.version, version ?? '', 'the first endpoint serves again');
});

test('an endpoint that is down at the start, and one that never was there: the others are used', async (t) => {
  const etcd = await EtcdCluster.start(3);
  t.teardown(() => etcd.stop());
  await etcd.cluster.signal(0, 'SIGKILL');
  const arbiter = await etcd.connect({ endpoints: ['127.0.0.1:1', ...etcd.cluster.endpoints] });
  t.teardown(() => arbiter.close());
  t.is((await arbiter.cas('x', null, '1', soon())).outcome, 'done');
});

test('two of three members gone: unknown in time, nothing written; back: it goes on, and followers hear', async (t) => {
  const etcd = await EtcdCluster.start(3);
  t.teardown(() => etcd.stop());
  const [arbiter, other] = await Promise.all([etcd.connect(), etcd.connect()]);
  t.teardown(() => Promise.all([arbiter.close(), other.close()]));
  const told: string[] = [];
  const ending = new AbortController();
  const ended = arbiter.follow!(['x'], ({ value }) => told.push(value), ending.signal);
  const first = await other.cas('x', null, '1', soon());
  await etcd.cluster.signal(1, 'SIGKILL');
  await etcd.cluster.signal(2, 'SIGKILL');
  await sleep(100);
  const beganMs = performance.now();
  const errors = await Promise.all([
    t.throwsAsync(arbiter.read(['x'], soon(300)), { instanceOf: ArbiterError }),
    t.throwsAsync(arbiter.cas('x', first.outcome === 'done' ? first.version : null, '2', soon(300)), { instanceOf: ArbiterError }),
  ]);
  t.deepEqual(errors.map(kindOf), ['unknown', 'unknown']);
  t.true(performance.now() - beganMs < 600);
  await etcd.cluster.start();
  const [now] = await other.read(['x'], soon());
  const next = await other.cas('x', now!.version, 'after all', soon());
  t.is(next.outcome, 'done');
  for (const endMs = performance.now() + 8000; !told.includes('after all') && performance.now() < endMs; ) await sleep(20);
  t.is(told.at(-1), 'after all');
  ending.abort();
  await ended;
});

// ---- stores that forgot

test('a member begins anew with an empty disk: replaced, it catches up; nobody sees it go back', async (t) => {
  const etcd = await EtcdCluster.start(3);
  t.teardown(() => etcd.stop());
  const arbiter = await etcd.connect();
  t.teardown(() => arbiter.close());
  let version: string | null = null;
  for (let n = 0; n < 20; n++) {
    const result: CasResult = await arbiter.cas('x', version, String(n), soon());
    version = result.outcome === 'done' ? result.version : null;
  }
  const follower = ((await etcd.leader()) + 1) % 3;
  await etcd.cluster.signal(follower, 'SIGKILL');
  etcd.cluster.wipe(follower);
  // Listening or not when it finds out: etcd itself refuses it as the member that it was.
  await Promise.allSettled([etcd.cluster.startMember(follower)]);
  for (const endMs = performance.now() + 8000; etcd.cluster.isUp(follower) && performance.now() < endMs; ) await sleep(20);
  t.false(etcd.cluster.isUp(follower));
  etcd.replaceMember(follower);
  await etcd.cluster.startMember(follower, 'existing');
  const only = await etcd.connect({ endpoints: [etcd.cluster.endpoints[follower]!] });
  t.teardown(() => only.close());
  for (const client of [arbiter, only]) {
    const [value] = await client.read(['x'], soon());
    t.deepEqual([value?.value, value?.version], ['19', version]);
  }
});

test('the store is made anew at the same address: refused with words, also for one that knew it by the config', async (t) => {
  const etcd = await EtcdCluster.start(1);
  t.teardown(() => etcd.stop());
  const arbiter = await etcd.connect();
  t.teardown(() => arbiter.close());
  for (const key of ['a', 'b', 'c']) await arbiter.cas(key, null, '1', soon());
  await etcd.cluster.signal(0, 'SIGKILL');
  etcd.cluster.wipe(0);
  await etcd.cluster.start();
  // Made with the same names it has the same cluster id: only its revision tells.
  const back = async (): Promise<ArbiterError> => {
    for (;;) {
      const error = await t.throwsAsync(arbiter.cas('a', null, '2', soon(2000)), { instanceOf: ArbiterError });
      if (error?.kind === 'refused') return error;
    }
  };
  t.regex((await back()).message, /went back from revision 4 to 1: it was restored from a backup/);
  const stranger = await etcd.connect({ clusterId: 'cdf818194e3a8c32' });
  t.teardown(() => stranger.close());
  const error = await t.throwsAsync(stranger.cas('a', null, '2', soon(2000)), { instanceOf: ArbiterError });
  t.regex(error?.message ?? '', /belongs to cluster [0-9a-f]+, not to cdf818194e3a8c32/);
  const fresh = await etcd.connect();
  t.teardown(() => fresh.close());
  t.deepEqual(await fresh.read(['a'], soon()), [null], 'nothing was written by those who refused');
});

// ---- who may

test('users and TLS: a wrong password, keys of others, no certificate, another name: refused or silent, in words', async (t) => {
  const etcd = await EtcdCluster.start(1, { secure: true });
  t.teardown(() => etcd.stop());
  const { tls } = etcd.options;
  const failing = async (more: Parameters<EtcdCluster['connect']>[0]): Promise<readonly [string, string]> => {
    const arbiter = await etcd.connect(more);
    try {
      const error = await t.throwsAsync(arbiter.read(['x'], soon(1500)), { instanceOf: ArbiterError });
      return [kindOf(error), error?.message ?? ''];
    } finally {
      await arbiter.close();
    }
  };
  const others = await failing({ prefix: 'of-others/' });
  t.deepEqual([others[0], /permission denied.*role must read and write/.test(others[1])], ['refused', true], others[1]);
  const nobody = await failing({ user: undefined });
  t.is(nobody[0], 'refused', nobody[1]);
  const root = await failing({ user: 'root' });
  t.deepEqual([root[0], /invalid user ID or password/.test(root[1])], ['refused', true], root[1]);
  const named = await failing({ tls: { ...tls!, serverName: 'other.test' } });
  t.deepEqual([named[0], /no member of etcd is known to be good/.test(named[1])], ['unknown', true], named[1]);
  const without = await failing({ tls: { ca: tls!.ca, serverName: 'etcd.test' } });
  t.is(without[0], 'unknown', without[1]);
  await t.throwsAsync(etcd.connect({ tls: { ca: '/nonexistent' } }), { message: /cannot use the certificate \/nonexistent/ });
  // etcd forgets its tokens when it restarts: a new one is asked for within the call.
  const arbiter = await etcd.connect();
  t.teardown(() => arbiter.close());
  t.is((await arbiter.cas('x', null, '1', soon())).outcome, 'done');
  await etcd.cluster.signal(0, 'SIGKILL');
  await etcd.cluster.start();
  t.is((await arbiter.read(['x'], soon()))[0]?.value, '1');
});

test('options: what cannot be is said before anything is asked', (t) => {
  const wrong = (value: Record<string, unknown>): string => {
    const { success, error } = etcdArbiter.options.safeParse({ endpoints: ['10.0.9.1:2379'], ...value });
    return success ? 'accepted' : error.issues.map(({ message }) => message).join('; ');
  };
  t.is(wrong({}), 'accepted');
  t.regex(wrong({ endpoints: ['etcd.example.org:2379'] }), /numeric address/);
  t.regex(wrong({ endpoints: [] }), /1 to 9 endpoints/);
  t.regex(wrong({ user: 'ha', password: 'secret', tls: { ca: '/ca' } }), /do not belong in this file/);
  t.regex(wrong({ user: 'ha', password: 'file:/x' }), /TLS only/);
  t.regex(wrong({ user: 'ha', tls: { ca: '/ca' } }), /both user and password/);
  t.regex(wrong({ tls: { ca: '/ca', cert: '/c' } }), /both cert and key/);
});
