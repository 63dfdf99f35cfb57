// What the disk refuses, on a real file: a child process whose files may not grow past a limit, so that a write is cut short and
// the next fails, on each of the ways that a write may take.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const CHILD = fileURLToPath(new URL('limited-child.js', import.meta.url));
const LIMIT = 256 * 1024;

for (const [name, place, instant] of [
  ['in memory', existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'yes'],
  ['on disk', tmpdir(), 'yes'],
  ['on threads', tmpdir(), 'no'],
] as const)
  test(`${name}: a write that the disk cuts short is an error, the last one that is believed, and nothing is called durable after it`, (t) => {
    const directory = mkdtempSync(join(place, 'understudy-limit-'));
    const path = join(directory, 'volume.img');
    try {
      writeFileSync(path, '');
      truncateSync(path, 1024 * 1024);
      const out = execFileSync(
        'sh',
        ['-c', 'ulimit -f "$1"; shift; exec "$@"', 'sh', String(LIMIT / 512), process.execPath, CHILD, path, String(LIMIT), instant],
        { encoding: 'utf8' },
      );
      const [below, across, after, flush, read, ...more] = JSON.parse(out) as (string | null)[];
      t.is(below, null);
      t.regex(across ?? '', /short write: 4096 of 8192|EFBIG/);
      t.is(after, across, 'the same failure, nothing was written');
      t.is(flush, across, 'and nothing is durable');
      t.is(read, null, 'reads go on');
      t.deepEqual(more, []);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
