// The contract suite every arbiter must pass (core/ownership/arbiter.ts): compare-and-set and linearizable reads, also when
// many ask at once, when answers are lost and when the store restarts. Run it on a real store wherever one is to be had:
// a double that is kinder than the store proves nothing.
import assert from 'node:assert/strict';
import { type Arbiter, ArbiterError, type CasResult, type Versioned } from '../../ownership/arbiter.js';
import type { ContractTest } from './agent-contract.js';

/** A store with one client to begin with. Every test opens its own and closes it. */
export interface ArbiterUnderTest {
  readonly arbiter: Arbiter;
  /** Another client of the same store, as another node would have it. */
  connect(): Promise<Arbiter>;
  close(): Promise<void>;
  readonly faults?: {
    /** `request`: requests of the first client no longer arrive; `answer`: they take effect, unanswered; `none`: all is well. */
    readonly lose?: (what: 'request' | 'answer' | 'none') => void | Promise<void>;
    /** Ends the store as by kill -9 and starts it again. */
    readonly restart?: () => Promise<void>;
  };
}

const LIMIT_MS = 10_000;
const SHORT_MS = 200;

const within = (ms: number): AbortSignal => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error(`${ms} ms are over`)), ms).unref();
  return controller.signal;
};
const soon = () => within(LIMIT_MS);

const done = (result: CasResult): string => {
  assert.equal(result.outcome, 'done', `expected a success, got ${JSON.stringify(result)}`);
  return result.outcome === 'done' ? result.version : '';
};
const put = async (arbiter: Arbiter, key: string, expected: string | null, value: string): Promise<string> =>
  done(await arbiter.cas(key, expected, value, soon()));
const get = async (arbiter: Arbiter, key: string): Promise<Versioned | null> => (await arbiter.read([key], soon()))[0] ?? null;
const unknown = (error: unknown): boolean => error instanceof ArbiterError && error.kind === 'unknown';

/** A read after a fault: the first ones may still be told of it. */
const getAfter = async (arbiter: Arbiter, key: string): Promise<Versioned | null> => {
  const signal = soon();
  for (;;) {
    try {
      return (await arbiter.read([key], signal))[0] ?? null;
    } catch (error) {
      if (!unknown(error) || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
};

const until = async (what: string, holds: () => boolean): Promise<void> => {
  const endMs = performance.now() + LIMIT_MS;
  while (!holds()) {
    assert.ok(performance.now() < endMs, `${what} within ${LIMIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/** Adds one only if nobody else did meanwhile; a lost race is tried again. */
const increment = async (arbiter: Arbiter, key: string): Promise<void> => {
  for (let tries = 0; tries < 1000; tries++) {
    const current = await get(arbiter, key);
    const result = await arbiter.cas(key, current?.version ?? null, String(Number(current?.value ?? 0) + 1), soon());
    if (result.outcome === 'done') return;
  }
  assert.fail('1000 lost races');
};

/** Registers the suite: one test for each promise, titled `NAME: situation: outcome`. */
export const arbiterContract = (test: ContractTest, name: string, open: () => Promise<ArbiterUnderTest>): void => {
  const promise = (title: string, run: (store: ArbiterUnderTest) => Promise<void>): void =>
    test(`${name}: ${title}`, async (t) => {
      const store = await open();
      try {
        await run(store);
        t.true(true); // Runners that count assertions want one; the promises assert by themselves.
      } finally {
        await store.close();
      }
    });

  promise('an absent key: null; several keys: in the order asked, also the same one twice', async ({ arbiter }) => {
    assert.equal(await get(arbiter, 'none'), null);
    await put(arbiter, 'one', null, '1');
    await put(arbiter, 'two', null, '2');
    const values = await arbiter.read(['two', 'none', 'one', 'two'], soon());
    assert.deepEqual(
      values.map((value) => value && [value.key, value.value]),
      [['two', '2'], null, ['one', '1'], ['two', '2']],
    );
    assert.deepEqual(await arbiter.read([], soon()), []);
  });

  promise('twenty create the same key at once: one succeeds, the others are told its value', async ({ connect }) => {
    const clients = await Promise.all(Array.from({ length: 5 }, connect));
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) => clients[n % clients.length]!.cas('race', null, `value of ${n}`, soon())),
    );
    const winners = results.flatMap((result, n) => (result.outcome === 'done' ? [n] : []));
    assert.equal(winners.length, 1);
    for (const result of results) if (result.outcome === 'conflict') assert.equal(result.current?.value, `value of ${winners[0]}`);
    await Promise.all(clients.map((client) => client.close()));
  });

  promise('a chain of writes: each on the version of the one before, no version twice', async ({ arbiter }) => {
    const versions: string[] = [];
    for (let n = 0; n < 20; n++) versions.push(await put(arbiter, 'chain', versions.at(-1) ?? null, `value ${n}`));
    assert.equal(new Set(versions).size, 20);
    assert.deepEqual(await get(arbiter, 'chain'), { key: 'chain', value: 'value 19', version: versions.at(-1) });
  });

  promise('a write on a version that is no more: refused, with what is there now, and nothing changed', async ({ arbiter }) => {
    const first = await put(arbiter, 'key', null, 'first');
    const second = await put(arbiter, 'key', first, 'second');
    for (const expected of [first, null]) {
      assert.deepEqual(await arbiter.cas('key', expected, 'third', soon()), {
        outcome: 'conflict',
        current: { key: 'key', value: 'second', version: second },
      });
    }
    assert.deepEqual(await arbiter.cas('absent', second, 'x', soon()), { outcome: 'conflict', current: null });
    assert.equal((await get(arbiter, 'key'))?.value, 'second');
    assert.equal(await get(arbiter, 'absent'), null);
  });

  promise('a value that was there before: the version of that time is not valid again', async ({ arbiter }) => {
    const first = await put(arbiter, 'aba', null, 'A');
    const third = await put(arbiter, 'aba', await put(arbiter, 'aba', first, 'B'), 'A');
    assert.notEqual(first, third);
    assert.equal((await arbiter.cas('aba', first, 'C', soon())).outcome, 'conflict');
    assert.notEqual(await put(arbiter, 'aba', third, 'A'), third, 'also when the same value is written over itself');
  });

  promise('values of any text, up to 8 KiB, and keys with slashes: come back as they were', async ({ arbiter, connect }) => {
    const other = await connect();
    const values = ['', '{"a":"b\\n"}', ' \t\r\n', 'épreuve 守護 🜂 \u0000 \u2028 "\'\\', 'x'.repeat(8192), '界'.repeat(2730)];
    for (const [n, value] of values.entries()) {
      await put(arbiter, `understudy/orders/db-${n}`, null, value);
      assert.equal((await get(other, `understudy/orders/db-${n}`))?.value, value);
    }
    const all = await other.read(
      values.map((_, n) => `understudy/orders/db-${n}`),
      soon(),
    );
    assert.deepEqual(
      all.map((one) => one?.value),
      values,
    );
    await other.close();
  });

  promise('many clients count at once: no increment is lost', async ({ connect }) => {
    const clients = await Promise.all(Array.from({ length: 4 }, connect));
    await Promise.all(clients.flatMap((client) => Array.from({ length: 5 }, () => increment(client, 'count'))));
    assert.equal((await get(clients[0]!, 'count'))?.value, '20');
    await Promise.all(clients.map((client) => client.close()));
  });

  promise('a read that begins after a write was acknowledged: sees it, from any client', async ({ arbiter, connect }) => {
    const other = await connect();
    let version: string | null = null;
    for (let n = 0; n < 20; n++) {
      version = await put(arbiter, 'seen', version, String(n));
      assert.deepEqual(await get(other, 'seen'), { key: 'seen', value: String(n), version });
    }
    await other.close();
  });

  promise('reads while others write: never go back', async ({ arbiter, connect }) => {
    const other = await connect();
    let writing = true;
    const writer = (async () => {
      for (let n = 0; n < 30; n++) await increment(arbiter, 'forward');
      writing = false;
    })();
    let last = 0;
    while (writing) {
      const value = Number((await get(other, 'forward'))?.value ?? 0);
      assert.ok(value >= last, `${value} after ${last}`);
      last = value;
    }
    await writer;
    await other.close();
  });

  promise('a signal that fired before the call: unknown, and nothing is done', async ({ arbiter }) => {
    await assert.rejects(arbiter.cas('late', null, 'x', AbortSignal.abort()), unknown);
    await assert.rejects(arbiter.read(['late'], AbortSignal.abort()), unknown);
    assert.equal(await get(arbiter, 'late'), null);
  });

  promise('the request is lost: unknown when the time is over; a later read tells that it did not happen', async ({ arbiter, faults }) => {
    if (faults?.lose === undefined) return;
    const version = await put(arbiter, 'lost', null, 'before');
    await faults.lose('request');
    await assert.rejects(arbiter.cas('lost', version, 'after', within(SHORT_MS)), unknown);
    await assert.rejects(arbiter.read(['lost'], within(SHORT_MS)), unknown);
    await faults.lose('none');
    assert.equal((await getAfter(arbiter, 'lost'))?.value, 'before');
    await put(arbiter, 'lost', version, 'after all');
  });

  promise('the answer is lost: unknown when the time is over; a later read tells that it happened', async ({ arbiter, faults }) => {
    if (faults?.lose === undefined) return;
    const version = await put(arbiter, 'lost', null, 'before');
    await faults.lose('answer');
    await assert.rejects(arbiter.cas('lost', version, 'after', within(SHORT_MS)), unknown);
    await faults.lose('none');
    assert.equal((await getAfter(arbiter, 'lost'))?.value, 'after');
    assert.equal((await arbiter.cas('lost', version, 'again', soon())).outcome, 'conflict');
  });

  promise('the store restarts: everything acknowledged is there, with its version', async ({ arbiter, faults }) => {
    if (faults?.restart === undefined) return;
    const versions = await Promise.all(Array.from({ length: 10 }, (_, n) => put(arbiter, `kept-${n}`, null, `value ${n}`)));
    await faults.restart();
    await getAfter(arbiter, 'kept-0');
    const values = await arbiter.read(
      versions.map((_, n) => `kept-${n}`),
      soon(),
    );
    assert.deepEqual(
      values.map((value) => [value?.value, value?.version]),
      versions.map((version, n) => [`value ${n}`, version]),
    );
    await put(arbiter, 'kept-0', versions[0]!, 'goes on');
  });

  promise(
    'following: a change arrives, the newest at last, only of the keys asked for; it ends with its signal',
    async ({ arbiter, connect }) => {
      if (arbiter.follow === undefined) return;
      const other = await connect();
      const ending = new AbortController();
      const told: Versioned[] = [];
      const ended = arbiter.follow(['followed'], (value) => told.push(value), ending.signal);
      let version = await put(other, 'followed', null, '0');
      await put(other, 'not followed', null, 'x');
      for (let n = 1; n < 10; n++) version = await put(other, 'followed', version, String(n));
      await until('the newest value is told', () => told.at(-1)?.version === version);
      assert.ok(told.every(({ key }) => key === 'followed'));
      assert.equal(told.at(-1)?.value, '9');
      ending.abort();
      await ended;
      const count = told.length;
      await put(other, 'followed', version, 'after the end');
      assert.equal(told.length, count);
      await arbiter.follow(['followed'], () => assert.fail('told after the end'), AbortSignal.abort());
      await other.close();
    },
  );

  promise('closed: may be closed again; calls are refused at once; followers end', async ({ connect }) => {
    const arbiter = await connect();
    await put(arbiter, 'closing', null, 'x');
    await arbiter.close();
    await arbiter.close();
    await assert.rejects(arbiter.read(['closing'], soon()), ArbiterError);
    await assert.rejects(arbiter.cas('closing', null, 'y', soon()), ArbiterError);
  });
};
