// The witness as a server: TCP connections that prove the cluster key, then reads, compare-and-sets and pushes over them.
// Everything is bounded: connections, strangers among them, frames, requests under way, unsent answers. A connection that
// does anything wrong ends; the witness itself ends only when its disk fails.
import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { type Server, type Socket, createServer } from 'node:net';
import { type ClusterKeys, type Log, UnderstudyError, type Versioned, reasonOf } from 'understudy/plugin';
import type { Answer } from './answers.js';
import { ClientGreeting, Hello, Request } from './messages.js';
import { openStateFile } from './state-file.js';
import { lockState } from './state-lock.js';
import { Store } from './store.js';
import {
  FrameReader,
  MAX_FRAME_BYTES,
  MAX_GREETING_BYTES,
  NONCE_BYTES,
  Opener,
  Sealer,
  WireError,
  connectionKeys,
  greeting,
  parseJson,
} from './wire.js';

export interface WitnessOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly stateFile: string;
  readonly keys: ClusterKeys;
  readonly log: Log;
}

export interface Witness {
  /** `HOST:PORT` as it is bound. */
  readonly address: string;
  readonly stateId: string;
  readonly generation: () => number;
  /** Settles when the witness cannot go on; the reason says why. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 256;
const MAX_STRANGERS = 32;
const GREETING_MS = 2000;
const MAX_UNDER_WAY = 1024;
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
const ANSWER_BYTES = MAX_FRAME_BYTES / 2;
const KEEPALIVE_MS = 10_000;
const TROUBLE_EVERY_MS = 60_000;

/** Opens the state and serves it. Rejects with REFUSED when the state is missing, damaged or served by another process. */
export const startWitness = async ({ host, port, stateFile: named, keys, log }: WitnessOptions): Promise<Witness> => {
  // A symbolic link is another name, not another state. One that leads nowhere is told below.
  const stateFile = await realpath(named).catch(() => named);
  const unlock = await lockState(stateFile);
  let store: Store | null = null;
  try {
    const file = await openStateFile(stateFile);
    const connections = new Set<Connection>();
    let fail = (_error: Error): void => {};
    const failed = new Promise<Error>((resolve) => (fail = resolve));
    const opened = new Store(
      file,
      (values) => connections.forEach((connection) => connection.push(values)),
      (error) => {
        fail(
          new UnderstudyError('REFUSED', `the witness cannot write ${stateFile}: ${reasonOf(error)}`, {
            cause: error,
            hint: 'Mend the disk, then start the witness again: it continues from what it acknowledged.',
          }),
        );
        connections.forEach((connection) => connection.end());
      },
    );
    store = opened;
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS });
    server.maxConnections = MAX_CONNECTIONS;
    server.on('connection', (socket) => {
      const strangers = [...connections].filter(({ known }) => !known);
      if (strangers.length >= MAX_STRANGERS) strangers[0]?.end(); // The oldest: honest ones take one round trip.
      const connection = new Connection(socket, opened, keys, log, () => connections.delete(connection));
      connections.add(connection);
    });
    const address = await listen(server, host, port, log);
    return {
      address,
      stateId: opened.stateId,
      generation: () => opened.generation,
      failed,
      async close() {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        connections.forEach((connection) => connection.end());
        await closed;
        await opened.close();
        await unlock();
      },
    };
  } catch (error) {
    await store?.close();
    await unlock();
    throw error;
  }
};

const listen = (server: Server, host: string, port: number, log: Log): Promise<string> =>
  new Promise((resolve, reject) => {
    const failed = (error: Error) =>
      reject(
        new UnderstudyError('REFUSED', `the witness cannot listen on ${host}:${port}: ${reasonOf(error)}`, {
          cause: error,
          hint: 'Use an address of this host and a port that is free.',
        }),
      );
    server.once('error', failed);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', failed);
      // A later error is an accept that failed: that client tries again, the others go on.
      let toldMs = Number.NEGATIVE_INFINITY;
      server.on('error', (error) => {
        if (performance.now() - toldMs < TROUBLE_EVERY_MS) return;
        toldMs = performance.now();
        log.error('a client could not be let in', { reason: error.message });
      });
      const bound = server.address();
      const at = bound !== null && typeof bound === 'object' ? bound : { address: host, port };
      resolve(at.address.includes(':') ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`);
    });
  });

class Connection {
  readonly #socket: Socket;
  readonly #store: Store;
  readonly #keys: ClusterKeys;
  readonly #log: Log;
  readonly #nonce = randomBytes(NONCE_BYTES).toString('hex');
  readonly #reader = new FrameReader(MAX_GREETING_BYTES);
  #candidates: { readonly opener: Opener; readonly sealer: Sealer }[] | null = null;
  #opener: Opener | null = null;
  #sealer: Sealer | null = null;
  #underWay = 0;
  #followed: ReadonlySet<string> = new Set();

  constructor(socket: Socket, store: Store, keys: ClusterKeys, log: Log, ended: () => void) {
    this.#socket = socket;
    this.#store = store;
    this.#keys = keys;
    this.#log = log;
    const greetBy = setTimeout(() => this.known || socket.destroy(), GREETING_MS);
    socket.on('data', (chunk: Buffer) => this.#data(chunk));
    socket.on('error', (error) => log.debug('a connection broke', { from: socket.remoteAddress, reason: error.message }));
    socket.on('close', () => {
      clearTimeout(greetBy);
      ended();
    });
    socket.write(greeting({ witness: 1, nonce: this.#nonce }));
  }

  /** Whether it has proved the key. */
  get known(): boolean {
    return this.#sealer !== null;
  }

  end(): void {
    this.#socket.destroy();
  }

  push(values: readonly Versioned[]): void {
    for (const value of values) if (this.#followed.has(value.key)) this.#send({ t: 'push', value });
  }

  #data(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.push(chunk)) {
        if (this.#opener !== null) this.#request(Request.parse(this.#opened(this.#opener.open(frame))));
        else if (this.#candidates === null) this.#greeted(ClientGreeting.parse(parseJson(frame)).nonce);
        else this.#hello(frame, this.#candidates);
        if (this.#socket.destroyed) return;
      }
    } catch (error) {
      this.#log.warn('a connection was ended', { from: this.#socket.remoteAddress, reason: reasonOf(error) });
      this.end();
    }
  }

  #opened(payload: unknown): unknown {
    if (payload === null) throw new WireError('a frame with a wrong tag');
    return payload;
  }

  #greeted(clientNonce: string): void {
    this.#candidates = this.#keys.all.map(({ bytes }) => {
      const keys = connectionKeys(bytes, this.#nonce, clientNonce);
      return { opener: new Opener(keys['to-witness']), sealer: new Sealer(keys['to-client']) };
    });
  }

  #hello(frame: Buffer, candidates: readonly { readonly opener: Opener; readonly sealer: Sealer }[]): void {
    for (const { opener, sealer } of candidates) {
      const payload = opener.open(frame);
      if (payload === null) continue;
      const { cluster, node } = Hello.parse(payload);
      this.#opener = opener;
      this.#sealer = sealer;
      this.#reader.limitBytes = MAX_FRAME_BYTES;
      this.#log.debug('a client came', { cluster, node, from: this.#socket.remoteAddress });
      this.#write({ t: 'welcome', stateId: this.#store.stateId, generation: this.#store.generation });
      return;
    }
    throw new WireError('it does not have the cluster key');
  }

  #request(request: Request): void {
    if (this.#store.lost) return this.end();
    switch (request.t) {
      case 'read':
        return this.#answerRead(request.id, request.keys);
      case 'follow':
        this.#followed = new Set(request.keys);
        return this.push(request.keys.flatMap((key) => this.#store.read(key) ?? []));
      case 'cas':
        if ((this.#underWay += 1) > MAX_UNDER_WAY) throw new WireError(`more than ${MAX_UNDER_WAY} requests under way`);
        this.#store.cas(request.key, request.expected, request.value).then(
          (result) =>
            this.#answer({
              ...(result.outcome === 'done' ? { t: 'done', version: result.version } : { t: 'conflict', current: result.current }),
              id: request.id,
              generation: this.#store.generation,
            }),
          (error: unknown) => this.#answer({ t: 'refused', id: request.id, why: reasonOf(error) }),
        );
    }
  }

  // All values are of one moment; the frames they travel in are many when they are large.
  #answerRead(id: number, keys: readonly string[]): void {
    const { generation } = this.#store;
    let values: Versioned[] = [];
    let bytes = 0;
    for (const key of keys) {
      const value = this.#store.read(key);
      if (value === null) continue;
      const length = Buffer.byteLength(JSON.stringify(value));
      if (values.length > 0 && bytes + length > ANSWER_BYTES) {
        this.#send({ t: 'values', id, values, last: false, generation });
        [values, bytes] = [[], 0];
      }
      values.push(value);
      bytes += length;
    }
    this.#send({ t: 'values', id, values, last: true, generation });
  }

  #answer(answer: Answer): void {
    this.#underWay -= 1;
    this.#send(answer);
  }

  #send(answer: Answer): void {
    this.#write(answer);
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) this.end(); // It does not read: its requests are unknown to it anyway.
  }

  #write(message: unknown): void {
    if (this.#sealer === null || this.#socket.destroyed) return;
    this.#socket.write(this.#sealer.seal(message));
  }
}
