// One connection of a client to the witness, from the first word to its end. It is never repaired: a new one is made.
import { randomBytes } from 'node:crypto';
import { type Socket, connect } from 'node:net';
import { reasonOf } from 'understudy/arbiter';
import { type Answer, parseAnswer, parseGreeting, parseWelcome, type Welcome } from './answers.js';
import type { Request } from './messages.js';
import {
  FrameReader,
  MAX_FRAME_BYTES,
  MAX_GREETING_BYTES,
  NONCE_BYTES,
  Opener,
  Sealer,
  connectionKeys,
  greeting,
  parseJson,
} from './wire.js';

export interface LinkOptions {
  readonly host: string;
  readonly port: number;
  readonly key: Uint8Array;
  readonly cluster: string;
  readonly node: string;
  /** Connected and welcomed by then, or ended. */
  readonly readyWithinMs: number;
  /** The witness proved the key; whatever it throws ends the link. */
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onAnswer: (answer: Answer) => void;
  /** Once, whatever the cause. `strange`: it speaks, but not as a witness with this key. */
  readonly onEnd: (why: string, strange: boolean) => void;
}

const KEEPALIVE_MS = 1000;

export class Link {
  /** Welcomed and not ended: requests may be sent. */
  ready = false;
  /** When the last byte came, by `performance.now()`. */
  heardMs = performance.now();
  readonly #options: LinkOptions;
  readonly #socket: Socket;
  readonly #reader = new FrameReader(MAX_GREETING_BYTES);
  readonly #readyBy: NodeJS.Timeout;
  #opener: Opener | null = null;
  #sealer: Sealer | null = null;
  #ended = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#socket = connect({ host: options.host, port: options.port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS });
    this.#readyBy = setTimeout(() => this.ready || this.end(`no connection within ${options.readyWithinMs} ms`), options.readyWithinMs);
    this.#socket.on('data', (chunk: Buffer) => this.#data(chunk));
    this.#socket.on('error', (error) => this.end(error.message));
    this.#socket.on('close', () =>
      this.end(
        this.#sealer !== null && !this.ready ? 'it ended the connection at the greeting (another cluster key?)' : 'it ended the connection',
      ),
    );
  }

  send(request: Request): void {
    this.#socket.write(this.#sealer!.seal(request));
  }

  end(why: string, strange = false): void {
    if (this.#ended) return;
    this.#ended = true;
    this.ready = false;
    clearTimeout(this.#readyBy);
    this.#socket.destroy();
    this.#options.onEnd(why, strange);
  }

  #data(chunk: Buffer): void {
    this.heardMs = performance.now();
    try {
      for (const frame of this.#reader.push(chunk)) {
        if (this.#ended) return;
        if (this.#opener === null) this.#greeted(parseGreeting(parseJson(frame)));
        else this.#sealed(this.#opener.open(frame));
      }
    } catch (error) {
      this.end(`it does not speak as a witness: ${reasonOf(error)}`, true);
    }
  }

  #greeted(witnessNonce: string): void {
    const { key, cluster, node } = this.#options;
    const nonce = randomBytes(NONCE_BYTES).toString('hex');
    const keys = connectionKeys(key, witnessNonce, nonce);
    this.#opener = new Opener(keys['to-client']);
    this.#sealer = new Sealer(keys['to-witness']);
    this.#reader.limitBytes = MAX_FRAME_BYTES;
    this.#socket.write(Buffer.concat([greeting({ client: 1, nonce }), this.#sealer.seal({ t: 'hello', cluster, node })]));
  }

  #sealed(payload: unknown): void {
    if (payload === null) return this.end('it does not have the cluster key', true);
    if (this.ready) return this.#options.onAnswer(parseAnswer(payload));
    const welcome = parseWelcome(payload);
    clearTimeout(this.#readyBy);
    this.ready = true;
    this.#options.onWelcome(welcome);
  }
}
