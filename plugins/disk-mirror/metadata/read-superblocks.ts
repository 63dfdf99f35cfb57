// The two copies of the superblock, and which of them counts: the good one with the higher sbSeq (SAFETY b.1, row 18). With no
// good one there is nothing to go on with, and nothing is made up.
import { UnderstudyError, reasonOf } from 'understudy/plugin';
import { BLOCK_BYTES } from './block.js';
import { type MetadataDevice, readBlocks } from './device.js';
import { SUPERBLOCK_AT } from './layout.js';
import { decodeSuperblock, type Superblock } from './superblock.js';

interface Copy {
  readonly copy: 0 | 1;
  readonly superblock: Superblock | null;
  readonly problem: string;
}

const readCopy = async (device: MetadataDevice, copy: 0 | 1): Promise<Copy> => {
  const block = new Uint8Array(BLOCK_BYTES);
  try {
    await readBlocks(device, block, SUPERBLOCK_AT[copy]);
  } catch (error) {
    return { copy, superblock: null, problem: reasonOf(error) };
  }
  const read = decodeSuperblock(block, copy);
  return read.kind === 'good' ? { copy, superblock: read.superblock, problem: '' } : { copy, superblock: null, problem: read.problem };
};

/** Throws METADATA when neither copy is good, or the two are of different volumes. */
export const readSuperblocks = async (
  device: MetadataDevice,
  name: string,
): Promise<{ readonly newest: Superblock; readonly repairs: readonly string[] }> => {
  const copies = [await readCopy(device, 0), await readCopy(device, 1)];
  const good = copies.flatMap(({ superblock }) => superblock ?? []).sort((one, other) => other.seq - one.seq);
  const [newest, older] = good;
  if (newest === undefined) {
    const found = copies.map(({ copy, problem }) => `at byte ${SUPERBLOCK_AT[copy]}: ${problem}`).join(', ');
    throw new UnderstudyError('METADATA', `${name}: neither copy of the superblock is good (${found})`, {
      hint: 'Nothing was made anew. If the other copy is whole, on this node: understudy mirror recover GROUP.RESOURCE.',
    });
  }
  if (older !== undefined && older.state.identity.volumeUuid !== newest.state.identity.volumeUuid)
    throw new UnderstudyError(
      'METADATA',
      `${name} has superblocks of two volumes: ${newest.state.identity.volumeUuid} and ${older.state.identity.volumeUuid}`,
    );
  const repairs = copies
    .filter(({ superblock }) => superblock === null)
    .map(({ copy, problem }) => `copy ${copy} of the superblock was bad (${problem}) and was written anew from the other`);
  if (older !== undefined && newest.seq - older.seq !== 1)
    repairs.push(`the copies of the superblock are ${newest.seq - older.seq} writes apart; the newer counts`);
  return { newest, repairs };
};
