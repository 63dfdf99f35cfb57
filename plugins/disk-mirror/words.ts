// The words of the mirror (DESIGN 2, SAFETY b): identities, generations, states. Types and constants only; imports nothing
// but the ids of the cluster.
import type { Epoch, NodeId } from 'understudy/plugin';

/** What a copy is for the cluster at this moment. */
export type Role = 'primary' | 'secondary';

/**
 * What a copy is worth (SAFETY b.4). Diskless: no backing. Inconsistent: target of an unfinished resync. Outdated: knows that it
 * is old. Behind: async, consistent but old. Consistent: was UpToDate, and has not met its peer since. UpToDate: as good as any.
 * Failed: its disk answered with an error.
 */
export type DiskState = 'Diskless' | 'Inconsistent' | 'Outdated' | 'Behind' | 'Consistent' | 'UpToDate' | 'Failed';

/** `sync`: answered when both copies have it. `semi-sync`: when the standby has received it. `async`: when it is written here. */
export type Mode = 'sync' | 'semi-sync' | 'async';

/** A data generation: made anew at the first write that the peer does not get (SAFETY b.1). Zero = there was never any data. */
export interface Generation {
  readonly epoch: Epoch;
  readonly counter: number;
  /** 32 random bits, so that two generations made apart never look alike. */
  readonly random: number;
}

export const NO_GENERATION: Generation = { epoch: 0, counter: 0, random: 0 };

export const sameGeneration = (one: Generation, other: Generation): boolean =>
  one.epoch === other.epoch && one.counter === other.counter && one.random === other.random;

export const isNoGeneration = (one: Generation): boolean => sameGeneration(one, NO_GENERATION);

/** Of `Generation`s, newest first, at most this many are remembered. */
export const HISTORY = 16;

/** Which volume this is; a copy of another one is refused. */
export interface VolumeIdentity {
  readonly cluster: string;
  readonly group: string;
  readonly volume: string;
  /** 128 random bits as 32 hex digits, the same on every copy of a volume; given at `mirror create`. */
  readonly volumeUuid: string;
  readonly sizeBytes: number;
}

/** What one copy says of itself when two meet: the whole input of the handshake's decision (SAFETY b.5). */
export interface CopyState {
  readonly identity: VolumeIdentity;
  readonly node: NodeId;
  readonly bootId: string;
  /** What it is in this moment; a primary that died and came back is secondary here, and its indicator tells. */
  readonly role: Role;
  readonly disk: DiskState;
  /** Set while it is Primary, cleared only by a clean demote. */
  readonly primaryIndicator: boolean;
  /** The epoch under which it last was Primary; 0 = never. */
  readonly primaryEpoch: Epoch;
  readonly maxEpochSeen: Epoch;
  readonly current: Generation;
  /** The generation that both had when the peer left; NO_GENERATION while they are together. */
  readonly bitmapBase: Generation;
  readonly history: readonly Generation[];
  /** Chunks that may differ from the peer's copy. */
  readonly dirtyChunks: number;
  /** It was promoted by force, accepting the loss of what only the peer had. */
  readonly forced: boolean;
  readonly mode: Mode;
  /** The boot of the peer with which it last was together; '' = never. The same boot still has what it acknowledged (W6, W7). */
  readonly peerBootId: string;
  /** As the target of a resync its bytes are mostly the source's already: they are compared by checksum, and what differs is sent. */
  readonly seeded: boolean;
  /** An operator said that this copy gives up its own changes (SPLIT). Until its next start. */
  readonly victim: boolean;
}

/** The step in which metadata and data are counted, bytes. */
export const SECTOR_BYTES = 4096;
/** What one activity-log slot covers, bytes. */
export const EXTENT_BYTES = 4 * 1024 * 1024;
