// What one node keeps of each peer beside its session and its silence: addresses, round trips, and its last words.
// Pure: plain data and the few ways in which a frame changes it.
import type { GroupId, NetworkId, NodeId } from '../model/ids.js';
import type { LinkView, PeerGroupView, PeerView } from '../model/lease.js';
import type { Timing } from '../model/timing.js';
import type { MembershipChange } from './contract.js';
import { type Detector, effectiveSuspectAfterMs } from './detector.js';
import { LinkQuality, type QualityChange, qualityLimits } from './link-quality.js';
import { type MessagePart, decodeMessage } from './message.js';
import { RateLimit } from './rate-limit.js';
import type { PeerSession } from './session.js';

export interface Link {
  readonly index: number;
  readonly network: NetworkId;
  readonly address: string;
  /** Of the last frame believed on this link: the peer's send time and our read time. */
  lastSentUs: number | null;
  lastReadUs: number;
  rttMs: number | null;
  readonly quality: LinkQuality;
}

export interface Peer {
  readonly id: NodeId;
  readonly links: readonly Link[];
  readonly session: PeerSession;
  repliedMs: number;
  cfgHash: string | null;
  /** The last body heard and what it says: most beats say what the one before said, on every network. */
  heard: { readonly body: Buffer; readonly said: MessagePart | null } | null;
  /** The part that `groups` were last taken from. */
  kept: MessagePart | null;
  readonly groups: Map<GroupId, PeerGroupView & { readonly part: number }>;
}

type BeatTiming = Pick<Timing, 'heartbeatMs' | 'suspectAfterMs'>;

/** Where frames of a peer come from, on one network. */
export interface Source {
  readonly peer: Peer;
  readonly link: Link;
  readonly limit: RateLimit;
}

// What one source may make us verify: 1 % of a core. An honest peer sends 1 600 a second at the very most.
const SOURCE_LIMIT = { perSecond: 2000, burst: 400 };
const MAX_RTT_US = 60_000_000;
const RTT_WEIGHT = 1 / 8; // As TCP smooths it. Source: RFC 6298.

/** A peer of whom nothing is known but its addresses, one per shared network. */
export const makePeer = (id: NodeId, addresses: readonly string[], session: PeerSession, timing: BeatTiming): Peer => ({
  id,
  links: addresses.map((address, index) => {
    // Networks have the same names on every node: their place in the list.
    const network = `heartbeat-${index + 1}`;
    const suspectAfterMs = effectiveSuspectAfterMs(timing.suspectAfterMs, timing.heartbeatMs, addresses.length);
    const quality = new LinkQuality(qualityLimits(suspectAfterMs, timing.heartbeatMs), addresses.length, `${id} over ${network}`);
    return { index, network, address, lastSentUs: null, lastReadUs: 0, rttMs: null, quality };
  }),
  session,
  repliedMs: Number.NEGATIVE_INFINITY,
  cfgHash: null,
  heard: null,
  kept: null,
  groups: new Map(),
});

/** What is shown of a peer, together with what the detector says of it. */
export const peerView = ({ id, links, cfgHash, groups }: Peer, seen: ReturnType<Detector['view']>, nowMs: number): PeerView => ({
  node: id,
  state: seen.state,
  bootId: seen.bootId,
  links: seen.links.map((link, index): LinkView => {
    const { rttMs = null, quality } = links[index] ?? {};
    return quality?.poor == null ? { ...link, rttMs } : { ...link, rttMs, poor: quality.poor };
  }),
  jeopardy: seen.jeopardy,
  silentMs: seen.heardMs === null ? null : nowMs - seen.heardMs,
  cfgHash,
  groups: [...groups.values()].map(({ part: _part, ...group }) => group),
});

/** A quality that began or ended to be bad, as a change. */
export const qualityChange = ({ id }: Peer, { network }: Link, change: QualityChange | null): readonly MembershipChange[] =>
  change === null ? [] : [{ kind: 'quality', peer: id, network, ...change }];

/** The sources of one network, by address. */
export const sourcesOn = (network: number, peers: readonly Peer[], nowMs: number): ReadonlyMap<string, Source> =>
  new Map(
    peers.flatMap((peer) => {
      const link = peer.links[network];
      return link === undefined ? [] : [[link.address, { peer, link, limit: new RateLimit(SOURCE_LIMIT, nowMs) }]];
    }),
  );

/** What an earlier boot said is over. */
export const forgetBoot = (peer: Peer): void => {
  peer.cfgHash = null;
  peer.kept = null;
  peer.groups.clear();
};

/** Smooths one more round trip in; a clock that makes no sense is left out. */
export const keepRtt = (link: Link, rttUs: number): void => {
  if (rttUs < 0 || rttUs > MAX_RTT_US) return;
  link.rttMs = link.rttMs === null ? rttUs / 1000 : link.rttMs + RTT_WEIGHT * (rttUs / 1000 - link.rttMs);
};

/** What an authentic body says, or null; the one before is not parsed again. */
export const saidIn = (peer: Peer, body: Uint8Array): MessagePart | null => {
  if (peer.heard?.body.equals(body) !== true) peer.heard = { body: Buffer.from(body), said: decodeMessage(body) };
  return peer.heard.said;
};

/**
 * Each part of a beat replaces what the same part said before; a shorter beat leaves nothing of a longer one behind. True when
 * that changes what is known of the peer.
 */
export const keepBeat = (peer: Peer, beat: MessagePart): boolean => {
  const { message, part, parts } = beat;
  if (message.kind !== 'beat' || peer.kept === beat) return false;
  let changed = peer.cfgHash !== message.cfgHash;
  peer.kept = beat;
  peer.cfgHash = message.cfgHash;
  const said = new Set<GroupId>();
  for (const { group, epoch, phase, stopped } of message.groups) {
    said.add(group);
    const kept = peer.groups.get(group);
    if (kept?.epoch === epoch && kept.phase === phase && kept.stopped === stopped && kept.part === part) continue;
    peer.groups.set(group, { group, epoch, phase, stopped, part });
    changed = true;
  }
  for (const [group, kept] of peer.groups) {
    if (kept.part < parts && (kept.part !== part || said.has(group))) continue;
    peer.groups.delete(group);
    changed = true;
  }
  return changed;
};
