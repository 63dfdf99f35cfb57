// A linearizable store in memory, and a node's way to it with faults on demand: the double for every test that needs an
// arbiter. Implements the same contract as the real ones; its own behaviour under faults is what theirs is measured by.
import { type Arbiter, ArbiterError, type CasResult, type Versioned } from '../../ownership/arbiter.js';
import type { Clock } from '../../system/clock.js';

/** The store itself: shared by the arbiters of all nodes. Each write gets the next version. */
export class MemoryStore {
  readonly #values = new Map<string, Versioned>();
  readonly #followers = new Set<(value: Versioned) => void>();
  #version = 0;

  get(key: string): Versioned | null {
    return this.#values.get(key) ?? null;
  }

  cas(key: string, expected: string | null, value: string): CasResult {
    const current = this.get(key);
    if ((current?.version ?? null) !== expected) return { outcome: 'conflict', current };
    return { outcome: 'done', version: this.put(key, value) };
  }

  /** Writes without any condition: an operator's hand, or a restored backup. */
  put(key: string, value: string): string {
    const written = { key, value, version: String((this.#version += 1)) };
    this.#values.set(key, written);
    for (const follower of this.#followers) follower(written);
    return written.version;
  }

  /** Loses a key, which no real store may. */
  forget(key: string): void {
    this.#values.delete(key);
  }

  /** Takes a backup. The returned function puts it back: what was written since is gone, its versions are never given again. */
  backup(): () => void {
    const kept = new Map(this.#values);
    return () => {
      this.#values.clear();
      for (const [key, value] of kept) this.#values.set(key, value);
    };
  }

  follow(follower: (value: Versioned) => void): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }
}

/** What the way to the store does to requests from now on. Requests already under way are not touched. */
export interface MemoryFaults {
  /** From the call to the effect in the store. Longer than the caller's deadline, it makes the effect land late. */
  requestDelayMs: number;
  /** From the effect to the answer. */
  answerDelayMs: number;
  /** The request never arrives: no effect, no answer until the caller's signal. */
  loseRequest: boolean;
  /** The effect happens, the answer never comes. */
  loseAnswer: boolean;
  /** The store answers and will not do it: the message, or null. */
  refuse: string | null;
}

export interface MemoryArbiterOptions {
  readonly clock: Clock;
  readonly store?: MemoryStore;
  /** Whether it can push; default true. */
  readonly follow?: boolean;
}

/** One node's arbiter over a MemoryStore. */
export class MemoryArbiter implements Arbiter {
  readonly store: MemoryStore;
  readonly faults: MemoryFaults = { requestDelayMs: 0, answerDelayMs: 0, loseRequest: false, loseAnswer: false, refuse: null };
  /** Calls made so far, for tests of how often the store is asked. */
  readonly calls = { read: 0, cas: 0 };
  readonly follow?: NonNullable<Arbiter['follow']>;
  readonly #clock: Clock;
  /** Ends what waits for an answer or follows. */
  readonly #open = new Set<() => void>();
  #closed = false;

  constructor({ clock, store = new MemoryStore(), follow = true }: MemoryArbiterOptions) {
    this.#clock = clock;
    this.store = store;
    if (follow) this.follow = (keys, changed, signal) => this.#follow(keys, changed, signal);
  }

  read(keys: readonly string[], signal: AbortSignal): Promise<readonly (Versioned | null)[]> {
    this.calls.read += 1;
    return this.#request(signal, () => keys.map((key) => this.store.get(key)));
  }

  cas(key: string, expected: string | null, value: string, signal: AbortSignal): Promise<CasResult> {
    this.calls.cas += 1;
    return this.#request(signal, () => this.store.cas(key, expected, value));
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const end of Array.from(this.#open)) end();
    return Promise.resolve();
  }

  /** The effect is not taken back when the caller stops waiting: what is on the wire may land at any time. */
  #request<T>(signal: AbortSignal, effect: () => T): Promise<T> {
    const faults = { ...this.faults };
    return new Promise((resolve, reject) => {
      const silence = () => new ArbiterError('unknown', 'the store did not answer in time', { cause: signal.reason });
      if (this.#closed) return reject(new ArbiterError('refused', 'the arbiter is closed'));
      if (signal.aborted) return reject(silence());
      const answered = (settle: () => void) => {
        signal.removeEventListener('abort', silent);
        this.#open.delete(closed);
        settle();
      };
      const silent = () => answered(() => reject(silence()));
      const closed = () => answered(() => reject(new ArbiterError('unknown', 'the arbiter was closed')));
      signal.addEventListener('abort', silent, { once: true });
      this.#open.add(closed);
      if (faults.refuse !== null)
        return this.#later(faults.requestDelayMs, () => answered(() => reject(new ArbiterError('refused', faults.refuse ?? ''))));
      if (faults.loseRequest) return undefined;
      return this.#later(faults.requestDelayMs, () => {
        const result = effect();
        if (!faults.loseAnswer) this.#later(faults.answerDelayMs, () => answered(() => resolve(result)));
      });
    });
  }

  #later(delayMs: number, act: () => void): void {
    if (delayMs <= 0) act();
    else this.#clock.after(delayMs, act);
  }

  #follow(keys: readonly string[], changed: (value: Versioned) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || this.#closed) return resolve();
      const unfollow = this.store.follow((value) => {
        if (keys.includes(value.key) && !this.faults.loseAnswer && !this.faults.loseRequest)
          this.#later(this.faults.answerDelayMs, () => changed(value));
      });
      const end = () => {
        unfollow();
        this.#open.delete(end);
        signal.removeEventListener('abort', end);
        resolve();
      };
      this.#open.add(end);
      signal.addEventListener('abort', end, { once: true });
    });
  }
}
