// What every store must do on a bad day: lost requests, lost and late answers, requests that land when nobody waits for them
// any more, throttling, a deleted record, a restored backup. An outcome that cannot be known is said to be unknown.
import assert from 'node:assert/strict';
import { type Arbiter, ArbiterError } from '../../ownership/arbiter.js';
import { type ArbiterPromise, get, getAfter, pause, put, refused, SHORT_MS, soon, unknown, until, within } from './arbiter-asking.js';
import { objectionTo, type RecordedCall } from './arbiter-history.js';

/** How long a call may go on after its signal fired; generous, for a busy machine. */
const SETTLE_MS = 1_000;

const inTime = async (what: string, call: Promise<unknown>): Promise<void> => {
  const late = pause(SETTLE_MS).then(() => assert.fail(`${what} took longer than ${SETTLE_MS} ms`));
  await Promise.race([call, late]);
};

/** Ends a call in the middle, when nothing answers. */
const abandon = async (call: (signal: AbortSignal) => Promise<unknown>): Promise<void> => {
  const ending = new AbortController();
  const asked = assert.rejects(call(ending.signal), unknown);
  await pause(50);
  ending.abort(new Error('no longer wanted'));
  await inTime('settling after the signal', asked);
};

/** Writes on its last known version, and reads whenever it is told that its outcome is unknown. */
const writeThrough = async (client: string, arbiter: Arbiter, key: string, rounds: number, calls: RecordedCall[]): Promise<void> => {
  let last = await getAfter(arbiter, key);
  for (let round = 0; round < rounds; round++) {
    const [to, on, beganMs] = [`${client}-${round}`, last?.value ?? null, performance.now()];
    try {
      const result = await arbiter.cas(key, last?.version ?? null, to, within(SHORT_MS / 4));
      const endedMs = performance.now();
      if (result.outcome === 'done') calls.push({ client, kind: 'cas', beganMs, endedMs, on, to, outcome: 'done' });
      else calls.push({ client, kind: 'cas', beganMs, endedMs, on, to, outcome: 'conflict', saw: result.current?.value ?? null });
      last = result.outcome === 'done' ? { key, value: to, version: result.version } : result.current;
    } catch (error) {
      assert.ok(unknown(error), String(error));
      calls.push({ client, kind: 'cas', beganMs, endedMs: Number.POSITIVE_INFINITY, on, to, outcome: 'unknown' });
      const readMs = performance.now();
      const found = await arbiter.read([key], within(SHORT_MS / 4)).catch(() => undefined);
      if (found === undefined) continue;
      last = found[0] ?? null;
      calls.push({ client, kind: 'read', beganMs: readMs, endedMs: performance.now(), outcome: 'value', saw: last?.value ?? null });
    }
  }
};

export const BAD_DAY: readonly ArbiterPromise[] = [
  {
    title: 'the request is lost: unknown when the time is over; a later read tells that it did not happen',
    needs: 'lose',
    run: async ({ arbiter, faults }, key) => {
      const version = await put(arbiter, key('lost'), null, 'before');
      await faults?.lose?.('request');
      await assert.rejects(arbiter.cas(key('lost'), version, 'after', within(SHORT_MS)), unknown);
      await assert.rejects(arbiter.read([key('lost')], within(SHORT_MS)), unknown);
      await faults?.lose?.('none');
      assert.equal((await getAfter(arbiter, key('lost')))?.value, 'before');
      await put(arbiter, key('lost'), version, 'after all');
    },
  },
  {
    title: 'the answer is lost: unknown when the time is over; a later read tells that it happened',
    needs: 'lose',
    run: async ({ arbiter, faults }, key) => {
      const version = await put(arbiter, key('lost'), null, 'before');
      await faults?.lose?.('answer');
      await assert.rejects(arbiter.cas(key('lost'), version, 'after', within(SHORT_MS)), unknown);
      await faults?.lose?.('none');
      // A disk that is slow to write may land it after the first of these reads.
      await until('it is seen', async () => (await getAfter(arbiter, key('lost')))?.value === 'after');
      assert.equal((await arbiter.cas(key('lost'), version, 'again', soon())).outcome, 'conflict');
    },
  },
  {
    title: 'nothing answers and the caller gives up: settles at once, nothing stays with the signal; so does a close',
    needs: 'lose',
    run: async ({ arbiter, faults }, key) => {
      const version = await put(arbiter, key('given up'), null, 'before');
      await faults?.lose?.('request');
      await abandon((signal) => arbiter.cas(key('given up'), version, 'after', signal));
      await abandon((signal) => arbiter.read([key('given up')], signal));
      const asked = assert.rejects(arbiter.cas(key('given up'), version, 'after', soon()), ArbiterError);
      await pause(20);
      await inTime('settling after the close', Promise.all([arbiter.close(), asked]));
      await faults?.lose?.('none');
    },
  },
  {
    title: 'a request that lands after its caller gave up: takes effect if nothing came between, and is seen by the next',
    needs: 'hold',
    run: async ({ arbiter, connect, faults }, key) => {
      const other = await connect();
      const version = await put(arbiter, key('late'), null, 'before');
      const land = await faults?.hold?.();
      await assert.rejects(arbiter.cas(key('late'), version, 'landed late', within(SHORT_MS)), unknown);
      assert.equal((await get(other, key('late')))?.value, 'before');
      await land?.();
      await until('it lands', async () => (await get(other, key('late')))?.value === 'landed late');
      const result = await other.cas(key('late'), version, 'x', soon());
      assert.equal(result.outcome === 'conflict' ? result.current?.value : result.outcome, 'landed late');
      await getAfter(arbiter, key('late'));
      await other.close();
    },
  },
  {
    title: 'a request that lands after another’s write: changes nothing',
    needs: 'hold',
    run: async ({ arbiter, connect, faults }, key) => {
      const other = await connect();
      const first = await put(arbiter, key('late'), null, 'before');
      const land = await faults?.hold?.();
      await assert.rejects(arbiter.cas(key('late'), first, 'too late', within(SHORT_MS)), unknown);
      const second = await put(other, key('late'), first, 'meanwhile');
      await land?.();
      await getAfter(arbiter, key('late'));
      await pause(50);
      assert.deepEqual(await get(other, key('late')), { key: key('late'), value: 'meanwhile', version: second });
      await put(other, key('late'), second, 'goes on');
      await other.close();
    },
  },
  {
    title: 'faults in the middle of many writers: the history is one register’s all the same',
    needs: 'lose',
    run: async ({ arbiter, connect, faults }, key) => {
      const others = await Promise.all(Array.from({ length: 2 }, connect));
      const calls: RecordedCall[] = [];
      let on = true;
      const faulty = (async () => {
        for (let n = 0; on; n++) {
          await faults?.lose?.(n % 4 === 1 ? 'answer' : n % 4 === 3 ? 'request' : 'none');
          // Between two faults there is time for a connection to be made anew.
          await pause(n % 2 === 0 ? 150 : 60);
        }
        await faults?.lose?.('none');
      })();
      try {
        const steady = others.map((other, n) => writeThrough(`client ${n + 1}`, other, key('history'), 10, calls));
        await Promise.all([writeThrough('client 0', arbiter, key('history'), 10, calls), ...steady]);
      } finally {
        on = false;
        await faulty;
      }
      const beganMs = performance.now();
      const saw = (await getAfter(others[0]!, key('history')))?.value ?? null;
      calls.push({ client: 'at last', kind: 'read', beganMs, endedMs: performance.now(), outcome: 'value', saw });
      assert.equal(objectionTo(calls), null);
      await Promise.all(others.map((other) => other.close()));
    },
  },
  {
    title: 'connections are reset: unknown, soon, and good again when they hold',
    needs: 'reset',
    run: async ({ arbiter, faults }, key) => {
      const version = await put(arbiter, key('reset'), null, 'before');
      await faults?.reset?.(true);
      await assert.rejects(arbiter.cas(key('reset'), version, 'after', within(SHORT_MS)), unknown);
      await faults?.reset?.(false);
      // What was cut off may have arrived all the same: only a read can tell.
      const found = await getAfter(arbiter, key('reset'));
      assert.ok(found?.value === 'before' || found?.value === 'after');
      await put(arbiter, key('reset'), found.version, 'after all');
    },
  },
  {
    title: 'an answer that begins and never ends: unknown when the time is over',
    needs: 'drip',
    run: async ({ arbiter, faults }, key) => {
      const version = await put(arbiter, key('drip'), null, 'before');
      await faults?.drip?.(true);
      const began = performance.now();
      await assert.rejects(arbiter.read([key('drip')], within(SHORT_MS)), unknown);
      await assert.rejects(arbiter.cas(key('drip'), version, 'after', within(SHORT_MS)), unknown);
      assert.ok(performance.now() - began < 2 * SHORT_MS + SETTLE_MS);
      await faults?.drip?.(false);
      assert.ok(await getAfter(arbiter, key('drip')));
    },
  },
  {
    title: 'throttled: unknown, as a store that is silent; nothing is done; good again afterwards',
    needs: 'throttle',
    run: async ({ arbiter, faults }, key) => {
      const version = await put(arbiter, key('throttled'), null, 'before');
      await faults?.throttle?.(true);
      await assert.rejects(arbiter.cas(key('throttled'), version, 'after', soon()), unknown);
      await assert.rejects(arbiter.read([key('throttled')], soon()), unknown);
      await faults?.throttle?.(false);
      assert.equal((await getAfter(arbiter, key('throttled')))?.value, 'before');
      await put(arbiter, key('throttled'), version, 'after all');
    },
  },
  {
    title: 'not allowed: refused, with the reason; good again when it is allowed',
    needs: 'deny',
    run: async ({ arbiter, faults }, key) => {
      const version = await put(arbiter, key('denied'), null, 'before');
      await faults?.deny?.(true);
      await assert.rejects(arbiter.cas(key('denied'), version, 'after', soon()), refused);
      await assert.rejects(arbiter.read([key('denied')], soon()), refused);
      await faults?.deny?.(false);
      assert.equal((await getAfter(arbiter, key('denied')))?.value, 'before');
      await put(arbiter, key('denied'), version, 'after all');
    },
  },
  {
    title: 'a record deleted by hand: absent to all; a write on it is a conflict; made anew, old versions are worth nothing',
    needs: 'forget',
    run: async ({ arbiter, faults }, key) => {
      const first = await put(arbiter, key('deleted'), null, 'first');
      const second = await put(arbiter, key('deleted'), first, 'second');
      await faults?.forget?.(key('deleted'));
      assert.equal(await get(arbiter, key('deleted')), null);
      assert.deepEqual(await arbiter.cas(key('deleted'), second, 'x', soon()), { outcome: 'conflict', current: null });
      const anew = await put(arbiter, key('deleted'), null, 'anew');
      assert.ok(anew !== first && anew !== second, 'a version of its own');
      for (const old of [first, second]) assert.equal((await arbiter.cas(key('deleted'), old, 'x', soon())).outcome, 'conflict');
      assert.equal((await get(arbiter, key('deleted')))?.value, 'anew');
    },
  },
  {
    title: 'restored from a backup: refused altogether, or the old state with versions that never match a later one',
    needs: 'backup',
    run: async ({ arbiter, faults }, key) => {
      const first = await put(arbiter, key('restored'), null, 'first');
      const restore = await faults?.backup?.();
      const second = await put(arbiter, key('restored'), first, 'second');
      const third = await put(arbiter, key('restored'), second, 'third');
      await restore?.();
      const found = await getAfter(arbiter, key('restored')).catch((error: unknown) => assert.ok(refused(error), String(error)));
      if (found === undefined) return;
      assert.equal(found?.value, 'first', 'the old state, or nothing at all');
      assert.equal((await arbiter.cas(key('restored'), third, 'x', soon())).outcome, 'conflict');
      const other = await put(arbiter, key('restored'), found?.version ?? null, 'another second');
      const next = await put(arbiter, key('restored'), other, 'another third');
      for (const lost of [second, third]) {
        assert.ok(lost !== other && lost !== next, 'no version names two states');
        assert.equal((await arbiter.cas(key('restored'), lost, 'x', soon())).outcome, 'conflict');
      }
    },
  },
  {
    title: 'the store restarts: everything acknowledged is there, with its version',
    needs: 'restart',
    run: async ({ arbiter, faults }, key) => {
      const versions = await Promise.all(Array.from({ length: 10 }, (_, n) => put(arbiter, key(`kept-${n}`), null, `value ${n}`)));
      await faults?.restart?.();
      await getAfter(arbiter, key('kept-0'));
      const values = await arbiter.read(
        versions.map((_, n) => key(`kept-${n}`)),
        soon(),
      );
      assert.deepEqual(
        values.map((value) => [value?.value, value?.version]),
        versions.map((version, n) => [`value ${n}`, version]),
      );
      await put(arbiter, key('kept-0'), versions[0]!, 'goes on');
    },
  },
];
