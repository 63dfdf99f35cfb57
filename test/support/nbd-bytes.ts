// The client's side of the NBD protocol as bytes, written from the protocol document and apart from the server's codec: what
// tests send, and what came back read into values.
export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  peek: 4,
  startTls: 5,
  info: 6,
  go: 7,
  structured: 8,
  listContexts: 9,
  setContexts: 10,
  extended: 11,
};
export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, cache: 5, zeroes: 6, status: 7 };
export const FLAG = { fua: 1, noHole: 2, df: 4, reqOne: 8, fast: 16 };

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
export const u32 = (value: number): Buffer => Buffer.from([value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]);
const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
export const text = (value: string): Buffer => Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(value)]);

export const option = (number: number, data: Buffer | string = ''): Buffer =>
  Buffer.concat([Buffer.from('IHAVEOPT'), u32(number), u32(Buffer.byteLength(data)), Buffer.from(data)]);
export const info = (name: string, ...kinds: number[]): Buffer => Buffer.concat([text(name), u16(kinds.length), ...kinds.map(u16)]);
export const contexts = (name: string, ...queries: string[]): Buffer =>
  Buffer.concat([text(name), u32(queries.length), ...queries.map(text)]);

export interface RequestFields {
  readonly flags?: number;
  readonly cookie?: number | bigint;
  readonly offset?: number | bigint;
  readonly length?: number;
  readonly data?: Buffer;
}

export const request = (command: number, { flags = 0, cookie = 1, offset = 0, length, data }: RequestFields = {}): Buffer =>
  Buffer.concat([
    u32(0x25609513),
    u16(flags),
    u16(command),
    u64(cookie),
    u64(offset),
    u32(length ?? data?.length ?? 0),
    data ?? Buffer.alloc(0),
  ]);

/** One reply of the handshake. */
export interface OptionReply {
  readonly option: number;
  /** `ack`, `server`, `info`, `context`, or the number of an error. */
  readonly type: string;
  readonly data: Buffer;
}

const TYPES: Record<number, string> = { 1: 'ack', 2: 'server', 3: 'info', 4: 'context' };
const ERRORS: Record<number, string> = {
  1: 'unsup',
  2: 'policy',
  3: 'invalid',
  4: 'platform',
  5: 'tls',
  6: 'unknown',
  7: 'shutdown',
  8: 'block-size',
  9: 'too-big',
};

/** Throws on anything that is not a whole number of replies. */
export const readOptionReplies = (bytes: Buffer): readonly OptionReply[] => {
  const replies: OptionReply[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes.readBigUInt64BE(at) !== 0x3e889045565a9n) throw new Error(`no option reply at ${at}`);
    const type = bytes.readUInt32BE(at + 12);
    const length = bytes.readUInt32BE(at + 16);
    if (at + 20 + length > bytes.length) throw new Error('a reply that is cut off');
    const name = type < 0x8000_0000 ? TYPES[type] : ERRORS[type - 0x8000_0000];
    replies.push({ option: bytes.readUInt32BE(at + 8), type: name ?? `type ${type}`, data: bytes.subarray(at + 20, at + 20 + length) });
    at += 20 + length;
  }
  return replies;
};

/** One message of the transmission phase. */
export type Reply =
  | { readonly kind: 'simple'; readonly cookie: number; readonly error: number; readonly data: Buffer }
  | { readonly kind: 'chunk'; readonly cookie: number; readonly type: number; readonly done: boolean; readonly data: Buffer };

/** `dataOf`: how many bytes follow a simple reply without error. Throws on anything else than whole replies. */
export const readReplies = (bytes: Buffer, dataOf: (cookie: number) => number = () => 0): readonly Reply[] => {
  const replies: Reply[] = [];
  const take = (at: number, length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('a reply that is cut off');
    return bytes.subarray(at, at + length);
  };
  for (let at = 0; at < bytes.length; ) {
    const magic = bytes.readUInt32BE(at);
    const cookie = Number(bytes.readBigUInt64BE(at + 8));
    if (magic === 0x67446698) {
      const error = bytes.readUInt32BE(at + 4);
      const data = take(at + 16, error === 0 ? dataOf(cookie) : 0);
      replies.push({ kind: 'simple', cookie, error, data });
      at += 16 + data.length;
    } else if (magic === 0x668e33ef) {
      const data = take(at + 20, bytes.readUInt32BE(at + 16));
      replies.push({ kind: 'chunk', cookie, type: bytes.readUInt16BE(at + 6), done: bytes.readUInt16BE(at + 4) === 1, data });
      at += 20 + data.length;
    } else throw new Error(`no reply at ${at}: ${magic.toString(16)}`);
  }
  return replies;
};
