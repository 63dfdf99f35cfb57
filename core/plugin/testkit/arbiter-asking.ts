// How the arbiter suite asks a store: every question with a limit, every answer checked for its kind. And the shape of the
// store under test: what each harness gives, and which faults it can show.
import assert from 'node:assert/strict';
import { type Arbiter, ArbiterError, type CasResult, type Versioned } from '../../ownership/arbiter.js';

/** A store with one client to begin with. Every test opens its own and closes it. */
export interface ArbiterUnderTest {
  readonly arbiter: Arbiter;
  /** Another client of the same store, as another node would have it. */
  connect(): Promise<Arbiter>;
  close(): Promise<void>;
  /** Put before every key, for stores that outlive a test. Default: nothing. */
  readonly prefix?: string;
  readonly faults?: ArbiterFaults;
}

/** The faults a harness can show; a promise whose fault is missing is not tested on that store. */
export interface ArbiterFaults {
  /** `request`: requests of the first client no longer arrive; `answer`: they take effect, unanswered; `none`: all is well. */
  readonly lose?: (what: 'request' | 'answer' | 'none') => void | Promise<void>;
  /** Ends the store as by kill -9 and starts it again. */
  readonly restart?: () => Promise<void>;
  /**
   * From now on requests of the first client stay on the wire, also when it gave them up. The returned function lets them
   * arrive, and those that follow; it need not wait for their effect.
   */
  readonly hold?: () => Promise<() => void | Promise<void>>;
  /** Requests of the first client are cut off: the connection is reset before the store sees them. */
  readonly reset?: (on: boolean) => void | Promise<void>;
  /** Answers to the first client begin and never end. */
  readonly drip?: (on: boolean) => void | Promise<void>;
  /** The store answers the first client that it is asked too often, and does nothing. */
  readonly throttle?: (on: boolean) => void | Promise<void>;
  /** The store answers the first client that it may not do this, and does nothing. */
  readonly deny?: (on: boolean) => void | Promise<void>;
  /** Deletes a key behind every client's back, as an operator's hand would. */
  readonly forget?: (key: string) => Promise<void>;
  /** Takes a backup of the whole store. The returned function puts it back. */
  readonly backup?: () => Promise<() => Promise<void>>;
}

/** One promise of the contract. */
export interface ArbiterPromise {
  readonly title: string;
  /** The fault it needs. */
  readonly needs?: keyof ArbiterFaults;
  readonly run: (store: ArbiterUnderTest, key: (name: string) => string) => Promise<void>;
}

const LIMIT_MS = 10_000;
/** Long enough for an answer on a good day, short enough to wait for one that never comes. */
export const SHORT_MS = 200;

export const within = (ms: number): AbortSignal => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error(`${ms} ms are over`)), ms).unref();
  return controller.signal;
};
export const soon = (): AbortSignal => within(LIMIT_MS);
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const done = (result: CasResult): string => {
  assert.equal(result.outcome, 'done', `expected a success, got ${JSON.stringify(result)}`);
  return result.outcome === 'done' ? result.version : '';
};
export const put = async (arbiter: Arbiter, key: string, expected: string | null, value: string): Promise<string> =>
  done(await arbiter.cas(key, expected, value, soon()));
export const get = async (arbiter: Arbiter, key: string): Promise<Versioned | null> => (await arbiter.read([key], soon()))[0] ?? null;
export const unknown = (error: unknown): boolean => error instanceof ArbiterError && error.kind === 'unknown';
export const refused = (error: unknown): boolean => error instanceof ArbiterError && error.kind === 'refused';

/** A read after a fault: the first ones may still be told of it. */
export const getAfter = async (arbiter: Arbiter, key: string): Promise<Versioned | null> => {
  const signal = soon();
  for (;;) {
    try {
      return (await arbiter.read([key], signal))[0] ?? null;
    } catch (error) {
      if (!unknown(error) || signal.aborted) throw error;
      await pause(5);
    }
  }
};

export const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  const endMs = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    assert.ok(performance.now() < endMs, `${what} within ${LIMIT_MS} ms`);
    await pause(5);
  }
};
