// The kernel’s NBD driver by generic netlink, as bytes: pure. Why not nbd-client: only netlink can give a device a time for which
// it waits for a new connection (dead_conn_timeout), and put that connection in place (reconfigure): so a restart of the
// mirror's process is a pause for the application and no error. Source: linux/nbd-netlink.h, linux/genetlink.h, netlink(7).

/** Kind of each attribute: its number, and how wide its value is. */
const ATTRIBUTE = {
  index: 1,
  sizeBytes: 2,
  blockBytes: 3,
  timeoutS: 4,
  serverFlags: 5,
  clientFlags: 6,
  sockets: 7,
  deadConnS: 8,
  backend: 10,
} as const;
const [SOCK_ITEM, SOCK_FD] = [1, 1];
const COMMAND = { connect: 1, disconnect: 2, reconfigure: 3 } as const;
const [CTRL_GETFAMILY, CTRL_FAMILY_ID, CTRL_FAMILY_NAME] = [3, 1, 2];
const [NLM_F_REQUEST, NLM_F_ACK] = [1, 4];
const NLMSG_ERROR = 2;
/** `nlctrl`, which knows the numbers of all other families. */
const GENL_ID_CTRL = 16;
const NETLINK_HEADER = 16;
const GENERIC_HEADER = 4;
/** The driver's messages have had one version since there have been any. */
const NBD_VERSION = 1;

export interface DeviceSetup {
  /** N of /dev/nbdN. */
  readonly index: number;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** Transmission flags of the NBD protocol, as the server would have sent them. */
  readonly serverFlags: number;
  /** So long the device waits for a new connection when its last one has died; requests wait with it. */
  readonly deadConnectionS: number;
  /** Named at the first connection; the driver refuses another name later (Linux 5.12). */
  readonly backend: string;
  /** One end of a socket pair; the driver takes a reference of its own. */
  readonly socketFd: number;
}

const padded = (length: number): number => (length + 3) & ~3;

const attribute = (kind: number, value: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(padded(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(kind, 2);
  bytes.set(value, 4);
  return bytes;
};

const u32 = (kind: number, value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return attribute(kind, bytes);
};

const u64 = (kind: number, value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return attribute(kind, bytes);
};

const text = (kind: number, value: string): Buffer => attribute(kind, Buffer.from(`${value}\0`));

const message = (family: number, sequence: number, command: number, version: number, attributes: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(attributes);
  const bytes = Buffer.alloc(NETLINK_HEADER + GENERIC_HEADER);
  bytes.writeUInt32LE(bytes.length + body.length, 0);
  bytes.writeUInt16LE(family, 4);
  bytes.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.writeUInt8(command, NETLINK_HEADER);
  bytes.writeUInt8(version, NETLINK_HEADER + 1);
  return Buffer.concat([bytes, body]);
};

/** Asks for the number under which the driver is reached. */
export const askFamily = (sequence: number): Buffer => message(GENL_ID_CTRL, sequence, CTRL_GETFAMILY, 1, [text(CTRL_FAMILY_NAME, 'nbd')]);

const sockets = (fd: number): Buffer => attribute(ATTRIBUTE.sockets, attribute(SOCK_ITEM, u32(SOCK_FD, fd)));

/** Sets a free device up. A request timeout of 0 is left out: then the driver waits for an answer as long as it takes. */
export const connectDevice = (family: number, sequence: number, setup: DeviceSetup): Buffer =>
  message(family, sequence, COMMAND.connect, NBD_VERSION, [
    u32(ATTRIBUTE.index, setup.index),
    u64(ATTRIBUTE.sizeBytes, setup.sizeBytes),
    u64(ATTRIBUTE.blockBytes, setup.blockBytes),
    u64(ATTRIBUTE.serverFlags, setup.serverFlags),
    u64(ATTRIBUTE.deadConnS, setup.deadConnectionS),
    text(ATTRIBUTE.backend, setup.backend),
    sockets(setup.socketFd),
  ]);

/** Puts a new connection in the place of a dead one; what waits is sent again. A volume that was grown meanwhile is so at once (Linux 5.3). */
export const reconnectDevice = (
  family: number,
  sequence: number,
  { index, sizeBytes, deadConnectionS, backend, socketFd }: DeviceSetup,
): Buffer =>
  message(family, sequence, COMMAND.reconfigure, NBD_VERSION, [
    u32(ATTRIBUTE.index, index),
    u64(ATTRIBUTE.sizeBytes, sizeBytes),
    u64(ATTRIBUTE.deadConnS, deadConnectionS),
    text(ATTRIBUTE.backend, backend),
    sockets(socketFd),
  ]);

export const disconnectDevice = (family: number, sequence: number, index: number): Buffer =>
  message(family, sequence, COMMAND.disconnect, NBD_VERSION, [u32(ATTRIBUTE.index, index)]);

export type Reply =
  /** 0 = done, else an errno. */
  | { readonly kind: 'status'; readonly sequence: number; readonly errno: number }
  | { readonly kind: 'family'; readonly sequence: number; readonly family: number }
  | { readonly kind: 'other'; readonly sequence: number };

/** The messages of one datagram. Throws RangeError when it is cut short. */
export const readReplies = (bytes: Buffer): readonly Reply[] => {
  const replies: Reply[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < NETLINK_HEADER || at + length > bytes.length)
      throw new RangeError(`a netlink message of ${length} bytes in ${bytes.length - at}`);
    replies.push(readReply(bytes.subarray(at, at + length)));
    at += padded(length);
  }
  return replies;
};

const readReply = (bytes: Buffer): Reply => {
  const [kind, sequence] = [bytes.readUInt16LE(4), bytes.readUInt32LE(8)];
  if (kind === NLMSG_ERROR) return { kind: 'status', sequence, errno: Math.abs(bytes.readInt32LE(NETLINK_HEADER)) };
  const family = kind === GENL_ID_CTRL ? attributeOf(bytes.subarray(NETLINK_HEADER + GENERIC_HEADER), CTRL_FAMILY_ID) : null;
  return family === null ? { kind: 'other', sequence } : { kind: 'family', sequence, family: family.readUInt16LE(0) };
};

const attributeOf = (bytes: Buffer, wanted: number): Buffer | null => {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [length, kind] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)];
    if (length < 4 || at + length > bytes.length) throw new RangeError(`a netlink attribute of ${length} bytes in ${bytes.length - at}`);
    if (kind === wanted) return bytes.subarray(at + 4, at + length);
    at += padded(length);
  }
  return null;
};
