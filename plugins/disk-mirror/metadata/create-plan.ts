// What making a new copy will do, or why it will not: pure, from what was found on both places. Nothing that holds data is
// overwritten unless that was said in so many words; a copy whose content nobody vouches for begins as Inconsistent.
import { type DiskState, type Generation, type Mode, NO_GENERATION, SECTOR_BYTES, type VolumeIdentity } from '../words.js';
import type { SuperblockState } from './contract.js';
import { DEFAULT_SLOTS, type Layout, layoutOf, layoutProblem } from './layout.js';

/**
 * What the data of the new copy is worth. `first`: it is the volume, what is on it stays. `second`: whatever is on it will be
 * overwritten by the peer's. `both-zero`: the data of both copies is zeroes, nothing need be sent. `seeded`: it was copied from the
 * peer (a snapshot): all of it is compared by checksum, and only what differs is sent.
 */
export type InitialCopy = 'first' | 'second' | 'both-zero' | 'seeded';

/** What was found at a path. */
export interface Place {
  readonly path: string;
  readonly kind: 'file' | 'block-device' | 'missing';
  readonly sizeBytes: number;
  /** Bytes that have their place on the disk; for a block device its size. */
  readonly allocatedBytes: number;
  /** What is on it (signatures.ts); empty = nothing. */
  readonly content: readonly string[];
  /** Whether every byte was looked at and is zero; null = that was not looked at. */
  readonly allZero: boolean | null;
}

export interface CreateRequest {
  readonly identity: Omit<VolumeIdentity, 'sizeBytes'>;
  readonly node: string;
  readonly peer: string;
  readonly mode: Mode;
  readonly initial: InitialCopy;
  /** For a data file that is to be made. */
  readonly sizeBytes?: number;
  readonly slots?: number;
  /** As the other copy has it, where that is not the usual for this size: a volume that was grown keeps its own. */
  readonly chunkBytes?: number;
  readonly allowSparse?: boolean;
  /** What a person said may be overwritten. */
  readonly overwrite?: readonly ('data' | 'metadata')[];
}

export type CreateStep =
  | { readonly do: 'allocate'; readonly path: string; readonly sizeBytes: number; readonly because: string }
  | { readonly do: 'write-metadata'; readonly path: string; readonly layout: Layout; readonly state: SuperblockState };

export type CreatePlan =
  | { readonly ok: true; readonly steps: readonly CreateStep[]; readonly summary: string }
  | { readonly ok: false; readonly problems: readonly string[] };

/** The whole plan, or everything that stands in its way. */
export const planCreate = (request: CreateRequest, data: Place, metadata: Place): CreatePlan => {
  const sizeBytes = data.kind === 'missing' ? (request.sizeBytes ?? 0) : data.sizeBytes;
  const layoutWrong = layoutProblem(sizeBytes, request.slots ?? DEFAULT_SLOTS, request.chunkBytes ?? SECTOR_BYTES);
  if (layoutWrong !== null) return { ok: false, problems: [sizeProblem(request, data) ?? `${data.path}: ${layoutWrong}`] };
  const { slots, chunkBytes } = request;
  const layout = layoutOf(sizeBytes, { ...(slots === undefined ? {} : { slots }), ...(chunkBytes === undefined ? {} : { chunkBytes }) });
  const problems = [sizeProblem(request, data), ...dataProblems(request, data), ...metadataProblems(request, metadata, layout)].filter(
    (problem) => problem !== null,
  );
  if (data.path === metadata.path) problems.push(`data and metadata are the same place: ${data.path}`);
  if (problems.length > 0) return { ok: false, problems };
  const state = initialState(request, sizeBytes);
  const steps: CreateStep[] = [];
  if (data.kind === 'missing') steps.push({ do: 'allocate', path: data.path, sizeBytes, because: 'there is no data file' });
  else if (data.allocatedBytes < sizeBytes && request.allowSparse !== true)
    steps.push({ do: 'allocate', path: data.path, sizeBytes, because: 'the data file has holes' });
  if (metadata.kind === 'missing')
    steps.push({ do: 'allocate', path: metadata.path, sizeBytes: layout.metadataBytes, because: 'there is no metadata file' });
  steps.push({ do: 'write-metadata', path: metadata.path, layout, state });
  return { ok: true, steps, summary: `${state.disk}, ${SAYS[request.initial]}; chunks of ${layout.chunkBytes / 1024} KiB` };
};

const SAYS: Record<InitialCopy, string> = {
  first: 'what is on it is the volume',
  second: 'everything comes from the peer',
  'both-zero': 'nothing to send',
  seeded: 'compared with the peer by checksum',
};

const sizeProblem = ({ sizeBytes }: CreateRequest, data: Place): string | null => {
  if (data.kind === 'missing') return sizeBytes === undefined ? `${data.path} does not exist: name its size, and it is made` : null;
  return sizeBytes === undefined || sizeBytes === data.sizeBytes
    ? null
    : `${data.path} has ${data.sizeBytes} bytes and not ${sizeBytes}; both copies of a volume have the same size`;
};

const dataProblems = ({ initial, overwrite = [] }: CreateRequest, data: Place): (string | null)[] => [
  initial === 'second' && data.content.length > 0 && !overwrite.includes('data')
    ? `${data.path} holds ${data.content.join(', ')}, which the peer's copy would overwrite: say that the data may go, or make it \`first\` or \`seeded\``
    : null,
  initial === 'both-zero' && data.kind !== 'missing' && data.allZero !== true
    ? `${data.path} is not all zero${data.content.length > 0 ? `: it holds ${data.content.join(', ')}` : ''}; \`both-zero\` would leave two copies that differ`
    : null,
  initial === 'seeded' && data.kind === 'missing' ? `${data.path} does not exist: there is nothing that was copied from the peer` : null,
  data.content.includes('metadata of a disk mirror')
    ? `${data.path} holds metadata of a disk mirror: the paths of data and metadata are exchanged, or it was one before`
    : null,
];

const metadataProblems = ({ overwrite = [] }: CreateRequest, metadata: Place, layout: Layout): (string | null)[] => [
  metadata.content.length > 0 && !overwrite.includes('metadata')
    ? `${metadata.path} holds ${metadata.content.join(', ')}: it is overwritten only when that is said`
    : null,
  metadata.kind !== 'missing' && metadata.sizeBytes < layout.metadataBytes
    ? `${metadata.path} has ${metadata.sizeBytes} bytes; the metadata of this volume needs ${layout.metadataBytes}`
    : null,
  metadata.kind === 'file' && metadata.allocatedBytes < Math.min(metadata.sizeBytes, layout.metadataBytes)
    ? `${metadata.path} has holes: remove it, and it is made anew with all its space`
    : null,
];

/** The same on both copies without a word between them: from the volume's uuid. */
const firstGeneration = (volumeUuid: string): Generation => ({ epoch: 0, counter: 1, random: Number.parseInt(volumeUuid.slice(0, 8), 16) });

const initialState = ({ identity, node, peer, mode, initial }: CreateRequest, sizeBytes: number): SuperblockState => {
  const isGood = initial === 'first' || initial === 'both-zero';
  const disk: DiskState = isGood ? 'UpToDate' : 'Inconsistent';
  return {
    identity: { ...identity, sizeBytes },
    node,
    mode,
    role: 'secondary',
    primaryIndicator: false,
    primaryEpoch: 0,
    maxEpochSeen: 0,
    disk,
    current: isGood ? firstGeneration(identity.volumeUuid) : NO_GENERATION,
    history: [],
    peer: { node: peer, bootId: '', disk: initial === 'first' ? 'Inconsistent' : 'UpToDate', bitmapBase: NO_GENERATION },
    forced: false,
    cleanShutdown: true,
    fullSyncNeeded: !isGood,
    resync: isGood ? null : { source: peer, kind: initial === 'seeded' ? 'checksum' : 'full' },
  };
};
