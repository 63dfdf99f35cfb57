// One socket that speaks frames: parsed on the way in, gathered into one write a turn on the way out, pinged, and given up when
// it is silent, sends nonsense or takes nothing. Ends once, with the first reason.
import type { Socket } from 'node:net';
import { type Clock, reasonOf, type Timer } from 'understudy/plugin';
import type { Pack } from './encode-frame.js';
import { FrameParser } from './frame-parser.js';
import { MAX_PAYLOAD_BYTES } from './frames.js';
import { Gatherer } from './gatherer.js';
import { type HandedFrame, LAYOUTS, MAX_JSON_BYTES, type WireFrame } from './layout.js';
import type { Sink } from './peer-network.js';
import { ReceiveMemory } from './receive-memory.js';
import { reopened } from './reopened.js';
import { Silence } from './silence.js';

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly pingMs: number;
  readonly deadMs: number;
  readonly maxQueuedBytes: number;
  readonly pack?: (frame: WireFrame) => Pack;
}

export interface ConnectionListener {
  frame(frame: HandedFrame): void;
  /** Not before the call that ended it has returned. */
  ended(because: string): void;
}

/** A payload of which so much is missing is read into its own memory; less comes with its neighbours in one large read. */
const STRAIGHT_BYTES = 256 * 1024;

export class FrameConnection implements Sink {
  readonly #options: ConnectionOptions;
  readonly #listener: ConnectionListener;
  readonly #parser: FrameParser;
  readonly #silence: Silence;
  /** Of this connection alone: a socket holds on to the room that it was given until it has read into it. */
  readonly #memory = new ReceiveMemory();
  readonly #gatherer = new Gatherer();
  #socket: Socket | null = null;
  #ticking: Timer | null = null;
  #ended: string | null = null;
  #trusted = false;
  rttMs: number | null = null;

  constructor(options: ConnectionOptions, listener: ConnectionListener) {
    this.#options = options;
    this.#listener = listener;
    this.#silence = new Silence(options.deadMs, options.pingMs, options.clock.nowMs());
    this.#parser = new FrameParser((frame) => this.#frame(frame), {
      take: (bytes) => this.#memory.take(bytes),
      maxPayloadBytes: () => (this.#trusted ? MAX_PAYLOAD_BYTES : MAX_JSON_BYTES),
    });
  }

  /** From here on it belongs to this. `flowing`: it was just accepted and does not know the sink yet. */
  attach(given: Socket, { flowing }: { readonly flowing: boolean }): void {
    const anew = flowing ? reopened(given, this) : null;
    const socket = anew ?? given;
    this.#socket = socket;
    socket.on('error', (error) => this.end(reasonOf(error)));
    socket.on('end', () => this.end('the peer ended it'));
    socket.on('close', () => this.end('it was closed'));
    if (this.#ended !== null) return void socket.destroy();
    if (anew !== null) socket.resume();
    else if (flowing) socket.on('data', (piece: Buffer) => this.#read(this.#parser.push(piece)));
    this.#ticking = this.#options.clock.every(this.#options.pingMs, () => this.#tick(), { idle: true });
    this.#flush();
  }

  /** The peer is who it should be: payloads of full length may come. */
  trust(): void {
    this.#trusted = true;
  }

  /** False when it has ended. A payload that `lasts` must stay as it is until it is sent. */
  send(frame: WireFrame, lasts = true): boolean {
    if (this.#ended !== null) return false;
    if (this.#gatherer.bytes === 0) process.nextTick(this.#flush);
    this.#gatherer.say(frame, lasts, this.#options.pack?.(frame));
    if (this.queuedBytes() <= this.#options.maxQueuedBytes) return true;
    this.end(`the peer does not take what is sent: ${this.queuedBytes()} bytes are waiting`);
    return false;
  }

  queuedBytes(): number {
    return this.#gatherer.bytes + (this.#socket?.writableLength ?? 0);
  }

  /** When something last arrived. */
  get heardMs(): number {
    return this.#silence.heardMs;
  }

  ping(): void {
    this.send({ t: 'ping', epoch: 0, sent: Math.floor(this.#options.clock.nowMs()) });
  }

  /** Nobody refers to the payload any more; one of another connection is left to the collector. */
  recycle(payload: Uint8Array): void {
    this.#memory.recycle(payload);
  }

  end(because: string): void {
    if (this.#ended !== null) return;
    this.#ended = because;
    this.#parser.stop(because);
    this.#ticking?.cancel();
    this.#gatherer.take();
    this.#socket?.destroy();
    this.#options.clock.soon(() => this.#listener.ended(because));
  }

  // --- the sink of a socket that reads into our memory
  buffer(): Uint8Array {
    const target = this.#parser.target();
    return target !== null && target.length >= STRAIGHT_BYTES ? target : this.#memory.room();
  }

  received(bytes: number, into: Uint8Array): void {
    const target = this.#parser.target();
    if (target !== null && target.buffer === into.buffer && target.byteOffset === into.byteOffset)
      return this.#read(this.#parser.filled(bytes));
    this.#memory.spent(bytes);
    this.#read(this.#parser.push(into.subarray(0, bytes)));
  }

  #read(bad: string | null): void {
    if (bad !== null) return this.end(bad);
    this.#silence.heard(this.#options.clock.nowMs());
  }

  #frame(frame: WireFrame): void {
    if (this.#ended !== null) return;
    if (frame.t === 'ping') this.send({ t: 'pong', epoch: 0, sent: frame.sent });
    else if (frame.t === 'pong') this.rttMs = Math.max(0, this.#options.clock.nowMs() - frame.sent);
    else {
      const payload = payloadOf(frame);
      if (payload !== null) this.#memory.lend(payload);
      this.#listener.frame(frame);
    }
  }

  #tick(): void {
    if (this.#silence.tick(this.#options.clock.nowMs())) this.end(`nothing was heard for ${this.#options.deadMs} ms`);
    else this.ping();
  }

  /** One system call for what a turn has said, as far as it is small; large payloads go by reference. */
  readonly #flush = (): void => {
    const socket = this.#socket;
    if (socket === null || this.#gatherer.bytes === 0) return;
    const { pieces, rooms } = this.#gatherer.take();
    const taken = () => this.#gatherer.back(rooms);
    const last = pieces.length - 1;
    if (last > 0) socket.cork();
    for (let at = 0; at < last; at += 1) socket.write(pieces[at] as Uint8Array);
    socket.write(pieces[last] as Uint8Array, taken);
    if (last > 0) socket.uncork();
  };
}

const payloadOf = (frame: WireFrame): Uint8Array | null => {
  const member = LAYOUTS[frame.t].payload;
  return member === undefined || member === 'json' ? null : ((frame as unknown as Record<string, unknown>)[member] as Uint8Array);
};
