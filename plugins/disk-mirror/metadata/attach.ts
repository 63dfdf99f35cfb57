// From the blocks of a metadata device to a store: reads everything, takes the newer good superblock, folds the activity log into
// the bitmap, mends what one copy can mend, and proves by reading back that the device keeps what is written. Invariants: what
// comes out is a superset of what may differ; nothing is initialised anew; each step leaves the disk so that attaching again
// finds the same.
import { UnderstudyError } from 'understudy/plugin';
import type { VolumeIdentity } from '../words.js';
import { BLOCK_BYTES } from './block.js';
import { ChunkBits } from './chunk-bits.js';
import type { Attached, MetadataStore } from './contract.js';
import { type MetadataDevice, readBlocks, writeBlocks } from './device.js';
import { chunksOfExtent, type Layout, LOG_AT, RING_BLOCKS, SUPERBLOCK_AT } from './layout.js';
import { LogWriter } from './log-writer.js';
import { PageWriter } from './page-writer.js';
import { readBitmap } from './read-bitmap.js';
import { readEach } from './read-each.js';
import { replay } from './replay.js';
import { Slots } from './slots.js';
import { DeviceMetadataStore, type StoreParts } from './store.js';
import { encodeSuperblock, type Superblock } from './superblock.js';
import { readSuperblocks } from './read-superblocks.js';
import { SuperblockWriter } from './superblock-writer.js';

/** What the config says this metadata is of. `volumeUuid` where it is known. */
export interface ExpectedVolume extends Omit<VolumeIdentity, 'volumeUuid'> {
  readonly node: string;
  readonly volumeUuid?: string;
}

export interface AttachOptions {
  /** For people: the path, in errors. */
  readonly name: string;
  readonly expected: ExpectedVolume;
  /** Runs a task after the running one. Default: a microtask. */
  readonly defer?: (task: () => void) => void;
}

/** Throws METADATA, with what was found where, when the metadata must not be used. The device stays the caller's to close then. */
export const attachMetadata = async (
  device: MetadataDevice,
  options: AttachOptions,
): Promise<{ readonly attached: Attached; readonly store: MetadataStore }> => {
  const { attached, parts } = await attachParts(device, options);
  return { attached, store: new DeviceMetadataStore(parts) };
};

/** Everything up to the store. */
export const attachParts = async (
  device: MetadataDevice,
  { name, expected, defer = queueMicrotask }: AttachOptions,
): Promise<{ readonly attached: Attached; readonly parts: StoreParts }> => {
  const { newest, repairs: superblockRepairs } = await readSuperblocks(device, name);
  const { layout, state } = newest;
  refuseOther(name, state.node, state.identity, expected);
  if (device.sizeBytes < layout.metadataBytes)
    throw new UnderstudyError(
      'METADATA',
      `${name} has ${device.sizeBytes} bytes; its metadata needs ${layout.metadataBytes}: it was cut short`,
    );
  const { volumeUuid } = state.identity;
  const bits = new ChunkBits(layout);
  const { writeSeq, repairs: pageRepairs } = await readBitmap(device, layout, { bits, volumeUuid });
  const pages = new PageWriter(device, bits, volumeUuid, writeSeq);
  const slots = new Slots(layout.slots);
  const folded = await foldLog(device, layout, { bits, volumeUuid });
  const log = new LogWriter(device, slots.extents, volumeUuid, folded.next);
  // First the bits, then the log that stood for them.
  await asked((done) => pages.write(differing(bits, layout), done));
  const { restate } = folded;
  if (restate !== null) await asked((done) => log.restate({ whole: restate === 'whole' }, done));
  const superblocks = new SuperblockWriter(device, await proveWritable(device, newest, name));
  const repairs = [...superblockRepairs, ...pageRepairs, ...folded.repairs];
  return {
    attached: { superblock: state, chunkBytes: layout.chunkBytes, bits, repairs },
    parts: { device, layout, bits, slots, superblocks, pages, log, defer },
  };
};

const asked = (call: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => call((error) => (error === null ? resolve() : reject(error))));

const differing = (bits: ChunkBits, layout: Layout): number[] =>
  Array.from({ length: layout.pages }, (_, page) => page).filter((page) => bits.differs(page));

const refuseOther = (name: string, node: string, found: VolumeIdentity, expected: ExpectedVolume): void => {
  const pairs: readonly (readonly [string, string | number, string | number])[] = [
    ['cluster', found.cluster, expected.cluster],
    ['group', found.group, expected.group],
    ['volume', found.volume, expected.volume],
    ['node', node, expected.node],
    ['uuid of the volume', found.volumeUuid, expected.volumeUuid ?? found.volumeUuid],
    ['size of the data in bytes', found.sizeBytes, expected.sizeBytes],
  ];
  const other = pairs.filter(([, is, wanted]) => is !== wanted).map(([what, is, wanted]) => `${what} ${is} instead of ${wanted}`);
  if (other.length === 0) return;
  throw new UnderstudyError('METADATA', `${name} is the metadata of another copy: ${other.join(', ')}`, {
    hint: 'Put right the paths of data and metadata in the config of this node. Where the backing was grown on purpose: understudy mirror resize.',
  });
};

export interface Folded {
  readonly next: number;
  readonly restate: 'slots' | 'whole' | null;
  readonly repairs: readonly string[];
}

export const foldLog = async (
  device: MetadataDevice,
  layout: Layout,
  { bits, volumeUuid }: { readonly bits: ChunkBits; readonly volumeUuid: string },
): Promise<Folded> => {
  const ring = new Uint8Array(RING_BLOCKS * BLOCK_BYTES);
  await readEach(device, ring, LOG_AT);
  const { active, everything, next, damaged } = replay(ring, volumeUuid, layout.slots);
  const stray = active.some((extent) => extent >= layout.extents);
  if (everything || stray) bits.set(0, layout.chunks);
  for (const extent of active) {
    if (extent >= layout.extents) continue;
    const { first, count } = chunksOfExtent(layout, extent);
    bits.set(first, count);
  }
  const [first] = damaged;
  const repairs: string[] = [];
  if (first !== undefined)
    repairs.push(
      `${damaged.length} blocks of the activity log were damaged (place ${first.place}: ${first.problem}) and were written anew`,
    );
  if (everything) repairs.push('the activity log does not tell what all its slots hold: every chunk counts as changed');
  if (stray) repairs.push('the activity log names extents outside the volume: every chunk counts as changed');
  return { next, restate: damaged.length > 0 ? 'whole' : active.length > 0 ? 'slots' : null, repairs };
};

// The copy that is older, or bad, is written with the state of the newer: the repair, and the proof that the device can be
// written and keeps it, in one.
const proveWritable = async (device: MetadataDevice, newest: Superblock, name: string): Promise<Superblock> => {
  const next: Superblock = { ...newest, seq: newest.seq + 1 };
  const at = SUPERBLOCK_AT[(next.seq % 2) as 0 | 1];
  const block = encodeSuperblock(new Uint8Array(BLOCK_BYTES), next);
  await writeBlocks(device, block, at);
  const back = new Uint8Array(BLOCK_BYTES);
  await readBlocks(device, back, at);
  if (!Buffer.from(back).equals(block))
    throw new UnderstudyError('METADATA', `${name} does not keep what is written: the superblock at byte ${at} reads back differently`, {
      hint: 'Do not use this disk. Put another in its place and make the copy anew: understudy mirror create.',
    });
  return next;
};
