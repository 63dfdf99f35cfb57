// The bitmap from disk. A page that is bad, torn or unreadable counts as all ones (SAFETY b.3 row 17).
import { BLOCK_BYTES } from './block.js';
import { decodePage } from './bitmap-page.js';
import type { ChunkBits } from './chunk-bits.js';
import type { MetadataDevice } from './device.js';
import { CHUNKS_PER_PAGE, type Layout, pageAt } from './layout.js';
import { readEach } from './read-each.js';

/** Pages that go in one read: 1 MiB. */
const READ_PAGES = 256;

/** Fills `bits`. Bad pages are set whole, so that they differ from the disk and are written with the next pages. */
export const readBitmap = async (
  device: MetadataDevice,
  { pages, chunks }: Layout,
  { bits, volumeUuid }: { readonly bits: ChunkBits; readonly volumeUuid: string },
): Promise<{ readonly writeSeq: number; readonly repairs: readonly string[] }> => {
  const buffer = new Uint8Array(Math.min(READ_PAGES, pages) * BLOCK_BYTES);
  let writeSeq = 0;
  const bad: string[] = [];
  let lost = 0;
  for (let first = 0; first < pages; first += READ_PAGES) {
    const count = Math.min(READ_PAGES, pages - first);
    await readEach(device, buffer.subarray(0, count * BLOCK_BYTES), pageAt(first));
    for (let index = 0; index < count; index++) {
      const page = first + index;
      const read = decodePage(buffer.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES), { page, volumeUuid });
      if (read.ok) {
        bits.load(page, read.bits);
        writeSeq = Math.max(writeSeq, read.writeSeq);
        continue;
      }
      const from = page * CHUNKS_PER_PAGE;
      const inside = Math.min(CHUNKS_PER_PAGE, chunks - from);
      bits.set(from, inside);
      lost += inside;
      bad.push(`page ${page}: ${read.problem}`);
    }
  }
  const repairs =
    bad.length === 0
      ? []
      : [`${bad.length} pages of the bitmap were bad (${bad[0]}) and were written anew: ${lost} chunks count as changed`];
  return { writeSeq, repairs };
};
