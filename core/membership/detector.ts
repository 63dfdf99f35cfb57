// Who is silent, over which link, for how long (SAFETY a.3, a.5). Pure: times come in, changes go out; no clock, no timer.
// Invariant: silence counts only while we listened. A pause of the observer restarts the silence of a member and alone never
// yields `suspect`; of a peer that is suspect already the pause is left out, or one that pauses often would never give it up.
// What it says is suspicion. It never gives a right to start anything.
import type { BootId, NetworkId, NodeId } from '../model/ids.js';
import type { LinkState, PeerState } from '../model/lease.js';
import type { MembershipChange } from './contract.js';

export interface DetectorOptions {
  /** Each peer with the heartbeat networks shared with it. */
  readonly peers: readonly { readonly id: NodeId; readonly networks: readonly NetworkId[] }[];
  readonly heartbeatMs: number;
  readonly suspectAfterMs: number;
  /** W: silent for so long is `lost`. */
  readonly lostAfterMs: number;
}

interface Link {
  readonly network: NetworkId;
  state: LinkState;
  heardMs: number | null;
  /** Begin of the present time `up`. */
  upSinceMs: number;
}

interface Peer {
  readonly id: NodeId;
  readonly links: readonly Link[];
  readonly suspectAfterMs: number;
  state: PeerState;
  bootId: BootId | null;
  firstHeardMs: number | null;
  heardMs: number | null;
  /** Suspect: begin of its silence, without our pauses. */
  silentFromMs: number;
  /** Heard over one network while every other one is down: the next failure is silence, whatever it is. */
  jeopardy: boolean;
  /** Begin of the present run of frames without a gap of suspectAfter, of one boot. */
  steadyFromMs: number;
}

/** With one network only a short burst of loss must not count: five beats and 100 ms at least. */
export const effectiveSuspectAfterMs = (suspectAfterMs: number, heartbeatMs: number, networks: number): number =>
  networks > 1 ? suspectAfterMs : Math.max(suspectAfterMs, 5 * heartbeatMs + 100);

const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;

export class Detector {
  readonly #peers: ReadonlyMap<NodeId, Peer>;
  readonly #lostAfterMs: number;
  /** Silence before this moment does not count: we began to listen, or went on after a pause. */
  #listeningFromMs: number;

  constructor({ peers, heartbeatMs, suspectAfterMs, lostAfterMs }: DetectorOptions, nowMs: number) {
    this.#lostAfterMs = lostAfterMs;
    this.#listeningFromMs = nowMs;
    this.#peers = new Map(
      peers.map(({ id, networks }): [NodeId, Peer] => [
        id,
        {
          id,
          links: networks.map((network) => ({ network, state: 'unknown', heardMs: null, upSinceMs: nowMs })),
          suspectAfterMs: effectiveSuspectAfterMs(suspectAfterMs, heartbeatMs, networks.length),
          state: 'unseen',
          bootId: null,
          firstHeardMs: null,
          heardMs: null,
          silentFromMs: nowMs,
          jeopardy: false,
          steadyFromMs: nowMs,
        },
      ]),
    );
  }

  /** An authentic, fresh frame of this boot was read from the socket of this network. */
  heard(id: NodeId, network: NetworkId, bootId: BootId, atMs: number): readonly MembershipChange[] {
    const peer = this.#peer(id);
    const changes: MembershipChange[] = [];
    const gapMs = peer.heardMs === null ? Number.POSITIVE_INFINITY : atMs - peer.heardMs;
    if (peer.bootId !== bootId) {
      changes.push({ kind: 'boot', peer: id, from: peer.bootId, to: bootId });
      peer.bootId = bootId;
      peer.steadyFromMs = atMs;
    } else if (gapMs >= peer.suspectAfterMs) peer.steadyFromMs = atMs;
    peer.heardMs = atMs;
    peer.firstHeardMs ??= atMs;

    const link = peer.links.find((one) => one.network === network);
    if (link !== undefined) {
      link.heardMs = atMs;
      if (link.state !== 'up') {
        link.state = 'up';
        link.upSinceMs = atMs;
        changes.push({ kind: 'link', peer: id, network, state: 'up', because: `heard ${id} over ${network}` });
      }
    }
    if (peer.state !== 'member') {
      const because = peer.state === 'unseen' ? `heard ${id} for the first time` : `heard ${id} again after ${seconds(gapMs)}`;
      peer.state = 'member';
      changes.push({ kind: 'peer', peer: id, state: 'member', lastHeardMs: atMs, because });
    }
    return link === undefined ? changes : [...changes, ...this.#jeopardy(peer, link, atMs)];
  }

  /** We did not listen between these moments. */
  paused(fromMs: number, nowMs: number): void {
    this.#listeningFromMs = nowMs;
    for (const peer of this.#peers.values()) peer.silentFromMs += nowMs - fromMs;
  }

  /** What silence has become a change by `nowMs`. The caller has read its sockets before (SAFETY a.3). */
  tick(nowMs: number): readonly MembershipChange[] {
    const changes: MembershipChange[] = [];
    for (const peer of this.#peers.values()) {
      for (const link of peer.links) {
        if (nowMs < this.#linkDueMs(peer, link)) continue;
        link.state = 'down';
        const because =
          link.heardMs === null
            ? `${peer.id} was never heard over ${link.network}`
            : `nothing from ${peer.id} over ${link.network} for ${seconds(nowMs - link.heardMs)}`;
        changes.push({ kind: 'link', peer: peer.id, network: link.network, state: 'down', because });
      }
      if (nowMs < this.#peerDueMs(peer)) continue;
      if (peer.state === 'member') peer.silentFromMs = this.#silentFromMs(peer.heardMs ?? nowMs);
      peer.state = nowMs - peer.silentFromMs >= this.#lostAfterMs ? 'lost' : 'suspect';
      const because = `nothing from ${peer.id} over ${peer.links.map(({ network }) => network).join(', ')} for ${seconds(nowMs - (peer.heardMs ?? nowMs))}`;
      changes.push({ kind: 'peer', peer: peer.id, state: peer.state, lastHeardMs: peer.heardMs, because, jeopardy: peer.jeopardy });
      peer.jeopardy = false;
    }
    return changes;
  }

  /** The earliest moment at which `tick` can say something new if nobody is heard; null when it cannot. */
  nextDueMs(): number | null {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const peer of this.#peers.values()) {
      nextMs = Math.min(nextMs, this.#peerDueMs(peer));
      for (const link of peer.links) nextMs = Math.min(nextMs, this.#linkDueMs(peer, link));
    }
    return nextMs === Number.POSITIVE_INFINITY ? null : nextMs;
  }

  view(id: NodeId): {
    readonly state: PeerState;
    readonly bootId: BootId | null;
    readonly heardMs: number | null;
    readonly jeopardy: boolean;
    readonly links: readonly { readonly network: NetworkId; readonly state: LinkState }[];
  } {
    const { state, bootId, heardMs, jeopardy, links } = this.#peer(id);
    return { state, bootId, heardMs, jeopardy, links: links.map(({ network, state: linkState }) => ({ network, state: linkState })) };
  }

  /** How long it was heard without a gap of suspectAfter, in one boot, up to the last frame; 0 when never. */
  steadyMs(id: NodeId): number {
    const { heardMs, steadyFromMs } = this.#peer(id);
    return heardMs === null ? 0 : Math.max(0, heardMs - steadyFromMs);
  }

  // A frame over the last link after the others were given up. A peer that has just come back is not judged by the order in
  // which its links come up.
  #jeopardy(peer: Peer, link: Link, atMs: number): readonly MembershipChange[] {
    const alone = peer.links.length > 1 && peer.links.every((other) => other === link || other.state === 'down');
    if (peer.jeopardy === alone || (alone && atMs - link.upSinceMs < peer.suspectAfterMs)) return [];
    peer.jeopardy = alone;
    const because = alone ? `${peer.id} is heard over ${link.network} alone` : `${peer.id} is heard over a second network again`;
    return [{ kind: 'jeopardy', peer: peer.id, network: link.network, began: alone, because }];
  }

  #peer(id: NodeId): Peer {
    const peer = this.#peers.get(id);
    if (peer === undefined) throw new RangeError(`detector: ${id} is not a peer`);
    return peer;
  }

  #silentFromMs(heardMs: number): number {
    return Math.max(heardMs, this.#listeningFromMs);
  }

  #peerDueMs({ state, heardMs, silentFromMs, suspectAfterMs }: Peer): number {
    if (heardMs === null || state === 'unseen' || state === 'lost') return Number.POSITIVE_INFINITY;
    return state === 'member' ? this.#silentFromMs(heardMs) + suspectAfterMs : silentFromMs + this.#lostAfterMs;
  }

  // A link never heard is down once the peer was heard elsewhere for as long: a wrong address must not stay `unknown`.
  #linkDueMs({ firstHeardMs, suspectAfterMs }: Peer, { state, heardMs }: Link): number {
    const fromMs = heardMs ?? firstHeardMs;
    if (state === 'down' || fromMs === null) return Number.POSITIVE_INFINITY;
    return this.#silentFromMs(fromMs) + suspectAfterMs;
  }
}
