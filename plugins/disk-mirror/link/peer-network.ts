// Sockets between the two mirror processes: TLS 1.3 with a pre-shared key of the cluster, or, in the lab on loopback addresses
// only, none. What goes over them is frame-connection's; who may connect is checked here before a byte of it.
import { hkdfSync } from 'node:crypto';
import { connect as connectPlain, createServer, isIP, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTls } from 'node:tls';
import { type ClusterKey, type ClusterKeys, UnderstudyError } from 'understudy/plugin';
import type { LinkIdentity } from './layout.js';

/** Where the bytes of a socket go that this end dialled: they are read straight into the memory that the receiver names. */
export interface Sink {
  buffer(): Uint8Array;
  received(bytes: number, into: Uint8Array): void;
}

export interface PeerNetwork {
  /** Calls `connected` for each socket that may speak for the peer. Rejects with the system's error. */
  listen(at: ListenAt, connected: (socket: Socket) => void, refused: (because: string) => void): Promise<Listening>;
  /** Rejects with the system's error or TIMED_OUT. */
  connect(to: Endpoint, sink: Sink): Promise<Socket>;
}

export interface ListenAt {
  readonly address: string;
  readonly port: number;
  /** The one address from which the peer comes; others are sent away before a byte of theirs is read. */
  readonly from: string;
}

export interface Listening {
  close(): Promise<void>;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string;
  readonly timeoutMs: number;
}

/** The only suite: TLS 1.3 pre-shared keys are bound to SHA-256, and this one is the fastest with AES instructions. */
const COMMON = { ciphers: 'TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;
const HANDSHAKE_MS = 3000;
/** The one, one that takes its place, and a few strangers that have not yet been sent away. */
const MAX_CONNECTIONS = 16;

/** A key of its own for each volume, so that what one leaks opens no other. */
const pskOf = ({ bytes }: ClusterKey, { cluster, group, volume }: LinkIdentity): Buffer =>
  Buffer.from(hkdfSync('sha256', bytes, Buffer.alloc(0), `understudy mirror link 1 ${JSON.stringify([cluster, group, volume])}`, 32));

const identityOf = ({ cluster, group, volume, node }: LinkIdentity, key: ClusterKey): string =>
  JSON.stringify([cluster, group, volume, node, key.id]);

export const secureNetwork = (keys: ClusterKeys, self: LinkIdentity, peer: string): PeerNetwork => {
  const known = new Map(keys.all.map((key) => [identityOf({ ...self, node: peer }, key), pskOf(key, self)]));
  // Without a key the handshake fails as it does with a wrong one.
  const pskCallback = (_socket: unknown, identity: string) => known.get(identity) ?? null;
  return {
    listen: (at, connected, refused) => {
      const secure = createTls({ ...COMMON, pskCallback, handshakeTimeout: HANDSHAKE_MS }, connected);
      secure.on('tlsClientError', (error) => refused(`a connection failed its handshake: ${error.message}`));
      // A server that listens by itself would begin the handshake with anybody.
      return listening(at, (socket) => void secure.emit('connection', socket), refused);
    },
    connect: ({ host, port, localAddress, timeoutMs }, sink) => {
      const psk = pskOf(keys.current, self);
      const options = {
        ...COMMON,
        host,
        port,
        localAddress,
        onread: onread(sink),
        checkServerIdentity: () => undefined,
        pskCallback: () => ({ psk, identity: identityOf(self, keys.current) }),
      };
      return connected(connectTls(options), 'secureConnect', `${host}:${port}`, timeoutMs);
    },
  };
};

/** Throws REFUSED where an address is not this host's own loopback: there anybody could read and change the data. */
export const insecureNetwork = (addresses: readonly string[]): PeerNetwork => {
  const open = addresses.find((address) => !isLoopback(address));
  if (open !== undefined)
    throw new UnderstudyError('REFUSED', `the mirror may not speak unencrypted over ${open}`, {
      hint: '`insecure: true` is for loopback addresses only: leave it out, and the link is encrypted with the cluster key.',
    });
  return {
    listen: listening,
    connect: ({ host, port, localAddress, timeoutMs }, sink) =>
      connected(connectPlain({ host, port, localAddress, noDelay: true, onread: onread(sink) }), 'connect', `${host}:${port}`, timeoutMs),
  };
};

const isLoopback = (address: string): boolean => (isIP(address) === 4 && address.startsWith('127.')) || address === '::1';

const onread = (sink: Sink) => ({
  buffer: () => sink.buffer(),
  callback: (bytes: number, into: Uint8Array) => {
    sink.received(bytes, into);
    return true;
  },
});

const listening = (
  { address, port, from }: ListenAt,
  deliver: (socket: Socket) => void,
  refused: (because: string) => void,
): Promise<Listening> =>
  new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, (socket) => {
      const { remoteAddress = 'nowhere' } = socket;
      if (remoteAddress === from || remoteAddress === `::ffff:${from}`) return deliver(socket);
      sendAway(socket);
      refused(`a connection came from ${remoteAddress}, the peer's address there is ${from}`);
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.once('error', reject);
    server.listen({ host: address, port }, () => {
      server.off('error', reject);
      server.on('error', (error) => refused(error.message));
      resolve({ close: () => new Promise((closed) => server.close(() => closed())) });
    });
  });

/** What becomes of it matters to nobody. */
export const sendAway = (socket: Socket): void => {
  socket.on('error', () => {});
  socket.destroy();
};

const connected = <S extends Socket>(socket: S, event: string, where: string, timeoutMs: number): Promise<S> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => socket.destroy(new UnderstudyError('TIMED_OUT', `connecting to ${where} took longer than ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('close', () => clearTimeout(timer));
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off('error', reject);
      resolve(socket);
    });
  });
