// A way between an HTTP client and its server with the faults of a bad network and a busy store: requests or answers that are
// lost, requests that land when their sender has gone, resets, answers that never end, and any answer of the test's own.
import { type IncomingMessage, type Server, type ServerResponse, createServer, request } from 'node:http';

export interface OwnAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}
/** `request`: no request arrives. `answer`: they take effect, unanswered. */
export type HttpFault = 'none' | 'request' | 'answer' | 'reset' | 'drip' | OwnAnswer;

export class HttpFaultProxy {
  fault: HttpFault = 'none';
  /** Every request is delivered twice; the second answer is given. */
  repeat = false;
  /** Answers one request itself, when it returns something for it. */
  once: ((asked: IncomingMessage) => OwnAnswer | null) | null = null;
  /** Every request that came, as `METHOD path`. */
  readonly seen: string[] = [];
  readonly #server: Server;
  readonly #stalled = new Set<ServerResponse>();
  #held: (() => void)[] | null = null;

  constructor(private readonly target: () => { readonly host: string; readonly port: number }) {
    this.#server = createServer((asked, answer) => void this.#handle(asked, answer));
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** A good way again also ends what was stalled: what was lost cannot be mended. */
  show(fault: HttpFault): void {
    this.fault = fault;
    if (fault !== 'none') return;
    for (const answer of this.#stalled) answer.destroy();
    this.#stalled.clear();
  }

  hold(): () => void {
    this.#held = [];
    return () => {
      const held = this.#held ?? [];
      this.#held = null;
      for (const arrive of held) arrive();
    };
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { fault } = this;
    this.seen.push(`${asked.method} ${asked.url}`);
    answer.on('error', () => answer.destroy());
    asked.on('error', () => answer.destroy());
    if (fault === 'reset') return void asked.socket.resetAndDestroy();
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    if (typeof fault === 'object') return void answer.writeHead(fault.status, fault.headers).end(fault.body);
    if (fault === 'request') return void this.#stalled.add(answer);
    const own = this.once?.(asked) ?? null;
    if (own !== null) {
      this.once = null;
      return void answer.writeHead(own.status, own.headers).end(own.body);
    }
    if (this.repeat) await this.#first(asked, Buffer.concat(chunks));
    const pass = () => this.#pass(asked, Buffer.concat(chunks), answer, fault);
    if (this.#held === null) pass();
    else this.#held.push(pass);
  }

  #first({ method = 'GET', url = '/', headers }: IncomingMessage, body: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const forward = request({ ...this.target(), method, path: url, headers, agent: false }, (got) => {
        got.resume();
        got.on('end', resolve);
      });
      forward.on('error', reject);
      forward.end(body);
    });
  }

  /** The request goes on whatever becomes of its sender. */
  #pass(asked: IncomingMessage, body: Buffer, answer: ServerResponse, fault: HttpFault): void {
    const { method = 'GET', url = '/', headers } = asked;
    const forward = request({ ...this.target(), method, path: url, headers, agent: false }, (got) => {
      const chunks: Buffer[] = [];
      got.on('data', (chunk: Buffer) => chunks.push(chunk));
      got.on('error', () => answer.destroy());
      got.on('end', () => {
        if (fault === 'answer') return void this.#stalled.add(answer);
        const whole = Buffer.concat(chunks);
        answer.writeHead(got.statusCode ?? 500, got.headers);
        if (fault === 'drip' && whole.length > 1) {
          this.#stalled.add(answer);
          return void answer.write(whole.subarray(0, 1));
        }
        if (fault === 'drip') return void this.#stalled.add(answer);
        return void answer.end(whole);
      });
    });
    forward.on('error', () => answer.destroy());
    forward.end(body);
  }
}
