// Heartbeats: a beat to every peer on every network each h, and the listening side of the same. The thin shell around
// frame (authentic?), session (new?) and detector (silent?): sockets, timers and the order in which they are asked.
// Nothing here blocks or waits; a datagram that is wrong in any way is counted and forgotten.
import type { ClusterConfig } from '../config/cluster-config.js';
import { UnderstudyError } from '../errors/errors.js';
import type { BootId, NetworkId, NodeId } from '../model/ids.js';
import type { PeerView } from '../model/lease.js';
import type { Clock, Timer } from '../system/clock.js';
import type { ClusterKeys } from '../system/key-file.js';
import type { Random } from '../system/random.js';
import type { BeatGroup, Heartbeats, MembershipChange, Message, Received } from './contract.js';
import { Detector } from './detector.js';
import { type Frame, type FrameCodec, MAX_BODY_BYTES, NONCE_BYTES, createFrameCodec } from './frame.js';
import type { FrameMac } from './frame-mac.js';
import { type Beat, encodeMessage, isSameBeat } from './message.js';
import {
  type Link,
  type Peer,
  type Source,
  forgetBoot,
  keepBeat,
  keepRtt,
  makePeer,
  peerView,
  qualityChange,
  saidIn,
  sourcesOn,
} from './peer.js';
import { PeerSession } from './session.js';
import { type DatagramSocket, type DatagramSockets, heartbeatAddresses } from './transport.js';

export interface HeartbeatOptions {
  readonly config: ClusterConfig;
  /** This node. */
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly sockets: DatagramSockets;
  /** Default: HMAC-SHA-256. A simulated world has another one, which costs less. */
  readonly mac?: FrameMac;
}

/** The heartbeats of one node. Throws NODE_UNKNOWN or CONFIG_INVALID; binds nothing before `start`. */
export const createHeartbeats = (options: HeartbeatOptions): Heartbeats => new UdpHeartbeats(options);

// A flood of recorded frames must not make us answer each; a lost answer is made good by the next beat.
const REPLY_PAUSE_MS = 10;
const MAX_ECHO_HELD_US = 0xffff_ffff;
const NO_BODY = new Uint8Array(0);

class UdpHeartbeats implements Heartbeats {
  readonly #bootId: BootId;
  readonly #clock: Clock;
  readonly #sockets: DatagramSockets;
  readonly #codec: FrameCodec;
  readonly #detector: Detector;
  readonly #peers: readonly Peer[];
  readonly #addresses: readonly string[];
  /** By network, then by address. */
  readonly #sources: readonly ReadonlyMap<string, Source>[];
  readonly #port: number;
  readonly #beatMs: number;
  readonly #dropped: Record<string, number> = {};
  readonly #receivedListeners: ((received: Received) => void)[] = [];
  readonly #changeListeners: ((change: MembershipChange) => void)[] = [];
  #describe: (() => { cfgHash: string; groups: readonly BeatGroup[] }) | null = null;
  #open: readonly DatagramSocket[] = [];
  #running = false;
  #beatTimer: Timer | null = null;
  #due: { readonly atMs: number; readonly timer: Timer } | null = null;
  #lookedMs: number;
  #draining = false;
  /** Begin of a pause that the detector was not told of yet. */
  #pausedFromMs: number | null = null;
  #revision = 0;
  #lastBeat: { readonly message: Beat; readonly bodies: readonly Uint8Array[] | null } | null = null;

  constructor({ config, node, bootId, keys, clock, random, sockets, mac }: HeartbeatOptions) {
    const self = config.nodes.find(({ id }) => id === node);
    if (self === undefined)
      throw new UnderstudyError('NODE_UNKNOWN', `cannot send heartbeats as ${node}: it is not a node of ${config.file}`);
    const others = config.nodes.filter(({ id }) => id !== node);
    const nowMs = clock.nowMs();
    this.#bootId = bootId;
    this.#clock = clock;
    this.#sockets = sockets;
    this.#port = config.ports.heartbeat;
    this.#beatMs = config.timing.heartbeatMs;
    this.#lookedMs = nowMs;
    this.#addresses = heartbeatAddresses(self);
    this.#codec = createFrameCodec({ cluster: config.cluster, self: node, peers: others.map(({ id }) => id), keys, mac });
    this.#peers = others.map((other) => {
      const session = new PeerSession(other.id, Math.floor(nowMs * 1000), () => random.hex(NONCE_BYTES));
      return makePeer(other.id, heartbeatAddresses(other).slice(0, this.#addresses.length), session, config.timing);
    });
    this.#sources = this.#addresses.map((_, index) => sourcesOn(index, this.#peers, nowMs));
    this.#detector = new Detector(
      {
        peers: this.#peers.map(({ id, links }) => ({ id, networks: links.map(({ network }) => network) })),
        heartbeatMs: config.timing.heartbeatMs,
        suspectAfterMs: config.timing.suspectAfterMs,
        lostAfterMs: config.timing.takeoverWaitMs,
      },
      nowMs,
    );
  }

  async start(): Promise<void> {
    const opened: DatagramSocket[] = [];
    try {
      for (const [index, address] of this.#addresses.entries()) {
        const onMessage = (bytes: Uint8Array, from: string) => this.#receive(index, bytes, from);
        opened.push(await this.#sockets.open(address, this.#port, { onMessage, onError: () => this.#drop('socket-error') }));
      }
    } catch (error) {
      await Promise.all(opened.map((socket) => socket.close()));
      throw error;
    }
    this.#open = opened;
    this.#running = true;
    this.#lookedMs = this.#clock.nowMs();
    this.#detector.paused(this.#lookedMs, this.#lookedMs);
    this.#beatTimer = this.#clock.every(this.#beatMs, () => this.#tick());
    this.beatNow();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#beatTimer?.cancel();
    this.#due?.timer.cancel();
    this.#due = null;
    const open = this.#open;
    this.#open = [];
    await Promise.all(open.map((socket) => socket.close()));
  }

  describe(source: () => { cfgHash: string; groups: readonly BeatGroup[] }): void {
    this.#describe = source;
  }

  beatNow(): void {
    if (this.#describe === null) for (const peer of this.#peers) this.#sendBody(peer, NO_BODY, null);
    else this.send('all', { kind: 'beat', ...this.#describe() });
  }

  send(to: NodeId | 'all', message: Message): void {
    const bodies = message.kind === 'beat' ? this.#beatBodies(message) : encodeMessage(message, MAX_BODY_BYTES);
    if (bodies === null) return this.#drop('too-long-to-send');
    for (const peer of this.#peers) if (to === 'all' || to === peer.id) for (const body of bodies) this.#sendBody(peer, body, null);
  }

  onReceived(listener: (received: Received) => void): void {
    this.#receivedListeners.push(listener);
  }

  onChange(listener: (change: MembershipChange) => void): void {
    this.#changeListeners.push(listener);
  }

  peers(): readonly PeerView[] {
    const nowMs = this.#clock.nowMs();
    return this.#peers.map((peer) => peerView(peer, this.#detector.view(peer.id), nowMs));
  }

  get revision(): number {
    return this.#revision;
  }

  steadyBeforeSilenceMs(peer: NodeId): number {
    return this.#detector.steadyMs(peer);
  }

  dropped(): Readonly<Record<string, number>> {
    return { ...this.#dropped };
  }

  // Most beats say what the one before said.
  #beatBodies(message: Beat): readonly Uint8Array[] | null {
    if (this.#lastBeat === null || !isSameBeat(message, this.#lastBeat.message))
      this.#lastBeat = { message, bodies: encodeMessage(message, MAX_BODY_BYTES) };
    return this.#lastBeat.bodies;
  }

  #drop(reason: string): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }

  #sendBody(peer: Peer, body: Uint8Array, answering: Frame | null): void {
    const nowUs = Math.floor(this.#clock.nowMs() * 1000);
    for (const link of peer.links) {
      const { seq, challenge, answer } = peer.session.outgoing(answering);
      const heldUs = nowUs - link.lastReadUs;
      const echo = link.lastSentUs === null || heldUs > MAX_ECHO_HELD_US ? null : { sentUs: link.lastSentUs, heldUs };
      const frame: Frame = { peer: peer.id, bootId: this.#bootId, seq, network: link.index, sentUs: nowUs, echo, challenge, answer, body };
      this.#open[link.index]?.send(this.#codec.encode(frame), this.#port, link.address);
    }
  }

  // Makes acquaintance: gives the peer's challenge back and tells ours, so that each knows the other after one round trip.
  #reply(peer: Peer, atMs: number, answering: Frame | null): void {
    if (atMs - peer.repliedMs < REPLY_PAUSE_MS) return;
    peer.repliedMs = atMs;
    this.#sendBody(peer, NO_BODY, answering);
  }

  #receive(index: number, bytes: Uint8Array, from: string): void {
    if (!this.#running) return;
    const atMs = this.#clock.nowMs();
    const source = this.#sources[index]?.get(from);
    if (source === undefined) return this.#drop('unknown-source');
    if (!source.limit.take(atMs)) return this.#drop('too-many');
    const decoded = this.#codec.decode(bytes);
    if (!decoded.ok) return this.#drop(decoded.reason);
    const { frame } = decoded;
    const { peer, link } = source;
    if (frame.peer !== peer.id) return this.#drop('wrong-source');
    if (frame.network !== index) return this.#drop('wrong-network');
    const verdict = peer.session.judge(frame);
    if (verdict === 'replay') return this.#drop(verdict);
    if (verdict === 'unknown-boot') {
      this.#drop(verdict);
      return this.#reply(peer, atMs, frame);
    }
    this.#believe(peer, link, frame, verdict === 'new-boot', atMs);
  }

  #believe(peer: Peer, link: Link, frame: Frame, newBoot: boolean, atMs: number): void {
    if (newBoot) forgetBoot(peer);
    link.lastSentUs = frame.sentUs;
    link.lastReadUs = Math.floor(atMs * 1000);
    if (frame.echo !== null) keepRtt(link, link.lastReadUs - frame.echo.sentUs - frame.echo.heldUs);
    const said = frame.body.length === 0 ? null : saidIn(peer, frame.body);
    if (frame.body.length > 0 && said === null) this.#drop('bad-body');
    if (said !== null && keepBeat(peer, said)) this.#revision += 1;

    this.#emit(this.#detector.heard(peer.id, link.network, frame.bootId, atMs));
    const { poor } = link.quality;
    this.#emit(qualityChange(peer, link, link.quality.heard(frame.seq, link.rttMs, atMs)));
    if (link.quality.poor !== poor) this.#revision += 1;
    this.#schedule();
    // It does not know us yet (this process or its own is new): let it.
    if (newBoot || frame.answer === null) this.#reply(peer, atMs, null);
    if (said === null) return;
    const received: Received = { from: peer.id, bootId: frame.bootId, network: link.network, message: said.message, atMs };
    for (const listener of this.#receivedListeners) listener(received);
  }

  #tick(): void {
    this.beatNow();
    this.#look();
  }

  // Timers run before the sockets are read (SAFETY a.3). So whenever a change would be told, or we paused, what waits in
  // the sockets is applied first, and a pause longer than h makes all silence count anew.
  #look(): void {
    const nowMs = this.#clock.nowMs();
    const gapMs = nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    if (gapMs > 2 * this.#beatMs) this.#pausedFromMs ??= nowMs - gapMs + this.#beatMs;
    if (this.#draining) return;
    if (this.#pausedFromMs === null && nowMs < (this.#detector.nextDueMs() ?? Number.POSITIVE_INFINITY)) return this.#schedule();
    this.#draining = true;
    this.#sockets.drained(() => this.#drained(nowMs));
  }

  #drained(beganMs: number): void {
    this.#draining = false;
    if (!this.#running) return;
    const nowMs = this.#clock.nowMs();
    if (nowMs - beganMs > this.#beatMs) this.#pausedFromMs ??= beganMs;
    if (this.#pausedFromMs !== null) {
      this.#detector.paused(this.#pausedFromMs, nowMs);
      // What was lost while nobody looked was not lost on the way.
      for (const { links } of this.#peers) for (const { quality } of links) quality.restart();
    }
    this.#pausedFromMs = null;
    this.#lookedMs = nowMs;
    this.#emit(this.#detector.tick(nowMs));
    this.#schedule();
  }

  // One timer for the next moment at which silence can count. A peer that is heard moves that moment on; the timer stays
  // and finds out, so that a frame costs no timer.
  #schedule(): void {
    if (!this.#running) return;
    const dueMs = this.#detector.nextDueMs();
    if (dueMs === null || (this.#due !== null && this.#due.atMs <= dueMs)) return;
    this.#due?.timer.cancel();
    const look = () => {
      this.#due = null;
      this.#look();
    };
    this.#due = { atMs: dueMs, timer: this.#clock.after(dueMs - this.#clock.nowMs(), look) };
  }

  #emit(changes: readonly MembershipChange[]): void {
    if (changes.length === 0) return;
    this.#revision += 1;
    for (const change of changes) for (const listener of this.#changeListeners) listener(change);
    for (const change of changes) if (change.kind === 'link' && change.state === 'down') this.#linkDown(change.peer, change.network);
  }

  #linkDown(id: NodeId, network: NetworkId): void {
    const peer = this.#peers.find((one) => one.id === id);
    const link = peer?.links.find((one) => one.network === network);
    if (peer !== undefined && link !== undefined) this.#emit(qualityChange(peer, link, link.quality.down()));
  }
}
