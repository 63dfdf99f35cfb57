// HTTP on <run>/api.sock, mode 0600: whoever may open the socket may give orders. Small and bounded: JSON in, JSON out, one
// line for each value of a stream. What is answered is routes.ts.
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { Log } from '../plugin/contract.js';
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

/** Rejects with REFUSED when another controller answers there. */
export const serveApi = async (path: string, answer: (request: ApiRequest) => Promise<ApiAnswer>, log: Log): Promise<ApiServer> => {
  if (await answers(path)) throw new UnderstudyError('REFUSED', `cannot listen on ${path}: another controller already answers there`);
  rmSync(path, { force: true });
  const server = createServer((request, response) => void respond(request, response, answer, log));
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, path);
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

const listen = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new UnderstudyError('REFUSED', `cannot listen on ${path}: ${error.message}`, {
          cause: error,
          hint: 'The run directory must exist, be writable, and its path be shorter than 100 characters.',
        }),
      ),
    );
    // The socket is its owner's from its first moment.
    const mask = process.umask(0o177);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(mask);
    }
  });

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.setTimeout(1000, () => socket.destroy(new Error('no answer')));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
