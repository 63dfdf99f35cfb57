// The arbiter of a node whose store is the witness: one connection, kept open and greeted before it is needed; requests
// pipelined; each ends with its signal. A request is sent once at most: what became of one whose connection ended is
// unknown, and the caller reads again.
import { type Arbiter, ArbiterError, type CasResult, type Log, type Versioned } from 'understudy/arbiter';
import type { Answer } from './answers.js';
import { Link } from './link.js';
import type { WitnessMemory } from './memory.js';
import type { Request } from './messages.js';

export interface WitnessClientOptions {
  readonly host: string;
  readonly port: number;
  readonly key: Uint8Array;
  readonly cluster: string;
  readonly node: string;
  readonly memory: WitnessMemory;
  readonly log: Log;
}

interface Pending {
  readonly request: Exclude<Request, { t: 'follow' }>;
  /** Returns true when this answer was the last. */
  readonly answered: (answer: Answer) => boolean;
  readonly failed: (error: ArbiterError) => void;
  /** By `performance.now()`; null while it waits for a connection. */
  sentMs: number | null;
}

interface Follower {
  readonly keys: ReadonlySet<string>;
  readonly changed: (value: Versioned) => void;
  readonly told: Map<string, string>;
  readonly end: () => void;
}

const MAX_PENDING = 1024;
const BACKOFF_MS = [0, 20, 50, 100];
const REFUSED_BACKOFF_MS = 1000;
const READY_WITHIN_MS = [300, 600, 1200, 2400];

export class WitnessClient implements Arbiter {
  readonly #options: WitnessClientOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #followers = new Set<Follower>();
  #link: Link | null = null;
  /** The link whose silence is being looked into. */
  #doubted: Link | null = null;
  #retry: NodeJS.Timeout | null = null;
  #attempts = 0;
  #nextId = 0;
  #trouble = 'not connected yet';
  #refusal: string | null = null;
  #closed = false;

  constructor(options: WitnessClientOptions) {
    this.#options = options;
    this.#connect();
  }

  read(keys: readonly string[], signal: AbortSignal): Promise<readonly (Versioned | null)[]> {
    const found = new Map<string, Versioned>();
    return this.#request(
      signal,
      (id) => ({ t: 'read', id, keys: [...keys] }),
      (answer, resolve) => {
        if (answer.t !== 'values') return null;
        for (const value of answer.values) found.set(value.key, value);
        if (answer.last) resolve(keys.map((key) => found.get(key) ?? null));
        return answer.last;
      },
    );
  }

  cas(key: string, expected: string | null, value: string, signal: AbortSignal): Promise<CasResult> {
    return this.#request<CasResult>(
      signal,
      (id) => ({ t: 'cas', id, key, expected, value }),
      (answer, resolve) => {
        if (answer.t === 'done') resolve({ outcome: 'done', version: answer.version });
        else if (answer.t === 'conflict') resolve({ outcome: 'conflict', current: answer.current });
        else return null;
        return true;
      },
    );
  }

  follow(keys: readonly string[], changed: (value: Versioned) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || this.#closed) return resolve();
      const end = () => {
        signal.removeEventListener('abort', end);
        if (this.#followers.delete(follower)) this.#sendFollow();
        resolve();
      };
      const follower: Follower = { keys: new Set(keys), changed, told: new Map(), end };
      this.#followers.add(follower);
      signal.addEventListener('abort', end, { once: true });
      this.#sendFollow();
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#link?.end('closed');
    for (const { end } of this.#followers) end();
    this.#failAll(new ArbiterError('unknown', 'the arbiter was closed'), () => true);
    return Promise.resolve();
  }

  #request<T>(
    signal: AbortSignal,
    make: (id: number) => Pending['request'],
    settle: (answer: Answer, resolve: (value: T) => void) => boolean | null,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new ArbiterError('refused', 'the arbiter is closed'));
      if (signal.aborted) return reject(this.#unknown('the time was over before it was asked', signal.reason));
      if (this.#refusal !== null) return reject(new ArbiterError('refused', this.#refusal));
      if (this.#pending.size >= MAX_PENDING) return reject(this.#unknown(`${MAX_PENDING} requests are under way`));
      const id = this.#nextId++;
      const done = () => {
        this.#pending.delete(id);
        signal.removeEventListener('abort', abort);
      };
      const pending: Pending = {
        request: make(id),
        sentMs: null,
        answered: (answer) => {
          if (answer.t === 'refused') reject(new ArbiterError('refused', `the witness refused: ${answer.why}`));
          else if (settle(answer, resolve) !== true) return false;
          done();
          return true;
        },
        failed: (error) => {
          done();
          reject(error);
        },
      };
      const abort = () => {
        const link = this.#link;
        const { sentMs } = pending;
        pending.failed(this.#unknown(sentMs === null ? this.#trouble : 'it did not answer in time', signal.reason));
        if (sentMs !== null && link !== null) this.#doubt(link, sentMs);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#pending.set(id, pending);
      if (this.#link?.ready === true && this.#link !== this.#doubted) this.#send(this.#link, pending);
    });
  }

  #unknown(why: string, cause?: unknown): ArbiterError {
    return new ArbiterError('unknown', `no answer from the witness ${this.#options.host}:${this.#options.port}: ${why}`, { cause });
  }

  #send(link: Link, pending: Pending): void {
    pending.sentMs = performance.now();
    link.send(pending.request);
  }

  // Not a byte since it was asked: the way may be dead, and TCP would find out much later; a new connection knows. But after
  // a pause of this process timers run before the sockets are read, so what waits there is read first. Until then nothing
  // new is sent: it would be lost with the connection.
  #doubt(link: Link, sinceMs: number): void {
    if (!link.ready || link.heardMs >= sinceMs) return;
    this.#doubted = link;
    setImmediate(() =>
      setImmediate(() => {
        if (this.#doubted === link) this.#doubted = null;
        if (link.ready && link.heardMs < sinceMs) link.end('it did not answer in time');
        else if (link.ready) this.#sendWaiting(link);
      }),
    );
  }

  #sendWaiting(link: Link): void {
    for (const pending of this.#pending.values()) if (pending.sentMs === null) this.#send(link, pending);
  }

  #sendFollow(): void {
    if (this.#link?.ready !== true) return;
    this.#link.send({ t: 'follow', keys: [...new Set([...this.#followers].flatMap(({ keys }) => [...keys]))] });
  }

  #failAll(error: ArbiterError, which: (pending: Pending) => boolean): void {
    for (const pending of this.#pending.values()) if (which(pending)) pending.failed(error);
  }

  #connect(): void {
    this.#retry = null;
    const { host, port, key, cluster, node } = this.#options;
    const readyWithinMs = READY_WITHIN_MS[Math.min(this.#attempts, READY_WITHIN_MS.length - 1)]!;
    const link: Link = new Link({
      host,
      port,
      key,
      cluster,
      node,
      readyWithinMs,
      onWelcome: ({ stateId, generation }) => this.#welcomed(link, stateId, generation),
      onAnswer: (answer) => this.#answer(answer),
      onEnd: (why, strange) => this.#ended(link, why, strange),
    });
    this.#link = link;
  }

  #welcomed(link: Link, stateId: string, generation: number): void {
    this.#attempts = 0;
    const objection = this.#options.memory.objection(stateId, generation);
    if (objection !== null) return link.end(objection, true);
    if (this.#refusal !== null) this.#options.log.info('the witness is good again', { stateId });
    this.#refusal = null;
    this.#sendWaiting(link);
    if (this.#followers.size > 0) this.#sendFollow();
  }

  #ended(link: Link, why: string, strange: boolean): void {
    if (this.#link !== link) return;
    this.#link = null;
    this.#trouble = why;
    if (this.#closed) return;
    if (strange) {
      if (this.#refusal !== why) this.#options.log.error('the witness is refused', { why });
      this.#refusal = why;
      this.#failAll(new ArbiterError('refused', why), () => true);
    } else this.#failAll(this.#unknown(why), ({ sentMs }) => sentMs !== null);
    const waitMs = strange ? REFUSED_BACKOFF_MS : BACKOFF_MS[Math.min(this.#attempts, BACKOFF_MS.length - 1)]!;
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#connect(), waitMs);
  }

  #answer(answer: Answer): void {
    if (answer.t === 'push') return this.#pushed(answer.value);
    if (answer.t !== 'refused') this.#options.memory.saw(answer.generation);
    this.#pending.get(answer.id)?.answered(answer);
  }

  #pushed(value: Versioned): void {
    for (const { keys, changed, told } of this.#followers) {
      if (!keys.has(value.key) || told.get(value.key) === value.version) continue;
      told.set(value.key, value.version);
      changed(value);
    }
  }
}
