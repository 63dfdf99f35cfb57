// The superblock's payload: what the copy knows of itself and its peer, and where the rest lies. Numbers at fixed places, then
// the names one after the other with their lengths. Feature masks as file systems have them: an unknown bit of `incompat` means
// that this version must not touch the metadata, of `ro` that it must not write (so here: refused too), of `compat` nothing.
import { UnderstudyError } from 'understudy/plugin';
import { type DiskState, type Generation, HISTORY, type Mode, type Role } from '../words.js';
import { BLOCK_BYTES, type BlockProblem, getU64, HEADER_BYTES, openBlock, putU64, sealBlock, viewOf } from './block.js';
import type { SuperblockState } from './contract.js';
import { BITMAP_AT, LOG_AT, layoutOf, layoutProblem, type Layout, RING_BLOCKS } from './layout.js';

/** Bits of the masks that this version knows: none yet. */
export const KNOWN_FEATURES = { compat: 0, ro: 0, incompat: 0 } as const;
export interface Features {
  readonly compat: number;
  readonly ro: number;
  readonly incompat: number;
}

export interface Superblock {
  /** sbSeq: the copy with the higher one is the newer. */
  readonly seq: number;
  readonly features: Features;
  readonly layout: Layout;
  readonly state: SuperblockState;
}

const ROLES: readonly Role[] = ['primary', 'secondary'];
const MODES: readonly Mode[] = ['sync', 'semi-sync', 'async'];
const DISKS: readonly DiskState[] = ['Diskless', 'Inconsistent', 'Outdated', 'Behind', 'Consistent', 'UpToDate', 'Failed'];
const RESYNCS = ['bitmap', 'full', 'checksum'] as const;
/** 0 on disk = no resync; the kinds count from 1. */
const NO_RESYNC = 0;
const FLAGS = ['primaryIndicator', 'forced', 'cleanShutdown', 'fullSyncNeeded'] as const;
const NAME_BYTES = 255;
const GENERATION_BYTES = 16;

// Offsets from the beginning of the block.
const AT = {
  compat: HEADER_BYTES,
  ro: HEADER_BYTES + 4,
  incompat: HEADER_BYTES + 8,
  chunkBytes: HEADER_BYTES + 12,
  sizeBytes: HEADER_BYTES + 16,
  slots: HEADER_BYTES + 24,
  ringBlocks: HEADER_BYTES + 28,
  logAt: HEADER_BYTES + 32,
  bitmapAt: HEADER_BYTES + 40,
  pages: HEADER_BYTES + 48,
  role: HEADER_BYTES + 52,
  mode: HEADER_BYTES + 53,
  disk: HEADER_BYTES + 54,
  peerDisk: HEADER_BYTES + 55,
  flags: HEADER_BYTES + 56,
  resync: HEADER_BYTES + 57,
  historyCount: HEADER_BYTES + 58,
  primaryEpoch: HEADER_BYTES + 64,
  maxEpochSeen: HEADER_BYTES + 72,
  current: HEADER_BYTES + 80,
  bitmapBase: HEADER_BYTES + 96,
  history: HEADER_BYTES + 112,
  names: HEADER_BYTES + 112 + HISTORY * GENERATION_BYTES,
} as const;

const indexIn = (list: readonly string[], value: string): number => {
  const index = list.indexOf(value);
  if (index === -1) throw new RangeError(`not one of ${list.join(', ')}: ${value}`);
  return index;
};

const putGeneration = (view: DataView, at: number, { epoch, counter, random }: Generation): void => {
  putU64(view, at, epoch);
  view.setUint32(at + 8, counter, true);
  view.setUint32(at + 12, random, true);
};
const getGeneration = (view: DataView, at: number): Generation => ({
  epoch: getU64(view, at),
  counter: view.getUint32(at + 8, true),
  random: view.getUint32(at + 12, true),
});

const namesOf = ({ identity, node, peer, resync }: SuperblockState): string[] => [
  identity.cluster,
  identity.group,
  identity.volume,
  node,
  peer.node,
  peer.bootId,
  resync?.source ?? '',
];

/** Builds the copy `seq % 2`. Throws a RangeError for what does not fit: a name of more than 255 bytes, no safe integer. */
export const encodeSuperblock = (into: Uint8Array, { seq, features, layout, state }: Superblock): Uint8Array => {
  const view = viewOf(into);
  into.fill(0);
  view.setUint32(AT.compat, features.compat, true);
  view.setUint32(AT.ro, features.ro, true);
  view.setUint32(AT.incompat, features.incompat, true);
  view.setUint32(AT.chunkBytes, layout.chunkBytes, true);
  putU64(view, AT.sizeBytes, state.identity.sizeBytes);
  view.setUint32(AT.slots, layout.slots, true);
  view.setUint32(AT.ringBlocks, RING_BLOCKS, true);
  putU64(view, AT.logAt, LOG_AT);
  putU64(view, AT.bitmapAt, BITMAP_AT);
  view.setUint32(AT.pages, layout.pages, true);
  view.setUint8(AT.role, indexIn(ROLES, state.role));
  view.setUint8(AT.mode, indexIn(MODES, state.mode));
  view.setUint8(AT.disk, indexIn(DISKS, state.disk));
  view.setUint8(AT.peerDisk, indexIn(DISKS, state.peer.disk));
  view.setUint8(
    AT.flags,
    FLAGS.reduce((flags, name, bit) => flags | (state[name] ? 1 << bit : 0), 0),
  );
  view.setUint8(AT.resync, state.resync === null ? NO_RESYNC : 1 + indexIn(RESYNCS, state.resync.kind));
  if (state.history.length > HISTORY) throw new RangeError(`${state.history.length} generations; ${HISTORY} are remembered`);
  view.setUint8(AT.historyCount, state.history.length);
  putU64(view, AT.primaryEpoch, state.primaryEpoch);
  putU64(view, AT.maxEpochSeen, state.maxEpochSeen);
  putGeneration(view, AT.current, state.current);
  putGeneration(view, AT.bitmapBase, state.peer.bitmapBase);
  state.history.forEach((generation, index) => putGeneration(view, AT.history + index * GENERATION_BYTES, generation));
  let at: number = AT.names;
  for (const name of namesOf(state)) {
    const bytes = Buffer.from(name, 'utf8');
    if (bytes.length > NAME_BYTES) throw new RangeError(`a name of ${bytes.length} bytes; ${NAME_BYTES} fit: ${name.slice(0, 40)}`);
    view.setUint8(at, bytes.length);
    into.set(bytes, at + 1);
    at += 1 + bytes.length;
  }
  return sealBlock(into, { type: 'superblock', blockNo: seq % 2, writeSeq: seq, volumeUuid: state.identity.volumeUuid });
};

export type ReadSuperblock =
  | { readonly kind: 'good'; readonly superblock: Superblock }
  /** Damaged, torn or never written: the other copy counts. */
  | { readonly kind: 'bad'; readonly problem: BlockProblem | 'nonsense behind a good checksum' };

/** Reads one copy. Throws METADATA for one that is sound and of a newer version: no other copy may stand in for that. */
export const decodeSuperblock = (block: Uint8Array, copy: 0 | 1): ReadSuperblock => {
  const opened = openBlock(block, { type: 'superblock', blockNo: copy });
  if (!opened.ok) return { kind: 'bad', problem: opened.problem };
  const nonsense = { kind: 'bad', problem: 'nonsense behind a good checksum' } as const;
  const view = viewOf(block);
  const features = {
    compat: view.getUint32(AT.compat, true),
    ro: view.getUint32(AT.ro, true),
    incompat: view.getUint32(AT.incompat, true),
  };
  refuseUnknown(features);
  const layout = readLayout(view);
  const names = readNames(block);
  const role = ROLES[view.getUint8(AT.role)];
  const mode = MODES[view.getUint8(AT.mode)];
  const disk = DISKS[view.getUint8(AT.disk)];
  const peerDisk = DISKS[view.getUint8(AT.peerDisk)];
  const resync = view.getUint8(AT.resync);
  const kind = RESYNCS[resync - 1];
  const historyCount = view.getUint8(AT.historyCount);
  const flags = view.getUint8(AT.flags);
  if (layout === null || names === null || role === undefined || mode === undefined || disk === undefined || peerDisk === undefined)
    return nonsense;
  if ((resync !== NO_RESYNC && kind === undefined) || historyCount > HISTORY || flags >> FLAGS.length !== 0) return nonsense;
  if (opened.head.writeSeq % 2 !== copy) return nonsense;
  const [cluster = '', group = '', volume = '', node = '', peerNode = '', peerBootId = '', source = ''] = names;
  const flag = (name: (typeof FLAGS)[number]): boolean => (flags & (1 << FLAGS.indexOf(name))) !== 0;
  const state: SuperblockState = {
    identity: { cluster, group, volume, volumeUuid: opened.head.volumeUuid, sizeBytes: layout.sizeBytes },
    node,
    mode,
    role,
    primaryIndicator: flag('primaryIndicator'),
    primaryEpoch: getU64(view, AT.primaryEpoch),
    maxEpochSeen: getU64(view, AT.maxEpochSeen),
    disk,
    current: getGeneration(view, AT.current),
    history: Array.from({ length: historyCount }, (_, index) => getGeneration(view, AT.history + index * GENERATION_BYTES)),
    peer: { node: peerNode, bootId: peerBootId, disk: peerDisk, bitmapBase: getGeneration(view, AT.bitmapBase) },
    forced: flag('forced'),
    cleanShutdown: flag('cleanShutdown'),
    fullSyncNeeded: flag('fullSyncNeeded'),
    resync: kind === undefined ? null : { source, kind },
  };
  const epochs = [
    state.primaryEpoch,
    state.maxEpochSeen,
    ...[state.current, state.peer.bitmapBase, ...state.history].map(({ epoch }) => epoch),
  ];
  if (epochs.some(Number.isNaN)) return nonsense;
  return { kind: 'good', superblock: { seq: opened.head.writeSeq, features, layout, state } };
};

const refuseUnknown = ({ ro, incompat }: Features): void => {
  for (const [mask, value, known] of [
    ['incompat', incompat, KNOWN_FEATURES.incompat],
    ['ro', ro, KNOWN_FEATURES.ro],
  ] as const) {
    const unknown = (value & ~known) >>> 0;
    if (unknown !== 0)
      throw new UnderstudyError(
        'METADATA',
        `the metadata has features that this version does not know: ${mask} 0x${unknown.toString(16)}`,
        {
          hint: 'A newer understudy wrote it. Install that version (or a newer one) on this node; this one must not touch it.',
        },
      );
  }
};

const readLayout = (view: DataView): Layout | null => {
  const sizeBytes = getU64(view, AT.sizeBytes);
  const slots = view.getUint32(AT.slots, true);
  const chunkBytes = view.getUint32(AT.chunkBytes, true);
  if (layoutProblem(sizeBytes, slots, chunkBytes) !== null) return null;
  const layout = layoutOf(sizeBytes, { slots, chunkBytes });
  const places = [view.getUint32(AT.ringBlocks, true), getU64(view, AT.logAt), getU64(view, AT.bitmapAt), view.getUint32(AT.pages, true)];
  return [RING_BLOCKS, LOG_AT, BITMAP_AT, layout.pages].every((expected, index) => places[index] === expected) ? layout : null;
};

const readNames = (block: Uint8Array): string[] | null => {
  const names: string[] = [];
  let at: number = AT.names;
  for (let index = 0; index < 7; index++) {
    const length = block[at] ?? 0;
    if (at + 1 + length > BLOCK_BYTES - 4) return null;
    names.push(Buffer.from(block.subarray(at + 1, at + 1 + length)).toString('utf8'));
    at += 1 + length;
  }
  return names;
};
