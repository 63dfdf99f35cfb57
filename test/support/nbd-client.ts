// A small NBD client for drills: fixed newstyle on a Unix socket, the default export or a named one, simple replies, many requests at once.
// What the server says in error becomes an error of the request; a connection that ends fails all that is under way.
import { connect, type Socket } from 'node:net';

const [OPTION_MAGIC, REPLY_MAGIC] = [0x49484156454f5054n, 0x3e889045565a9n];
const [REQUEST_MAGIC, SIMPLE_MAGIC] = [0x25609513, 0x67446698];
const [GO, ACK, INFO] = [7, 1, 3];
const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, zeroes: 6 } as const;
export const FUA = 1;

interface Pending {
  readonly length: number;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class NbdClient {
  readonly #socket: Socket;
  readonly #pending = new Map<bigint, Pending>();
  readonly #ended: Promise<string>;
  #bytes = Buffer.alloc(0);
  #wanted: { readonly count: number; readonly take: (bytes: Buffer) => void } | null = null;
  #cookie = 0n;
  sizeBytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#pump();
    });
    let because = 'the server closed the connection';
    socket.on('error', (error) => (because = error.message));
    this.#ended = new Promise((resolve) =>
      socket.on('close', () => {
        for (const { reject } of this.#pending.values()) reject(new Error(because));
        this.#pending.clear();
        resolve(because);
      }),
    );
  }

  /** Rejects when nobody listens, the handshake fails, or it takes longer than `limitMs`. */
  static async open(path: string, limitMs = 5_000, name = ''): Promise<NbdClient> {
    const socket = connect(path);
    socket.setTimeout(limitMs, () => socket.destroy(new Error(`no handshake within ${limitMs} ms`)));
    const client = new NbdClient(socket);
    const refused = client.#ended.then((because) => {
      throw new Error(because);
    });
    await Promise.race([client.#handshake(name), refused]);
    refused.catch(() => undefined);
    socket.setTimeout(0);
    return client;
  }

  read(offset: number, length: number): Promise<Buffer> {
    return this.#ask(COMMAND.read, 0, offset, length, null, length);
  }

  write(offset: number, bytes: Uint8Array, flags = 0): Promise<Buffer> {
    return this.#ask(COMMAND.write, flags, offset, bytes.length, bytes, 0);
  }

  flush(): Promise<Buffer> {
    return this.#ask(COMMAND.flush, 0, 0, 0, null, 0);
  }

  zeroes(offset: number, length: number): Promise<Buffer> {
    return this.#ask(COMMAND.zeroes, 0, offset, length, null, 0);
  }

  /** Resolves with the reason when the connection is gone. */
  get ended(): Promise<string> {
    return this.#ended;
  }

  close(): void {
    this.#socket.write(this.#header(COMMAND.disconnect, 0, 0, 0, 0n));
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #handshake(name: string): Promise<void> {
    await this.#take(18);
    const flags = Buffer.alloc(4);
    flags.writeUInt32BE(3);
    const length = Buffer.byteLength(name);
    const go = Buffer.alloc(16 + 6 + length);
    go.writeBigUInt64BE(OPTION_MAGIC, 0);
    go.writeUInt32BE(GO, 8);
    go.writeUInt32BE(6 + length, 12);
    go.writeUInt32BE(length, 16);
    go.write(name, 20);
    this.#socket.write(Buffer.concat([flags, go]));
    for (;;) {
      const head = await this.#take(20);
      if (head.readBigUInt64BE(0) !== REPLY_MAGIC) throw new Error('no reply to an option');
      const [kind, body] = [head.readUInt32BE(12), await this.#take(head.readUInt32BE(16))];
      if (kind === INFO && body.readUInt16BE(0) === 0) this.sizeBytes = Number(body.readBigUInt64BE(2));
      if (kind >= 2 ** 31) throw new Error(`refused: ${body.toString() || kind}`);
      if (kind === ACK) break;
    }
    void this.#replies();
  }

  async #replies(): Promise<void> {
    for (;;) {
      const head = await this.#take(16);
      if (head.readUInt32BE(0) !== SIMPLE_MAGIC) return void this.#socket.destroy(new Error('no simple reply'));
      const [error, cookie] = [head.readUInt32BE(4), head.readBigUInt64BE(8)];
      const pending = this.#pending.get(cookie);
      if (pending === undefined) return void this.#socket.destroy(new Error('a reply to nothing'));
      const bytes = error === 0 && pending.length > 0 ? await this.#take(pending.length) : Buffer.alloc(0);
      this.#pending.delete(cookie);
      if (error === 0) pending.resolve(bytes);
      else pending.reject(new Error(`the server answers with error ${error}`));
    }
  }

  #ask(command: number, flags: number, offset: number, length: number, payload: Uint8Array | null, answer: number): Promise<Buffer> {
    const cookie = (this.#cookie += 1n);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection has ended'));
      this.#pending.set(cookie, { length: answer, resolve, reject });
      this.#socket.write(this.#header(command, flags, offset, length, cookie));
      if (payload !== null) this.#socket.write(payload);
      return undefined;
    });
  }

  #header(command: number, flags: number, offset: number, length: number, cookie: bigint): Buffer {
    const bytes = Buffer.alloc(28);
    bytes.writeUInt32BE(REQUEST_MAGIC, 0);
    bytes.writeUInt16BE(flags, 4);
    bytes.writeUInt16BE(command, 6);
    bytes.writeBigUInt64BE(cookie, 8);
    bytes.writeBigUInt64BE(BigInt(offset), 16);
    bytes.writeUInt32BE(length, 24);
    return bytes;
  }

  #take(count: number): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#wanted = { count, take: resolve };
      this.#pump();
    });
  }

  #pump(): void {
    const wanted = this.#wanted;
    if (wanted === null || this.#bytes.length < wanted.count) return;
    this.#wanted = null;
    const bytes = this.#bytes.subarray(0, wanted.count);
    this.#bytes = this.#bytes.subarray(wanted.count);
    wanted.take(bytes);
  }
}
