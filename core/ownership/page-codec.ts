// The text of the lease page (SAFETY a.2): 512 bytes, one line
// `USL1 epoch state deadlineMonoNs deadlineBootMs bootOffsetMs bootId nonce inSync crc`, spaces up to the final newline.
// Pure. The checksum is that of POSIX `cksum` over everything before the space in front of it, so that the leash can
// check a page from sh: `printf %s "$line_without_crc" | cksum`. A page that does not read back exactly is no page.
import type { LeasePage, PageState } from './page.js';

/** Size of a page in the file; it never changes, so that one write replaces all of it. */
export const PAGE_BYTES = 512;

const MAGIC = 'USL1';
const STATES: readonly string[] = ['HELD', 'STOPPING', 'RELEASED', 'DEAD'] satisfies readonly PageState[];
const LINE =
  /^(USL1 (\d{1,16}) ([A-Z]{4,8}) (\d{1,19}) (-?\d{1,15}) (-?\d{1,15}) ([!-+.-~-]{1,64}) ([!-+.-~-]{1,64}) (?:-|([!-~]{1,300}))) (\d{1,10}) *\n$/;
const WORD = /^[!-+.-~-]{1,64}$/; // Printable, neither space nor comma.

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000_0000 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
  return crc >>> 0;
});

/** The checksum that POSIX `cksum` prints. Source: POSIX.1-2024, cksum: polynomial 0x04C11DB7, length appended, complemented. */
export const cksum = (bytes: Uint8Array): number => {
  let crc = 0;
  for (const byte of bytes) crc = (crc << 8) ^ CRC_TABLE[(crc >>> 24) ^ byte]!;
  for (let length = bytes.length; length > 0; length >>>= 8) crc = (crc << 8) ^ CRC_TABLE[(crc >>> 24) ^ (length & 0xff)]!;
  return ~crc >>> 0;
};

const word = (what: string, value: string): string => {
  if (!WORD.test(value) || value === '-')
    throw new RangeError(`lease page: ${what} ${JSON.stringify(value)} is not one printable word of at most 64 characters`);
  return value;
};
const whole = (what: string, value: number): number => {
  if (!Number.isSafeInteger(value)) throw new RangeError(`lease page: ${what} ${value} is not a whole number`);
  return value;
};

/** The page as its 512 bytes. Milliseconds are rounded down to whole ones. Throws RangeError on what a page cannot say. */
export const encodePage = (page: LeasePage): Uint8Array => {
  const inSync = page.inSync.length === 0 ? '-' : page.inSync.map((node) => word('inSync', node)).join(',');
  if (inSync.length > 300) throw new RangeError(`lease page: inSync of ${page.inSync.length} nodes does not fit`);
  const text = [
    MAGIC,
    whole('epoch', page.epoch),
    page.state,
    page.deadlineMonoNs,
    whole('deadlineBootMs', Math.floor(page.deadlineBootMs)),
    whole('bootOffsetMs', Math.floor(page.bootOffsetMs)),
    word('bootId', page.bootId),
    word('nonce', page.nonce),
    inSync,
  ].join(' ');
  const line = `${text} ${cksum(Buffer.from(text, 'latin1'))}`;
  if (line.length >= PAGE_BYTES) throw new RangeError(`lease page: ${line.length} characters do not fit`);
  return Buffer.from(`${line.padEnd(PAGE_BYTES - 1)}\n`, 'latin1');
};

/** What the bytes say, or null when they are not exactly one good page (torn, empty, foreign, another version). */
export const decodePage = (bytes: Uint8Array): LeasePage | null => {
  if (bytes.length !== PAGE_BYTES) return null;
  const match = LINE.exec(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'));
  if (match === null) return null;
  const [, text, epoch, state, deadlineMonoNs, deadlineBootMs, bootOffsetMs, bootId, nonce, inSync, crc] = match;
  if (cksum(Buffer.from(text!, 'latin1')) !== Number(crc) || !STATES.includes(state!)) return null;
  const nodes = inSync === undefined ? [] : inSync.split(',');
  if (![bootId!, nonce!, ...nodes].every((name) => WORD.test(name) && name !== '-') || !Number.isSafeInteger(Number(epoch))) return null;
  return {
    epoch: Number(epoch),
    state: state as PageState,
    deadlineMonoNs: BigInt(deadlineMonoNs!),
    deadlineBootMs: Number(deadlineBootMs),
    bootOffsetMs: Number(bootOffsetMs),
    bootId: bootId!,
    nonce: nonce!,
    inSync: nodes,
  };
};
