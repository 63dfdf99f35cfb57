// What every store must do on a good day: compare-and-set, linearizable reads of one moment, values as they were, calls that
// end with their signal. Each promise opens its own store.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { type Arbiter, ArbiterError, type Versioned } from '../../ownership/arbiter.js';
import { type ArbiterPromise, get, put, soon, unknown, until } from './arbiter-asking.js';
import { objectionTo, type RecordedCall } from './arbiter-history.js';

/** Adds one only if nobody else did meanwhile; a lost race is tried again. */
const increment = async (arbiter: Arbiter, key: string): Promise<void> => {
  for (let tries = 0; tries < 1000; tries++) {
    const current = await get(arbiter, key);
    const result = await arbiter.cas(key, current?.version ?? null, String(Number(current?.value ?? 0) + 1), soon());
    if (result.outcome === 'done') return;
  }
  assert.fail('1000 lost races');
};

/** Reads and writes as fast as it can, each write on what it saw last, and keeps a record of it. */
const storm = async (client: string, arbiter: Arbiter, key: string, rounds: number, calls: RecordedCall[]): Promise<void> => {
  const valueOf = new Map<string | null, string | null>([[null, null]]);
  let last: string | null = null;
  const learn = (found: Versioned | null) => {
    if (found !== null) valueOf.set(found.version, found.value);
    last = found?.version ?? null;
    return found?.value ?? null;
  };
  for (let round = 0; round < rounds; round++) {
    const beganMs = performance.now();
    if (round % 3 === 0) {
      const found = await get(arbiter, key);
      calls.push({ client, kind: 'read', beganMs, endedMs: performance.now(), outcome: 'value', saw: learn(found) });
      continue;
    }
    const to = `${client}-${round}`;
    const on = valueOf.get(last) ?? null;
    const result = await arbiter.cas(key, last, to, soon());
    const endedMs = performance.now();
    if (result.outcome === 'done') {
      calls.push({ client, kind: 'cas', beganMs, endedMs, on, to, outcome: 'done' });
      learn({ key, value: to, version: result.version });
    } else calls.push({ client, kind: 'cas', beganMs, endedMs, on, to, outcome: 'conflict', saw: learn(result.current) });
  }
};

export const GOOD_DAY: readonly ArbiterPromise[] = [
  {
    title: 'an absent key: null; several keys: in the order asked, also the same one twice',
    run: async ({ arbiter }, key) => {
      assert.equal(await get(arbiter, key('none')), null);
      await put(arbiter, key('one'), null, '1');
      await put(arbiter, key('two'), null, '2');
      const values = await arbiter.read([key('two'), key('none'), key('one'), key('two')], soon());
      assert.deepEqual(
        values.map((value) => value && [value.key, value.value]),
        [[key('two'), '2'], null, [key('one'), '1'], [key('two'), '2']],
      );
      assert.deepEqual(await arbiter.read([], soon()), []);
    },
  },
  {
    title: 'twenty create the same key at once: one succeeds, the others are told its value',
    run: async ({ connect }, key) => {
      const clients = await Promise.all(Array.from({ length: 5 }, connect));
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) => clients[n % clients.length]!.cas(key('race'), null, `value of ${n}`, soon())),
      );
      const winners = results.flatMap((result, n) => (result.outcome === 'done' ? [n] : []));
      assert.equal(winners.length, 1);
      for (const result of results) if (result.outcome === 'conflict') assert.equal(result.current?.value, `value of ${winners[0]}`);
      await Promise.all(clients.map((client) => client.close()));
    },
  },
  {
    title: 'a chain of writes: each on the version of the one before, no version twice',
    run: async ({ arbiter }, key) => {
      const versions: string[] = [];
      for (let n = 0; n < 20; n++) versions.push(await put(arbiter, key('chain'), versions.at(-1) ?? null, `value ${n}`));
      assert.equal(new Set(versions).size, 20);
      assert.deepEqual(await get(arbiter, key('chain')), { key: key('chain'), value: 'value 19', version: versions.at(-1) });
    },
  },
  {
    title: 'a write on a version that is no more: refused, with what is there now, and nothing changed',
    run: async ({ arbiter }, key) => {
      const first = await put(arbiter, key('key'), null, 'first');
      const second = await put(arbiter, key('key'), first, 'second');
      for (const expected of [first, null]) {
        assert.deepEqual(await arbiter.cas(key('key'), expected, 'third', soon()), {
          outcome: 'conflict',
          current: { key: key('key'), value: 'second', version: second },
        });
      }
      assert.deepEqual(await arbiter.cas(key('absent'), second, 'x', soon()), { outcome: 'conflict', current: null });
      assert.equal((await get(arbiter, key('key')))?.value, 'second');
      assert.equal(await get(arbiter, key('absent')), null);
    },
  },
  {
    title: 'a value that was there before: the version of that time is not valid again',
    run: async ({ arbiter }, key) => {
      const first = await put(arbiter, key('aba'), null, 'A');
      const third = await put(arbiter, key('aba'), await put(arbiter, key('aba'), first, 'B'), 'A');
      assert.notEqual(first, third);
      assert.equal((await arbiter.cas(key('aba'), first, 'C', soon())).outcome, 'conflict');
      assert.notEqual(await put(arbiter, key('aba'), third, 'A'), third, 'also when the same value is written over itself');
    },
  },
  {
    title: 'values of any text, up to 16 KiB: come back as they were',
    run: async ({ arbiter, connect }, key) => {
      const other = await connect();
      const values = ['', '{"a":"b\\n"}', ' \t\r\n', 'épreuve 守護 🜂 \u0000 \u2028 "\'\\', 'x'.repeat(16_384), '界'.repeat(5400)];
      for (const [n, value] of values.entries()) {
        await put(arbiter, key(`understudy/orders/db-${n}`), null, value);
        assert.equal((await get(other, key(`understudy/orders/db-${n}`)))?.value, value);
      }
      const all = await other.read(
        values.map((_, n) => key(`understudy/orders/db-${n}`)),
        soon(),
      );
      assert.deepEqual(
        all.map((one) => one?.value),
        values,
      );
      await other.close();
    },
  },
  {
    title: 'keys with odd characters: each its own',
    run: async ({ arbiter }, key) => {
      const names = [
        'a/b',
        'a%2Fb',
        'a b',
        'a+b',
        'a?b#c&d=e',
        "a'b",
        'a.b/../c',
        'a/c',
        'A/B',
        'é守',
        'a_b',
        'a-b:c@d',
        'x'.repeat(200),
      ].map(key);
      const versions = await Promise.all(names.map((name, n) => put(arbiter, name, null, `value ${n}`)));
      assert.deepEqual(
        await arbiter.read(names, soon()),
        names.map((name, n) => ({ key: name, value: `value ${n}`, version: versions[n] })),
      );
    },
  },
  {
    title: 'the keys of 64 groups on 8 nodes in one read',
    run: async ({ arbiter }, key) => {
      const names = Array.from({ length: 136 }, (_, n) => key(`many/${n}`));
      const written = names.filter((_, n) => n % 9 === 0);
      await Promise.all(written.map((name) => put(arbiter, name, null, name)));
      assert.deepEqual(
        (await arbiter.read(names, soon())).map((found) => found?.value ?? null),
        names.map((name) => (written.includes(name) ? name : null)),
      );
    },
  },
  {
    title: 'many clients count at once: no increment is lost',
    run: async ({ connect }, key) => {
      const clients = await Promise.all(Array.from({ length: 4 }, connect));
      await Promise.all(clients.flatMap((client) => Array.from({ length: 5 }, () => increment(client, key('count')))));
      assert.equal((await get(clients[0]!, key('count')))?.value, '20');
      await Promise.all(clients.map((client) => client.close()));
    },
  },
  {
    title: 'a storm of writers and readers: as one register would have answered, in real time’s order',
    run: async ({ connect }, key) => {
      const clients = await Promise.all(Array.from({ length: 8 }, connect));
      const calls: RecordedCall[] = [];
      await Promise.all(clients.map((client, n) => storm(`client ${n}`, client, key('storm'), 15, calls)));
      assert.equal(objectionTo(calls), null);
      assert.ok(
        calls.some(({ outcome }) => outcome === 'conflict'),
        'they met',
      );
      await Promise.all(clients.map((client) => client.close()));
    },
  },
  {
    title: 'a read that begins after a write was acknowledged: sees it, from any client',
    run: async ({ arbiter, connect }, key) => {
      const other = await connect();
      let version: string | null = null;
      for (let n = 0; n < 20; n++) {
        version = await put(arbiter, key('seen'), version, String(n));
        assert.deepEqual(await get(other, key('seen')), { key: key('seen'), value: String(n), version });
      }
      await other.close();
    },
  },
  {
    title: 'reads while others write: never go back; several keys: as of one moment',
    run: async ({ arbiter, connect }, key) => {
      const other = await connect();
      let writing = true;
      // One key is always written before the other, so no moment shows the second ahead, or the first ahead by two.
      const writer = (async () => {
        for (let n = 0; n < 25; n++) for (const name of ['first', 'second']) await increment(arbiter, key(name));
        writing = false;
      })();
      let last = 0;
      for (let reads = 0; writing; reads++) {
        const names = reads % 2 === 0 ? ['first', 'second'] : ['second', 'first'];
        // Under many writes a store may give up: that is no answer, and no wrong one.
        const values = await other.read(names.map(key), soon()).catch((error: unknown) => assert.ok(unknown(error), String(error)));
        if (values === undefined) continue;
        const [first = 0, second = 0] = ['first', 'second'].map((name) => Number(values[names.indexOf(name)]?.value ?? 0));
        assert.ok(first + second >= last, `${first} and ${second} after ${last} in all`);
        assert.ok(first - second === 0 || first - second === 1, `${first} and ${second} in one read`);
        last = first + second;
      }
      await writer;
      await other.close();
    },
  },
  {
    title: 'a signal that fired before the call: unknown, and nothing is done',
    run: async ({ arbiter }, key) => {
      await assert.rejects(arbiter.cas(key('late'), null, 'x', AbortSignal.abort()), unknown);
      await assert.rejects(arbiter.read([key('late')], AbortSignal.abort()), unknown);
      assert.equal(await get(arbiter, key('late')), null);
    },
  },
  {
    title: 'one signal for many calls: nothing stays with it',
    run: async ({ arbiter }, key) => {
      const { signal } = new AbortController();
      let version: string | null = null;
      for (let n = 0; n < 5; n++) {
        const result = await arbiter.cas(key('listeners'), version, String(n), signal);
        version = result.outcome === 'done' ? result.version : assert.fail('a conflict with nobody');
        await arbiter.read([key('listeners')], signal);
      }
      assert.equal(getEventListeners(signal, 'abort').length, 0);
    },
  },
  {
    title: 'following: a change arrives, the newest at last, only of the keys asked for; it ends with its signal',
    run: async ({ arbiter, connect }, key) => {
      if (arbiter.follow === undefined) return;
      const other = await connect();
      const ending = new AbortController();
      const told: Versioned[] = [];
      const ended = arbiter.follow([key('followed')], (value) => told.push(value), ending.signal);
      let version = await put(other, key('followed'), null, '0');
      await put(other, key('not followed'), null, 'x');
      for (let n = 1; n < 10; n++) version = await put(other, key('followed'), version, String(n));
      await until('the newest value is told', () => told.at(-1)?.version === version);
      assert.ok(told.every((one) => one.key === key('followed')));
      assert.equal(told.at(-1)?.value, '9');
      ending.abort();
      await ended;
      const count = told.length;
      await put(other, key('followed'), version, 'after the end');
      assert.equal(told.length, count);
      await arbiter.follow([key('followed')], () => assert.fail('told after the end'), AbortSignal.abort());
      await other.close();
    },
  },
  {
    title: 'closed: may be closed again; calls are refused at once; followers end',
    run: async ({ connect }, key) => {
      const arbiter = await connect();
      await put(arbiter, key('closing'), null, 'x');
      const followed = arbiter.follow?.([key('closing')], () => undefined, new AbortController().signal);
      await arbiter.close();
      await arbiter.close();
      await followed;
      await assert.rejects(arbiter.read([key('closing')], soon()), ArbiterError);
      await assert.rejects(arbiter.cas(key('closing'), null, 'y', soon()), ArbiterError);
    },
  },
];
