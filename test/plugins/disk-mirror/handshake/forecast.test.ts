import test from 'ava';
import { forecastOf } from '../../../../plugins/disk-mirror/handshake/forecast.js';
import { type CopyState, NO_GENERATION } from '../../../../plugins/disk-mirror/words.js';

const KIB4 = 4096;
const base = { epoch: 1, counter: 1, random: 7 };
const copy = (node: string, change: Partial<CopyState> = {}): CopyState => ({
  identity: { cluster: 'c', group: 'g', volume: 'v', volumeUuid: '00', sizeBytes: 100 * KIB4 },
  node,
  bootId: `boot-${node}`,
  role: 'secondary',
  disk: 'Consistent',
  primaryIndicator: false,
  primaryEpoch: 0,
  maxEpochSeen: 1,
  current: base,
  bitmapBase: NO_GENERATION,
  history: [],
  dirtyChunks: 0,
  forced: false,
  mode: 'sync',
  peerBootId: '',
  seeded: false,
  victim: false,
  ...change,
});

test('equal copies: nothing to do, no bytes', (t) => {
  t.like(forecastOf(copy('a'), copy('b'), KIB4), { verdict: 'none', source: null, bytes: { atLeast: 0, atMost: 0 } });
});

test('one was written alone: it is the source, whoever asks; the figures lie between the larger and the sum', (t) => {
  const a = copy('a', { current: { epoch: 1, counter: 2, random: 8 }, bitmapBase: base, history: [base], dirtyChunks: 5 });
  const b = copy('b', { dirtyChunks: 3 });
  const expected = { verdict: 'sync', source: 'a', target: 'b', how: 'bitmap', bytes: { atLeast: 5 * KIB4, atMost: 8 * KIB4 } } as const;
  t.like(forecastOf(a, b, KIB4), expected);
  t.like(forecastOf(b, a, KIB4), expected);
  t.deepEqual(forecastOf(a, b, KIB4, 6).bytes, { atLeast: 6 * KIB4, atMost: 6 * KIB4 }, 'both bitmaps are known');
});

test('a copy that never had data: all of it, however many bits are set', (t) => {
  t.like(forecastOf(copy('a'), copy('b', { current: NO_GENERATION, disk: 'Inconsistent', dirtyChunks: 100 }), KIB4), {
    verdict: 'sync',
    how: 'full',
    bytes: { atLeast: 100 * KIB4, atMost: 100 * KIB4 },
  });
});

test('both were written alone: split, with an ancestor the bits say how much; without, all of it', (t) => {
  const mine = { bitmapBase: base, history: [base], dirtyChunks: 60 };
  const a = copy('a', { ...mine, current: { epoch: 2, counter: 2, random: 1 } });
  const b = copy('b', { ...mine, current: { epoch: 3, counter: 2, random: 2 } });
  t.like(forecastOf(a, b, KIB4), { verdict: 'split', commonAncestor: true, bytes: { atLeast: 60 * KIB4, atMost: 100 * KIB4 } });
  const stranger = copy('b', { current: { epoch: 9, counter: 1, random: 9 } });
  t.like(forecastOf(a, stranger, KIB4), { verdict: 'split', commonAncestor: false, bytes: { atLeast: 100 * KIB4 } });
});

test('another volume: refused', (t) => {
  const other = copy('b', { identity: { ...copy('b').identity, volumeUuid: 'ff' } });
  t.like(forecastOf(copy('a'), other, KIB4), { verdict: 'refuse', rule: 'unrelated', source: null });
});
