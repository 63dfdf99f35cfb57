// Requests out of the byte stream of one client, without copying: small payloads are handed on where the socket put them, a
// long one gets a slab of its own that the socket then writes into. Held at any time: one slab, and one payload that was
// allowed. Invariant: a header is judged once it is whole, and nothing behind it is looked at before it was let in.
import { REQUEST_BYTES, REQUEST_MAGIC } from './protocol.js';
import type { Slab, SlabPool } from './slabs.js';

/** What is to become of the request whose header was just read. */
export type Verdict =
  /** It has no payload, or was answered. */
  | 'next'
  /** Its payload is received and handed over. */
  | 'payload'
  /** Its payload is thrown away as it comes. */
  | 'discard'
  /** Not now: the same header is shown again at the next `go`. */
  | 'wait'
  /** Nothing more is read of this client. */
  | 'stop';

export interface RequestSink {
  /** The fields of the intake are those of this request. */
  header(intake: Intake): Verdict;
  /** The payload of the last request that was answered with `payload`; whoever keeps it holds the slab. */
  payload(intake: Intake, bytes: Buffer, slab: Slab): void;
  /** No request begins here: the stream means nothing from now on. */
  broken(): void;
}

const SLAB_BYTES = 256 * 1024;
/** Longer payloads get their own slab. */
const INLINE_BYTES = 64 * 1024;
/** With less room than this another slab is taken. */
const ROOM_BYTES = 32 * 1024;

export class Intake {
  flags = 0;
  command = 0;
  cookieHigh = 0;
  cookieLow = 0;
  /** Exact below 2^53. */
  offset = 0;
  length = 0;

  readonly #sink: RequestSink;
  readonly #pool: SlabPool;
  #slab: Slab;
  #start = 0;
  #end = 0;
  /** Payload bytes still to be thrown away. */
  #discard = 0;
  /** The payload that is being received: in its own slab, or (null) in the common one. */
  #own: Slab | null = null;
  #ownEnd = 0;
  #payload = false;
  #stopped = false;
  #closed = false;
  /** After a long payload the next request is probably a long one too: no more than its header is read at first. */
  #long = false;

  constructor(sink: RequestSink, pool: SlabPool) {
    this.#sink = sink;
    this.#pool = pool;
    this.#slab = pool.take(SLAB_BYTES);
  }

  /** Where the next bytes of the client belong. At least one byte long. */
  target(): Buffer {
    if (this.#own !== null) return this.#own.buffer.subarray(this.#ownEnd, this.length + REQUEST_BYTES);
    const { buffer } = this.#slab;
    if (this.#long && this.#end - this.#start < REQUEST_BYTES) return buffer.subarray(this.#end, this.#start + REQUEST_BYTES);
    return this.#end === 0 ? buffer : buffer.subarray(this.#end);
  }

  /** So many bytes were put there. False = nothing more is wanted until `go` says true. */
  received(count: number): boolean {
    if (this.#own === null) this.#end += count;
    else {
      this.#ownEnd += count;
      if (this.#ownEnd < this.length) return true;
      this.#handOwn(this.#own);
    }
    return this.go();
  }

  /** Reads what is there. False = it waits, or it is over. */
  go(): boolean {
    while (!this.#stopped) {
      const held = this.#end - this.#start;
      if (this.#discard > 0) {
        const gone = Math.min(this.#discard, held);
        this.#discard -= gone;
        this.#start += gone;
        if (this.#discard > 0) return this.#want(REQUEST_BYTES);
      } else if (this.#payload) {
        if (held < this.length) return this.#want(this.length);
        this.#handInline();
      } else {
        if (held < REQUEST_BYTES) return this.#want(REQUEST_BYTES);
        if (!this.#header()) return false;
        if (this.#own !== null) return true;
      }
    }
    return false;
  }

  /** Lets go of all memory. Nothing may be received any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopped = true;
    this.#own?.release();
    this.#own = null;
    this.#slab.release();
  }

  #header(): boolean {
    const { buffer } = this.#slab;
    const at = this.#start;
    if (buffer.readUInt32BE(at) !== REQUEST_MAGIC) {
      this.#stopped = true;
      this.#sink.broken();
      return false;
    }
    this.flags = buffer.readUInt16BE(at + 4);
    this.command = buffer.readUInt16BE(at + 6);
    this.cookieHigh = buffer.readUInt32BE(at + 8);
    this.cookieLow = buffer.readUInt32BE(at + 12);
    this.offset = buffer.readUInt32BE(at + 16) * 0x1_0000_0000 + buffer.readUInt32BE(at + 20);
    this.length = buffer.readUInt32BE(at + 24);
    const verdict = this.#sink.header(this);
    if (verdict === 'wait') return false;
    this.#long = false;
    this.#start = at + REQUEST_BYTES;
    if (verdict === 'stop') this.#stopped = true;
    else if (verdict === 'discard') this.#discard = this.length;
    else if (verdict === 'payload') this.#beginPayload();
    return verdict !== 'stop';
  }

  #beginPayload(): void {
    if (this.length <= INLINE_BYTES || this.#end - this.#start >= this.length) {
      this.#payload = true;
      return;
    }
    const own = this.#pool.take(this.length + REQUEST_BYTES);
    this.#ownEnd = this.#slab.buffer.copy(own.buffer, 0, this.#start, this.#end);
    this.#start = this.#end;
    this.#own = own;
    // The header behind the payload comes back into the common slab, which may be full to its last byte.
    this.#want(REQUEST_BYTES);
  }

  #handInline(): void {
    this.#payload = false;
    const from = this.#start;
    this.#start = from + this.length;
    this.#sink.payload(this, this.#slab.buffer.subarray(from, this.#start), this.#slab);
  }

  /** Behind a payload in its own slab at most the next header was read. */
  #handOwn(own: Slab): void {
    const { length } = this;
    this.#own = null;
    this.#long = true;
    this.#end += own.buffer.copy(this.#slab.buffer, this.#end, length, this.#ownEnd);
    this.#sink.payload(this, own.buffer.subarray(0, length), own);
    own.release();
  }

  /** Makes room for `bytes` from the start on. Always true: more is wanted. */
  #want(bytes: number): true {
    this.#rewind();
    const room = this.#slab.buffer.length;
    if (this.#start + bytes <= room && room - this.#end >= ROOM_BYTES) return true;
    const next = this.#pool.take(SLAB_BYTES);
    this.#end = this.#slab.buffer.copy(next.buffer, 0, this.#start, this.#end);
    this.#start = 0;
    this.#slab.release();
    this.#slab = next;
    return true;
  }

  /** Begins the slab anew when nothing in it is needed: the same cache lines again. */
  #rewind(): void {
    if (this.#start !== this.#end || !this.#slab.alone) return;
    this.#start = 0;
    this.#end = 0;
  }
}
