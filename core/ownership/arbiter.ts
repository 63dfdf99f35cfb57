// The arbiter contract: a linearizable store with compare-and-set, and nothing more. No server-side expiry, no locks, no
// wall clock (SAFETY a.4). All deadlines are the guard's: it passes a signal, and an implementation ends when it fires.

/** A stored value. `version` is the store's own token for exactly this state (mod_revision, ETag, a counter). */
export interface Versioned {
  readonly key: string;
  readonly value: string;
  readonly version: string;
}

/** `conflict` carries what is there now; null when the key is absent. */
export type CasResult =
  | { readonly outcome: 'done'; readonly version: string }
  | { readonly outcome: 'conflict'; readonly current: Versioned | null };

/**
 * What went wrong when the store gave no usable answer. `unknown`: it may or may not have happened (a timeout, a reset):
 * read again. `refused`: it answered and will not do it (credentials, wrong state id).
 */
export class ArbiterError extends Error {
  override readonly name = 'ArbiterError';
  readonly kind: 'unknown' | 'refused';

  constructor(kind: 'unknown' | 'refused', message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

export interface Arbiter {
  /**
   * Linearizable read of several keys, in one round trip where the store can; null for an absent key. All values are those of
   * one moment between the call and the answer: orders are never older than the lease beside them (SAFETY a.4). A store that
   * takes so many keys and no more may read in steps, in the order asked. May try again within its signal. Throws ArbiterError.
   */
  read(keys: readonly string[], signal: AbortSignal): Promise<readonly (Versioned | null)[]>;
  /**
   * Writes `value` if the key's version is still `expected` (null: the key must be absent). Durable before it answers.
   * Never sends a write twice. Throws ArbiterError when the outcome is unknown, and `unknown` too when the store was too busy
   * to do it: to the caller that is silence. A version is never given twice, not even by a store restored from a backup.
   */
  cas(key: string, expected: string | null, value: string, signal: AbortSignal): Promise<CasResult>;
  /**
   * Calls back with the newest value of any of the keys soon after it changed, until the signal ends it. Only a hint: it
   * may be late, may skip states, may end at any time (the promise settles). Absent where the store cannot push.
   */
  follow?(keys: readonly string[], changed: (value: Versioned) => void, signal: AbortSignal): Promise<void>;
  /** Ends connections. Idempotent. */
  close(): Promise<void>;
}
