// HTTP on <run>/api.sock, mode 0600: whoever may open the socket may give orders. Small and bounded: JSON in, JSON out, one
// line for each value of a stream. What is answered is routes.ts.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { Log } from '../plugin/contract.js';
import { listenUnix, type SocketTrouble } from '../system/unix-socket.js';
import type { ApiAnswer, ApiRequest } from './routes.js';
import type { ErrorView } from './views.js';

export interface ApiServer {
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 64 * 1024;
const MAX_CONNECTIONS = 128;
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
  const server = createServer((request, response) => void respond(request, response, answer, log));
  server.maxConnections = MAX_CONNECTIONS;
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
    const url = new URL(request.url ?? '/', 'http://understudy');
    const [version, ...path] = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
    if (version !== 'v1') throw new UnderstudyError('NOT_FOUND', `the API begins with /v1, not ${url.pathname}`);
    const body = request.method === 'POST' ? await readBody(request) : undefined;
    const found = await answer({ method: request.method ?? 'GET', path, query: url.searchParams, body, signal: gone.signal });
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
    if (!(error instanceof UnderstudyError)) log.error('an API request failed', { url: request.url, error });
    send(response, STATUS[view.code] ?? 500, view);
  }
};

/** Any error as the API tells it; one without a code is a fault of this program, and says so. */
export const errorView = (error: unknown): ErrorView =>
  error instanceof UnderstudyError
    ? { code: error.code, message: error.message, hint: error.hint, exit: error.exit }
    : {
        code: 'COMMAND_FAILED',
        message: `the controller could not answer: ${reasonOf(error)}`,
        hint: 'See the log of understudy-controller.',
        exit: 1,
      };

const send = (response: ServerResponse, status: number, value: unknown): void => {
  const text = `${JSON.stringify(value)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
};

const readBody = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new UnderstudyError('USAGE', `the request is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new UnderstudyError('USAGE', `the request is not JSON: ${reasonOf(error)}`, { cause: error });
  }
};

const drained = (response: ServerResponse, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    response.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
