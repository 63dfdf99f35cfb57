// What one node keeps of each peer beside its session and its silence: addresses, round trips, and its last words.
// Pure: plain data and the few ways in which a frame changes it.
import type { GroupId, NetworkId, NodeId } from '../model/ids.js';
import type { PeerGroupView } from '../model/lease.js';
import type { Message } from './contract.js';
import type { PeerSession } from './session.js';

export interface Link {
  readonly index: number;
  readonly network: NetworkId;
  readonly address: string;
  /** Of the last frame believed on this link: the peer's send time and our read time. */
  lastSentUs: number | null;
  lastReadUs: number;
  rttMs: number | null;
}

export interface Peer {
  readonly id: NodeId;
  readonly links: readonly Link[];
  readonly session: PeerSession;
  repliedMs: number;
  cfgHash: string | null;
  readonly groups: Map<GroupId, PeerGroupView & { readonly part: number }>;
}

const MAX_RTT_US = 60_000_000;
const RTT_WEIGHT = 1 / 8; // As TCP smooths it. Source: RFC 6298.

/** A peer of whom nothing is known but its addresses, one per shared network. */
export const makePeer = (id: NodeId, addresses: readonly string[], session: PeerSession): Peer => ({
  id,
  // Networks have the same names on every node: their place in the list.
  links: addresses.map((address, index) => ({
    index,
    network: `heartbeat-${index + 1}`,
    address,
    lastSentUs: null,
    lastReadUs: 0,
    rttMs: null,
  })),
  session,
  repliedMs: Number.NEGATIVE_INFINITY,
  cfgHash: null,
  groups: new Map(),
});

/** What an earlier boot said is over. */
export const forgetBoot = (peer: Peer): void => {
  peer.cfgHash = null;
  peer.groups.clear();
};

/** Smooths one more round trip in; a clock that makes no sense is left out. */
export const keepRtt = (link: Link, rttUs: number): void => {
  if (rttUs < 0 || rttUs > MAX_RTT_US) return;
  link.rttMs = link.rttMs === null ? rttUs / 1000 : link.rttMs + RTT_WEIGHT * (rttUs / 1000 - link.rttMs);
};

/** Each part of a beat replaces what the same part said before; a shorter beat leaves nothing of a longer one behind. */
export const keepBeat = (peer: Peer, { cfgHash, groups }: Extract<Message, { kind: 'beat' }>, part: number, parts: number): void => {
  peer.cfgHash = cfgHash;
  for (const [group, kept] of peer.groups) if (kept.part === part || kept.part >= parts) peer.groups.delete(group);
  for (const { group, epoch, phase, stopped } of groups) peer.groups.set(group, { group, epoch, phase, stopped, part });
};
