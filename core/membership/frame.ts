// One heartbeat datagram (SAFETY S1): a header of fixed size, a body, and an HMAC-SHA-256 of 32 bytes over both. Pure.
// Nothing but lengths, magic, version and key id is looked at before the tag is verified; the tag's length and algorithm
// are constants, never read from the frame. A frame that is wrong in any way is a reason, never a throw.
import { type KeyObject, createHash, createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { BootId, ClusterId, NodeId } from '../model/ids.js';

/** The longest datagram: fits every path without fragments. */
export const MAX_FRAME_BYTES = 1024;
export const NONCE_BYTES = 16;

const MAGIC = 0x5553_4842; // "USHB"
const VERSION = 1;
const TAG_BYTES = 32;
const BOOT_BYTES = 32;
const NO_NONCE = '0'.repeat(2 * NONCE_BYTES);

// Where each field begins. Numbers are big-endian.
const AT = {
  magic: 0,
  version: 4,
  network: 5,
  key: 6,
  cluster: 8,
  sender: 16,
  recipient: 24,
  boot: 32,
  seq: 64,
  sent: 72,
  echoSent: 80,
  echoHold: 88,
  length: 92,
  challenge: 94,
  echo: 110,
  body: 126,
} as const;

/** How much of a frame is left for the body. */
export const MAX_BODY_BYTES = MAX_FRAME_BYTES - AT.body - TAG_BYTES;

export interface Frame {
  /** Who sends it when it is received, who shall get it when it is sent. */
  readonly peer: NodeId;
  readonly bootId: BootId;
  /** Grows with every frame from this sender to this recipient, over all networks and all processes of one boot. */
  readonly seq: number;
  /** Index of the heartbeat network it is sent on. */
  readonly network: number;
  /** The sender's monotonic clock, microseconds. */
  readonly sentUs: number;
  /** `sentUs` of the last frame that came the other way on this network, and how long ago that came; null when none did. */
  readonly echo: { readonly sentUs: number; readonly heldUs: number } | null;
  /** Shall be given back in `answer`: whoever does so is alive in this moment of the receiver. 32 hex digits. */
  readonly challenge: string;
  /** The recipient's challenge, given back; null when the sender knows none. */
  readonly answer: string | null;
  /** Empty for a frame that only makes acquaintance. */
  readonly body: Uint8Array;
}

export type DropReason =
  | 'too-long'
  | 'too-short'
  | 'not-ours'
  | 'unknown-key'
  | 'bad-tag'
  | 'wrong-cluster'
  | 'wrong-recipient'
  | 'unknown-sender'
  | 'bad-header';
export type Decoded = { readonly ok: true; readonly frame: Frame } | { readonly ok: false; readonly reason: DropReason };

export interface FrameCodec {
  /** Throws RangeError when a field does not fit: a fault of the caller. */
  encode(frame: Frame): Uint8Array;
  decode(bytes: Uint8Array): Decoded;
}

export interface FrameIdentity {
  readonly cluster: ClusterId;
  readonly self: NodeId;
  readonly peers: readonly NodeId[];
  readonly keys: {
    readonly current: { readonly id: number };
    readonly all: readonly { readonly id: number; readonly bytes: Uint8Array }[];
  };
}

const nameHash = (kind: string, name: string): Buffer => createHash('sha256').update(`understudy ${kind}\0${name}`).digest().subarray(0, 8);
// The cluster key serves other protocols too: a signature made for one must mean nothing in another.
const frameKey = (bytes: Uint8Array): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', bytes, '', 'understudy heartbeat 1', 32)));
const tagOf = (key: KeyObject, signed: Uint8Array): Buffer => createHmac('sha256', key).update(signed).digest();

const safeNumber = (value: bigint): number | null => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null);

/** Makes the codec of one node. Receives only what is addressed to it by one of `peers` of the same cluster. */
export const createFrameCodec = ({ cluster, self, peers, keys }: FrameIdentity): FrameCodec => {
  const clusterHash = nameHash('cluster', cluster);
  const selfHash = nameHash('node', self);
  const hashOf = new Map(peers.map((peer) => [peer, nameHash('node', peer)]));
  const peerOf = new Map(peers.map((peer) => [nameHash('node', peer).toString('hex'), peer]));
  const keyOf = new Map(keys.all.map(({ id, bytes }) => [id, frameKey(bytes)]));

  const encode = (frame: Frame): Uint8Array => {
    const recipient = hashOf.get(frame.peer);
    const key = keyOf.get(keys.current.id);
    if (recipient === undefined || key === undefined)
      throw new RangeError(`heartbeat frame: no peer ${frame.peer} or no key ${keys.current.id}`);
    if (frame.body.length > MAX_BODY_BYTES || !/^[!-~]{1,32}$/.test(frame.bootId))
      throw new RangeError('heartbeat frame: body or bootId does not fit');
    const bytes = Buffer.alloc(AT.body + frame.body.length + TAG_BYTES);
    bytes.writeUInt32BE(MAGIC, AT.magic);
    bytes[AT.version] = VERSION;
    bytes.writeUInt8(frame.network, AT.network);
    bytes.writeUInt16BE(keys.current.id, AT.key);
    clusterHash.copy(bytes, AT.cluster);
    selfHash.copy(bytes, AT.sender);
    recipient.copy(bytes, AT.recipient);
    bytes.write(frame.bootId, AT.boot, 'latin1');
    bytes.writeBigUInt64BE(BigInt(frame.seq), AT.seq);
    bytes.writeBigUInt64BE(BigInt(frame.sentUs), AT.sent);
    bytes.writeBigUInt64BE(BigInt(frame.echo?.sentUs ?? 0), AT.echoSent);
    bytes.writeUInt32BE(frame.echo?.heldUs ?? 0, AT.echoHold);
    bytes.writeUInt16BE(frame.body.length, AT.length);
    bytes.write(frame.challenge, AT.challenge, NONCE_BYTES, 'hex');
    bytes.write(frame.answer ?? NO_NONCE, AT.echo, NONCE_BYTES, 'hex');
    bytes.set(frame.body, AT.body);
    const end = AT.body + frame.body.length;
    tagOf(key, bytes.subarray(0, end)).copy(bytes, end);
    return bytes;
  };

  const drop = (reason: DropReason): Decoded => ({ ok: false, reason });

  const decode = (received: Uint8Array): Decoded => {
    const bytes = Buffer.from(received.buffer, received.byteOffset, received.byteLength);
    if (bytes.length > MAX_FRAME_BYTES) return drop('too-long');
    if (bytes.length < AT.body + TAG_BYTES) return drop('too-short');
    if (bytes.readUInt32BE(AT.magic) !== MAGIC || bytes[AT.version] !== VERSION) return drop('not-ours');
    const key = keyOf.get(bytes.readUInt16BE(AT.key));
    if (key === undefined) return drop('unknown-key');
    const end = bytes.length - TAG_BYTES;
    if (!timingSafeEqual(tagOf(key, bytes.subarray(0, end)), bytes.subarray(end))) return drop('bad-tag');
    if (!bytes.subarray(AT.cluster, AT.cluster + 8).equals(clusterHash)) return drop('wrong-cluster');
    if (!bytes.subarray(AT.recipient, AT.recipient + 8).equals(selfHash)) return drop('wrong-recipient');
    const peer = peerOf.get(bytes.toString('hex', AT.sender, AT.sender + 8));
    if (peer === undefined) return drop('unknown-sender');
    const bootId = bytes.toString('latin1', AT.boot, AT.boot + BOOT_BYTES).replace(/\0+$/, '');
    const seq = safeNumber(bytes.readBigUInt64BE(AT.seq));
    const sentUs = safeNumber(bytes.readBigUInt64BE(AT.sent));
    const echoSentUs = safeNumber(bytes.readBigUInt64BE(AT.echoSent));
    if (
      seq === null ||
      sentUs === null ||
      echoSentUs === null ||
      !/^[!-~]{1,32}$/.test(bootId) ||
      bytes.readUInt16BE(AT.length) !== end - AT.body
    )
      return drop('bad-header');
    const answer = bytes.toString('hex', AT.echo, AT.echo + NONCE_BYTES);
    return {
      ok: true,
      frame: {
        peer,
        bootId,
        seq,
        network: bytes[AT.network]!,
        sentUs,
        echo: echoSentUs === 0 ? null : { sentUs: echoSentUs, heldUs: bytes.readUInt32BE(AT.echoHold) },
        challenge: bytes.toString('hex', AT.challenge, AT.challenge + NONCE_BYTES),
        answer: answer === NO_NONCE ? null : answer,
        body: bytes.subarray(AT.body, end),
      },
    };
  };

  return { encode, decode };
};
