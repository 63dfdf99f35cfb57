// Reads a region at once, and block by block where that fails: one unreadable sector must not hide its neighbours. What cannot
// be read is left as zeroes, which is no block of ours; whoever reads the region says what that means.
import { BLOCK_BYTES } from './block.js';
import { type MetadataDevice, readBlocks } from './device.js';

export const readEach = async (device: MetadataDevice, into: Uint8Array, offset: number): Promise<void> => {
  try {
    await readBlocks(device, into, offset);
    return;
  } catch {
    // Which of the blocks it was is found out below.
  }
  for (let at = 0; at < into.length; at += BLOCK_BYTES) {
    const block = into.subarray(at, at + BLOCK_BYTES);
    try {
      await readBlocks(device, block, offset + at);
    } catch {
      block.fill(0);
    }
  }
};
