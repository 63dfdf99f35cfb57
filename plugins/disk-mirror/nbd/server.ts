// The NBD server: where it listens, who is let in, how it ends. On a Unix socket in a private directory, or on TCP: loopback,
// or with TLS that is required. Bounded: connections at one time (the oldest handshake gives way to a newcomer), memory of
// each. Trouble of one client is told and ends that client.
import { createServer, isIP, type Server, Socket, type SocketConstructorOpts } from 'node:net';
import { dirname } from 'node:path';
import { type Clock, listenUnix, privateDirectory, reasonOf, UnderstudyError } from 'understudy/plugin';
import { Connection } from './connection.js';
import type { NbdExport } from './export.js';
import { Seat } from './seat.js';
import { SlabPool } from './slabs.js';
import type { Agreed } from './negotiation.js';
import { type NbdTls, secureSide } from './tls.js';

export type NbdAddress =
  | { readonly kind: 'unix'; readonly path: string }
  /** Port 0 takes a free one. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export type NbdEvent =
  | { readonly kind: 'client'; readonly export: string; readonly there: boolean }
  | { readonly kind: 'closed'; readonly because: string }
  | { readonly kind: 'trouble'; readonly because: string };

export interface NbdLimits {
  /** Requests taken in and not yet answered, of one client. Each may keep 260 KiB of its neighbours' memory from being used again. */
  readonly requests: number;
  /** Their payloads in both directions. */
  readonly bytes: number;
  readonly connections: number;
  readonly handshakeMs: number;
  readonly lingerMs: number;
  /** A second client waits so long for the first one's death to be seen, before it is refused. */
  readonly graceMs: number;
  /** And so long for the export's answers to a client that is gone. */
  readonly settleMs: number;
}

export const NBD_LIMITS: NbdLimits = {
  requests: 256,
  bytes: 64 * 1024 * 1024,
  connections: 64,
  handshakeMs: 10_000,
  lingerMs: 1_000,
  graceMs: 250,
  settleMs: 10_000,
};

export interface NbdServerOptions {
  /** The first is the default one. Names differ. */
  readonly exports: readonly NbdExport[];
  readonly address: NbdAddress;
  readonly tls?: NbdTls;
  readonly clock: Clock;
  readonly limits?: Partial<NbdLimits>;
  readonly tell: (event: NbdEvent) => void;
  /** False: receive through Node's streams, as a Node without the other way would. */
  readonly direct?: boolean;
}

export interface NbdServer {
  /** `PATH`, or `HOST:PORT` as it is bound. */
  readonly address: string;
  /**
   * Serves the first export on a connected stream socket, given as a file descriptor that is this server's from then on. Its
   * other end has agreed on everything without a word: the kernel's driver. Simple replies, no contexts. It has the export's
   * one place like any client, or is closed when another has it. `closed` is told once.
   */
  adopt(fd: number, closed: (because: string) => void): void;
  /** Clients are told ESHUTDOWN and let go, within `lingerMs` and a little. Then how many requests the export still owes. */
  shutDown(): Promise<{ readonly underWay: number }>;
}

/** Free memory that is kept for the next payloads. */
const KEEP_BYTES = 64 * 1024 * 1024;
const KEEPALIVE_MS = 1_000;

/** Listens. Rejects with REFUSED where it must not or cannot, USAGE on exports that cannot be served. */
export const startNbdServer = async (options: NbdServerOptions): Promise<NbdServer> => {
  checkExports(options.exports);
  const { address, tls, clock, tell } = options;
  const limits = { ...NBD_LIMITS, ...options.limits };
  const secure = tls === undefined ? null : secureSide(tls);
  if (address.kind === 'tcp' && !isLoopback(address.host) && tls?.required !== true)
    throw new UnderstudyError(
      'REFUSED',
      `cannot serve NBD on ${address.host}: without required TLS anybody could read and write the disk`,
      {
        hint: 'Use a Unix socket, a loopback address, or TLS with required: true.',
      },
    );
  let ending = false;
  let allClosed: (() => void) | null = null;
  const connections = new Set<Connection>();
  /** Clients that the export owes answers: some are closed already. */
  const owed = new Set<Connection>();
  const seats = new Map(
    options.exports.map((served) => {
      const attached = (there: boolean) => {
        served.attached(there);
        tell({ kind: 'client', export: served.name, there });
      };
      return [served, new Seat(clock, limits, attached)] as const;
    }),
  );
  const pool = new SlabPool(KEEP_BYTES);
  const accept = (socket: Socket, adopted: Agreed | null, told?: (because: string) => void): void => {
    if (connections.size >= limits.connections) {
      const oldest = [...connections].find((connection) => connection.shakingHands);
      if (oldest === undefined) {
        told?.('too many connections');
        return void socket.destroy();
      }
      oldest.cut('too many connections: the oldest handshake gives way');
    }
    const connection: Connection = new Connection(socket, {
      exports: options.exports,
      seatOf: (served) => seats.get(served) as Seat,
      tls: tls === undefined ? 'none' : tls.required ? 'required' : 'offered',
      secure,
      clock,
      limits,
      pool,
      handshakeMs: limits.handshakeMs,
      lingerMs: limits.lingerMs,
      direct: options.direct ?? true,
      adopted,
      ending: () => ending,
      trouble: (because) => tell({ kind: 'trouble', because }),
      admitted: () => owed.add(connection),
      finished: () => owed.delete(connection),
      closed: (because) => {
        connections.delete(connection);
        if (connections.size === 0) allClosed?.();
        tell({ kind: 'closed', because });
        told?.(because);
      },
    });
    connections.add(connection);
    connection.open();
  };
  const server = createServer(
    { pauseOnConnect: true, allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS },
    (socket) => accept(socket, null),
  );
  await listen(server, address, (because) => tell({ kind: 'trouble', because }));
  return {
    address: addressOf(server, address),
    adopt: (fd, told) => {
      // Nothing is read before the session says where to.
      const socket = new Socket({ fd, readable: true, writable: true, pauseOnCreate: true } as SocketConstructorOpts);
      accept(socket, { served: options.exports[0] as NbdExport, structured: false, contexts: [] }, told);
    },
    shutDown: async () => {
      ending = true;
      server.close();
      for (const seat of seats.values()) seat.close('the server is ending');
      for (const connection of connections) connection.shutDown();
      // Each has its own deadline to go; `cut` closes without asking.
      if (connections.size > 0) await new Promise<void>((resolve) => (allClosed = resolve));
      return { underWay: [...owed].reduce((sum, { underWay }) => sum + underWay, 0) };
    },
  };
};

const listen = async (server: Server, address: NbdAddress, onTrouble: (because: string) => void): Promise<void> => {
  if (address.kind === 'unix') {
    privateDirectory(dirname(address.path));
    return listenUnix(server, address.path, onTrouble);
  }
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error) =>
      reject(
        new UnderstudyError('REFUSED', `cannot listen on ${address.host}:${address.port}: ${reasonOf(error)}`, {
          cause: error,
          hint: 'The address must be one of this host, and its port free.',
        }),
      );
    server.once('error', failed);
    server.listen({ host: address.host, port: address.port }, () => {
      server.off('error', failed);
      server.on('error', (error) => onTrouble(`a client could not be let in: ${reasonOf(error)}`));
      resolve();
    });
  });
};

const addressOf = (server: Server, address: NbdAddress): string => {
  if (address.kind === 'unix') return address.path;
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : address.port;
  return isIP(address.host) === 6 ? `[${address.host}]:${port}` : `${address.host}:${port}`;
};

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

const checkExports = (exports: readonly NbdExport[]): void => {
  const wrong = (why: string) => new UnderstudyError('USAGE', `cannot serve these exports: ${why}`);
  if (exports.length === 0) throw wrong('there is none');
  if (new Set(exports.map(({ name }) => name)).size !== exports.length) throw wrong('two have the same name');
  for (const served of exports) {
    const { name, description, minimumBlockBytes: minimum, preferredBlockBytes: preferred, maximumBlockBytes: maximum } = served;
    if (Buffer.byteLength(name) > 4096 || Buffer.byteLength(description) > 4096)
      throw wrong('a name or description is longer than 4096 bytes');
    if (!isPower(minimum) || minimum > 65_536)
      throw wrong(`"${name}": the minimum block size ${minimum} is not a power of two up to 65536`);
    if (!isPower(preferred) || preferred < Math.max(512, minimum)) throw wrong(`"${name}": the preferred block size ${preferred}`);
    if (maximum < preferred || maximum % minimum !== 0 || maximum > 2 ** 25) throw wrong(`"${name}": the maximum payload ${maximum}`);
  }
};

const isPower = (value: number): boolean => Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
