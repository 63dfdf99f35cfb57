// TLS 1.3 between nodes that share the cluster key: a pre-shared key, no certificates, forward secrecy. The key on the wire
// is derived, so that a fault here gives nothing away about the key that signs heartbeats.
import { hkdfSync } from 'node:crypto';
import { connect, type ConnectionOptions, createServer, type Server, type TLSSocket } from 'node:tls';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { ClusterKey, ClusterKeys } from './key-file.js';

/** The only suite: TLS 1.3 pre-shared keys are bound to SHA-256, and this one is the fastest with AES instructions. */
const COMMON = { ciphers: 'TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

/** What is spoken over the connection: each has a key of its own, so that neither end can be led into the other's protocol. */
export type Purpose = 'cluster link' | 'mirror';

const pskOf = ({ bytes }: ClusterKey, purpose: Purpose): Buffer =>
  Buffer.from(hkdfSync('sha256', bytes, Buffer.alloc(0), `understudy ${purpose} 1`, 32));

/** Who speaks and with which of two keys, as the identity of the handshake. */
const identityOf = (cluster: string, node: string, key: ClusterKey): string => JSON.stringify([cluster, node, key.id]);

const parseIdentity = (identity: string): readonly unknown[] => {
  try {
    const value: unknown = JSON.parse(identity);
    return Array.isArray(value) ? value : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
};

const MAX_CONNECTIONS = 64;

/** Who came, or who could not. */
export interface StreamListeners {
  /** `peer`: the node it says it is; that it is of this cluster is proven. */
  connected(socket: TLSSocket, peer: string): void;
  /** Somebody came who does not share the key. */
  refused(because: string): void;
  /** A connection could not be taken; those that are there go on. */
  trouble(because: string): void;
}

/** Byte streams between the nodes of a cluster that share these keys. */
export interface SecureStreams {
  /** Rejects when it cannot listen on this own address. `close` ends no connection. */
  listen(address: string, port: number, listeners: StreamListeners): Promise<{ close(): Promise<void> }>;
  /** Connects from `localAddress`, so that each network is really its own path. Rejects when it does not succeed in time. */
  connect(to: StreamTarget): Promise<TLSSocket>;
}

export interface StreamTarget {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string;
  readonly timeoutMs: number;
}

export const secureStreams = (keys: ClusterKeys, cluster: string, node: string, purpose: Purpose): SecureStreams => ({
  listen: (address, port, { connected, refused, trouble }) =>
    new Promise((resolve, reject) => {
      const server = listenSecure(keys, cluster, purpose, connected);
      server.maxConnections = MAX_CONNECTIONS;
      server.on('tlsClientError', (error) => refused(reasonOf(error)));
      server.once('error', reject);
      server.listen({ host: address, port }, () => {
        server.off('error', reject);
        server.on('error', (error) => trouble(reasonOf(error)));
        resolve({ close: () => new Promise((closed) => server.close(() => closed())) });
      });
    }),
  connect: (to) => connectSecure(keys, cluster, node, purpose, to),
});

/** Listens; a stranger, or a node of another cluster, does not get past the handshake. */
const listenSecure = (
  keys: ClusterKeys,
  cluster: string,
  purpose: Purpose,
  onConnection: (socket: TLSSocket, peer: string) => void,
): Server => {
  const peers = new WeakMap<TLSSocket, string>();
  const pskCallback = (socket: TLSSocket, identity: string) => {
    const [theirs, peer, keyId] = parseIdentity(identity);
    peers.set(socket, String(peer));
    const key = keys.all.find(({ id }) => id === keyId);
    // An empty key never verifies: the handshake fails as it does for a wrong one.
    return theirs === cluster && key !== undefined ? pskOf(key, purpose) : null;
  };
  return createServer({ ...COMMON, pskCallback, handshakeTimeout: 3000 }, (socket) => onConnection(socket, peers.get(socket) ?? ''));
};

/** Connects from `localAddress`, so that each network is really its own path. Rejects with the system's error or TIMED_OUT. */
const connectSecure = (
  keys: ClusterKeys,
  cluster: string,
  node: string,
  purpose: Purpose,
  { host, port, localAddress, timeoutMs }: StreamTarget,
): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const psk = pskOf(keys.current, purpose);
    const options: ConnectionOptions & { localAddress: string } = {
      ...COMMON,
      host,
      port,
      localAddress,
      checkServerIdentity: () => undefined,
      pskCallback: () => ({ psk, identity: identityOf(cluster, node, keys.current) }),
    };
    const socket = connect(options);
    socket.setTimeout(timeoutMs, () =>
      socket.destroy(new UnderstudyError('TIMED_OUT', `connecting to ${host}:${port} took longer than ${timeoutMs} ms`)),
    );
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.setTimeout(0);
      socket.off('error', reject);
      resolve(socket);
    });
  });
