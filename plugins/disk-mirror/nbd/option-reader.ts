// Cuts the client's side of the handshake into options. Bounded: one option of at most MAX_OPTION_BYTES and one chunk are
// held; the data of a longer option is passed over as it comes, and one that is absurdly long breaks the connection.
import { OPTION_HEADER_BYTES, OPTION_MAGIC } from './protocol.js';

/** A name of 4096 bytes and many queries fit. */
export const MAX_OPTION_BYTES = 64 * 1024;
/** Nobody sends so much by mistake. */
export const MAX_SKIPPED_BYTES = 1024 * 1024;

export type ReadOption =
  /** `data` null: it was too long and is passed over. Valid until the next `push`. */
  | { readonly kind: 'option'; readonly option: number; readonly data: Buffer | null }
  | { readonly kind: 'broken'; readonly because: string };

export class OptionReader {
  #bytes = Buffer.allocUnsafe(1024);
  #start = 0;
  #end = 0;
  #skip = 0;

  push(chunk: Buffer): void {
    const skipped = Math.min(this.#skip, chunk.length);
    this.#skip -= skipped;
    const fresh = chunk.length - skipped;
    const held = this.#end - this.#start;
    if (this.#end + fresh > this.#bytes.length) {
      const room = held + fresh > this.#bytes.length ? Buffer.allocUnsafe(2 * (held + fresh)) : this.#bytes;
      this.#bytes.copy(room, 0, this.#start, this.#end);
      [this.#bytes, this.#start, this.#end] = [room, 0, held];
    }
    chunk.copy(this.#bytes, this.#end, skipped);
    this.#end += fresh;
  }

  /** The next 32 bits; null = not there yet. */
  word(): number | null {
    if (this.#end - this.#start < 4) return null;
    this.#start += 4;
    return this.#bytes.readUInt32BE(this.#start - 4);
  }

  option(): ReadOption | null {
    const held = this.#end - this.#start;
    // A wrong magic is told from its first byte on: nobody who speaks otherwise is waited for.
    if (!this.#magicFits(Math.min(8, held))) return { kind: 'broken', because: 'an option without its magic' };
    if (held < OPTION_HEADER_BYTES) return null;
    const option = this.#bytes.readUInt32BE(this.#start + 8);
    const length = this.#bytes.readUInt32BE(this.#start + 12);
    if (length > MAX_SKIPPED_BYTES) return { kind: 'broken', because: `option ${option} announces ${length} bytes` };
    if (length > MAX_OPTION_BYTES) {
      const skipped = Math.min(length, held - OPTION_HEADER_BYTES);
      this.#start += OPTION_HEADER_BYTES + skipped;
      this.#skip = length - skipped;
      return { kind: 'option', option, data: null };
    }
    if (held < OPTION_HEADER_BYTES + length) return null;
    const from = this.#start + OPTION_HEADER_BYTES;
    this.#start = from + length;
    return { kind: 'option', option, data: this.#bytes.subarray(from, from + length) };
  }

  /** What came behind the last option; it is taken out. */
  rest(): Buffer {
    const rest = Buffer.from(this.#bytes.subarray(this.#start, this.#end));
    this.#start = this.#end;
    return rest;
  }

  #magicFits(count: number): boolean {
    for (let at = 0; at < count; at += 1) {
      const word = OPTION_MAGIC[at >> 2] ?? 0;
      if (this.#bytes[this.#start + at] !== ((word >>> (24 - 8 * (at & 3))) & 0xff)) return false;
    }
    return true;
  }
}
