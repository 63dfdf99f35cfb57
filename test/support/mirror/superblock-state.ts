// A superblock as a fresh primary copy has it, for tests to vary.
import type { SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';
import { NO_GENERATION } from '../../../plugins/disk-mirror/words.js';

export const VOLUME_UUID = '00112233445566778899aabbccddeeff';

export const superblockState = (changes: Partial<SuperblockState> & { readonly sizeBytes?: number } = {}): SuperblockState => {
  const { sizeBytes = 1024 * 1024 * 1024, ...state } = changes;
  return {
    identity: { cluster: 'orders', group: 'db', volume: 'data', volumeUuid: VOLUME_UUID, sizeBytes },
    node: 'a',
    mode: 'sync',
    role: 'secondary',
    primaryIndicator: false,
    primaryEpoch: 0,
    maxEpochSeen: 0,
    disk: 'UpToDate',
    current: { epoch: 1, counter: 1, random: 7 },
    history: [],
    peer: { node: 'b', bootId: '', disk: 'Inconsistent', bitmapBase: NO_GENERATION },
    forced: false,
    cleanShutdown: true,
    fullSyncNeeded: false,
    resync: null,
    ...state,
  };
};
