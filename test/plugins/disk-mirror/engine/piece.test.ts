// A piece of a resync as runs: zeroes are said, data is sent, and together they are the piece, nothing twice and nothing left out.
import fc from 'fast-check';
import test from 'ava';
import { framesOf, runsOf } from '../../../../plugins/disk-mirror/engine/piece.js';
import { Request } from '../../../../plugins/disk-mirror/engine/request.js';
import { allZero } from '../../../../plugins/disk-mirror/process/all-zero.js';

const CHUNK = 4096;

test('any bytes: the runs cover them once, in turn zero and not, and tell the truth', (t) => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: CHUNK }), (zeroes, lastBytes) => {
      const length = (zeroes.length - 1) * CHUNK + lastBytes;
      const bytes = new Uint8Array(length);
      for (const [at, zero] of zeroes.entries()) if (!zero) bytes[Math.min(length, (at + 1) * CHUNK) - 1] = 1;
      const runs = runsOf(length, CHUNK, (from, to) => allZero(bytes, from, to));
      t.is(runs[0]?.from, 0);
      t.is(runs.at(-1)?.to, length);
      for (const [at, run] of runs.entries()) {
        t.is(run.from, at === 0 ? 0 : runs[at - 1]!.to);
        t.not(run.zero, runs[at - 1]?.zero);
        for (let from = run.from; from < run.to; from += CHUNK)
          t.is(
            run.zero,
            bytes.subarray(from, Math.min(from + CHUNK, run.to)).every((byte) => byte === 0),
          );
      }
    }),
    { numRuns: 200, seed: 1 },
  );
});

test('zeroes longer than what is compared at once: one byte at the very end is seen', (t) => {
  const bytes = new Uint8Array(300_000);
  t.true(allZero(bytes, 0, bytes.length));
  bytes[bytes.length - 1] = 1;
  t.false(allZero(bytes, 0, bytes.length));
  t.true(allZero(bytes, 0, bytes.length - 1));
});

test('a piece of which one chunk is not zero: two frames of zeroes without bytes, one of data', (t) => {
  const range = new Request(() => undefined);
  range.begin = 10 * CHUNK;
  range.end = 14 * CHUNK;
  const memory = new Uint8Array(16 * CHUNK);
  memory[2 * CHUNK] = 7;
  const piece = { id: 5, chunk: 10, chunks: 4, range, memory, asked: false, owed: 0 };
  const of = { epoch: 3, id: 5 };
  t.deepEqual(framesOf(piece, 3, CHUNK, allZero), [
    { t: 'sync-zero', ...of, offset: 10 * CHUNK, length: 2 * CHUNK },
    { t: 'sync-data', ...of, offset: 12 * CHUNK, bytes: memory.subarray(2 * CHUNK, 3 * CHUNK) },
    { t: 'sync-zero', ...of, offset: 13 * CHUNK, length: CHUNK },
  ]);
});
