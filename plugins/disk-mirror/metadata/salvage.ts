// Which volume damaged metadata was of, from the blocks that are still good: each carries the volume's uuid under its checksum. Reads
// only. What the copy was worth (generation, state, epochs) stood in the superblocks alone, and is not made up.
import { open } from 'node:fs/promises';
import { reasonOf, UnderstudyError } from 'understudy/plugin';
import { BLOCK_BYTES, readHead, openBlock } from './block.js';
import { BITMAP_AT, LOG_AT, RING_BLOCKS, SUPERBLOCK_AT } from './layout.js';
import { decodeSuperblock } from './superblock.js';

export interface Salvage {
  /** There is something at the path. */
  readonly there: boolean;
  /** Good copies of the superblock: then nothing has to be recovered. */
  readonly superblocks: number;
  /** Of blocks of log and bitmap; more than one where the place was used for several. */
  readonly volumeUuids: readonly string[];
}

/** Pages that are looked at: enough to know. */
const PAGES = 64;

export const salvage = async (path: string): Promise<Salvage> => {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new UnderstudyError('METADATA', `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  });
  if (handle === null) return { there: false, superblocks: 0, volumeUuids: [] };
  try {
    const block = async (at: number): Promise<Uint8Array | null> => {
      const bytes = new Uint8Array(BLOCK_BYTES);
      // A sector that cannot be read is a block that is not good.
      const read = await handle.read(bytes, 0, BLOCK_BYTES, at).catch(() => null);
      return read?.bytesRead === BLOCK_BYTES ? bytes : null;
    };
    const superblocks = await Promise.all(([0, 1] as const).map(async (copy) => isGood(await block(SUPERBLOCK_AT[copy]), copy)));
    const found = new Set<string>();
    for (let place = 0; place < RING_BLOCKS; place += 1) add(found, await block(LOG_AT + place * BLOCK_BYTES), 'log', place);
    for (let page = 0; page < PAGES; page += 1) add(found, await block(BITMAP_AT + page * BLOCK_BYTES), 'bitmap', page);
    return { there: true, superblocks: superblocks.filter(Boolean).length, volumeUuids: [...found] };
  } finally {
    await handle.close();
  }
};

const isGood = (block: Uint8Array | null, copy: 0 | 1): boolean => block !== null && decodeSuperblock(block, copy).kind === 'good';

const add = (found: Set<string>, block: Uint8Array | null, type: 'log' | 'bitmap', blockNo: number): void => {
  if (block === null || !openBlock(block, { type, blockNo }).ok) return;
  const head = readHead(block, { type, blockNo });
  if (head.ok) found.add(head.head.volumeUuid);
};
