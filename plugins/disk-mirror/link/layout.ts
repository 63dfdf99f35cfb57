// How each kind of frame lies on the wire: one table for both directions, so that they cannot differ. Header, 56 bytes, little
// endian: magic u32 · kind u8 · flags u8 · 0 u16 · epoch u64 · three numbers u64 · payload length u32 · length before
// compression u32 (0 = not compressed) · checksum of the payload u32 · checksum of the 52 bytes before it u32. What a kind does
// not use is 0. The header has a checksum of its own because its length is believed before the payload is there.
import { crc32 } from 'node:zlib';
import type { Frame } from './frames.js';

/** What only the two links say to each other (peer-link); the engine never sees it. */
export type LinkWord =
  /** First on each connection, from both ends: who I am. `instance` is new with each start of the process. */
  | { readonly t: 'greet'; readonly epoch: 0; readonly protocol: number; readonly from: LinkIdentity; readonly instance: string }
  /** From the node whose name comes first: this connection is the one. */
  | { readonly t: 'chosen'; readonly epoch: 0 }
  /** Are you there? The clock of who asks comes back with the answer. */
  | { readonly t: 'ping'; readonly epoch: 0; readonly sent: number }
  | { readonly t: 'pong'; readonly epoch: 0; readonly sent: number };

export interface LinkIdentity {
  readonly cluster: string;
  readonly group: string;
  readonly volume: string;
  readonly node: string;
}

export type WireFrame = Frame | LinkWord;
/** What a connection hands on: its own pings are not among it. */
export type HandedFrame = Exclude<WireFrame, { readonly t: 'ping' | 'pong' }>;
export type WireKind = WireFrame['t'];

export const MAGIC = 0x314d_5355; // "USM1"
export const HEADER_BYTES = 56;
export const AT = { kind: 4, flags: 5, zero: 6, epoch: 8, numbers: 16, length: 40, plain: 44, payloadSum: 48, headerSum: 52 } as const;
/** Bodies of words, not of data. */
export const MAX_JSON_BYTES = 64 * 1024;

/** CRC-32 as zlib has it: 6.9 GB/s with the processor's instructions, 0.1 µs for a header (docs/adr/0011). */
export const checksum = (bytes: Uint8Array): number => crc32(bytes);

export interface Layout {
  readonly code: number;
  /** Members that are whole numbers, at most three. */
  readonly numbers: readonly string[];
  /** The member that is bit 0 of the flags. */
  readonly flag?: string;
  /** The member that is the payload as it is; `json`: everything else of the frame is. */
  readonly payload?: string;
}

const layout = (code: number, numbers: readonly string[] = [], more: Omit<Layout, 'code' | 'numbers'> = {}): Layout => ({
  code,
  numbers,
  ...more,
});
const JSON_BODY = { payload: 'json' } as const;

export const LAYOUTS: Readonly<Record<WireKind, Layout>> = {
  greet: layout(1, [], JSON_BODY),
  chosen: layout(2),
  ping: layout(3, ['sent']),
  pong: layout(4, ['sent']),
  hello: layout(5, [], JSON_BODY),
  'refuse-stale': layout(6, ['maxEpochSeen']),
  decision: layout(7, [], JSON_BODY),
  bitmap: layout(8, ['chunkBytes', 'first'], { flag: 'last', payload: 'bits' }),
  write: layout(9, ['seq', 'offset'], { payload: 'bytes' }),
  trim: layout(10, ['seq', 'offset', 'length']),
  zero: layout(11, ['seq', 'offset', 'length'], { flag: 'mayPunch' }),
  flush: layout(12, ['seq']),
  received: layout(13, ['seq']),
  applied: layout(14, ['seq']),
  flushed: layout(15, ['seq']),
  failed: layout(16, [], JSON_BODY),
  'sync-begin': layout(17, [], JSON_BODY),
  'sync-ready': layout(18),
  'sync-data': layout(19, ['id', 'offset'], { payload: 'bytes' }),
  'sync-zero': layout(20, ['id', 'offset', 'length']),
  'sync-done': layout(21, ['id']),
  hash: layout(22, ['id', 'offset', 'length'], { payload: 'hash' }),
  'hash-answer': layout(23, ['id'], { flag: 'same' }),
  read: layout(24, ['id', 'offset', 'length']),
  'read-data': layout(25, ['id'], { payload: 'bytes' }),
  'sync-end': layout(26, [], JSON_BODY),
  'sync-ended': layout(27),
  outdate: layout(28, ['id']),
  outdated: layout(29, ['id']),
};

/** By code; what is not there is no frame. */
export const KINDS: readonly (readonly [WireKind, Layout] | undefined)[] = Object.entries(LAYOUTS).reduce<
  (readonly [WireKind, Layout] | undefined)[]
>((kinds, [kind, one]) => {
  kinds[one.code] = [kind as WireKind, one];
  return kinds;
}, []);

/** A 64-bit number that JavaScript can count with, else NaN. */
export const readNumber = (view: DataView, at: number): number => {
  const high = view.getUint32(at + 4, true);
  return high < 0x20_0000 ? high * 0x1_0000_0000 + view.getUint32(at, true) : Number.NaN;
};

export const writeNumber = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value % 0x1_0000_0000, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
};
