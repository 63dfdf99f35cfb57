import { mkdtempSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { encodePage } from '../../core/ownership/page-codec.js';
import type { LeasePage } from '../../core/ownership/page.js';
import { systemFiles } from '../../core/system/files-system.js';
import { openPageReader, openPageWriter } from '../../core/system/page-file.js';

const base: LeasePage = {
  epoch: 3,
  state: 'HELD',
  deadlineMonoNs: 10_000_000_000n,
  deadlineBootMs: 10_500,
  bootOffsetMs: 500,
  bootId: 'boot-1',
  nonce: 'n',
  inSync: ['a', 'b'],
};

const set = (t: { teardown: (end: () => void) => void }) => {
  const directory = mkdtempSync(join(tmpdir(), 'membership-page-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'lease', 'db');
  const clocks = {
    bootId: 'boot-1',
    nowNs: 9_000_000_000n,
    offsetMs: 500,
    monoNs: () => clocks.nowNs,
    bootOffsetMs: () => clocks.offsetMs,
  };
  const later = (ms: number) => void (clocks.nowNs += BigInt(ms * 1e6));
  return { path, clocks, later };
};

test('no page, then one: not held, then held with the time that is left', (t) => {
  const { path, clocks, later } = set(t);
  const reader = openPageReader(path, clocks, systemFiles);
  t.like(reader.read(), { held: false, because: 'there is no lease page' });
  const writer = openPageWriter(path, systemFiles);
  later(10);
  t.like(reader.read(), { held: false, because: 'the lease page cannot be read' }, 'a blank page is none');
  writer.write(base);
  t.deepEqual(reader.read(), { held: true, stopping: false, over: false, epoch: 3, remainingMs: 990, inSync: ['a', 'b'], because: 'held' });
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(path).size, 512);
  reader.close();
  writer.close();
});

const cases: [
  title: string,
  page: Partial<LeasePage>,
  clock: { nowNs?: bigint; offsetMs?: number },
  held: boolean,
  stopping: boolean,
  over: boolean,
  because: string,
][] = [
  ['one nanosecond before the deadline: held', {}, { nowNs: 9_999_999_999n }, true, false, false, 'held'],
  [
    'at the deadline: lost, and nobody said that it is over',
    {},
    { nowNs: 10_000_000_000n },
    false,
    false,
    false,
    'the lease page has run out',
  ],
  ['another boot: lost', { bootId: 'boot-0' }, {}, false, false, true, 'the lease page is of another boot'],
  ['STOPPING: stops may go on', { state: 'STOPPING' }, {}, false, true, true, 'the lease page says STOPPING'],
  [
    'STOPPING after the deadline: neither',
    { state: 'STOPPING' },
    { nowNs: 10_000_000_001n },
    false,
    false,
    true,
    'the lease page has run out',
  ],
  ['RELEASED: lost', { state: 'RELEASED' }, {}, false, false, true, 'the lease page says RELEASED'],
  ['DEAD: lost', { state: 'DEAD' }, {}, false, false, true, 'the lease page says DEAD'],
  ['the host slept 50 ms: within the step of the clocks', {}, { offsetMs: 550 }, true, false, false, 'held'],
  ['the host slept longer: lost', {}, { offsetMs: 551 }, false, false, false, 'the host slept since the page was written'],
];
for (const [title, page, clock, held, stopping, over, because] of cases) {
  test(`a page, ${title}`, (t) => {
    const { path, clocks } = set(t);
    const writer = openPageWriter(path, systemFiles);
    writer.write({ ...base, ...page });
    Object.assign(clocks, clock);
    const reader = openPageReader(path, clocks, systemFiles);
    t.like(reader.read(), { held, stopping, over, because });
    reader.close();
    writer.close();
  });
}

test('a sleep of the host between two reads: seen at the next read 10 ms later', (t) => {
  const { path, clocks, later } = set(t);
  const writer = openPageWriter(path, systemFiles);
  writer.write(base);
  const reader = openPageReader(path, clocks, systemFiles);
  t.true(reader.read().held);
  clocks.offsetMs += 2000;
  later(10);
  t.false(reader.read().held);
  writer.write({ ...base, nonce: 'n2', bootOffsetMs: 2500 });
  t.true(reader.read().held, 'a page written after the sleep counts at once');
});

for (const kind of ['dead', 'stopped']) {
  test(`a tombstone .${kind} of this epoch: lost though the page was renewed; of an older epoch: nothing`, (t) => {
    const { path, clocks, later } = set(t);
    const writer = openPageWriter(path, systemFiles);
    writer.write(base);
    const reader = openPageReader(path, clocks, systemFiles);
    writeFileSync(`${path}.${kind}.2`, '');
    later(10);
    t.true(reader.read().held);
    writeFileSync(`${path}.${kind}.3`, '');
    later(10);
    t.like(reader.read(), { held: false, over: true, epoch: 3, because: 'the leash ended epoch 3' });
    writer.write({ ...base, nonce: 'again' });
    t.false(reader.read().held);
    writer.write({ ...base, epoch: 4 });
    t.true(reader.read().held, 'the next epoch lives');
  });
}

test('a torn page: lost until it is whole', (t) => {
  const { path, clocks } = set(t);
  openPageWriter(path, systemFiles).write(base);
  const reader = openPageReader(path, clocks, systemFiles);
  t.true(reader.read().held);
  const torn = Buffer.from(encodePage(base));
  torn[6] = 0x39;
  writeFileSync(path, torn);
  t.false(reader.read().held);
  writeFileSync(path, torn.subarray(0, 100));
  t.false(reader.read().held);
  writeFileSync(path, encodePage(base));
  t.true(reader.read().held);
});

test('the file is replaced or removed under the reader: it follows within 10 ms', (t) => {
  const { path, clocks, later } = set(t);
  openPageWriter(path, systemFiles).write(base);
  const reader = openPageReader(path, clocks, systemFiles);
  t.is(reader.read().epoch, 3);
  writeFileSync(`${path}.other`, encodePage({ ...base, epoch: 4 }));
  renameSync(`${path}.other`, path);
  later(10);
  t.is(reader.read().epoch, 4);
  rmSync(path);
  later(10);
  t.like(reader.read(), { held: false, because: 'there is no lease page' });
});

test('a writer after a crash of the first: same file in place, its last page still there until it writes', (t) => {
  const { path } = set(t);
  openPageWriter(path, systemFiles).write(base);
  const { ino } = statSync(path);
  const second = openPageWriter(path, systemFiles);
  t.is(statSync(path).ino, ino);
  t.deepEqual(readFileSync(path), Buffer.from(encodePage(base)));
  second.close();
});

test('a link in the place of the page: replaced, its target untouched', (t) => {
  const { path } = set(t);
  openPageWriter(path, systemFiles).close();
  const target = `${path}-target`;
  writeFileSync(target, 'x'.repeat(512));
  rmSync(path);
  symlinkSync(target, path);
  const writer = openPageWriter(path, systemFiles);
  writer.write(base);
  t.is(readFileSync(target, 'utf8'), 'x'.repeat(512));
  t.true(statSync(path).isFile());
  t.throws(() => openPageWriter(join(target, 'page'), systemFiles), { code: 'REFUSED' });
});
