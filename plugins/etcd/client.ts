// The arbiter of a node whose store is etcd: reads and compare-and-sets go to one member that is known to be good. A read that
// failed is asked of the next; a write is sent once at most, and only to a good member, so that what was not sent is known.
import { type Arbiter, ArbiterError, type CasResult, type Log, type Versioned, reasonOf } from 'understudy/arbiter';
import { Member, type MemberOptions, pause } from './member.js';
import { type KeyValue, type Methods, type Sdk, methodsOf } from './messages.js';
import type { Trust } from './trust.js';

export interface EtcdClientOptions {
  readonly endpoints: readonly string[];
  /** Before every key. */
  readonly prefix: string;
  readonly load: () => Promise<Sdk>;
  readonly member: (sdk: Sdk) => Pick<MemberOptions, 'credentials' | 'serverName' | 'login'>;
  readonly trust: Trust;
  readonly log: Log;
}

/** etcd takes 128 operations in one transaction unless it is told otherwise. */
const KEYS_AT_ONCE = 100;
const MAX_UNDER_WAY = 1024;
const FOLLOW_AGAIN_MS = 100;

export class EtcdClient implements Arbiter {
  readonly #options: EtcdClientOptions;
  readonly #closing = new AbortController();
  readonly #waiting = new Set<() => void>();
  #members: readonly Member[] = [];
  #methods: Methods | null = null;
  #preferred: Member | null = null;
  #unusable: ArbiterError | null = null;
  #told = '';
  #underWay = 0;

  constructor(options: EtcdClientOptions) {
    this.#options = options;
    void this.#begin();
  }

  async read(keys: readonly string[], signal: AbortSignal): Promise<readonly (Versioned | null)[]> {
    const values: (Versioned | null)[] = [];
    for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
      const some = keys.slice(at, at + KEYS_AT_ONCE);
      const { responses } = await this.#reading(signal, (member, methods) => member.call(methods.txn, this.#readOf(some), signal));
      values.push(...some.map((key, index) => this.#found(key, responses[index]?.response_range?.kvs[0])));
    }
    if (keys.length === 0) this.#open(signal);
    return values;
  }

  async cas(key: string, expected: string | null, value: string, signal: AbortSignal): Promise<CasResult> {
    if (expected !== null && !/^\d{1,19}$/.test(expected))
      throw new ArbiterError('refused', `"${expected}" is not a version that etcd gave: it is from another store`);
    const at = this.#keyOf(key);
    const { header, succeeded, responses } = await this.#bounded(async () => {
      const { member, methods } = await this.#ready(signal);
      return member.call(
        methods.txn,
        {
          compare: [{ result: 0, target: 2, key: at, mod_revision: expected ?? '0' }],
          success: [{ request_put: { key: at, value: Buffer.from(value) } }],
          failure: [{ request_range: { key: at } }],
        },
        signal,
      );
    });
    // A write's own revision is the store's: it is what the key's mod_revision has become.
    if (succeeded) return { outcome: 'done', version: header!.revision };
    return { outcome: 'conflict', current: this.#found(key, responses[0]?.response_range?.kvs[0]) };
  }

  async follow(keys: readonly string[], changed: (value: Versioned) => void, signal: AbortSignal): Promise<void> {
    const ending = AbortSignal.any([signal, this.#closing.signal]);
    const told = new Map<string, string>();
    const tell = (value: Versioned | null) => {
      if (value === null || ending.aborted || told.get(value.key) === value.version) return;
      told.set(value.key, value.version);
      changed(value);
    };
    while (!ending.aborted) {
      try {
        await this.#followOnce(keys, tell, ending);
      } catch (error) {
        if (!(error instanceof ArbiterError)) throw error;
      }
      await pause(FOLLOW_AGAIN_MS, ending);
    }
  }

  close(): Promise<void> {
    this.#closing.abort();
    for (const member of this.#members) member.close();
    this.#wake();
    return Promise.resolve();
  }

  async #begin(): Promise<void> {
    const { endpoints, load, member, trust, prefix } = this.#options;
    try {
      const sdk = await load();
      if (this.#closing.signal.aborted) return;
      const methods = methodsOf(sdk);
      this.#methods = methods;
      const shared = { ...member(sdk), sdk, methods, trust, helloKey: Buffer.from(`${prefix}understudy/`) };
      this.#members = endpoints.map((endpoint) => new Member({ ...shared, endpoint, changed: (one) => this.#changed(one) }));
      this.#preferred = this.#members[0] ?? null;
    } catch (error) {
      this.#unusable = new ArbiterError('refused', `the client of etcd could not be loaded: ${reasonOf(error)}`, { cause: error });
      this.#wake();
    }
  }

  #changed(member: Member): void {
    if (member.good) {
      if (this.#preferred?.good !== true) this.#preferred = member;
    } else if (this.#preferred === member) this.#preferred = this.#after(member);
    const refused = !member.good && member.trouble.kind === 'refused' ? member.trouble.message : '';
    if (refused !== '' && refused !== this.#told) this.#options.log.error('a member of etcd is refused', { why: refused });
    if (refused !== '') this.#told = refused;
    this.#wake();
  }

  /** The first good one behind it, or it itself. */
  #after(member: Member): Member {
    const at = this.#members.indexOf(member);
    const others = [...this.#members.slice(at + 1), ...this.#members.slice(0, at)];
    return others.find(({ good }) => good) ?? member;
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  #open(signal: AbortSignal): void {
    if (this.#closing.signal.aborted) throw new ArbiterError('refused', 'the arbiter is closed');
    if (signal.aborted) throw new ArbiterError('unknown', 'etcd was not asked: the time was over', { cause: signal.reason });
  }

  /** A good member as soon as there is one. Rejects `unknown` with the signal, `refused` when every member refuses. */
  #ready(signal: AbortSignal): Promise<{ readonly member: Member; readonly methods: Methods }> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#waiting.delete(look);
        signal.removeEventListener('abort', look);
        settle();
      };
      const look = () => {
        try {
          this.#open(signal);
          if (this.#unusable !== null) throw this.#unusable;
        } catch (error) {
          return end(() => reject(signal.aborted && !this.#closing.signal.aborted ? this.#silent(error) : error));
        }
        const member = this.#preferred?.good === true ? this.#preferred : this.#members.find(({ good }) => good);
        const methods = this.#methods;
        if (member !== undefined && methods !== null) return end(() => resolve({ member, methods }));
        const [first] = this.#members;
        if (first !== undefined && this.#members.every(({ trouble }) => trouble.kind === 'refused')) end(() => reject(first.trouble));
      };
      this.#waiting.add(look);
      signal.addEventListener('abort', look, { once: true });
      look();
    });
  }

  #silent(cause: unknown): ArbiterError {
    const troubles = this.#members.map(({ trouble }) => trouble.message).join('; ');
    return new ArbiterError('unknown', `no member of etcd is known to be good: ${troubles || 'its client is being loaded'}`, { cause });
  }

  /** Reads may be asked again: of the next member, while there is time. */
  #reading<T>(signal: AbortSignal, ask: (member: Member, methods: Methods) => Promise<T>): Promise<T> {
    return this.#bounded(async () => {
      for (;;) {
        const { member, methods } = await this.#ready(signal);
        try {
          return await ask(member, methods);
        } catch (error) {
          if (!(error instanceof ArbiterError) || error.kind === 'refused' || signal.aborted) throw error;
        }
      }
    });
  }

  async #bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#underWay >= MAX_UNDER_WAY) throw new ArbiterError('unknown', `etcd was not asked: ${MAX_UNDER_WAY} requests are under way`);
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
    }
  }

  async #followOnce(keys: readonly string[], tell: (value: Versioned | null) => void, ending: AbortSignal): Promise<void> {
    const { member, methods } = await this.#ready(ending);
    const leaving = new AbortController();
    const look = () => member.good || leaving.abort();
    this.#waiting.add(look);
    try {
      const signal = AbortSignal.any([ending, leaving.signal]);
      let from: bigint | null = null;
      for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
        const some = keys.slice(at, at + KEYS_AT_ONCE);
        const { header, responses } = await member.call(methods.txn, this.#readOf(some), signal);
        from ??= BigInt(header!.revision) + 1n;
        some.forEach((key, index) => tell(this.#found(key, responses[index]?.response_range?.kvs[0])));
      }
      const { length } = this.#keyOf('');
      const watched = ({ events }: { readonly events: readonly { readonly type: number; readonly kv: KeyValue | null }[] }) => {
        for (const { type, kv } of events) if (type === 0 && kv !== null) tell(this.#found(kv.key.toString('utf8', length), kv));
      };
      if (from !== null)
        await member.watch(
          keys.map((key) => this.#keyOf(key)),
          from,
          watched,
          signal,
        );
    } finally {
      this.#waiting.delete(look);
    }
  }

  #keyOf(key: string): Buffer {
    return Buffer.from(this.#options.prefix + key);
  }

  #readOf(keys: readonly string[]) {
    return { success: keys.map((key) => ({ request_range: { key: this.#keyOf(key) } })) };
  }

  #found(key: string, found: KeyValue | undefined | null): Versioned | null {
    return found == null ? null : { key, value: found.value.toString('utf8'), version: found.mod_revision };
  }
}
