import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { exportBlocks } from '../../../../plugins/disk-mirror/commands/export-blocks.js';
import { overlap, type OwnChanges, type Range, readOther } from '../../../../plugins/disk-mirror/commands/own-changes.js';
import { linesOfChanges } from '../../../../plugins/disk-mirror/commands/resolve.js';

const SECTOR = 4096;
const changes = (ranges: readonly Range[], more: Partial<OwnChanges> = {}): OwnChanges => ({
  volume: 'db.data',
  node: 'b',
  volumeUuid: 'aa',
  sizeBytes: 64 * SECTOR,
  chunkBytes: SECTOR,
  current: '2.2.a',
  parted: '1.1.7',
  everything: false,
  bytes: ranges.reduce((sum, [, length]) => sum + length, 0),
  rangeCount: ranges.length,
  ranges,
  truncated: false,
  ...more,
});

const directory = (t: { teardown(end: () => void): void }): string => {
  const made = mkdtempSync(join(tmpdir(), 'own-changes-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
};

/** Runs of sectors that do not touch. */
const someRanges = fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })), { maxLength: 8 }).map((steps) => {
  const ranges: Range[] = [];
  let at = 0;
  for (const [gap, length] of steps) {
    ranges.push([at + gap, length]);
    at += gap + length;
  }
  return ranges;
});
const membersOf = (ranges: readonly Range[]): Set<number> =>
  new Set(ranges.flatMap(([offset, length]) => Array.from({ length }, (_, index) => offset + index)));

test('what both have written: every byte that is in both lists and no other, whatever the lists', (t) => {
  fc.assert(
    fc.property(someRanges, someRanges, (one, other) => {
      const [mine, theirs] = [membersOf(one), membersOf(other)];
      t.deepEqual(membersOf(overlap(one, other)), new Set([...mine].filter((at) => theirs.has(at))));
    }),
    { seed: 4, numRuns: 300 },
  );
});

test('the list for people: bounded, with what the other copy has written too', (t) => {
  const many = changes(Array.from({ length: 60 }, (_, index): Range => [index * 2 * SECTOR, SECTOR]));
  const lines = linesOfChanges(many, [[0, SECTOR]], true);
  t.is(lines.length, 2 + 50 + 1);
  t.regex(lines[0] ?? '', /^db\.data: b would lose at most 240\.0 KiB \(245760 bytes, 60 blocks of 4\.0 KiB, 60 ranges\)/);
  t.regex(lines[1] ?? '', /4\.0 KiB too, in 1 ranges/);
  t.is(lines[2], '  0 4096 (the other copy too)');
  t.is(lines[3], '  8192 4096');
  t.regex(lines.at(-1) ?? '', /10 more/);
  t.is(linesOfChanges(many, null, false).length, 1);
  t.regex(
    linesOfChanges(changes([[0, 64 * SECTOR]], { everything: true }), null, false)[0] ?? '',
    /nothing in common.*all 256\.0 KiB of b/,
  );
});

test('an export: its bytes come back by the loop of dd that the manual has, and nothing else is touched', async (t) => {
  const home = directory(t);
  const [backing, file, device] = ['backing', 'kept', 'device'].map((name) => join(home, name)) as [string, string, string];
  const bytes = randomBytes(64 * SECTOR);
  writeFileSync(backing, bytes);
  const ranges: Range[] = [
    [0, SECTOR],
    [5 * SECTOR, 7 * SECTOR],
    [63 * SECTOR, SECTOR],
  ];
  const all = async function* () {
    yield* ranges;
  };
  t.is(await exportBlocks(backing, file, changes(ranges), all()), 9 * SECTOR);
  t.is(statSync(file).mode & 0o777, 0o600);
  const index = readFileSync(`${file}.ranges`, 'utf8');
  t.true(index.includes(`# sha256 ${createHash('sha256').update(readFileSync(file)).digest('hex')} of ${9 * SECTOR} bytes`), index);
  await t.throwsAsync(exportBlocks(backing, file, changes(ranges), all()), { message: /exists: name a new file/ });

  const before = randomBytes(64 * SECTOR);
  writeFileSync(device, before);
  const manual = readFileSync(new URL('../../../../../docs/reference/mirror-export.md', import.meta.url), 'utf8');
  const loop = /```sh\n([\s\S]*?)```/.exec(manual)?.[1] ?? '';
  t.regex(loop, /dd /);
  execFileSync('sh', ['-c', loop], { env: { ...process.env, FILE: file, DEVICE: device } });
  const expected = Buffer.from(before);
  for (const [offset, length] of ranges) bytes.copy(expected, offset, offset, offset + length);
  t.true(readFileSync(device).equals(expected));
});

test('an export of a copy that is shorter than its ranges: an error, and no file says that it is whole', async (t) => {
  const home = directory(t);
  writeFileSync(join(home, 'backing'), Buffer.alloc(2 * SECTOR));
  const all = async function* () {
    yield [0, 4 * SECTOR] as const;
  };
  await t.throwsAsync(exportBlocks(join(home, 'backing'), join(home, 'kept'), changes([]), all()), { message: /ends at byte 8192/ });
  t.true(existsSync(join(home, 'kept.ranges')));
  t.is(readFileSync(join(home, 'kept.ranges'), 'utf8'), '');
});

const wrongLists: [what: string, text: string, message: RegExp][] = [
  ['no JSON', 'nonsense', /--against .*: /],
  ['null', 'null', /not the list of the other node/],
  ['ranges that are none', JSON.stringify({ volumeUuid: 'aa', node: 'a', ranges: [[1]] }), /not the list/],
  ['another volume', JSON.stringify({ volumeUuid: 'bb', node: 'a', ranges: [] }), /another volume/],
  ['the own list', JSON.stringify({ volumeUuid: 'aa', node: 'b', ranges: [] }), /of this node, b/],
  ['a list cut short', JSON.stringify({ volumeUuid: 'aa', node: 'a', ranges: [], truncated: true, rangeCount: 9 }), /too many to compare/],
];
for (const [what, text, message] of wrongLists)
  test(`--against with ${what}: refused in words`, async (t) => {
    const file = join(directory(t), 'list.json');
    writeFileSync(file, text);
    await t.throwsAsync(readOther(file, changes([])), { message });
  });
