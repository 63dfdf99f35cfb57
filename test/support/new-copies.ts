// Two new copies of a volume for drills, equal and empty, as an initial sync and a clean end would leave them.
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Mode, VolumeIdentity } from '../../plugins/disk-mirror/words.js';
import { NO_GENERATION } from '../../plugins/disk-mirror/words.js';
import { openFileDevice } from '../../plugins/disk-mirror/metadata/file-device.js';
import { layoutOf } from '../../plugins/disk-mirror/metadata/layout.js';
import { writeNewMetadata } from '../../plugins/disk-mirror/metadata/write-new.js';

export interface NewCopy {
  readonly node: string;
  readonly peer: string;
  readonly backing: string;
  readonly metadata: string;
}

/** Makes both files of each copy. */
export const makeCopies = async (
  identity: Omit<VolumeIdentity, 'volumeUuid'>,
  copies: readonly NewCopy[],
  { mode = 'sync', slots, keepData = false }: { readonly mode?: Mode; readonly slots?: number; readonly keepData?: boolean } = {},
): Promise<void> => {
  const layout = layoutOf(identity.sizeBytes, slots === undefined ? {} : { slots });
  for (const { node, peer, backing, metadata } of copies) {
    for (const file of [backing, metadata]) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    if (!keepData) {
      writeFileSync(backing, '');
      truncateSync(backing, identity.sizeBytes);
    }
    writeFileSync(metadata, Buffer.alloc(layout.metadataBytes));
    const device = await openFileDevice(metadata);
    await writeNewMetadata(device, layout, {
      identity: { ...identity, volumeUuid: '00112233445566778899aabbccddeeff' },
      node,
      mode,
      role: 'secondary',
      primaryIndicator: false,
      primaryEpoch: 0,
      maxEpochSeen: 0,
      disk: 'UpToDate',
      current: { epoch: 0, counter: 1, random: 7 },
      history: [],
      peer: { node: peer, bootId: '', disk: 'UpToDate', bitmapBase: NO_GENERATION },
      forced: false,
      cleanShutdown: true,
      fullSyncNeeded: false,
      resync: null,
    });
    await device.close();
  }
};
