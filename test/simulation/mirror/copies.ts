// What of a mirrored copy outlives its processes: the disk under its data, the blocks of its metadata. Both copies begin equal and
// empty, as `mirror create` leaves them.
import type { ClusterConfig } from '../../../core/config/cluster-config.js';
import type { SimNode } from '../../../core/simulation/sim-node.js';
import type { DiskMirrorOptions } from '../../../plugins/disk-mirror/agent/definition.js';
import type { MetadataDevice } from '../../../plugins/disk-mirror/metadata/device.js';
import { layoutOf } from '../../../plugins/disk-mirror/metadata/layout.js';
import type { SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';
import { writeNewMetadata } from '../../../plugins/disk-mirror/metadata/write-new.js';
import { type Generation, NO_GENERATION } from '../../../plugins/disk-mirror/words.js';
import { SimMetadata } from './sim-metadata.js';
import { SimVolume } from './sim-volume.js';

export const VOLUME = 'disk';
/** One extent of the activity log, 64 chunks: every crash of a primary makes all of it dirty. */
export const VOLUME_BYTES = 256 * 1024;
const SLOTS = 16;
const FIRST: Generation = { epoch: 0, counter: 1, random: 7 };

export interface SimCopy {
  readonly node: SimNode;
  readonly data: SimVolume;
  readonly metadata: SimMetadata;
  /** The superblock last known to be durable; null before the first attach. */
  durable: SuperblockState | null;
}

/** Of the metadata, by node and by how it was made: before the world begins, or in the place of a copy whose disk failed. */
export type Images = ReadonlyMap<string, Uint8Array>;

export const newImages = async (config: ClusterConfig, mode: DiskMirrorOptions['mode']): Promise<Images> => {
  const images = new Map<string, Uint8Array>();
  const layout = layoutOf(VOLUME_BYTES, { slots: SLOTS });
  for (const { id } of config.nodes)
    for (const made of ['first', 'anew'] as const) {
      const image = new Uint8Array(layout.metadataBytes);
      await writeNewMetadata(atOnce(image), layout, firstState(config, id, mode, made));
      images.set(`${id} ${made}`, image);
    }
  return images;
};

export const copyOn = (node: SimNode, images: Images): SimCopy => {
  const copy: SimCopy = {
    durable: null,
    node,
    data: new SimVolume(node, VOLUME_BYTES),
    metadata: new SimMetadata(node, images.get(`${node.id} first`)!),
  };
  node.onPowerLost.push(() => copy.data.powerLost());
  return copy;
};

/** Another disk in the place of one that failed: nothing on it, everything to come from the peer (`mirror create`). */
export const replaceDisk = (copy: SimCopy, images: Images): void => {
  copy.data.replaced();
  copy.metadata.image.set(images.get(`${copy.node.id} anew`)!);
  copy.durable = null;
};

const atOnce = (image: Uint8Array): MetadataDevice => ({
  sizeBytes: image.length,
  read: (into, offset, done) => {
    into.set(image.subarray(offset, offset + into.length));
    queueMicrotask(() => done(null));
  },
  write: (bytes, offset, done) => {
    image.set(bytes, offset);
    queueMicrotask(() => done(null));
  },
  close: () => Promise.resolve(),
});

const firstState = (config: ClusterConfig, node: string, mode: DiskMirrorOptions['mode'], made: 'first' | 'anew'): SuperblockState => ({
  identity: {
    cluster: config.cluster,
    group: config.groups[0]!.id,
    volume: VOLUME,
    volumeUuid: '00112233445566778899aabbccddeeff',
    sizeBytes: VOLUME_BYTES,
  },
  node,
  mode,
  role: 'secondary',
  primaryIndicator: false,
  primaryEpoch: 0,
  maxEpochSeen: 0,
  disk: made === 'first' ? 'UpToDate' : 'Inconsistent',
  current: made === 'first' ? FIRST : NO_GENERATION,
  history: [],
  peer: { node: config.nodes.find(({ id }) => id !== node)!.id, bootId: '', disk: 'UpToDate', bitmapBase: NO_GENERATION },
  forced: false,
  cleanShutdown: true,
  fullSyncNeeded: made === 'anew',
  resync: made === 'anew' ? { source: config.nodes.find(({ id }) => id !== node)!.id, kind: 'full' } : null,
});
