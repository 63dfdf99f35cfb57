// The blocks of the disk mirror's metadata, and the whole ring of its log, as read from a disk that anybody may have written.
import { decodePage, encodePage } from '../../plugins/disk-mirror/metadata/bitmap-page.js';
import { BLOCK_BYTES, sealBlock, viewOf } from '../../plugins/disk-mirror/metadata/block.js';
import { layoutOf, MAX_SLOTS, PAGE_BITMAP_BYTES, RING_BLOCKS } from '../../plugins/disk-mirror/metadata/layout.js';
import { CONTEXT_PER_BLOCK, decodeTransaction, encodeTransaction } from '../../plugins/disk-mirror/metadata/log-block.js';
import { replay } from '../../plugins/disk-mirror/metadata/replay.js';
import { contentOf } from '../../plugins/disk-mirror/metadata/signatures.js';
import { decodeSuperblock, encodeSuperblock } from '../../plugins/disk-mirror/metadata/superblock.js';
import { superblockState, VOLUME_UUID } from '../support/mirror/superblock-state.js';
import { assertStable, assertThat, type Target } from './target.js';
import { UnderstudyError } from 'understudy/plugin';

const block = (): Uint8Array => new Uint8Array(BLOCK_BYTES);
const wholeBlock = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(BLOCK_BYTES)]).subarray(0, BLOCK_BYTES);
const seedsOf = (blocks: readonly Uint8Array[]): Buffer[] => blocks.map((one) => Buffer.from(one));

const superblocks = seedsOf(
  [
    superblockState(),
    superblockState({
      history: Array.from({ length: 16 }, (_, counter) => ({ epoch: 3, counter, random: 9 })),
      resync: { source: 'b', kind: 'full' },
    }),
  ].map((state) => encodeSuperblock(block(), { seq: 6, features: { compat: 0, ro: 0, incompat: 0 }, layout: layoutOf(1024 ** 3), state })),
);

export const mirrorSuperblock: Target = {
  name: 'mirror-superblock',
  seeds: superblocks,
  repair: (bytes) => Buffer.from(sealBlock(wholeBlock(bytes), { type: 'superblock', blockNo: 0, writeSeq: 6, volumeUuid: VOLUME_UUID })),
  judge: (bytes, repaired) => {
    const input = wholeBlock(bytes);
    try {
      const read = decodeSuperblock(input, 0);
      if (read.kind === 'bad') return 'refused';
      assertThat(repaired || superblocks.some((good) => good.equals(input)), 'a superblock whose checksum is wrong is read');
      const again = decodeSuperblock(encodeSuperblock(block(), read.superblock), 0);
      assertStable(read, again);
      return 'superblock';
    } catch (error) {
      // A name whose bytes were no UTF-8 is longer once they are replaced; and features of a newer version are refused.
      if ((error instanceof UnderstudyError && error.code === 'METADATA') || error instanceof RangeError) return 'refused';
      throw error;
    }
  },
  slowMs: 50,
};

const ring = Array.from({ length: RING_BLOCKS }, (_, number) =>
  encodeTransaction(
    block(),
    {
      number,
      changes: [{ slot: number % 16, extent: number }],
      context: { first: 0, extents: Uint32Array.from({ length: number % 2 === 0 ? 16 : CONTEXT_PER_BLOCK }, (_, slot) => slot + number) },
    },
    VOLUME_UUID,
  ),
);

export const mirrorLog: Target = {
  name: 'mirror-log',
  seeds: seedsOf(ring.slice(0, 6)),
  repair: (bytes) =>
    Buffer.from(sealBlock(wholeBlock(bytes), { type: 'log', blockNo: 5, writeSeq: 5 + RING_BLOCKS, volumeUuid: VOLUME_UUID })),
  judge: (bytes) => {
    const input = wholeBlock(bytes);
    const place = viewOf(input).getUint32(8, true) % RING_BLOCKS;
    const read = decodeTransaction(input, place, VOLUME_UUID);
    const whole = Buffer.concat(ring);
    input.copy(whole, place * BLOCK_BYTES);
    const { active, everything, damaged } = replay(whole, VOLUME_UUID, 16);
    assertThat(active.length <= MAX_SLOTS, 'more extents than slots');
    assertThat(read.kind !== 'damaged' || damaged.length === 1, 'damage that is not told');
    assertThat(read.kind !== 'damaged' || place !== RING_BLOCKS - 1 || everything, 'the newest block is lost, and nothing is dirty for it');
    return read.kind;
  },
  slowMs: 100,
  oneOf: 10,
};

const page = { page: 3, volumeUuid: VOLUME_UUID };
const pages = seedsOf([encodePage(block(), new Uint8Array(PAGE_BITMAP_BYTES).fill(0xa5), page, 9)]);

export const mirrorPage: Target = {
  name: 'mirror-page',
  seeds: pages,
  judge: (bytes) => {
    const input = wholeBlock(bytes);
    const read = decodePage(input, page);
    if (!read.ok) return 'refused';
    assertThat(
      pages.some((good) => good.equals(input)),
      'a page whose checksum is wrong is read',
    );
    return 'page';
  },
  slowMs: 50,
};

export const mirrorSignatures: Target = {
  name: 'mirror-signatures',
  seeds: [...superblocks, Buffer.concat([Buffer.alloc(510), Buffer.from([0x55, 0xaa]), Buffer.from('EFI PART')]), Buffer.from('XFSB')],
  judge: (bytes) => {
    const content = contentOf(bytes, bytes.subarray(bytes.length >> 1));
    assertThat((content.length === 0) === bytes.every((byte) => byte === 0), 'what is not zero is called empty, or the other way round');
    return content.length === 0 ? 'empty' : 'something';
  },
  slowMs: 50,
};
