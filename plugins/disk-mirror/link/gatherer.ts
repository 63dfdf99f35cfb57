// What a turn says, encoded as it is said, in as few pieces as is worth it: headers and small payloads lie one behind the other, large
// payloads go by reference where they last. The memory is used again, for what is made anew with every turn has the collector mark
// the whole heap every 80 ms under load, each time for 10 ms. Answers that cover those before them take their place. Invariant:
// memory that was handed out is written to only after it has come `back`.
import { encodeInto, type Pack } from './encode-frame.js';
import { HEADER_BYTES, type WireFrame } from './layout.js';

/** What is smaller is copied behind its header. */
const GATHERED_BYTES = 16 * 1024;
const ROOM_BYTES = 256 * 1024;
/** 64 MiB, which only a link has that was as far behind (`async`). */
const MAX_SPARE = 256;

interface Room {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Gatherings that lie in it and are not back. */
  out: number;
}

export interface Gathered {
  readonly pieces: readonly Uint8Array[];
  /** To be given back when the socket has taken all pieces. */
  readonly rooms: readonly Room[];
}

const newRoom = (): Room => {
  const bytes = Buffer.allocUnsafeSlow(ROOM_BYTES);
  return { bytes, view: new DataView(bytes.buffer), out: 0 };
};

export class Gatherer {
  readonly #spare: Room[] = [];
  /** Filled from the front; what is behind `to` is free, what lies from `from` on is said and not cut yet. */
  #room = newRoom();
  #from = 0;
  #to = 0;
  #pieces: Uint8Array[] = [];
  #rooms: Room[] = [];
  #bytes = 0;
  /** The kind and the place of the last frame, where it is an answer that a later one of its kind covers. */
  #answer: WireFrame['t'] | null = null;
  #answerAt = 0;

  /** Said and not taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A payload that `lasts` may go by reference, another is copied now. */
  say(frame: WireFrame, lasts: boolean, pack?: Pack): void {
    if (frame.t === this.#answer) {
      encodeInto(this.#room.bytes, this.#room.view, this.#answerAt, frame);
      return;
    }
    if (ROOM_BYTES - this.#to < HEADER_BYTES) this.#nextRoom();
    this.#claim();
    this.#answer = frame.t === 'applied' || frame.t === 'received' ? frame.t : null;
    this.#answerAt = this.#to;
    const payload = encodeInto(this.#room.bytes, this.#room.view, this.#to, frame, pack);
    this.#to += HEADER_BYTES;
    this.#bytes += HEADER_BYTES + payload.length;
    if (payload.length <= GATHERED_BYTES || !lasts) this.#copy(payload);
    else {
      this.#cut();
      this.#pieces.push(payload);
    }
  }

  /** All that was said since the last time. */
  take(): Gathered {
    this.#cut();
    const gathered = { pieces: this.#pieces, rooms: this.#rooms };
    this.#pieces = [];
    this.#rooms = [];
    this.#bytes = 0;
    this.#answer = null;
    return gathered;
  }

  back(rooms: readonly Room[]): void {
    for (const room of rooms) {
      room.out -= 1;
      if (room.out > 0) continue;
      if (room !== this.#room) {
        if (this.#spare.length < MAX_SPARE) this.#spare.push(room);
      } else {
        this.#from = 0;
        this.#to = 0;
      }
    }
  }

  #copy(payload: Uint8Array): void {
    for (let at = 0; at < payload.length; ) {
      if (this.#to === ROOM_BYTES) {
        this.#nextRoom();
        this.#claim();
      }
      const part = Math.min(payload.length - at, ROOM_BYTES - this.#to);
      this.#room.bytes.set(part === payload.length ? payload : payload.subarray(at, at + part), this.#to);
      this.#to += part;
      at += part;
    }
  }

  /** This gathering lies in the room. */
  #claim(): void {
    if (this.#rooms.at(-1) === this.#room) return;
    this.#room.out += 1;
    this.#rooms.push(this.#room);
  }

  #cut(): void {
    if (this.#to > this.#from) this.#pieces.push(this.#room.bytes.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  #nextRoom(): void {
    this.#cut();
    this.#room = this.#spare.pop() ?? newRoom();
    this.#from = 0;
    this.#to = 0;
  }
}
