// One heartbeat datagram (SAFETY S1): a header of fixed size, a body, and a tag of 32 bytes over both (frame-mac.ts). Pure.
// Nothing but lengths, magic, version and key id is looked at before the tag is verified; the tag's length and algorithm
// are constants, never read from the frame. A frame that is wrong in any way is a reason, never a throw.
import { createHash } from 'node:crypto';
import type { BootId, ClusterId, NodeId } from '../model/ids.js';
import { type FrameMac, TAG_BYTES, hmacSha256 } from './frame-mac.js';

/** The longest datagram: fits every path without fragments. */
export const MAX_FRAME_BYTES = 1024;
export const NONCE_BYTES = 16;

const MAGIC = 0x5553_4842; // "USHB"
const VERSION = 1;
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
  /** Default: HMAC-SHA-256, and nothing else outside of a simulated world. */
  readonly mac?: FrameMac | undefined;
}

const nameHash = (kind: string, name: string): Buffer => createHash('sha256').update(`understudy ${kind}\0${name}`).digest().subarray(0, 8);

/** Whether these eight bytes stand there. Compared as two numbers: to cut them out first costs ten times as much. */
const isAt = (bytes: Buffer, at: number, name: Buffer): boolean =>
  bytes.readUInt32BE(at) === name.readUInt32BE(0) && bytes.readUInt32BE(at + 4) === name.readUInt32BE(4);

/** Whole numbers of eight bytes, without a BigInt for each. */
const writeCount = (bytes: Buffer, value: number, at: number): void => {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  bytes.writeUInt32BE(value % 2 ** 32, at + 4);
};
/** null when it is more than a number can say exactly. */
const readCount = (bytes: Buffer, at: number): number | null => {
  const high = bytes.readUInt32BE(at);
  return high < 2 ** 21 ? high * 2 ** 32 + bytes.readUInt32BE(at + 4) : null;
};

const isBootId = (text: string): boolean => /^[!-~]{1,32}$/.test(text);

/** What is the same in every frame to one peer, as long as nonces and boot do not change. */
interface Header {
  readonly bytes: Buffer;
  bootId: BootId;
  challenge: string;
  answer: string | null;
}

/** One sender of whom frames come. */
interface Sender {
  readonly peer: NodeId;
  readonly name: Buffer;
  /** The boot in its last frame, as its 32 bytes and as what they say; null: no boot. */
  bootBytes: string;
  bootId: BootId | null;
}

/** Makes the codec of one node. Receives only what is addressed to it by one of `peers` of the same cluster. */
export const createFrameCodec = ({ cluster, self, peers, keys, mac = hmacSha256 }: FrameIdentity): FrameCodec => {
  const clusterName = nameHash('cluster', cluster);
  const ownName = nameHash('node', self);
  const sealOf = new Map(keys.all.map(({ id, bytes }) => [id, mac(bytes)]));
  const current = sealOf.get(keys.current.id);
  const senders = peers.map((peer): Sender => ({ peer, name: nameHash('node', peer), bootBytes: '', bootId: null }));
  const headerFor = (name: Buffer): Header => {
    const bytes = Buffer.alloc(AT.body);
    bytes.writeUInt32BE(MAGIC, AT.magic);
    bytes[AT.version] = VERSION;
    bytes.writeUInt16BE(keys.current.id, AT.key);
    clusterName.copy(bytes, AT.cluster);
    ownName.copy(bytes, AT.sender);
    name.copy(bytes, AT.recipient);
    return { bytes, bootId: '', challenge: NO_NONCE, answer: null };
  };
  const headers = new Map(senders.map(({ peer, name }) => [peer, headerFor(name)]));

  const encode = (frame: Frame): Uint8Array => {
    const header = headers.get(frame.peer);
    if (header === undefined || current === undefined)
      throw new RangeError(`heartbeat frame: no peer ${frame.peer} or no key ${keys.current.id}`);
    if (frame.body.length > MAX_BODY_BYTES) throw new RangeError('heartbeat frame: the body does not fit');
    prepare(header, frame);
    const end = AT.body + frame.body.length;
    // Every byte of it is written below.
    const bytes = Buffer.allocUnsafe(end + TAG_BYTES);
    bytes.set(header.bytes);
    bytes.writeUInt8(frame.network, AT.network);
    writeCount(bytes, frame.seq, AT.seq);
    writeCount(bytes, frame.sentUs, AT.sent);
    writeCount(bytes, frame.echo?.sentUs ?? 0, AT.echoSent);
    bytes.writeUInt32BE(frame.echo?.heldUs ?? 0, AT.echoHold);
    bytes.writeUInt16BE(frame.body.length, AT.length);
    bytes.set(frame.body, AT.body);
    current.seal(bytes, end);
    return bytes;
  };

  const senderOf = (bytes: Buffer): Sender | undefined => {
    for (const sender of senders) if (isAt(bytes, AT.sender, sender.name)) return sender;
    return undefined;
  };

  const decode = (received: Uint8Array): Decoded => {
    const bytes = Buffer.isBuffer(received) ? received : Buffer.from(received.buffer, received.byteOffset, received.byteLength);
    if (bytes.length > MAX_FRAME_BYTES) return drop('too-long');
    if (bytes.length < AT.body + TAG_BYTES) return drop('too-short');
    if (bytes.readUInt32BE(AT.magic) !== MAGIC || bytes[AT.version] !== VERSION) return drop('not-ours');
    const seal = sealOf.get(bytes.readUInt16BE(AT.key));
    if (seal === undefined) return drop('unknown-key');
    const end = bytes.length - TAG_BYTES;
    if (!seal.holds(bytes, end)) return drop('bad-tag');
    if (!isAt(bytes, AT.cluster, clusterName)) return drop('wrong-cluster');
    if (!isAt(bytes, AT.recipient, ownName)) return drop('wrong-recipient');
    const sender = senderOf(bytes);
    if (sender === undefined) return drop('unknown-sender');
    const bootId = bootOf(sender, bytes);
    const seq = readCount(bytes, AT.seq);
    const sentUs = readCount(bytes, AT.sent);
    const echoSentUs = readCount(bytes, AT.echoSent);
    if (bootId === null || seq === null || sentUs === null || echoSentUs === null || bytes.readUInt16BE(AT.length) !== end - AT.body)
      return drop('bad-header');
    const answer = bytes.toString('hex', AT.echo, AT.echo + NONCE_BYTES);
    return {
      ok: true,
      frame: {
        peer: sender.peer,
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

const drop = (reason: DropReason): Decoded => ({ ok: false, reason });

/** Brings the boot and the nonces of a header up to those of the frame. */
const prepare = (header: Header, { bootId, challenge, answer }: Frame): void => {
  const { bytes } = header;
  if (bootId !== header.bootId) {
    if (!isBootId(bootId)) throw new RangeError('heartbeat frame: the bootId does not fit');
    bytes.fill(0, AT.boot, AT.boot + BOOT_BYTES).write(bootId, AT.boot, 'latin1');
    header.bootId = bootId;
  }
  if (challenge !== header.challenge) {
    bytes.write(challenge, AT.challenge, NONCE_BYTES, 'hex');
    header.challenge = challenge;
  }
  if (answer !== header.answer) {
    bytes.write(answer ?? NO_NONCE, AT.echo, NONCE_BYTES, 'hex');
    header.answer = answer;
  }
};

/** The boot that a frame names, the one before remembered; null when it is none. */
const bootOf = (sender: Sender, bytes: Buffer): BootId | null => {
  const bootBytes = bytes.toString('latin1', AT.boot, AT.boot + BOOT_BYTES);
  if (bootBytes !== sender.bootBytes) {
    const text = bootBytes.replace(/\0+$/, '');
    sender.bootBytes = bootBytes;
    sender.bootId = isBootId(text) ? text : null;
  }
  return sender.bootId;
};
