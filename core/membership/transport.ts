// UDP as heartbeats need it: one socket per own address, numeric addresses only, nothing that waits for a name service or
// the thread pool. The factory is injected, so that tests run the same heartbeats on a network of their own.
import { type Socket, createSocket } from 'node:dgram';
import { SocketAddress, isIP } from 'node:net';
import type { NodeConfig } from '../config/cluster-config.js';
import { UnderstudyError, reasonOf } from '../errors/errors.js';

export interface DatagramSocket {
  /** Gives the datagram to the network. A failure is told to `onError`; nothing is sent again. */
  send(bytes: Uint8Array, port: number, address: string): void;
  close(): Promise<void>;
}

export interface DatagramListeners {
  readonly onMessage: (bytes: Uint8Array, fromAddress: string) => void;
  readonly onError: (error: Error) => void;
}

export interface DatagramSockets {
  /** Binds a socket to one own numeric address. Rejects when it cannot. */
  open(address: string, port: number, listeners: DatagramListeners): Promise<DatagramSocket>;
  /** Calls back after everything that waits in the sockets by now was given to the listeners. */
  drained(then: () => void): void;
}
export const DatagramSockets: unique symbol = Symbol('DatagramSockets');

/** The one spelling of a numeric address, as sockets report it; null when it is not numeric. */
export const canonicalAddress = (address: string): string | null => {
  const version = isIP(address);
  return version === 0 ? null : new SocketAddress({ address, family: version === 6 ? 'ipv6' : 'ipv4' }).address;
};

/** A node's own heartbeat addresses, one per network. Throws CONFIG_INVALID when one is a name. */
export const heartbeatAddresses = (node: NodeConfig): readonly string[] =>
  node.networks.heartbeat.map((address) => {
    const canonical = canonicalAddress(address);
    if (canonical !== null) return canonical;
    throw new UnderstudyError(
      'CONFIG_INVALID',
      `node ${node.id}: heartbeat address ${address} is not numeric, and heartbeats look no names up`,
    );
  });

const RECEIVE_BUFFER_BYTES = 256 * 1024;

const bind = (socket: Socket, address: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });

/** The sockets of this host. */
export const systemSockets: DatagramSockets = {
  async open(address, port, { onMessage, onError }) {
    const version = isIP(address);
    if (version === 0)
      throw new UnderstudyError(
        'CONFIG_INVALID',
        `cannot listen for heartbeats on ${address}: a numeric address is needed, names are not looked up`,
      );
    // The default lookup would take the way through a later tick; a numeric address needs none.
    const lookup = (host: string, _options: unknown, done: (error: null, address: string, family: number) => void) =>
      done(null, host, version);
    const socket = createSocket({ type: version === 6 ? 'udp6' : 'udp4', lookup: lookup as never, recvBufferSize: RECEIVE_BUFFER_BYTES });
    try {
      await bind(socket, address, port);
    } catch (error) {
      socket.close();
      throw new UnderstudyError(
        'CONFIG_INVALID',
        `cannot listen for heartbeats on ${address} port ${port}: ${reasonOf(error)}; is it an address of this host, and is no other guard running?`,
        { cause: error, hint: 'Check networks.heartbeat of this node, and ip address on this host.' },
      );
    }
    socket.on('error', onError);
    socket.on('message', (bytes, from) => onMessage(bytes, from.address));
    return {
      send: (bytes, toPort, toAddress) => socket.send(bytes, toPort, toAddress, (error) => error && onError(error)),
      close: () => new Promise((resolve) => socket.close(() => resolve())),
    };
  },
  // From a timer the first immediate runs after one poll phase; the second covers callers outside the timer phase.
  drained: (then) => void setImmediate(() => setImmediate(then)),
};
