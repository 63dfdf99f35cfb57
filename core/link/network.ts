// The door of the cluster link to the network: connections that carry messages between controllers, already known to be of
// this cluster. secure-socket.ts stands behind it on a host; a simulated network behind it carries the same messages.
import type { FramedConnection } from '../system/framed-socket.js';

export interface LinkListeners {
  connected(connection: FramedConnection): void;
  /** Somebody came who does not share the key. */
  refused(because: string): void;
  /** A connection could not be taken; those that are there go on. */
  trouble(because: string): void;
}

export interface LinkNetwork {
  /** Rejects when it cannot listen on this own address. `close` ends no connection. */
  listen(address: string, port: number, listeners: LinkListeners): Promise<{ close(): Promise<void> }>;
  /** Connects from `localAddress`, so that each network is really its own path. Rejects when it does not succeed in time. */
  connect(to: {
    readonly host: string;
    readonly port: number;
    readonly localAddress: string;
    readonly timeoutMs: number;
  }): Promise<FramedConnection>;
}
