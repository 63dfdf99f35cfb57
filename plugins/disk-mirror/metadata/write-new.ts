// Writes fresh metadata: empty bitmap, empty log, then both superblocks, so that a creation cut short leaves nothing that attaches.
// What may be overwritten was decided before (create.ts).
import { BLOCK_BYTES } from './block.js';
import { ChunkBits } from './chunk-bits.js';
import type { SuperblockState } from './contract.js';
import { type MetadataDevice, writeBlocks } from './device.js';
import { type Layout, SUPERBLOCK_AT } from './layout.js';
import { LogWriter } from './log-writer.js';
import { PageWriter } from './page-writer.js';
import { encodeSuperblock } from './superblock.js';
import { Slots } from './slots.js';

/** `firstSeq` is even: copy 0 has it, copy 1 the next. */
const FIRST_SEQ = 2;

export const writeNewMetadata = async (device: MetadataDevice, layout: Layout, state: SuperblockState): Promise<void> => {
  const { volumeUuid } = state.identity;
  const empty = new Uint8Array(BLOCK_BYTES);
  for (const at of SUPERBLOCK_AT) await writeBlocks(device, empty, at);
  const pages = new PageWriter(device, new ChunkBits(layout), volumeUuid, 0);
  const everyPage = Array.from({ length: layout.pages }, (_, page) => page);
  await asked((done) => pages.write(everyPage, done));
  const log = new LogWriter(device, new Slots(layout.slots).extents, volumeUuid, 0);
  await asked((done) => log.restate({ whole: true }, done));
  for (const [copy, at] of SUPERBLOCK_AT.entries()) {
    const superblock = { seq: FIRST_SEQ + copy, features: { compat: 0, ro: 0, incompat: 0 }, layout, state };
    await writeBlocks(device, encodeSuperblock(new Uint8Array(BLOCK_BYTES), superblock), at);
  }
};

const asked = (call: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => call((error) => (error === null ? resolve() : reject(error))));
