import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createStateFile, openStateFile } from '../../../plugins/witness/state-file.js';
import { Store } from '../../../plugins/witness/store.js';

const ID = 'ab'.repeat(16);
const make = async (t: { teardown: (end: () => void) => void }) => {
  const directory = mkdtempSync(join(tmpdir(), 'membership-state-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'state');
  await createStateFile(file, ID);
  return file;
};
const value = (n: number) => ({ key: 'k', value: `value ${n} ${'x'.repeat(40)}`, version: `abababab.${n}` });

/** A file with three records after the snapshot, and where each begins and ends. */
const threeRecords = async (file: string): Promise<{ bytes: Buffer; starts: number[]; end: number }> => {
  const state = await openStateFile(file);
  for (const n of [1, 2, 3]) await state.append([value(n)], n);
  await state.close();
  const bytes = readFileSync(file);
  const starts: number[] = [];
  for (let at = bytes.indexOf('USW1'); at !== -1; at = bytes.indexOf('USW1', at + 1)) starts.push(at);
  const last = starts.at(-1)!;
  return { bytes, starts, end: last + 16 + bytes.readUInt32BE(last + 4) };
};

test('what was appended: is there after opening again, any number of times', async (t) => {
  const file = await make(t);
  await threeRecords(file);
  for (let again = 0; again < 2; again++) {
    const { state, close } = await openStateFile(file);
    t.deepEqual({ ...state, values: [...state.values.values()] }, { stateId: ID, generation: 3, values: [value(3)] });
    await close();
  }
  t.is(statSync(file).size, 4 * 1024 * 1024, 'filled in advance: an append changes no metadata');
});

test('the last record torn anywhere: the one before it counts, and the file works on', async (t) => {
  const file = await make(t);
  const { bytes, starts, end } = await threeRecords(file);
  const last = starts.at(-1)!;
  for (let cut = last; cut < end; cut += 23) {
    for (const tear of ['zeros', 'noise'] as const) {
      const torn = Buffer.from(bytes);
      torn.fill(tear === 'zeros' ? 0 : 0xa5, cut, end);
      writeFileSync(file, torn);
      const opened = await openStateFile(file);
      t.is(opened.state.generation, 2, `${tear} from ${cut}`);
      await opened.append([value(9)], 3);
      await opened.close();
      const again = await openStateFile(file);
      t.is(again.state.values.get('k')?.value, value(9).value);
      await again.close();
    }
  }
});

test('a record before the last is damaged: refused, wherever the damage is', async (t) => {
  const file = await make(t);
  const { bytes, starts } = await threeRecords(file);
  for (let at = 0; at < starts.at(-1)!; at += 11) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 0x10;
    writeFileSync(file, damaged);
    await t.throwsAsync(openStateFile(file), { code: 'REFUSED' }, `byte ${at}`);
  }
});

test('empty, zeros, foreign, cut off, missing: refused', async (t) => {
  const file = await make(t);
  const good = readFileSync(file);
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(4096), Buffer.from('{"holder":"a"}'), good.subarray(0, 20), good.subarray(4)]) {
    writeFileSync(file, bytes);
    await t.throwsAsync(openStateFile(file), { code: 'REFUSED', message: /damaged at its beginning/ });
  }
  rmSync(file);
  await t.throwsAsync(openStateFile(file), { code: 'REFUSED', message: /there is no state/ });
});

test('a full log: a new file with what counts, nothing lost, the size bounded', async (t) => {
  const file = await make(t);
  const opened = await openStateFile(file);
  const large = 'x'.repeat(30_000);
  let looks = 0;
  let looking = true;
  const looked = (async () => {
    for (; looking; looks++) {
      if (!opened.owned) return t.fail(`taken for another's at look ${looks}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (let n = 1; n <= 300; n++) await opened.append([{ key: `k${n % 5}`, value: `${n} ${large}`, version: `abababab.${n}` }], n);
  looking = false;
  await looked;
  t.true(looks > 300);
  await opened.close();
  t.is(statSync(file).size, 4 * 1024 * 1024);
  const again = await openStateFile(file);
  t.is(again.state.generation, 300);
  t.is(again.state.values.get('k0')?.version, 'abababab.300');
  t.is(again.state.values.size, 5);
  await again.close();
});

test('compare-and-sets that come while the disk is busy: one flush for all, each judged after the one before', async (t) => {
  const file = await openStateFile(await make(t));
  let flushes = 0;
  let release = () => {};
  const slow = {
    get state() {
      return file.state;
    },
    owned: true,
    close: () => file.close(),
    append: async (...what: Parameters<typeof file.append>) => {
      flushes += 1;
      await new Promise<void>((resolve) => (release = resolve));
      return file.append(...what);
    },
  };
  const committed: string[] = [];
  const store = new Store(
    slow,
    (values) => committed.push(...values.map(({ version }) => version)),
    () => t.fail('the disk did not fail'),
  );
  const first = store.cas('a', null, '1');
  const queued = [store.cas('a', null, '2'), store.cas('b', null, '1'), store.cas('a', 'abababab.1', '3'), store.cas('b', null, '2')];
  t.is(store.read('a'), null, 'nothing is seen before it is durable');
  release();
  t.deepEqual(await first, { outcome: 'done', version: 'abababab.1' });
  await new Promise((resolve) => setImmediate(resolve));
  release();
  const results = await Promise.all(queued);
  t.deepEqual(
    results.map(({ outcome }) => outcome),
    ['conflict', 'done', 'done', 'conflict'],
  );
  t.is(flushes, 2);
  t.deepEqual(committed, ['abababab.1', 'abababab.2', 'abababab.3']);
  t.is(store.read('a')?.value, '3');
  await store.close();
});

test('the disk fails: told once, nothing is acknowledged any more', async (t) => {
  const file = await openStateFile(await make(t));
  const failures: unknown[] = [];
  const broken = {
    get state() {
      return file.state;
    },
    owned: true,
    close: () => file.close(),
    append: () => Promise.reject(new Error('EIO')),
  };
  const store = new Store(
    broken,
    () => t.fail('committed'),
    (error) => failures.push(error),
  );
  let answered = false;
  void store.cas('a', null, '1').then(() => (answered = true));
  await new Promise((resolve) => setImmediate(resolve));
  void store.cas('b', null, '1').then(() => (answered = true));
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual([failures.length, answered, store.read('a')], [1, false, null]);
  await store.close();
});
