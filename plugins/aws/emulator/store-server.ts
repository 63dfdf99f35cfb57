// An HTTP server for a store of the lab that speaks a cloud's own protocol, and the faults it can be told to show. What a
// request does is the protocol's (dynamodb-store.ts, s3-store.ts); whether it arrives and is answered is decided here.
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { durationMs, UnderstudyError } from 'understudy/plugin';

export interface StoreRequest {
  readonly method: string;
  /** Without the query, still escaped. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}
export interface StoreAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One store: its requests, and what the lab may do to it behind everyone's back. */
export interface EmulatedStore {
  handle(request: StoreRequest): StoreAnswer;
  throttled(): StoreAnswer;
  denied(): StoreAnswer;
  forget(key: string): boolean;
  /** Takes a backup; the returned function puts it back. */
  backup(): () => void;
  keys(): readonly string[];
}

export interface StoreServer {
  readonly url: string;
  /** What people type; answers with what it now does. Throws USAGE. */
  fault(words: readonly string[]): string;
  /** Requests that came so far, by their kind: what a month would cost. */
  readonly requests: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

type Show = 'none' | 'down' | 'throttle' | 'deny' | 'hang' | 'lost-answer';
const WORDS = 'down | up | latency 100ms | throttle | deny | hang | lost-answer [3 times] | forget KEY | backup | restore | clear';
const MAX_BODY_BYTES = 4 * 1024 * 1024;

export const startStoreServer = async (name: string, store: EmulatedStore, listen: string): Promise<StoreServer> => {
  let show: Show = 'none';
  let times = Number.POSITIVE_INFINITY;
  let latencyMs = 0;
  let restore: (() => void) | null = null;
  const requests: Record<string, number> = {};

  const shown = (): Show => {
    if (show === 'none' || times <= 0) return 'none';
    times -= 1;
    return show;
  };
  const answer = (response: ServerResponse, { status, headers, body }: StoreAnswer): void =>
    void response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
  const serve = (request: StoreRequest, response: ServerResponse): void => {
    const fault = shown();
    if (fault === 'throttle') return answer(response, store.throttled());
    if (fault === 'deny') return answer(response, store.denied());
    if (fault === 'hang') return;
    const told = store.handle(request);
    if (fault !== 'lost-answer') answer(response, told);
  };

  const server = createServer((asked, response) => {
    if (show === 'down') return void asked.socket.resetAndDestroy();
    const chunks: Buffer[] = [];
    let bytes = 0;
    asked.on('error', () => response.destroy());
    response.on('error', () => response.destroy());
    asked.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) asked.destroy();
      else chunks.push(chunk);
    });
    asked.on('end', () => {
      const path = (asked.url ?? '/').split('?')[0] ?? '/';
      const kind = String(asked.headers['x-amz-target'] ?? asked.method);
      requests[kind] = (requests[kind] ?? 0) + 1;
      const request = { method: asked.method ?? 'GET', path, headers: asked.headers, body: Buffer.concat(chunks) };
      if (latencyMs === 0) serve(request, response);
      else setTimeout(() => serve(request, response), latencyMs);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, listen, resolve);
  });
  const { port } = server.address() as { port: number };
  const url = `http://${listen.includes(':') ? `[${listen}]` : listen}:${port}`;

  const set = (next: Show, words = next as string): string => {
    show = next;
    times = Number.POSITIVE_INFINITY;
    if (next === 'down' || next === 'none') server.closeAllConnections();
    return `it shows ${words}`;
  };
  const fault = (words: readonly string[]): string => {
    const [word = '', value = ''] = words;
    switch (word) {
      case 'down':
      case 'throttle':
      case 'deny':
      case 'hang':
        return set(word);
      case 'lost-answer': {
        const told = set('lost-answer');
        if (/^\d+$/.test(value)) times = Number(value);
        return told;
      }
      case 'up':
      case 'clear':
        latencyMs = 0;
        return set('none', 'no faults');
      case 'latency': {
        const parsed = durationMs('').safeParse(value);
        if (!parsed.success) break;
        latencyMs = parsed.data;
        return `${latencyMs} ms before each request arrives`;
      }
      case 'forget':
        if (!store.forget(value))
          throw new UnderstudyError('NOT_FOUND', `${name} of the lab has no ${value}; it has ${store.keys().join(', ')}`);
        return `${value} is deleted`;
      case 'backup':
        restore = store.backup();
        return `a backup of ${store.keys().length} keys is taken`;
      case 'restore':
        if (restore === null) throw new UnderstudyError('USAGE', `${name} of the lab has no backup: take one first`);
        restore();
        return 'the backup is back';
      default:
    }
    throw new UnderstudyError('USAGE', `"${words.join(' ')}" is no fault ${name} of the lab can show. Write: ${WORDS}`);
  };

  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url, fault, requests, stop };
};
