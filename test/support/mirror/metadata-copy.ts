// Fresh metadata on a crash disk, attached: where tests of the store begin.
import { attachMetadata, attachParts, type ExpectedVolume } from '../../../plugins/disk-mirror/metadata/attach.js';
import type { SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';
import { layoutOf } from '../../../plugins/disk-mirror/metadata/layout.js';
import { writeNewMetadata } from '../../../plugins/disk-mirror/metadata/write-new.js';
import { CrashDisk } from './crash-disk.js';
import { superblockState } from './superblock-state.js';

export const expectedOf = ({ identity: { cluster, group, volume, sizeBytes }, node }: SuperblockState): ExpectedVolume => ({
  cluster,
  group,
  volume,
  sizeBytes,
  node,
});

export interface FreshOptions {
  readonly state?: SuperblockState;
  readonly slots?: number;
}

/** A disk that answers by itself, with new metadata on it. */
export const freshDisk = async ({ state = superblockState(), slots = 16 }: FreshOptions = {}): Promise<CrashDisk> => {
  const layout = layoutOf(state.identity.sizeBytes, { slots });
  const disk = new CrashDisk(layout.metadataBytes);
  disk.automatic = true;
  await writeNewMetadata(disk, layout, state);
  return disk;
};

export const attachTo = (disk: CrashDisk, state = superblockState()) =>
  attachMetadata(disk, { name: 'the metadata', expected: expectedOf(state) });
export const partsOf = (disk: CrashDisk, state = superblockState()) =>
  attachParts(disk, { name: 'the metadata', expected: expectedOf(state) });

/** Waits until everything that needs no answer of the disk has run. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
