// An accepted socket, opened anew so that it reads into memory of ours. Left as it is, Node makes 64 KiB for every read, for an
// acknowledgement of 56 bytes too, and the collector marks the whole heap ten times a second for it. The handle is taken over, which
// Node does not document, as the NBD server does; where there is none, and inside TLS (which makes no more than it hands on), null.
import { Socket, type SocketConstructorOpts } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Sink } from './peer-network.js';

/** Only in the very turn in which it was accepted: nothing may have been read. */
export const reopened = (accepted: Socket, sink: Sink): Socket | null => {
  if (accepted instanceof TLSSocket) return null;
  const holder = accepted as unknown as { _handle?: unknown };
  const handle = holder._handle;
  if (handle === undefined || handle === null) return null;
  holder._handle = null;
  accepted.destroy();
  const onread = {
    buffer: () => sink.buffer(),
    callback: (bytes: number, into: Uint8Array) => {
      sink.received(bytes, into);
      return true;
    },
  };
  return new Socket({ handle, onread } as unknown as SocketConstructorOpts);
};
