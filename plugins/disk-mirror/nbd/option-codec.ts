// Options and their replies as bytes: reading what a client sends during the handshake, writing what it is told. Pure; a
// malformed option is null, never a throw.
import { isUtf8 } from 'node:buffer';
import type { NbdExport } from './export.js';
import { INFO, MAX_STRING_BYTES, OPTION_REPLY_MAGIC, REPLY, TRANSMISSION } from './protocol.js';

/** One reply to `option`. Text of an error is for people. */
export const optionReply = (option: number, type: number, data: Buffer | string = ''): Buffer => {
  const body = typeof data === 'string' ? Buffer.from(data) : data;
  const reply = Buffer.allocUnsafe(20 + body.length);
  reply.writeUInt32BE(OPTION_REPLY_MAGIC[0], 0);
  reply.writeUInt32BE(OPTION_REPLY_MAGIC[1], 4);
  reply.writeUInt32BE(option, 8);
  reply.writeUInt32BE(type, 12);
  reply.writeUInt32BE(body.length, 16);
  body.copy(reply, 20);
  return reply;
};

/** What INFO and GO ask: the export's name and the kinds of information. */
export interface InfoRequest {
  readonly name: string;
  readonly kinds: ReadonlySet<number>;
}

export const readInfoRequest = (data: Buffer): InfoRequest | null => {
  const name = readString(data, 0);
  if (name === null || name.end + 2 > data.length) return null;
  const count = data.readUInt16BE(name.end);
  if (name.end + 2 + 2 * count !== data.length) return null;
  const kinds = new Set<number>();
  for (let at = name.end + 2; at < data.length; at += 2) kinds.add(data.readUInt16BE(at));
  return { name: name.text, kinds };
};

/** What LIST_META_CONTEXT and SET_META_CONTEXT ask. */
export interface ContextRequest {
  readonly name: string;
  readonly queries: readonly string[];
}

export const readContextRequest = (data: Buffer): ContextRequest | null => {
  const name = readString(data, 0);
  if (name === null || name.end + 4 > data.length) return null;
  const count = data.readUInt32BE(name.end);
  const queries: string[] = [];
  let at = name.end + 4;
  // Each query takes four bytes at least: a count beyond the data ends at its end.
  for (let left = count; left > 0; left -= 1) {
    const query = readString(data, at);
    if (query === null || !/^[^:\s]+:/.test(query.text)) return null;
    queries.push(query.text);
    at = query.end;
  }
  return at === data.length ? { name: name.text, queries } : null;
};

const readString = (data: Buffer, at: number): { readonly text: string; readonly end: number } | null => {
  if (at + 4 > data.length) return null;
  const end = at + 4 + data.readUInt32BE(at);
  if (end > data.length) return null;
  const text = readName(data.subarray(at + 4, end));
  return text === null ? null : { text, end };
};

/** A string of the protocol: UTF-8 without zero bytes, not longer than allowed. */
export const readName = (bytes: Buffer): string | null =>
  bytes.length <= MAX_STRING_BYTES && isUtf8(bytes) && !bytes.includes(0) ? bytes.toString() : null;

/** The contexts that match: the name itself, or (to list only) `namespace:` for all of a namespace. */
export const matchContexts = (contexts: readonly string[], queries: readonly string[], wildcards: boolean): readonly string[] =>
  contexts.filter((context) => queries.some((query) => query === context || (wildcards && query === `${context.split(':')[0]}:`)));

export const contextReply = (option: number, id: number, context: string): Buffer => {
  const data = Buffer.alloc(4 + Buffer.byteLength(context));
  data.writeUInt32BE(id);
  data.write(context, 4);
  return optionReply(option, REPLY.metaContext, data);
};

export const serverReply = (option: number, { name, description }: NbdExport): Buffer => {
  const length = Buffer.byteLength(name);
  const data = Buffer.alloc(4 + length + Buffer.byteLength(description));
  data.writeUInt32BE(length);
  data.write(name, 4);
  data.write(description, 4 + length);
  return optionReply(option, REPLY.server, data);
};

/** Bytes that can be addressed: what lies behind the last whole block cannot. */
export const servedBytes = ({ minimumBlockBytes }: NbdExport, sizeBytes: number): number => sizeBytes - (sizeBytes % minimumBlockBytes);

/** Never CAN_MULTI_CONN: there is one client. */
export const transmissionFlags = ({ readOnly }: NbdExport, structured: boolean): number =>
  TRANSMISSION.hasFlags |
  TRANSMISSION.sendFlush |
  TRANSMISSION.sendFua |
  (readOnly ? TRANSMISSION.readOnly : TRANSMISSION.sendTrim | TRANSMISSION.sendWriteZeroes | TRANSMISSION.sendFastZero) |
  (structured ? TRANSMISSION.sendDf : 0);

/** The information on an export that was asked for, and what a client must know unasked. */
export const infoReplies = (
  option: number,
  served: NbdExport,
  sizeBytes: number,
  structured: boolean,
  kinds: ReadonlySet<number>,
): Buffer => {
  const about = Buffer.alloc(12);
  about.writeUInt16BE(INFO.export, 0);
  about.writeBigUInt64BE(BigInt(servedBytes(served, sizeBytes)), 2);
  about.writeUInt16BE(transmissionFlags(served, structured), 10);
  const replies = [optionReply(option, REPLY.info, about)];
  if (kinds.has(INFO.blockSize) || served.minimumBlockBytes !== 1) {
    const sizes = Buffer.alloc(14);
    sizes.writeUInt16BE(INFO.blockSize, 0);
    sizes.writeUInt32BE(served.minimumBlockBytes, 2);
    sizes.writeUInt32BE(served.preferredBlockBytes, 6);
    sizes.writeUInt32BE(served.maximumBlockBytes, 10);
    replies.push(optionReply(option, REPLY.info, sizes));
  }
  if (kinds.has(INFO.name)) replies.push(optionReply(option, REPLY.info, infoText(INFO.name, served.name)));
  if (kinds.has(INFO.description)) replies.push(optionReply(option, REPLY.info, infoText(INFO.description, served.description)));
  return Buffer.concat(replies);
};

const infoText = (kind: number, text: string): Buffer => {
  const data = Buffer.alloc(2 + Buffer.byteLength(text));
  data.writeUInt16BE(kind);
  data.write(text, 2);
  return data;
};
