// TLS 1.3 between nodes that share the cluster key: a pre-shared key, no certificates, forward secrecy. The key on the wire
// is derived, so that a fault here gives nothing away about the key that signs heartbeats.
import { hkdfSync } from 'node:crypto';
import { connect, type ConnectionOptions, createServer, type Server, type TLSSocket } from 'node:tls';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { framed } from '../system/framed-socket.js';
import type { ClusterKey, ClusterKeys } from '../system/key-file.js';
import type { LinkNetwork } from './network.js';

/** The only suite: TLS 1.3 pre-shared keys are bound to SHA-256, and this one is the fastest with AES instructions. */
const COMMON = { ciphers: 'TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

const pskOf = ({ bytes }: ClusterKey): Buffer => Buffer.from(hkdfSync('sha256', bytes, Buffer.alloc(0), 'understudy cluster link 1', 32));

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

/** The network between the nodes of a cluster that share these keys. */
export const secureNetwork = (keys: ClusterKeys, cluster: string, node: string): LinkNetwork => ({
  listen: (address, port, { connected, refused, trouble }) =>
    new Promise((resolve, reject) => {
      const server = listenSecure(keys, cluster, (socket) => connected(framed(socket)));
      server.maxConnections = MAX_CONNECTIONS;
      server.on('tlsClientError', (error) => refused(reasonOf(error)));
      server.once('error', reject);
      server.listen({ host: address, port }, () => {
        server.off('error', reject);
        server.on('error', (error) => trouble(reasonOf(error)));
        resolve({ close: () => new Promise((closed) => server.close(() => closed())) });
      });
    }),
  connect: async (to) => framed(await connectSecure(keys, cluster, node, to)),
});

/** Listens; a stranger, or a node of another cluster, does not get past the handshake. */
const listenSecure = (keys: ClusterKeys, cluster: string, onConnection: (socket: TLSSocket) => void): Server => {
  const pskCallback = (_socket: TLSSocket, identity: string) => {
    const [theirs, , keyId] = parseIdentity(identity);
    const key = keys.all.find(({ id }) => id === keyId);
    // An empty key never verifies: the handshake fails as it does for a wrong one.
    return theirs === cluster && key !== undefined ? pskOf(key) : null;
  };
  return createServer({ ...COMMON, pskCallback, handshakeTimeout: 3000 }, onConnection);
};

/** Connects from `localAddress`, so that each network is really its own path. Rejects with the system's error or TIMED_OUT. */
const connectSecure = (
  keys: ClusterKeys,
  cluster: string,
  node: string,
  { host, port, localAddress, timeoutMs }: { host: string; port: number; localAddress: string; timeoutMs: number },
): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const psk = pskOf(keys.current);
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
