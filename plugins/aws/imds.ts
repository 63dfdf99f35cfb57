// Instance metadata, version 2 only: one token kept in memory and asked anew on 401, 503 and silence tried again, every
// request short. Says what this instance is; decides nothing.
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { reasonOf, UnderstudyError, type Clock, type Random } from 'understudy/arbiter';

/** What the agents need to know of the instance they run on. All reject with AGENT_FAILED when IMDS does not tell. */
export interface Imds {
  region(signal: AbortSignal): Promise<string>;
  /** The id of this instance. */
  instance(signal: AbortSignal): Promise<string>;
  /** The ENI behind a network interface of this host; that of the first interface for one without a hardware address (`lo`). */
  eni(interfaceName: string, signal: AbortSignal): Promise<string>;
  /** The instance role's credentials. */
  credentials(signal: AbortSignal): Promise<RoleCredentials>;
}
export const Imds: unique symbol = Symbol('aws.Imds');

export interface RoleCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

export interface ImdsParts {
  readonly endpoint: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Hardware address of an interface; default: the operating system's. */
  readonly macOf?: (interfaceName: string) => string | null;
}

/** What IMDS says of a role. Rejects with AGENT_FAILED whatever the text is; shows nothing of it but its code. */
export const readCredentials = (text: string, role: string): RoleCredentials => {
  const told = parsed(text);
  const part = (name: string): string | null => {
    const value = told?.[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const [accessKeyId, secretAccessKey, sessionToken] = [part('AccessKeyId'), part('SecretAccessKey'), part('Token')];
  const expiration = new Date(part('Expiration') ?? Number.NaN);
  if (accessKeyId === null || secretAccessKey === null || sessionToken === null || Number.isNaN(expiration.getTime()))
    throw new UnderstudyError(
      'AGENT_FAILED',
      `IMDS gave no credentials for the role ${role}: ${part('Code')?.slice(0, 100) ?? 'no reason given'}`,
    );
  return { accessKeyId, secretAccessKey, sessionToken, expiration };
};

const parsed = (text: string): Readonly<Record<string, unknown>> | null => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null; // Not JSON: no credentials, which the caller says.
  }
};

const ATTEMPT_MS = 500;
const ATTEMPTS = 5;
const TOKEN_TTL_SECONDS = 21_600;

export class HttpImds implements Imds {
  private token: Promise<string> | null = null;

  constructor(private readonly parts: ImdsParts) {}

  async region(signal: AbortSignal): Promise<string> {
    return this.need('meta-data/placement/region', signal);
  }

  async instance(signal: AbortSignal): Promise<string> {
    return (await this.need('meta-data/instance-id', signal)).trim();
  }

  async eni(interfaceName: string, signal: AbortSignal): Promise<string> {
    const mac = (this.parts.macOf ?? systemMac)(interfaceName) ?? (await this.need('meta-data/mac', signal));
    return this.need(`meta-data/network/interfaces/macs/${mac}/interface-id`, signal);
  }

  async credentials(signal: AbortSignal): Promise<RoleCredentials> {
    const base = 'meta-data/iam/security-credentials/';
    const role = (await this.need(base, signal)).split('\n')[0]!.trim();
    return readCredentials(await this.need(base + role, signal), role);
  }

  private async need(path: string, signal: AbortSignal): Promise<string> {
    let last = 'no answer';
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const told = await this.attempt(path, signal);
      if (told.kind === 'told') return told.text;
      last = told.why;
      if (told.kind === 'final' || signal.aborted) break;
      if (attempt < ATTEMPTS) await this.parts.clock.sleep((0.5 + this.parts.random.next()) * 50 * 2 ** (attempt - 1), signal);
    }
    throw new UnderstudyError('AGENT_FAILED', `IMDS at ${this.parts.endpoint} did not tell ${path}: ${last}`, {
      hint: 'Check that instance metadata is enabled and its hop limit reaches this process, or name the ENI in the options (`on: { NODE: { eni: … } }`).',
    });
  }

  private async attempt(
    path: string,
    signal: AbortSignal,
  ): Promise<{ kind: 'told'; text: string } | { kind: 'again' | 'final'; why: string }> {
    try {
      const token = await (this.token ??= this.newToken(signal));
      const { status, text } = await this.http('GET', `/latest/${path}`, { 'x-aws-ec2-metadata-token': token }, signal);
      if (status === 200) return { kind: 'told', text };
      if (status === 401) this.token = null;
      return { kind: status === 401 || status === 429 || status >= 500 ? 'again' : 'final', why: `it answered ${status}` };
    } catch (thrown) {
      this.token = null;
      return { kind: 'again', why: reasonOf(thrown) };
    }
  }

  private async newToken(signal: AbortSignal): Promise<string> {
    const { status, text } = await this.http(
      'PUT',
      '/latest/api/token',
      { 'x-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_TTL_SECONDS) },
      signal,
    );
    if (status !== 200) throw new Error(`it answered ${status} to the request for a token`);
    return text;
  }

  private http(
    method: 'GET' | 'PUT',
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ status: number; text: string }> {
    const { clock, endpoint } = this.parts;
    const late = new AbortController();
    const timer = clock.after(ATTEMPT_MS, () => late.abort(new Error(`no answer within ${ATTEMPT_MS} ms`)), { idle: true });
    const stop = AbortSignal.any([signal, late.signal]);
    return new Promise<{ status: number; text: string }>((resolve, reject) => {
      const fail = (error: Error) => reject(late.signal.aborted ? late.signal.reason : error);
      const asked = request(new URL(endpoint.replace(/\/$/, '') + path), { method, headers, signal: stop, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          if (text.length < 65_536) text += chunk;
        });
        response.on('error', fail);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      asked.on('error', fail);
      asked.end();
    }).finally(() => timer.cancel());
  }
}

const systemMac = (interfaceName: string): string | null => {
  const mac = networkInterfaces()[interfaceName]?.[0]?.mac;
  return mac === undefined || mac === '00:00:00:00:00:00' ? null : mac;
};
