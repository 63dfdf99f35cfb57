// Makes the metadata of a copy that of a larger volume, in place. The order is the whole safety: the bitmap's new pages, all clean,
// behind the old ones where nobody reads them yet; then a superblock of the new size, then the other copy of it, so that no single bad
// block makes the volume small again. Cut short anywhere it is the old volume, whole, or the new one; and can be done again.
import { UnderstudyError } from 'understudy/plugin';
import { BLOCK_BYTES } from './block.js';
import { ChunkBits } from './chunk-bits.js';
import { type MetadataDevice, writeBlocks } from './device.js';
import { type Layout, layoutOf, SUPERBLOCK_AT } from './layout.js';
import { PageWriter } from './page-writer.js';
import { encodeSuperblock, type Superblock } from './superblock.js';

export interface Growth {
  readonly from: Superblock;
  readonly to: Layout;
}

/** What growing to this size means. Throws REFUSED for what is no growth, RangeError for a size that no volume can have. */
export const growthOf = (from: Superblock, sizeBytes: number): Growth => {
  const before = from.layout.sizeBytes;
  if (sizeBytes < before)
    throw new UnderstudyError('REFUSED', `a volume of ${before} bytes is not made smaller: ${sizeBytes} bytes`, {
      hint: 'What lies behind the new end would be lost on both copies. Make a new, smaller volume and copy the data into it.',
    });
  return { from, to: layoutOf(sizeBytes, { slots: from.layout.slots, chunkBytes: from.layout.chunkBytes }) };
};

/** `device` has room for all of it. The data behind the old end reads as zeroes, durably, before this is called. */
export const growMetadata = async (device: MetadataDevice, { from, to }: Growth): Promise<void> => {
  const { volumeUuid } = from.state.identity;
  const pages = new PageWriter(device, new ChunkBits(to), volumeUuid, from.seq);
  const fresh = Array.from({ length: to.pages - from.layout.pages }, (_, index) => from.layout.pages + index);
  await new Promise<void>((resolve, reject) => pages.write(fresh, (error) => (error === null ? resolve() : reject(error))));
  const state = { ...from.state, identity: { ...from.state.identity, sizeBytes: to.sizeBytes } };
  for (const seq of [from.seq + 1, from.seq + 2]) {
    const block = encodeSuperblock(new Uint8Array(BLOCK_BYTES), { ...from, seq, layout: to, state });
    await writeBlocks(device, block, SUPERBLOCK_AT[(seq % 2) as 0 | 1]);
  }
};
