// JSON messages over a stream socket, each behind a 4-byte big-endian length (at most 1 MiB): the codec and both ends. What
// the messages mean is not known here. Invariant: nothing is buffered without a bound, in either direction.
import { type Socket, connect, createServer } from 'node:net';
import { UnderstudyError, reasonOf } from '../errors/errors.js';
import { listenUnix, type SocketTrouble } from './unix-socket.js';

/** Longest message, bytes of JSON. */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** A reader that lets so much pile up is cut off: a stopped process must not fill this one's memory. */
const MAX_BACKLOG_BYTES = 8 * MAX_FRAME_BYTES;
/** Clients at one time; a controller, its predecessor and some readers are an honest ten. */
const MAX_CONNECTIONS = 64;

export interface FramedConnection {
  /** Queues a message; false when the connection has ended (the message is dropped). Throws PROTOCOL when it is too long. */
  send(message: unknown): boolean;
  /** At most one listener each; messages that came before are delivered when it is set. */
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, with the reason, however the connection ends. */
  onClose(listener: (because: string) => void): void;
  close(): void;
}

export interface FramedServer {
  /** Ends all connections and removes the socket. */
  close(): Promise<void>;
}

/** The door to the sockets of this host: the guard and who speaks with it. */
export interface LocalSockets {
  listen(path: string, onConnection: (connection: FramedConnection) => void, onTrouble: SocketTrouble): Promise<FramedServer>;
  /** Rejects when nobody answers there, or not in time. */
  connect(path: string): Promise<FramedConnection>;
}

/** Listens on a Unix socket that only its owner may use; `onTrouble` hears of clients that could not be let in. Rejects with REFUSED. */
export const listenFramed = async (
  path: string,
  onConnection: (connection: FramedConnection) => void,
  onTrouble: SocketTrouble,
): Promise<FramedServer> => {
  const connections = new Set<FramedConnection>();
  const server = createServer((socket) => {
    const connection = framed(socket);
    connections.add(connection);
    socket.once('close', () => connections.delete(connection));
    onConnection(connection);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listenUnix(server, path, onTrouble);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const connection of connections) connection.close();
      }),
  };
};

/** Connects to a Unix socket. Rejects with the system's error, or after `timeoutMs`. */
export const connectFramed = (path: string, timeoutMs = 2_000): Promise<FramedConnection> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    const late = () => socket.destroy(new UnderstudyError('TIMED_OUT', `connecting to ${path} took longer than ${timeoutMs} ms`));
    socket.setTimeout(timeoutMs, late);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', reject);
      resolve(framed(socket));
    });
  });

export const systemLocalSockets: LocalSockets = { listen: listenFramed, connect: (path) => connectFramed(path) };

/** Length and JSON as one buffer. Throws PROTOCOL when it is longer than the bound. */
export const encodeFrame = (message: unknown): Buffer => {
  const body = Buffer.from(JSON.stringify(message));
  if (body.length > MAX_FRAME_BYTES)
    throw new UnderstudyError('PROTOCOL', `a message of ${body.length} bytes is longer than the ${MAX_FRAME_BYTES} that a frame may have`);
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length);
  body.copy(frame, 4);
  return frame;
};

/** Cuts a byte stream into messages. Throws PROTOCOL on a frame that is too long or no JSON; it is then unusable. */
export class FrameDecoder {
  #chunks: Buffer[] = [];
  #size = 0;

  push(chunk: Buffer): readonly unknown[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const messages: unknown[] = [];
    for (let next = this.#next(); next !== undefined; next = this.#next()) messages.push(next.message);
    return messages;
  }

  #next(): { readonly message: unknown } | undefined {
    if (this.#size < 4) return undefined;
    const length = this.#peek(4).readUInt32BE();
    if (length > MAX_FRAME_BYTES)
      throw new UnderstudyError('PROTOCOL', `a frame announces ${length} bytes; at most ${MAX_FRAME_BYTES} are allowed`);
    if (this.#size < 4 + length) return undefined;
    const whole = this.#peek(4 + length);
    this.#chunks = whole.length === 4 + length ? [] : [whole.subarray(4 + length)];
    this.#size -= 4 + length;
    try {
      return { message: JSON.parse(whole.toString('utf8', 4, 4 + length)) as unknown };
    } catch (error) {
      throw new UnderstudyError('PROTOCOL', `a frame of ${length} bytes is not JSON: ${reasonOf(error)}`, { cause: error });
    }
  }

  /** At least so many bytes in one piece; a long frame's chunks are joined only when it is complete. */
  #peek(bytes: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}

/** Messages over any stream socket: a Unix socket, or a TLS connection between nodes. */
export const framed = (socket: Socket): FramedConnection => {
  const decoder = new FrameDecoder();
  let onMessage: ((message: unknown) => void) | null = null;
  let onClose: ((because: string) => void) | null = null;
  let early: unknown[] = [];
  let because = 'the other side closed the connection';
  let ended: string | null = null;
  const end = (why: string) => {
    because = why;
    socket.destroy();
  };
  socket.on('data', (chunk) => {
    try {
      for (const message of decoder.push(chunk)) {
        if (onMessage !== null) onMessage(message);
        else early.push(message);
      }
    } catch (error) {
      // Programmer errors of a listener are not the peer's fault and must be seen.
      if (!(error instanceof UnderstudyError)) throw error;
      end(error.message);
    }
    if (onMessage === null) socket.pause();
  });
  socket.on('error', (error) => (because = error.message));
  socket.on('close', () => {
    ended = because;
    onClose?.(because);
  });
  return {
    send: (message) => {
      if (ended !== null || socket.destroyed) return false;
      socket.write(encodeFrame(message));
      if (socket.writableLength > MAX_BACKLOG_BYTES) end(`the other side reads nothing: ${socket.writableLength} bytes wait`);
      return !socket.destroyed;
    },
    onMessage: (listener) => {
      onMessage = listener;
      const waiting = early;
      early = [];
      for (const message of waiting) listener(message);
      socket.resume();
    },
    onClose: (listener) => {
      onClose = listener;
      if (ended !== null) listener(ended);
    },
    close: () => end('closed by this side'),
  };
};
