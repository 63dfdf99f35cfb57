// Compression for slow networks (`compress: zstd`): payloads that are worth it, made smaller at the lowest level, in the event
// loop, so only up to a size that takes about a millisecond. Measured: docs/reference/mirror-link.md.
import { constants, zstdCompressSync } from 'node:zlib';
import { PACKED_KINDS } from './frame-parser.js';
import type { WireFrame } from './layout.js';

const MIN_BYTES = 4096;
const MAX_BYTES = 512 * 1024;
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** What may be done to the frame's payload: null comes back where it would not become a sixteenth smaller. */
export const packerOf =
  ({ t }: WireFrame) =>
  (bytes: Uint8Array): Uint8Array | null => {
    if (!PACKED_KINDS.has(t) || bytes.length < MIN_BYTES || bytes.length > MAX_BYTES) return null;
    const packed = zstdCompressSync(bytes, LEVEL);
    return packed.length <= bytes.length - bytes.length / 16 ? packed : null;
  };
