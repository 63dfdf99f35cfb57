// The API from the asking side: what the CLI, the lab and the demo use. Loads neither the scheduler nor a plugin. Where no
// controller answers, the status comes from the guard, read-only.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { ERRORS, reasonOf, UnderstudyError } from '../errors/errors.js';
import type { FromGuard, ToGuard } from '../guard/protocol.js';
import type { JournalEvent } from '../model/event.js';
import type { GuardView } from '../model/lease.js';
import { connectFramed } from '../system/framed-socket.js';
import { apiSocket, guardSocket, type Paths } from '../system/paths.js';
import { startTimeOf } from '../system/process.js';
import { statusFromGuard } from './status-view.js';
import type { ErrorView, HooksView, OrderAnswer, OrderRequest, PlanView, PluginsView, StatusView } from './views.js';

export interface EventsQuery {
  readonly group?: string | undefined;
  readonly incident?: string | undefined;
  /** A kind, or the first words of kinds: `lease` gives lease.held, lease.lost, … */
  readonly kind?: string | undefined;
  /** ISO time: only later ones. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** Every call rejects with the API's coded errors, or NO_DAEMON. */
export interface ApiClient {
  status(): Promise<StatusView>;
  plan(operation: string, group: string, to?: string): Promise<PlanView>;
  events(query?: EventsQuery): Promise<readonly JournalEvent[]>;
  /** Events as they come, until the signal fires. */
  follow(query: EventsQuery, signal: AbortSignal): AsyncIterable<JournalEvent>;
  explain(incident?: string): Promise<unknown>;
  hooks(group: string): Promise<HooksView>;
  plugins(): Promise<PluginsView>;
  order(order: OrderRequest): Promise<OrderAnswer>;
}

type Query = Readonly<Record<string, string | number | undefined>>;

const ANSWER_MS = 10_000;
const GUARD_MS = 2000;

export const openApi = (paths: Paths): ApiClient => {
  const socketPath = apiSocket(paths);
  const get = <T>(path: string, query: Query = {}) => ask<T>(socketPath, 'GET', withQuery(path, query), undefined, ANSWER_MS);
  return {
    status: () =>
      get<StatusView>('/v1/status').catch((error: unknown) => (isNoDaemon(error) ? guardStatus(paths, error) : Promise.reject(error))),
    plan: (op, group, to) => ask<PlanView>(socketPath, 'GET', withQuery('/v1/plan', { op, group, to }), undefined, 60_000),
    events: (query = {}) => get('/v1/events', { ...query }),
    follow: (query, signal) => lines<JournalEvent>(socketPath, withQuery('/v1/events', { ...query, follow: 1 }), signal),
    explain: (incident) => get('/v1/explain', { incident }),
    hooks: (group) => get(`/v1/hooks/${encodeURIComponent(group)}`),
    plugins: () => get('/v1/plugins'),
    order: (order) =>
      ask<OrderAnswer>(socketPath, 'POST', '/v1/orders', order, ANSWER_MS + (order.wait === true ? (order.timeoutMs ?? 60_000) : 0)),
  };
};

const isNoDaemon = (error: unknown): error is UnderstudyError => error instanceof UnderstudyError && error.code === 'NO_DAEMON';

const withQuery = (path: string, query: Query): string => {
  const given = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)] as [string, string]]));
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`;
};

const ask = async <T>(socketPath: string, method: string, path: string, body: unknown, timeoutMs: number): Promise<T> => {
  const response = await send(socketPath, method, path, body, AbortSignal.timeout(timeoutMs));
  const value = await readJson(response, path);
  if (response.statusCode === 200) return value as T;
  throw fromView(value as Partial<ErrorView>);
};

const send = (socketPath: string, method: string, path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const request = httpRequest(
      {
        socketPath,
        method,
        path,
        signal,
        ...(text === undefined ? {} : { headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } }),
      },
      resolve,
    );
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
        return reject(new UnderstudyError('NO_DAEMON', `no controller answers on ${socketPath}`, { cause: error }));
      if (error.code === 'EACCES')
        return reject(
          new UnderstudyError('NO_DAEMON', `${socketPath} may not be opened by this user`, {
            cause: error,
            hint: 'Use the user who runs understudy, usually root.',
          }),
        );
      if (signal.aborted)
        return reject(new UnderstudyError('TIMED_OUT', `the controller did not answer ${path} in time`, { cause: error }));
      reject(new UnderstudyError('NO_DAEMON', `the controller did not answer: ${error.message}`, { cause: error }));
    });
    request.end(text);
  });

const readJson = async (response: IncomingMessage, path: string): Promise<unknown> => {
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    return JSON.parse(text);
  } catch (error) {
    throw new UnderstudyError('PROTOCOL', `the answer to ${path} could not be read: ${reasonOf(error)}`, { cause: error });
  }
};

const fromView = ({ code, message, hint }: Partial<ErrorView>): UnderstudyError =>
  code !== undefined && code in ERRORS
    ? new UnderstudyError(code, message ?? code, hint === undefined ? {} : { hint })
    : new UnderstudyError('PROTOCOL', message ?? 'the controller answered with an error that has no code');

async function* lines<T>(socketPath: string, path: string, signal: AbortSignal): AsyncGenerator<T> {
  const response = await send(socketPath, 'GET', path, undefined, signal);
  if (response.statusCode !== 200) throw fromView((await readJson(response, path)) as Partial<ErrorView>);
  let rest = '';
  try {
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      const whole = (rest + chunk).split('\n');
      rest = whole.pop() ?? '';
      for (const line of whole) yield JSON.parse(line) as T;
    }
  } catch (error) {
    if (!signal.aborted) throw new UnderstudyError('NO_DAEMON', `the controller ended: ${reasonOf(error)}`, { cause: error });
  }
}

/** Asks the guard, which knows ownership and nothing of resources. Rejects with the first error when the guard is away too. */
const guardStatus = async (paths: Paths, first: UnderstudyError): Promise<StatusView> => {
  const connection = await connectFramed(guardSocket(paths), GUARD_MS).catch(() => {
    throw first;
  });
  try {
    const view = await new Promise<GuardView>((resolve, reject) => {
      const timer = setTimeout(() => reject(first), GUARD_MS);
      connection.onClose(() => {
        clearTimeout(timer);
        reject(first);
      });
      connection.onMessage((message) => {
        const said = message as FromGuard;
        if (said.t !== 'view') return;
        clearTimeout(timer);
        resolve(said.view);
      });
      connection.send({ t: 'hello', role: 'reader', pid: process.pid, startTime: startTimeOf(process.pid) ?? '' } satisfies ToGuard);
      connection.send({ t: 'view?' } satisfies ToGuard);
    });
    return statusFromGuard('', view);
  } finally {
    connection.close();
  }
};
