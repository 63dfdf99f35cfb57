// One page of the bitmap on disk. Bit n of the page is bit n % 8 of byte n / 8. What a bad page means (every bit of it) is said
// where it is read.
import { BLOCK_BYTES, HEADER_BYTES, type OpenedBlock, openBlock, sealBlock } from './block.js';
import { PAGE_BITMAP_BYTES } from './layout.js';

export interface PagePlace {
  readonly page: number;
  readonly volumeUuid: string;
}

/** Builds the page in `into`, 4096 bytes. `bits`: PAGE_BITMAP_BYTES of them. */
export const encodePage = (into: Uint8Array, bits: Uint8Array, { page, volumeUuid }: PagePlace, writeSeq: number): Uint8Array => {
  if (bits.length !== PAGE_BITMAP_BYTES) throw new RangeError(`a page of ${bits.length} bytes`);
  into.set(bits, HEADER_BYTES);
  into.fill(0, HEADER_BYTES + PAGE_BITMAP_BYTES, BLOCK_BYTES);
  return sealBlock(into, { type: 'bitmap', blockNo: page, writeSeq, volumeUuid });
};

export type ReadPage = { readonly ok: true; readonly bits: Uint8Array; readonly writeSeq: number } | Extract<OpenedBlock, { ok: false }>;

/** `bits` is a view of `block`. */
export const decodePage = (block: Uint8Array, { page, volumeUuid }: PagePlace): ReadPage => {
  const opened = openBlock(block, { type: 'bitmap', blockNo: page, volumeUuid });
  if (!opened.ok) return opened;
  return { ok: true, bits: block.subarray(HEADER_BYTES, HEADER_BYTES + PAGE_BITMAP_BYTES), writeSeq: opened.head.writeSeq };
};
