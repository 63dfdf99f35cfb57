import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { captureFiles, Captures, readCapture } from '../../core/journal/captures.js';
import { FileJournal, type FileJournalOptions } from '../../core/journal/file-journal.js';
import { followJournal } from '../../core/journal/follow-journal.js';
import { mergeEvents, readJournal } from '../../core/journal/read-journal.js';
import { type Capture, replay } from '../../core/journal/replay.js';
import type { DesiredState } from '../../core/model/desired.js';
import type { JournalEvent } from '../../core/model/event.js';
import type { ObservedState } from '../../core/model/observed.js';
import type { Plan } from '../../core/model/plan.js';
import { systemClock } from '../../core/system/clock.js';

const scratch = (t: { teardown: (end: () => void) => void }): string => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-journal-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
};

const openIn = (directory: string, more: Partial<FileJournalOptions> = {}): FileJournal =>
  new FileJournal({ directory, source: 'guard', node: 'a', bootId: 'boot-1', clock: systemClock, ...more });

test('written and synced: read back in order with seq, times, node and source', async (t) => {
  const directory = scratch(t);
  const journal = openIn(directory);
  journal.write({ kind: 'lease.held', group: 'g', epoch: 3, because: 'W has passed' });
  journal.write({ kind: 'lease.lost', group: 'g', monoMs: 5 });
  await journal.sync();
  const events = await readJournal(directory);
  t.deepEqual(
    events.map(({ kind, seq, source, node }) => ({ kind, seq, source, node })),
    [
      { kind: 'lease.lost', seq: 2, source: 'guard', node: 'a' },
      { kind: 'lease.held', seq: 1, source: 'guard', node: 'a' },
    ],
  );
  t.true(events[0]!.at < events[1]!.at, 'an event told late shows when it happened');
  await journal.close();
});

test('opened again: the sequence goes on, also when the newest file is empty', async (t) => {
  const directory = scratch(t);
  for (const round of [1, 2, 3]) {
    const journal = openIn(directory);
    journal.write({ kind: `round.${round}` });
    await journal.close();
    if (round === 2) writeFileSync(join(directory, 'guard-000002.jsonl'), '');
  }
  t.deepEqual(
    (await readJournal(directory)).map(({ seq }) => seq),
    [1, 2, 3],
  );
});

test('a line torn by a crash: not read, cut off at the next opening, and said', async (t) => {
  const directory = scratch(t);
  const first = openIn(directory);
  first.write({ kind: 'whole' });
  await first.close();
  appendFileSync(join(directory, 'guard-000001.jsonl'), '{"seq":2,"kind":"torn","mono');
  t.deepEqual(
    (await readJournal(directory)).map(({ kind }) => kind),
    ['whole'],
  );
  const second = openIn(directory);
  second.write({ kind: 'after' });
  await second.close();
  t.deepEqual(
    (await readJournal(directory)).map(({ kind, seq }) => [kind, seq]),
    [
      ['whole', 1],
      ['journal.cut', 2],
      ['after', 3],
    ],
  );
});

test('any crash point in the file: what is whole survives, the rest never blocks opening', async (t) => {
  const directory = scratch(t);
  const journal = openIn(directory);
  for (let i = 1; i <= 5; i += 1) journal.write({ kind: 'line', data: { text: 'ä\n"quoted"', i } });
  await journal.close();
  const whole = readFileSync(join(directory, 'guard-000001.jsonl'));
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length), fc.uint8Array({ maxLength: 20 }), async (cut, noise) => {
      const place = mkdtempSync(join(directory, 'cut-'));
      writeFileSync(join(place, 'guard-000001.jsonl'), Buffer.concat([whole.subarray(0, cut), noise]));
      const again = openIn(place);
      again.write({ kind: 'next' });
      await again.close();
      const events = await readJournal(place);
      const lines = whole.subarray(0, cut).toString('latin1').split('\n').length - 1;
      t.is(events.filter(({ kind }) => kind === 'line').length, lines);
      t.is(events.at(-1)?.kind, 'next');
      t.is(new Set(events.map(({ seq }) => seq)).size, events.length);
    }),
    { numRuns: Number(process.env['FC_RUNS'] ?? 25) },
  );
});

test('more than the size of a file: rotated, and only so many files are kept', async (t) => {
  const directory = scratch(t);
  const journal = openIn(directory, { maxBytes: 2000, maxFiles: 3 });
  for (let i = 0; i < 100; i += 1) {
    journal.write({ kind: 'fill', data: { text: 'x'.repeat(200) } });
    if (i % 5 === 0) await journal.sync();
  }
  await journal.close();
  const files = readdirSync(directory);
  t.true(files.length <= 3, files.join());
  for (const name of files) t.true(statSync(join(directory, name)).size < 5000);
  t.is((await readJournal(directory)).at(-1)?.seq, 100);
});

test('more events than the queue holds: dropped, counted, and the count is journaled', async (t) => {
  const directory = scratch(t);
  const journal = openIn(directory, { maxQueued: 10 });
  for (let i = 0; i < 25; i += 1) journal.write({ kind: 'flood' });
  t.is(journal.dropped, 15);
  await journal.sync();
  journal.write({ kind: 'calm' });
  await journal.close();
  const events = await readJournal(directory);
  t.deepEqual(
    events.slice(-2).map(({ kind, data }) => [kind, data]),
    [
      ['journal.dropped', { events: 15 }],
      ['calm', undefined],
    ],
  );
});

test('the directory goes away under it: write does not throw, sync says JOURNAL_UNWRITABLE, later writes come through', async (t) => {
  const directory = join(scratch(t), 'journal');
  const troubles: (string | null)[] = [];
  const journal = openIn(directory, { maxBytes: 1, onTrouble: (reason) => troubles.push(reason) });
  journal.write({ kind: 'before' });
  await journal.sync();
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'a file where the directory was');
  t.notThrows(() => journal.write({ kind: 'during' }));
  await t.throwsAsync(journal.sync(), { code: 'JOURNAL_UNWRITABLE' });
  rmSync(directory);
  mkdirSync(directory);
  chmodSync(directory, 0o750);
  await journal.sync();
  await journal.close();
  t.deepEqual(
    (await readJournal(directory)).map(({ kind }) => kind),
    ['during'],
  );
  t.is(troubles.length, 2);
  t.is(troubles[1], null);
});

test('data that cannot be written as JSON: the event is there and says so', async (t) => {
  const directory = scratch(t);
  const journal = openIn(directory);
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  t.notThrows(() => journal.write({ kind: 'odd', data: circular }));
  await journal.close();
  t.regex(String((await readJournal(directory))[0]!.data!['unwritable']), /circular/);
});

const event = (node: string, monoMs: number, at: string, more: Partial<JournalEvent> = {}): JournalEvent => ({
  seq: 1,
  node,
  bootId: `${node}-boot`,
  source: 'guard',
  kind: `${node}@${monoMs}`,
  monoMs,
  at,
  ...more,
});

test('two hosts merged: each keeps its own order even when its wall clock jumped back', (t) => {
  const merged = mergeEvents([
    event('a', 1, '2026-01-01T00:00:01.000Z'),
    event('a', 2, '2026-01-01T00:00:00.000Z'),
    event('b', 9000, '2026-01-01T00:00:00.500Z'),
    event('a', 3, '2026-01-01T00:00:02.000Z'),
  ]);
  t.deepEqual(
    merged.map(({ kind }) => kind),
    ['b@9000', 'a@1', 'a@2', 'a@3'],
  );
});

test('followed: events of files that are there and of files that come, none twice, ends by signal', async (t) => {
  const directory = scratch(t);
  const old = openIn(directory, { maxBytes: 1 });
  old.write({ kind: 'old' });
  await old.sync();
  const end = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const { kind } of followJournal(directory, { clock: systemClock, signal: end.signal, everyMs: 5 })) {
      seen.push(kind);
      if (kind === 'last') end.abort();
    }
  })();
  await systemClock.sleep(20);
  old.write({ kind: 'one' });
  await old.sync();
  const other = openIn(directory, { source: 'controller' });
  other.write({ kind: 'last' });
  await other.close();
  await following;
  t.deepEqual(seen.sort(), ['last', 'one']);
  await old.close();
});

const desired = { cluster: 'c', groups: [] } as unknown as DesiredState;
const observed = { self: 'a', nowMs: 1 } as unknown as ObservedState;
const planOf = (because: string): Plan => ({
  actions: [],
  wills: [{ group: 'g', want: 'hold', rank: 0, blockers: [], preemptOk: false, successor: null, because }],
  verdicts: [],
});
const captured: Capture = { v: 1, at: '', why: 'test', desired, observed, plan: planOf('first'), error: null };

test('a capture: a ring on disk; the same planner gives the same plan, another one is named where it differs', async (t) => {
  const directory = scratch(t);
  const captures = new Captures({ directory, maxFiles: 2 });
  for (let i = 0; i < 3; i += 1) captures.keep({ ...captured, why: `round ${i}` });
  await captures.settled();
  const files = captureFiles(directory);
  t.deepEqual(
    files.map(({ number }) => number),
    [2, 3],
  );
  const back = readCapture(join(directory, files.at(-1)!.name));
  t.is(back.why, 'round 2');
  t.deepEqual(
    replay(back, () => planOf('first')),
    { same: true, expected: planOf('first'), actual: planOf('first'), differences: [] },
  );
  t.regex(replay(back, () => planOf('second')).differences.join(), /^will g: was .*first.*, is .*second/);
  t.deepEqual(
    replay(back, () => {
      throw new Error('broken');
    }).differences,
    ['error: was none, is broken', 'will g: is gone'],
  );
  t.is(new Captures({ directory }).dropped, 0);
  t.throws(() => readCapture(join(directory, 'none.json')), { code: 'NOT_FOUND' });
});

test('more captures than wait for the disk: the newest are dropped and counted, the caller never waits', async (t) => {
  const captures = new Captures({ directory: scratch(t), maxQueued: 1 });
  for (let i = 0; i < 3; i += 1) captures.keep(captured);
  t.is(captures.dropped, 2);
  await captures.settled();
});
