// One call of an arbiter to its store in AWS: ends with its signal or with the arbiter, leaves nothing behind, and fails with
// an ArbiterError that says what was asked, why not, and what to do. Nothing is asked twice here.
import { ArbiterError } from 'understudy/arbiter';
import { type Ec2Failure, failureOf } from './failures.js';

/** What a failure means for people, by its code; null: the general words. */
export type Hints = (failure: Ec2Failure) => string | null;

interface SigningClient {
  readonly config: { readonly systemClockOffset?: number };
}

export class StoreCalls {
  readonly #open = new Set<() => void>();
  #closed = false;

  constructor(
    private readonly store: string,
    private readonly client: SigningClient,
    private readonly hints: Hints,
    /** Told that the store does not take these keys any more. */
    private readonly expired: () => void,
  ) {}

  /** `send` is given a signal of its own, so that nothing stays with the caller's. */
  run<T>(signal: AbortSignal, action: string, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new ArbiterError('refused', 'the arbiter is closed'));
      if (signal.aborted) return reject(this.#unknown(action, 'the time was over before it was asked', signal.reason));
      const ending = new AbortController();
      const end = (settle: () => void) => {
        signal.removeEventListener('abort', late);
        this.#open.delete(closed);
        settle();
      };
      const giveUp = (error: ArbiterError) => {
        end(() => reject(error));
        ending.abort(error);
      };
      const late = () => giveUp(this.#unknown(action, 'it did not answer in time', signal.reason));
      const closed = () => giveUp(new ArbiterError('unknown', 'the arbiter was closed'));
      signal.addEventListener('abort', late, { once: true });
      this.#open.add(closed);
      send(ending.signal).then(
        (value) => end(() => resolve(value)),
        (thrown: unknown) => end(() => reject(this.#errorOf(action, thrown))),
      );
    });
  }

  /** Every call under way ends at once. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const closed of Array.from(this.#open)) closed();
  }

  #unknown(action: string, why: string, cause?: unknown): ArbiterError {
    return new ArbiterError('unknown', `no answer from ${this.store} to ${action}: ${why}`, { cause });
  }

  #errorOf(action: string, thrown: unknown): ArbiterError {
    if (thrown instanceof ArbiterError) return thrown;
    const failure = failureOf(action, thrown);
    const clock = clockWords(failure, this.client.config.systemClockOffset ?? 0);
    if (clock !== null) return new ArbiterError('refused', `${this.store} refuses ${failure.message}; ${clock}`, { cause: thrown });
    if (failure.kind === 'credentials') this.expired();
    // Throttled means not done, but a store that is too busy is to its caller a silent one: it asks again, or asks its peers.
    if (failure.kind === 'transient' || failure.kind === 'throttled') return this.#unknown(action, failure.message, thrown);
    const hint = this.hints(failure) ?? HINTS[failure.kind];
    return new ArbiterError('refused', `${this.store} refuses ${failure.message}${hint === undefined ? '' : `; ${hint}`}`, {
      cause: thrown,
    });
  }
}

const HINTS: Partial<Record<Ec2Failure['kind'], string>> = {
  denied: 'give this node’s role what `understudy permissions` prints',
  credentials: 'check the role of this instance: the keys it gives are not accepted',
};

const SKEWED = /^(RequestTimeTooSkewed|RequestExpired|RequestInTheFuture)$/;
const SKEWED_WORDS = /signature (has )?expired|signature not yet current|request timestamp|time.*too large/i;
const CERTIFICATE_TIME = /^CERT_(NOT_YET_VALID|HAS_EXPIRED)$/;

/** Requests are signed with the time, so a wrong clock is refused; leases never depend on it (SAFETY e, row 38). */
const clockWords = ({ code, message }: Ec2Failure, offsetMs: number): string | null => {
  if (CERTIFICATE_TIME.test(code)) return 'is the clock of this host right?';
  if (!SKEWED.test(code) && !SKEWED_WORDS.test(message)) return null;
  if (Math.abs(offsetMs) < 60_000) return 'the clock of this host is wrong: requests are signed with the time';
  // The SDK took the store's time from the refusal: it signs the next request with it.
  return `the clock of this host is ${offsetMs > 0 ? 'behind' : 'ahead'} by ${Math.round(Math.abs(offsetMs) / 1000)} s: set it right (NTP); the next request is signed with the store’s time`;
};
