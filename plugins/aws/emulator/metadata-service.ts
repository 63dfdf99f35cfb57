// IMDSv2 over HTTP: a token by PUT, then reads that bear it. No version 1: a read without a token is 401, as on an instance
// that requires tokens. A host is known by the address it asks from, or by the path `/_host/NAME/latest/…`.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from 'understudy/plugin';
import type { CallLog } from './calls.js';
import type { Faults } from './faults.js';
import type { History } from './history.js';
import { metadataAt, requester, ROLE } from './metadata.js';
import type { Principals } from './principals.js';
import { reply } from './reply.js';

export interface MetadataParts {
  readonly history: History;
  readonly faults: Faults;
  readonly calls: CallLog;
  readonly principals: Principals;
  readonly clock: Clock;
  readonly stopping: AbortSignal;
}

const TOKEN = 'x-aws-ec2-metadata-token';
const TTL = 'x-aws-ec2-metadata-token-ttl-seconds';
const TOKENS_KEPT = 1000;

export class MetadataService {
  private readonly tokens = new Map<string, number>();

  constructor(private readonly parts: MetadataParts) {}

  async answer(request: IncomingMessage, fullPath: string, response: ServerResponse): Promise<void> {
    const { calls, faults, clock, stopping } = this.parts;
    const [, named = null, path = fullPath] = /^\/_host\/([^/]+)(\/.*)$/.exec(fullPath) ?? [];
    const ended = calls.begin({
      action: 'IMDS',
      parameters: { method: request.method ?? 'GET', path },
      userAgent: request.headers['user-agent'] ?? '',
      principal: null,
    });
    const met = faults.matching({ action: 'IMDS', values: [path], principal: null });
    const say = (status: number, text = '', headers = {}) => {
      ended(status === 200 ? 'ok' : String(status));
      reply(response, status, 'text/plain', text, headers);
    };
    for (const { kind, ms = 0, status = 500 } of met) {
      if (kind === 'latency') await clock.sleep(ms, stopping);
      if (kind === 'hang') return ended('hang');
      if (kind === 'reset') {
        ended('reset');
        response.socket?.resetAndDestroy();
        return;
      }
      if (kind === 'throttle') return say(503);
      if (kind === 'error') return say(status);
    }
    if (request.method === 'PUT' && path === '/latest/api/token') return this.issue(request, say);
    const token = request.headers[TOKEN];
    if (typeof token !== 'string' || !((this.tokens.get(token) ?? 0) > clock.nowMs())) return say(401);
    const found = this.read(request, named, path);
    return found === null ? say(404, 'not found') : say(200, found);
  }

  private issue(request: IncomingMessage, say: (status: number, text?: string, headers?: Record<string, string>) => void): void {
    const seconds = Number(request.headers[TTL]);
    if (request.headers['x-forwarded-for'] !== undefined) return say(403);
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > 21_600) return say(400);
    const token = randomUUID();
    this.tokens.set(token, this.parts.clock.nowMs() + seconds * 1000);
    const [oldest] = this.tokens.keys();
    if (this.tokens.size > TOKENS_KEPT && oldest !== undefined) this.tokens.delete(oldest);
    say(200, token, { [TTL]: String(seconds) });
  }

  private read(request: IncomingMessage, named: string | null, path: string): string | null {
    const { history, principals } = this.parts;
    const remote = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const instance = requester(history.now, remote, named === null ? null : decodeURIComponent(named));
    const credentials = principals.issue(`${ROLE}${instance === null ? '' : `/${instance.id}`}`);
    return path.startsWith('/latest/') ? metadataAt(history.now, instance, path.slice('/latest/'.length), credentials) : null;
  }
}
