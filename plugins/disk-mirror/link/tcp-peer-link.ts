// One connection to the peer out of all that are tried. Both ends listen on every path and dial; the node whose name comes first
// chooses which connection is used and says so on it, so that the two never mean different ones: it takes the first that is
// authenticated, and changes only when the one it has is dead or belongs to an earlier start of the peer. Every attempt has a
// deadline, every retry waits longer up to a bound.
import assert from 'node:assert';
import type { Socket } from 'node:net';
import { reasonOf, type Timer } from 'understudy/plugin';
import { Dialler } from './dialler.js';
import { FrameConnection } from './frame-connection.js';
import { type Frame, PROTOCOL } from './frames.js';
import { type Greeting, refusalOf } from './greeting.js';
import type { HandedFrame } from './layout.js';
import { DEFAULTS, type LinkPath, type PeerLinkOptions, type Tell } from './link-options.js';
import { packerOf } from './pack.js';
import { PathListeners } from './path-listeners.js';
import type { PeerLink, PeerLinkListener } from './peer-link.js';
import { sendAway } from './peer-network.js';

interface Candidate {
  readonly connection: FrameConnection;
  readonly path: LinkPath;
  /** The peer's start that it speaks for; null before its greeting. */
  instance: string | null;
  generation: number;
  readonly deadline: Timer;
  /** Called when it has become the one, or has ended. */
  readonly over: () => void;
}

const SECOND_MS = 300;
/** So long a worse path is not chosen; longer than SECOND_MS and an attempt. */
const GRACE_MS = 500;
const MAX_CANDIDATES = 8;

export class TcpPeerLink implements PeerLink {
  readonly #options: PeerLinkOptions & typeof DEFAULTS;
  readonly #listener: PeerLinkListener;
  readonly #instance: string;
  readonly #chooses: boolean;
  readonly #candidates = new Set<Candidate>();
  readonly #listeners: PathListeners;
  readonly #dialler: Dialler;
  readonly #timers = new Set<Timer>();
  #current: Candidate | null = null;
  /** Ended, and its `down` not yet said. */
  #gone: { readonly candidate: Candidate; readonly because: string } | null = null;
  #generation = 0;
  #probing = false;
  #resting = false;
  #closed = false;
  #lastTold = '';

  constructor(options: PeerLinkOptions, listener: PeerLinkListener) {
    assert(options.paths.length > 0, 'a link needs a path');
    assert(options.self.node !== options.peer, 'a node is not its own peer');
    this.#options = { ...DEFAULTS, ...options };
    this.#listener = listener;
    this.#instance = options.random.hex(8);
    this.#chooses = options.self.node < options.peer;
    const tell: Tell = (kind, because) => this.#tell(kind, because);
    this.#listeners = new PathListeners(this.#options, tell, (socket, path) => this.#accept(socket, path));
    this.#dialler = new Dialler(this.#options, tell, {
      wanted: () => this.#current === null && !this.#resting && !this.#closed,
      dial: (path) => this.#dial(path),
    });
  }

  /** Listens wherever it can and dials; an address that is not there yet is tried again. */
  start(): void {
    this.#listeners.start();
    this.#dialler.start(this.#headStartMs);
  }

  send(frame: Frame, lasts = true): boolean {
    return this.#current?.connection.send(frame, lasts) ?? false;
  }

  queuedBytes(): number {
    return this.#current?.connection.queuedBytes() ?? 0;
  }

  drop(because: string, forGood = false): void {
    this.#resting ||= forGood;
    this.#current?.connection.end(because);
    this.#leave(this.#current, because);
  }

  reconnect(): void {
    this.#resting = false;
    this.#dialler.settled();
    if (this.#current === null) this.#dialler.start(0);
  }

  recycle(payload: Uint8Array): void {
    this.#current?.connection.recycle(payload);
  }

  path(): string | null {
    return this.#current?.path.network ?? null;
  }

  rttMs(): number | null {
    return this.#current?.connection.rttMs ?? null;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#dialler.stop();
    this.drop('the link was closed');
    for (const { connection } of this.#candidates) connection.end('the link was closed');
    await this.#listeners.close();
    this.#sayDown();
  }

  // --- ways in and out
  #accept(socket: Socket, path: LinkPath): void {
    if (this.#candidates.size >= MAX_CANDIDATES) return sendAway(socket);
    this.#candidate(path).connection.attach(socket, { flowing: true });
  }

  /** Ends when the attempt has: null = connected, or why not. */
  async #dial(path: LinkPath): Promise<string | null> {
    const { network, port, peerPort = port, connectMs } = this.#options;
    let over = () => {};
    const isOver = new Promise<void>((resolve) => {
      over = resolve;
    });
    const candidate = this.#candidate(path, over);
    try {
      const to = { host: path.peerAddress, port: peerPort, localAddress: path.localAddress, timeoutMs: connectMs };
      const socket = await network.connect(to, candidate.connection);
      candidate.connection.attach(socket, { flowing: false });
      await isOver;
      return candidate === this.#current ? null : `${path.network}: not used`;
    } catch (error) {
      candidate.connection.end(reasonOf(error));
      return `${path.network}: ${reasonOf(error)}`;
    }
  }

  /** A connection that may become the one. */
  #candidate(path: LinkPath, over: () => void = () => {}): Candidate {
    const { clock, pingMs, deadMs, connectMs, maxQueuedBytes, self, compress } = this.#options;
    const pack = compress === 'zstd' ? { pack: packerOf } : {};
    const candidate: Candidate = {
      path,
      over,
      instance: null,
      generation: 0,
      deadline: clock.after(2 * connectMs, () => connection.end('it took too long to agree on it'), { idle: true }),
      connection: new FrameConnection(
        { clock, pingMs, deadMs, maxQueuedBytes, ...pack },
        {
          frame: (frame) => this.#frame(candidate, frame),
          ended: (because) => {
            candidate.deadline.cancel();
            this.#candidates.delete(candidate);
            this.#leave(candidate, because);
            over();
          },
        },
      ),
    };
    const { connection } = candidate;
    this.#candidates.add(candidate);
    connection.send({ t: 'greet', epoch: 0, protocol: PROTOCOL, from: self, instance: this.#instance });
    return candidate;
  }

  /** The end that does not choose lets the other dial first. */
  get #headStartMs(): number {
    return this.#chooses ? SECOND_MS : 0;
  }

  // --- which one it is
  #frame(candidate: Candidate, frame: HandedFrame): void {
    if (frame.t === 'greet') return this.#greeted(candidate, frame);
    if (frame.t === 'chosen') {
      if (this.#chooses || candidate.instance === null) return candidate.connection.end('the peer chose where it is not to choose');
      return this.#use(candidate);
    }
    if (candidate === this.#current) return this.#listener.frame(candidate.generation, frame);
    candidate.connection.end(`${frame.t} came before the connection was agreed on`);
  }

  #greeted(candidate: Candidate, greeting: Greeting): void {
    const refusal = candidate.instance === null ? refusalOf(greeting, this.#options) : 'the peer greeted twice';
    if (refusal !== null) {
      this.#tell('mirror.link-refused', refusal);
      return candidate.connection.end(refusal);
    }
    candidate.instance = greeting.instance;
    if (!this.#chooses) return;
    // Where both start at once the first call over the best path may find nobody yet: a worse one waits for the second.
    if (this.#current !== null || candidate.path === this.#options.paths[0]) return this.#choose(candidate);
    this.#after(GRACE_MS, () => {
      if (this.#candidates.has(candidate)) this.#choose(candidate);
    });
  }

  #choose(candidate: Candidate): void {
    const current = this.#current;
    if (current === null) return this.#say(candidate);
    if (current.instance !== candidate.instance) {
      this.#replace(current, 'the peer has started anew');
      return this.#say(candidate);
    }
    // The peer dialled, so perhaps the one in use is dead and only the peer knows. A ping tells.
    if (this.#probing) return candidate.connection.end('another connection is in use');
    this.#probing = true;
    const sinceMs = this.#options.clock.nowMs();
    current.connection.ping();
    this.#after(Math.min(1000, this.#options.deadMs / 3), () => {
      this.#probing = false;
      if (!this.#candidates.has(candidate)) return;
      if (this.#current === current && current.connection.heardMs > sinceMs)
        return candidate.connection.end('another connection is in use');
      if (this.#current !== null) this.#replace(this.#current, 'it answered no ping while the peer dialled again');
      this.#say(candidate);
    });
  }

  #say(candidate: Candidate): void {
    candidate.connection.send({ t: 'chosen', epoch: 0 });
    this.#use(candidate);
  }

  #replace(current: Candidate, because: string): void {
    current.connection.end(because);
    this.#leave(current, because);
  }

  #use(candidate: Candidate): void {
    if (this.#current === candidate) return;
    if (this.#current !== null) this.#replace(this.#current, 'the peer chose another connection');
    this.#sayDown();
    candidate.deadline.cancel();
    candidate.generation = this.#generation += 1;
    candidate.connection.trust();
    this.#current = candidate;
    this.#candidates.delete(candidate);
    candidate.over();
    for (const { connection } of this.#candidates) connection.end('another connection is in use');
    this.#lastTold = '';
    this.#after(this.#options.deadMs, () => {
      if (this.#current === candidate) this.#dialler.settled();
    });
    this.#listener.up(candidate.generation, candidate.path.network);
  }

  /** The one in use is no more. */
  #leave(candidate: Candidate | null, because: string): void {
    if (candidate === null || candidate !== this.#current) return;
    this.#current = null;
    this.#gone = { candidate, because };
    this.#options.clock.soon(() => this.#sayDown());
    this.#dialler.again(this.#headStartMs);
  }

  #sayDown(): void {
    const gone = this.#gone;
    this.#gone = null;
    if (gone !== null) this.#listener.down(gone.candidate.generation, gone.because);
  }

  #tell(kind: string, because: string): void {
    if (because === '' || this.#lastTold === `${kind} ${because}`) return;
    this.#lastTold = `${kind} ${because}`;
    this.#options.tell?.({ kind, because });
  }

  #after(waitMs: number, fire: () => void): void {
    const timer = this.#options.clock.after(
      waitMs,
      () => {
        this.#timers.delete(timer);
        if (!this.#closed) fire();
      },
      { idle: true },
    );
    this.#timers.add(timer);
  }
}
