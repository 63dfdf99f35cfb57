// HTTP on <run>/api.sock, mode 0600: whoever may open the socket may give orders. Small and bounded: JSON in, JSON out, one
// line for each value of a stream. What is answered is routes.ts.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { UnderstudyError } from '../errors/errors.js';
import type { Log } from '../plugin/contract.js';
import { listenUnix, type SocketTrouble } from '../system/unix-socket.js';
import { MAX_BODY_BYTES, readJsonBody, readTarget } from './read-request.js';
import type { ApiAnswer, ApiRequest } from './routes.js';
import type { ErrorView } from './views.js';

export interface ApiServer {
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 128;
/** A client that is on this host says what it wants at once; one that does not must not keep a connection. */
const LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 2_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
} as const;
const MAX_HEADERS = 32;
const STATUS: Partial<Record<ErrorView['code'], number>> = {
  USAGE: 400,
  CONFIG_INVALID: 400,
  NOT_FOUND: 404,
  REFUSED: 409,
  TIMED_OUT: 504,
  NO_DAEMON: 503,
  GUARD_UNREACHABLE: 503,
  ARBITER_UNREACHABLE: 503,
  ARBITER_REFUSED: 503,
};

/** Rejects with REFUSED when another controller answers there; `onTrouble` hears of clients that could not be let in. */
export const serveApi = async (
  path: string,
  answer: (request: ApiRequest) => Promise<ApiAnswer>,
  log: Log,
  onTrouble: SocketTrouble,
): Promise<ApiServer> => {
  const server = createServer(LIMITS, (request, response) => void respond(request, response, answer, log));
  server.maxConnections = MAX_CONNECTIONS;
  server.maxHeadersCount = MAX_HEADERS;
  await listenUnix(server, path, onTrouble);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const respond = async (
  request: IncomingMessage,
  response: ServerResponse,
  answer: (request: ApiRequest) => Promise<ApiAnswer>,
  log: Log,
): Promise<void> => {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    const {
      path: [version, ...path],
      query,
    } = readTarget(request.url ?? '/');
    if (version !== 'v1') throw new UnderstudyError('NOT_FOUND', 'the API begins with /v1');
    const body = request.method === 'POST' ? await readBody(request) : () => undefined;
    const found = await answer({ method: request.method ?? 'GET', path, query, body, signal: gone.signal });
    if ('value' in found) return send(response, 200, found.value);
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.flushHeaders();
    for await (const value of found.stream) {
      if (!response.write(`${JSON.stringify(value)}\n`)) await drained(response, gone.signal);
      if (gone.signal.aborted) break;
    }
    response.end();
  } catch (error) {
    if (response.headersSent) return void response.destroy();
    const view = errorView(error);
    if (!(error instanceof UnderstudyError))
      log.error('an API request failed', { method: request.method, url: request.url?.slice(0, 200), error });
    send(response, STATUS[view.code] ?? 500, view);
  }
};

/** Any error as the API tells it; one without a code is a fault of this program, and says so. */
export const errorView = (error: unknown): ErrorView =>
  error instanceof UnderstudyError
    ? { code: error.code, message: error.message, hint: error.hint, exit: error.exit }
    : {
        code: 'COMMAND_FAILED',
        message: 'the controller could not answer: a fault of its own, not of the request',
        hint: 'See the log of understudy-controller.',
        exit: 1,
      };

const send = (response: ServerResponse, status: number, value: unknown): void => {
  const text = `${JSON.stringify(value)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
};

/** What is wrong with it is thrown when it is asked for: by then it is known what the request was to be, and the audit can say so. */
const readBody = (request: IncomingMessage): Promise<() => unknown> =>
  readWhole(request).then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error;
    },
  );

const readWhole = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new UnderstudyError('USAGE', `the request is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return readJsonBody(Buffer.concat(chunks));
};

const drained = (response: ServerResponse, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    response.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
