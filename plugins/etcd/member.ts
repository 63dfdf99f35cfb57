// One endpoint of etcd and its connection. It is `good` only after a linearizable read over the present connection was
// answered by the store that is trusted; a call that failed, or a connection that broke, ends that until the next such read.
// So a member without a quorum, a wrong cluster and a restored one are found before anything is written to them.
import { ArbiterError, reasonOf } from 'understudy/arbiter';
import { failureOf, isTokenRefused } from './failures.js';
import type { Client, Header, Metadata, Method, Methods, Sdk, WatchRequest, WatchResponse } from './messages.js';
import type { Trust } from './trust.js';

/** The password is read anew at each login. */
export interface Login {
  readonly name: string;
  readonly password: { reveal(): string };
}

export interface MemberOptions {
  /** `ipv4:10.0.9.1:2379` */
  readonly endpoint: string;
  readonly sdk: Sdk;
  readonly methods: Methods;
  readonly credentials: ReturnType<Sdk['credentials']['createInsecure']>;
  /** The name in the server's certificate, where that is not its address. */
  readonly serverName: string | null;
  readonly login: Login | null;
  readonly trust: Trust;
  /** A key that the user may read. */
  readonly helloKey: Buffer;
  /** Told when it becomes good, when it ends to be, and when it is refused. */
  readonly changed: (member: Member) => void;
}

/** Short at first: an etcd that elects may keep the first one for seconds; then time for a far one with TLS and users. */
const HELLOS_MS = [300, 600, 1_200, 2_400];
const PAUSES_MS = [20, 50, 100, 200, 500];
/** A login is a password hash of etcd's: it takes longer than a request, and goes on when the one that wanted it gave up. */
const LOGIN_MS = 5_000;
const REFUSED_PAUSE_MS = 1_000;
const READY = 2;

/** Deadlines are ours (signals): gRPC's are wall-clock times. No call is ever repeated by the library. */
const CHANNEL = {
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.keepalive_time_ms': 2_000,
  'grpc.keepalive_timeout_ms': 1_000,
  'grpc.max_receive_message_length': 8 * 1024 * 1024,
};

export class Member {
  good = false;
  /** Why it is not good. */
  trouble = new ArbiterError('unknown', 'not connected yet');
  readonly name: string;
  readonly #options: MemberOptions;
  readonly #client: Client;
  readonly #closing = new AbortController();
  readonly #underWay = new Set<() => void>();
  #token: Promise<string> | null = null;
  #watched = false;
  #left: (() => void) | null = null;

  constructor(options: MemberOptions) {
    this.#options = options;
    const { endpoint, sdk, credentials, serverName } = options;
    this.name = endpoint.slice(endpoint.indexOf(':') + 1);
    this.#client = new sdk.Client(endpoint, credentials, {
      ...CHANNEL,
      ...(serverName === null ? {} : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName }),
    });
    void this.#keep();
  }

  /**
   * Sends it once, and once more only where etcd refused the token before it looked at the request. Rejects with ArbiterError.
   * `waitForReady`: over a new connection too, when there is none; never for a write.
   */
  async call<Request, Response extends { readonly header: Header | null }>(
    method: Method<Request, Response>,
    request: Request,
    signal: AbortSignal,
    waitForReady = false,
  ): Promise<Response> {
    const { trust } = this.#options;
    try {
      const floor = trust.revision;
      const response = await this.#withToken(signal, waitForReady, (metadata) => this.#unary(method, request, metadata, signal));
      const objection = trust.objection(response.header, floor);
      if (objection === null) return response;
      throw new ArbiterError('refused', `etcd ${this.name} is not believed: ${objection}`);
    } catch (thrown) {
      const failure = failureOf(this.name, thrown, signal.aborted);
      if (failure.kind === 'unknown' || /is not believed/.test(failure.message)) this.#doubt(failure);
      throw failure;
    }
  }

  /** Watches keys from a revision on. `told` gets every answer; the stream ends by itself when anything is wrong. */
  async watch(keys: readonly Buffer[], fromRevision: bigint, told: (response: WatchResponse) => void, signal: AbortSignal): Promise<void> {
    const { methods } = this.#options;
    const metadata = await this.#metadata(signal, false);
    const { path, requestSerialize, responseDeserialize } = methods.watch;
    const call = this.#client.makeBidiStreamRequest<WatchRequest, WatchResponse>(path, requestSerialize, responseDeserialize, metadata, {});
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      await new Promise<void>((resolve) => {
        call.on('data', (response: WatchResponse) => (response.canceled ? call.cancel() : told(response)));
        call.on('error', () => resolve()); // Its failure is no news: the calls tell whether the store answers.
        call.on('end', () => resolve());
        for (const key of keys) call.write({ create_request: { key, start_revision: String(fromRevision) } });
        if (signal.aborted) cancel();
      });
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  close(): void {
    this.#closing.abort();
    this.good = false;
    this.#left?.();
    for (const cancel of this.#underWay) cancel();
    this.#client.close();
  }

  async #keep(): Promise<void> {
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      const trouble = await this.#hello(HELLOS_MS[Math.min(failures, HELLOS_MS.length - 1)]!);
      if (this.#closing.signal.aborted) return;
      if (trouble === null) {
        failures = 0;
        const left = new Promise<void>((resolve) => (this.#left = resolve));
        this.good = true;
        this.#options.changed(this);
        this.#watchConnection();
        await left;
        continue;
      }
      this.trouble = trouble;
      this.#options.changed(this);
      const waitMs = trouble.kind === 'refused' ? REFUSED_PAUSE_MS : PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]!;
      failures += 1;
      await pause(waitMs, this.#closing.signal);
    }
  }

  async #hello(limitMs: number): Promise<ArbiterError | null> {
    const limit = AbortSignal.any([AbortSignal.timeout(limitMs), this.#closing.signal]);
    const { methods, helloKey } = this.#options;
    try {
      await this.call(methods.range, { key: helloKey, limit: '1', keys_only: true }, limit, true);
      return null;
    } catch (thrown) {
      return thrown instanceof ArbiterError ? thrown : new ArbiterError('unknown', reasonOf(thrown), { cause: thrown });
    }
  }

  #doubt(trouble: ArbiterError): void {
    if (!this.good) return;
    this.good = false;
    this.trouble = trouble;
    this.#options.changed(this);
    this.#left?.();
  }

  // One watcher at a time: it ends only when the connection does.
  #watchConnection(): void {
    if (this.#watched) return;
    this.#watched = true;
    this.#client.getChannel().watchConnectivityState(READY, Infinity, () => {
      this.#watched = false;
      this.#doubt(new ArbiterError('unknown', `no answer from etcd ${this.name}: the connection broke`));
    });
  }

  #unary<Request, Response>(
    { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
    request: Request,
    metadata: Metadata,
    signal: AbortSignal,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (signal.aborted || this.#closing.signal.aborted)
        return reject(new ArbiterError('unknown', `etcd ${this.name} was not asked: the time was over`));
      const cancel = () => call.cancel();
      const call = this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, {}, (error, response) => {
        signal.removeEventListener('abort', cancel);
        this.#underWay.delete(cancel);
        if (error !== null) reject(error);
        else if (response === undefined) reject(new Error('an empty answer'));
        else resolve(response);
      });
      signal.addEventListener('abort', cancel, { once: true });
      this.#underWay.add(cancel);
    });
  }

  #login({ name, password }: Login): Promise<string> {
    const { methods, sdk } = this.#options;
    const metadata = new sdk.Metadata({ waitForReady: true });
    const token = this.#unary(methods.authenticate, { name, password: password.reveal() }, metadata, AbortSignal.timeout(LOGIN_MS)).then(
      (answer) => answer.token,
    );
    token.catch(() => {
      if (this.#token === token) this.#token = null;
    });
    return token;
  }

  async #withToken<T>(signal: AbortSignal, waitForReady: boolean, ask: (metadata: Metadata) => Promise<T>): Promise<T> {
    const metadata = await this.#metadata(signal, waitForReady);
    const used = this.#token;
    try {
      return await ask(metadata);
    } catch (thrown) {
      if (used === null || !isTokenRefused(thrown)) throw thrown;
      if (this.#token === used) this.#token = null;
      return ask(await this.#metadata(signal, waitForReady));
    }
  }

  async #metadata(signal: AbortSignal, waitForReady: boolean): Promise<Metadata> {
    const { login, sdk } = this.#options;
    const metadata = new sdk.Metadata({ waitForReady });
    metadata.set('hasleader', 'true'); // A member without a leader says so at once instead of keeping the call.
    if (login === null) return metadata;
    metadata.set('token', await within(signal, (this.#token ??= this.#login(login))));
    return metadata;
  }
}

/** What the work resolves to, or a rejection as soon as the signal fires; the work goes on. */
const within = <T>(signal: AbortSignal, work: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    const late = () => reject(new ArbiterError('unknown', 'etcd did not log in in time'));
    signal.addEventListener('abort', late, { once: true });
    if (signal.aborted) late();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', late));
  });

/** Resolves when it is over, or at once with the signal. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });
