import test from 'ava';
import fc from 'fast-check';
import { decodePage, encodePage } from '../../../../plugins/disk-mirror/metadata/bitmap-page.js';
import { BLOCK_BYTES, sealBlock, viewOf } from '../../../../plugins/disk-mirror/metadata/block.js';
import { layoutOf, PAGE_BITMAP_BYTES, RING_BLOCKS } from '../../../../plugins/disk-mirror/metadata/layout.js';
import { CONTEXT_PER_BLOCK, decodeTransaction, encodeTransaction } from '../../../../plugins/disk-mirror/metadata/log-block.js';
import { decodeSuperblock, encodeSuperblock, type Superblock } from '../../../../plugins/disk-mirror/metadata/superblock.js';
import { superblockState, VOLUME_UUID } from '../../../support/mirror/superblock-state.js';

const epoch = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const generation = fc.record({ epoch, counter: u32, random: u32 });
const name = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((text) => Buffer.byteLength(text) <= 255);
const disk = fc.constantFrom('Diskless', 'Inconsistent', 'Outdated', 'Behind', 'Consistent', 'UpToDate', 'Failed' as const);
const size = fc.integer({ min: 1, max: 2 ** 34 }).map((sectors) => sectors * 4096);
const state = fc.record({
  identity: fc.record({ cluster: name, group: name, volume: name, volumeUuid: fc.stringMatching(/^[0-9a-f]{32}$/), sizeBytes: size }),
  node: name,
  mode: fc.constantFrom('sync', 'semi-sync', 'async' as const),
  role: fc.constantFrom('primary', 'secondary' as const),
  primaryIndicator: fc.boolean(),
  primaryEpoch: epoch,
  maxEpochSeen: epoch,
  disk,
  current: generation,
  history: fc.array(generation, { maxLength: 16 }),
  peer: fc.record({ node: name, bootId: name, disk, bitmapBase: generation }),
  forced: fc.boolean(),
  cleanShutdown: fc.boolean(),
  fullSyncNeeded: fc.boolean(),
  resync: fc.option(fc.record({ source: name, kind: fc.constantFrom('bitmap', 'full', 'checksum' as const) })),
});
const superblock: fc.Arbitrary<Superblock> = fc
  .record({ seq: epoch, compat: u32, state, slots: fc.integer({ min: 16, max: 16_384 }) })
  .map(({ seq, compat, state: of, slots }) => ({
    seq,
    features: { compat, ro: 0, incompat: 0 },
    layout: layoutOf(of.identity.sizeBytes, { slots }),
    state: of,
  }));
const block = (): Uint8Array => new Uint8Array(BLOCK_BYTES);
const SAMPLE: Superblock = { seq: 6, features: { compat: 0, ro: 0, incompat: 0 }, layout: layoutOf(1024 ** 3), state: superblockState() };

test('superblock: what is written is read back', (t) => {
  fc.assert(
    fc.property(superblock, (written) => {
      t.deepEqual(decodeSuperblock(encodeSuperblock(block(), written), (written.seq % 2) as 0 | 1), { kind: 'good', superblock: written });
    }),
  );
  t.pass();
});

test('superblock: the longest names and a full history fit', (t) => {
  const long = 'x'.repeat(255);
  const written = {
    ...SAMPLE,
    state: superblockState({
      identity: { cluster: long, group: long, volume: long, volumeUuid: VOLUME_UUID, sizeBytes: 1024 ** 3 },
      node: long,
      peer: { node: long, bootId: long, disk: 'UpToDate', bitmapBase: { epoch: 1, counter: 2, random: 3 } },
      history: Array.from({ length: 16 }, (_, counter) => ({ epoch: 1, counter, random: 5 })),
      resync: { source: long, kind: 'full' },
    }),
  };
  t.deepEqual(decodeSuperblock(encodeSuperblock(block(), written), 0), { kind: 'good', superblock: written });
  const tooLong = { ...written, state: superblockState({ node: `${long}x` }) };
  t.throws(() => encodeSuperblock(block(), tooLong), { instanceOf: RangeError, message: /256 bytes/ });
});

const flips = (sealed: Uint8Array, good: (bytes: Uint8Array) => boolean): number[] => {
  const unseen: number[] = [];
  for (let bit = 0; bit < BLOCK_BYTES * 8; bit++) {
    sealed[bit >> 3] = (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    if (good(sealed)) unseen.push(bit);
    sealed[bit >> 3] = (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  }
  return unseen;
};
const page = { page: 3, volumeUuid: VOLUME_UUID };
const bitsOf = (seed: number): Uint8Array => Uint8Array.from({ length: PAGE_BITMAP_BYTES }, (_, index) => (index * seed) & 0xff);
const transaction = {
  number: RING_BLOCKS + 5,
  changes: Array.from({ length: 64 }, (_, slot) => ({ slot, extent: slot * 3 })),
  context: { first: 10, extents: Uint32Array.from({ length: CONTEXT_PER_BLOCK }, (_, index) => index * 7) },
};

test('every single bit of every kind of block: one that is flipped is seen', (t) => {
  t.deepEqual(
    flips(encodeSuperblock(block(), SAMPLE), (bytes) => decodeSuperblock(bytes, 0).kind === 'good'),
    [],
  );
  t.deepEqual(
    flips(encodePage(block(), bitsOf(7), page, 9), (bytes) => decodePage(bytes, page).ok),
    [],
  );
  t.deepEqual(
    flips(encodeTransaction(block(), transaction, VOLUME_UUID), (bytes) => decodeTransaction(bytes, 5, VOLUME_UUID).kind === 'whole'),
    [],
  );
});

test('bitmap page: what is written is read back; another place or another volume is refused', (t) => {
  const written = encodePage(block(), bitsOf(7), page, 9);
  const read = decodePage(written, page);
  t.deepEqual(read, { ok: true, bits: bitsOf(7), writeSeq: 9 });
  t.deepEqual(decodePage(written, { ...page, page: 4 }), { ok: false, problem: 'misplaced' });
  t.deepEqual(decodePage(written, { ...page, volumeUuid: 'f'.repeat(32) }), { ok: false, problem: 'of another volume' });
  t.deepEqual(decodePage(block(), page), { ok: false, problem: 'not metadata of a mirror' });
  t.deepEqual(decodeTransaction(written, 3, VOLUME_UUID), { kind: 'damaged', problem: 'another kind of block' });
});

test('log block: what is written is read back', (t) => {
  t.deepEqual(decodeTransaction(encodeTransaction(block(), transaction, VOLUME_UUID), 5, VOLUME_UUID), { kind: 'whole', transaction });
});

test('log block cut short at any sector: its head is the old or the new one, never damaged', (t) => {
  const old = encodeTransaction(
    block(),
    { number: 5, changes: [], context: { first: 0, extents: new Uint32Array(CONTEXT_PER_BLOCK) } },
    VOLUME_UUID,
  );
  const fresh = encodeTransaction(block(), transaction, VOLUME_UUID);
  for (let kept = 1; kept < 255; kept++) {
    const torn = old.slice();
    for (let sector = 0; sector < 8; sector++)
      if (kept & (1 << sector)) torn.set(fresh.subarray(sector * 512, sector * 512 + 512), sector * 512);
    const read = decodeTransaction(torn, 5, VOLUME_UUID);
    if (read.kind !== 'head') return t.fail(`sectors ${kept.toString(2)}: ${read.kind}`);
    t.deepEqual(read.transaction.changes, kept & 1 ? transaction.changes : []);
    t.is(read.transaction.context.extents.length, 0);
  }
});

for (const mask of ['ro', 'incompat'] as const)
  test(`an unknown feature in the mask ${mask}: refused, with what to do`, (t) => {
    const written = encodeSuperblock(block(), { ...SAMPLE, features: { ...SAMPLE.features, [mask]: 0x8000_0001 } });
    const error = t.throws(() => decodeSuperblock(written, 0), { code: 'METADATA', message: new RegExp(`${mask} 0x80000001`) });
    t.regex((error as unknown as { hint: string }).hint, /newer understudy/);
  });

test('an unknown feature in the mask compat: read, and kept', (t) => {
  const written = { ...SAMPLE, features: { compat: 5, ro: 0, incompat: 0 } };
  t.deepEqual(decodeSuperblock(encodeSuperblock(block(), written), 0), { kind: 'good', superblock: written });
});

test('a superblock with a good checksum and nonsense in it: bad, not believed', (t) => {
  const fields: readonly [string, (view: DataView) => void][] = [
    ['role', (view) => view.setUint8(92, 9)],
    ['chunk bytes', (view) => view.setUint32(52, 12_345, true)],
    ['size', (view) => view.setUint32(56, 1, true)],
    ['slots', (view) => view.setUint32(64, 0xffff_ffff, true)],
    ['pages', (view) => view.setUint32(88, 1, true)],
    ['history', (view) => view.setUint8(98, 17)],
    ['flags', (view) => view.setUint8(96, 0x10)],
    ['epoch', (view) => view.setUint32(108, 0xffff_ffff, true)],
  ];
  for (const [what, spoil] of fields) {
    const bytes = encodeSuperblock(block(), SAMPLE);
    spoil(viewOf(bytes));
    sealBlock(bytes, { type: 'superblock', blockNo: 0, writeSeq: 6, volumeUuid: VOLUME_UUID });
    t.deepEqual(decodeSuperblock(bytes, 0), { kind: 'bad', problem: 'nonsense behind a good checksum' }, what);
  }
});
