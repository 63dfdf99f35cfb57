// Bytes as they come, frames as they were sent, or the first reason why not. A payload that lies whole in one piece is handed on
// where it lies; one that does not is gathered in memory of exactly its length, taken only when the header's own checksum holds
// and its length is within the kind's bound. After a bad frame nothing more is read. No I/O.
import { zstdDecompressSync } from 'node:zlib';
import { MAX_PAYLOAD_BYTES } from './frames.js';
import { BadFrame, readBody } from './json-body.js';
import {
  AT,
  checksum,
  HEADER_BYTES,
  KINDS,
  type Layout,
  MAGIC,
  MAX_JSON_BYTES,
  readNumber,
  type WireFrame,
  type WireKind,
} from './layout.js';

interface Head {
  readonly kind: WireKind;
  readonly layout: Layout;
  readonly length: number;
  /** Length before compression, 0 = not compressed. */
  readonly plain: number;
  readonly payloadSum: number;
  readonly frame: Record<string, unknown>;
}

export interface ParserOptions {
  /** Memory for a payload that came in pieces. */
  readonly take?: (bytes: number) => Uint8Array;
  /** Payloads of this kind may come now; else the frame is bad. Default: any. */
  readonly maxPayloadBytes?: () => number;
}

export class FrameParser {
  readonly #onFrame: (frame: WireFrame) => void;
  readonly #take: (bytes: number) => Uint8Array;
  readonly #maxPayloadBytes: () => number;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerFilled = 0;
  #head: Head | null = null;
  #payload: Uint8Array | null = null;
  #payloadFilled = 0;
  #bad: string | null = null;

  /** `onFrame` may end the reading by `stop`; the payload is the receiver's from then on. */
  constructor(
    onFrame: (frame: WireFrame) => void,
    { take = Buffer.allocUnsafeSlow, maxPayloadBytes = () => MAX_PAYLOAD_BYTES }: ParserOptions = {},
  ) {
    this.#onFrame = onFrame;
    this.#take = take;
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /** Reads on; the reason why nothing more can be read, null while all is well. The piece is not used again by whoever gave it. */
  push(piece: Uint8Array): string | null {
    try {
      for (let at = 0; at < piece.length && this.#bad === null; )
        at += this.#head === null ? this.#readHeader(piece, at) : this.#readPayload(piece, at);
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error;
      this.#bad = error.message;
    }
    return this.#bad;
  }

  /** Where the rest of a gathered payload belongs, so that a socket may read straight into it; null = anywhere. */
  target(): Uint8Array | null {
    return this.#payload === null ? null : this.#payload.subarray(this.#payloadFilled);
  }

  /** So many bytes were put at the beginning of `target`. */
  filled(bytes: number): string | null {
    this.#payloadFilled += bytes;
    try {
      if (this.#bad === null && this.#head !== null && this.#payload !== null) this.#endIfWhole(this.#head, this.#payload);
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error;
      this.#bad = error.message;
    }
    return this.#bad;
  }

  /** Nothing more is read. */
  stop(because: string): void {
    this.#bad ??= because;
  }

  #readHeader(piece: Uint8Array, at: number): number {
    if (this.#headerFilled === 0 && piece.length - at >= HEADER_BYTES) {
      this.#begin(piece.subarray(at, at + HEADER_BYTES));
      return HEADER_BYTES;
    }
    const used = Math.min(HEADER_BYTES - this.#headerFilled, piece.length - at);
    this.#header.set(piece.subarray(at, at + used), this.#headerFilled);
    this.#headerFilled += used;
    if (this.#headerFilled === HEADER_BYTES) {
      this.#headerFilled = 0;
      this.#begin(this.#header);
    }
    return used;
  }

  #begin(header: Uint8Array): void {
    const head = readHead(header, this.#maxPayloadBytes());
    if (head.length === 0) return this.#deliver(head, null);
    this.#head = head;
  }

  #readPayload(piece: Uint8Array, at: number): number {
    const head = this.#head as Head;
    if (this.#payload === null && piece.length - at >= head.length) {
      this.#head = null;
      this.#deliver(head, piece.subarray(at, at + head.length));
      return head.length;
    }
    this.#payload ??= this.#take(head.length);
    const used = Math.min(head.length - this.#payloadFilled, piece.length - at);
    this.#payload.set(piece.subarray(at, at + used), this.#payloadFilled);
    this.#payloadFilled += used;
    this.#endIfWhole(head, this.#payload);
    return used;
  }

  #endIfWhole(head: Head, payload: Uint8Array): void {
    if (this.#payloadFilled < head.length) return;
    this.#head = null;
    this.#payload = null;
    this.#payloadFilled = 0;
    this.#deliver(head, payload);
  }

  #deliver({ kind, layout, frame, plain, payloadSum }: Head, payload: Uint8Array | null): void {
    if (payload !== null && checksum(payload) !== payloadSum) throw new BadFrame(`the payload of ${kind} has a wrong checksum`);
    if (layout.payload === 'json') Object.assign(frame, readBody(kind, payload ?? EMPTY));
    else if (layout.payload !== undefined)
      frame[layout.payload] = plain === 0 ? (payload ?? EMPTY) : unpacked(kind, payload ?? EMPTY, plain);
    this.#onFrame(frame as unknown as WireFrame);
  }
}

const EMPTY = new Uint8Array(0);
/** Kinds whose payload may come compressed. */
export const PACKED_KINDS: ReadonlySet<string> = new Set<WireKind>(['write', 'sync-data']);

/** Throws BadFrame. Nothing of the header is believed before its checksum holds. */
const readHead = (header: Uint8Array, maxPayloadBytes: number): Head => {
  const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) throw new BadFrame('what arrived is no frame of the mirror');
  if (checksum(header.subarray(0, AT.headerSum)) !== view.getUint32(AT.headerSum, true))
    throw new BadFrame('a header has a wrong checksum');
  const code = view.getUint8(AT.kind);
  const [kind, layout] = KINDS[code] ?? bad(`frames of kind ${code} are not known here`);
  const flags = view.getUint8(AT.flags);
  if (flags > (layout.flag === undefined ? 0 : 1) || view.getUint16(AT.zero, true) !== 0) bad(`${kind} has flags that are not known here`);
  const length = view.getUint32(AT.length, true);
  const plain = view.getUint32(AT.plain, true);
  const bound = layout.payload === undefined ? 0 : layout.payload === 'json' ? MAX_JSON_BYTES : MAX_PAYLOAD_BYTES;
  if (Math.max(length, plain) > Math.min(bound, maxPayloadBytes)) bad(`${kind} wants to carry ${Math.max(length, plain)} bytes`);
  if (plain !== 0 && (!PACKED_KINDS.has(kind) || length === 0)) bad(`${kind} says that it is compressed`);
  const payloadSum = view.getUint32(AT.payloadSum, true);
  if (length === 0 && payloadSum !== 0) bad(`${kind} has the checksum of a payload and none`);

  const frame: Record<string, unknown> = { t: kind, epoch: numberAt(view, AT.epoch, kind) };
  for (let at = 0; at < 3; at += 1) {
    const value = numberAt(view, AT.numbers + 8 * at, kind);
    const name = layout.numbers[at];
    if (name !== undefined) frame[name] = value;
    else if (value !== 0) bad(`${kind} has a number too many`);
  }
  if (layout.flag !== undefined) frame[layout.flag] = flags === 1;
  return { kind, layout, length, plain, payloadSum, frame };
};

const bad = (why: string): never => {
  throw new BadFrame(why);
};

const numberAt = (view: DataView, at: number, kind: string): number => {
  const value = readNumber(view, at);
  return Number.isNaN(value) ? bad(`${kind} has a number above 2^53`) : value;
};

const unpacked = (kind: string, payload: Uint8Array, plain: number): Uint8Array => {
  try {
    const bytes = zstdDecompressSync(payload, { maxOutputLength: plain });
    if (bytes.length === plain) return bytes;
  } catch {
    // Said below: what it was does not matter to whoever must end the connection.
  }
  return bad(`the payload of ${kind} cannot be decompressed to ${plain} bytes`);
};
