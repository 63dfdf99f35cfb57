// What a link is told at its start, and what it takes where nothing is said.
import type { Clock, Random } from 'understudy/plugin';
import type { LinkIdentity } from './layout.js';
import type { PeerNetwork } from './peer-network.js';

export interface LinkPath {
  /** The network's name. */
  readonly network: string;
  readonly localAddress: string;
  readonly peerAddress: string;
}

export interface PeerLinkOptions {
  readonly self: LinkIdentity;
  readonly peer: string;
  /** Best first. */
  readonly paths: readonly LinkPath[];
  /** The volume's port, the same on both nodes. */
  readonly port: number;
  /** The peer's port where it differs (tests on one address). */
  readonly peerPort?: number;
  readonly network: PeerNetwork;
  readonly clock: Clock;
  readonly random: Random;
  readonly pingMs?: number;
  /** Silence after which the connection counts as dead. */
  readonly deadMs?: number;
  /** For the connection and the handshake of one attempt. */
  readonly connectMs?: number;
  readonly retry?: { readonly minMs: number; readonly maxMs: number };
  /** Bytes that may wait for the peer; above, the connection is given up. */
  readonly maxQueuedBytes?: number;
  readonly compress?: 'none' | 'zstd';
  /** For log and journal; the same refusal twice in a row is said once. */
  readonly tell?: (event: { readonly kind: string; readonly because: string }) => void;
}

export const DEFAULTS = {
  pingMs: 1000,
  deadMs: 3000,
  connectMs: 2000,
  retry: { minMs: 100, maxMs: 5000 },
  maxQueuedBytes: 128 * 1024 * 1024,
};

/** Who may be told of what happens. */
export type Tell = (kind: string, because: string) => void;
