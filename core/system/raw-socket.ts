// Sending and receiving whole Ethernet frames: AF_PACKET through libc by koffi, an optional dependency. Only calls that do
// not block. Where koffi or the right is missing the answer is a sentence, and the caller has another way.
import { reasonOf } from '../errors/errors.js';

/** One raw socket on one interface. */
export interface RawSocket {
  /** The interface's own hardware address; null when it has none (loopback, tunnels): then there are no neighbours. */
  readonly mac: Uint8Array | null;
  send(frame: Uint8Array): void;
  /** The next frame that has arrived, or null when there is none yet. */
  receive(): Uint8Array | null;
  close(): void;
}

/** Opens a socket on an interface for one EtherType. Throws with errno in words. */
export type OpenRaw = (interfaceName: string, etherType: number) => RawSocket;

const AF_PACKET = 17;
const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000;
const EAGAIN = 11;
const FRAME_BYTES = 2048;

let loaded: Promise<OpenRaw | string> | undefined;

/** The way to open raw sockets, or why there is none. Loaded once (20–40 ms): ask early, not in a failover. */
export const rawSockets = (): Promise<OpenRaw | string> => {
  loaded ??= load().catch((problem) => `koffi could not be loaded: ${reasonOf(problem)}`);
  return loaded;
};

const load = async (): Promise<OpenRaw> => {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load('libc.so.6');
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const bind = libc.func('int bind(int fd, const uint8_t *address, uint32_t length)');
  const getsockname = libc.func('int getsockname(int fd, uint8_t *address, _Inout_ uint32_t *length)');
  const send = libc.func('long send(int fd, const uint8_t *bytes, size_t length, int flags)');
  const recv = libc.func('long recv(int fd, _Out_ uint8_t *bytes, size_t length, int flags)');
  const close = libc.func('int close(int fd)');
  const indexOf = libc.func('uint32_t if_nametoindex(const char *name)');

  return (interfaceName, etherType) => {
    const failed = (what: string) => new Error(`${what} on ${interfaceName}: errno ${koffi.errno()}`);
    const index = indexOf(interfaceName) as number;
    if (index === 0) throw failed('no such interface');
    const networkOrder = ((etherType & 0xff) << 8) | (etherType >> 8);
    const fd = socket(AF_PACKET, SOCK_RAW_CLOEXEC_NONBLOCK, networkOrder) as number;
    if (fd < 0) throw failed('no raw socket (root or CAP_NET_RAW is needed)');
    const address = linkAddress(etherType, index);
    if (bind(fd, address, address.length) !== 0) {
      const problem = failed('bind of the raw socket');
      close(fd);
      throw problem;
    }
    getsockname(fd, address, [address.length]);
    const buffer = Buffer.alloc(FRAME_BYTES);
    return {
      mac: hardwareAddress(address),
      send: (frame) => {
        if (send(fd, frame, frame.length, 0) !== frame.length) throw failed('frame not sent');
      },
      receive: () => {
        const bytes = Number(recv(fd, buffer, buffer.length, 0));
        if (bytes >= 0) return Uint8Array.prototype.slice.call(buffer, 0, bytes);
        if (koffi.errno() === EAGAIN) return null;
        throw failed('frame not received');
      },
      close: () => close(fd),
    };
  };
};

/** struct sockaddr_ll: family, protocol in network order, interface index; the rest is zero. Source: packet(7). */
const linkAddress = (etherType: number, index: number): Buffer => {
  const address = Buffer.alloc(20);
  const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  if (little) address.writeUInt16LE(AF_PACKET, 0);
  else address.writeUInt16BE(AF_PACKET, 0);
  address.writeUInt16BE(etherType, 2);
  if (little) address.writeInt32LE(index, 4);
  else address.writeInt32BE(index, 4);
  return address;
};

/** Filled in by getsockname: byte 11 is the length of the address that begins at 12. */
const hardwareAddress = (address: Buffer): Uint8Array | null => {
  const mac = Uint8Array.from(address.subarray(12, 18));
  return address[11] === 6 && mac.some((byte) => byte !== 0) ? mac : null;
};
