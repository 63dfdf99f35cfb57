// Why a call to AWS did not give what was asked, sorted by what it means for the address: a refusal is final until somebody
// changes something, a throttled or lost call says nothing at all. Pure.
import { reasonOf } from 'understudy/arbiter';

/**
 * throttled: asked too often. denied: no right to it. credentials: none, or expired. absent: what was named is not there.
 * refused: any other answer of AWS that asking again does not change. transient: no answer, or one that says "later".
 */
export type FailureKind = 'throttled' | 'denied' | 'credentials' | 'absent' | 'refused' | 'transient';

/** A failed call. `mayHaveHappened`: the effect may be there all the same, so only a read can tell. */
export class Ec2Failure extends Error {
  override readonly name = 'Ec2Failure';

  constructor(
    readonly kind: FailureKind,
    readonly action: string,
    readonly code: string,
    message: string,
    readonly mayHaveHappened: boolean,
    options?: { readonly cause?: unknown },
  ) {
    super(
      `${action}: ${SKEWED.test(code) ? WRONG_CLOCK : WORDS[kind]} (${code}${message === '' || message === code ? '' : `: ${message}`})`,
      options,
    );
  }

  /** Asking again cannot help before somebody changes something. */
  get final(): boolean {
    return this.kind === 'denied' || this.kind === 'absent' || this.kind === 'refused';
  }
}

/** AWS refuses what is signed with a time far from its own; the SDK signs the next request with the time of the answer. */
const SKEWED = /^(RequestExpired|RequestTimeTooSkewed|RequestInTheFuture)$/;
const WRONG_CLOCK = 'signed with a wrong time, set the clock of this host right (NTP)';

const WORDS: Readonly<Record<FailureKind, string>> = {
  throttled: 'asked too often',
  denied: 'not allowed',
  credentials: 'no valid credentials',
  absent: 'not there',
  refused: 'refused',
  transient: 'no answer',
};

const THROTTLED =
  /^(Request)?(RequestLimitExceeded|ProvisionedThroughputExceeded\w*|Throttl\w*|TooManyRequests\w*|SlowDown|BandwidthLimitExceeded|LimitExceededException|PriorRequestNotComplete)$/;
const DENIED = /^(UnauthorizedOperation|AccessDenied\w*|OptInRequired|Blocked|OperationNotPermitted)$/;
const CREDENTIALS =
  /^(ExpiredToken\w*|RequestExpired|AuthFailure|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|InvalidSignature\w*|MissingAuthenticationToken|CredentialsProviderError|TokenProviderError|PendingVerification)$/;
const LATER =
  /^(InternalError|InternalFailure|Unavailable|ServiceUnavailable|ServiceUnavailableException|RequestTimeout\w*|TimeoutError|AbortError|InsufficientAddressCapacity|IncorrectState|ConcurrentModification\w*|ECONN\w+|E(PIPE|HOSTUNREACH|NETUNREACH|AI_AGAIN|NOTFOUND|TIMEDOUT))$/;

/** EC2 names a missing route in two ways: by code to DeleteRoute, by these words to ReplaceRoute. */
const NO_SUCH_ROUTE = /There is no route defined/;

/** Sorts whatever the SDK threw. */
export const failureOf = (action: string, thrown: unknown): Ec2Failure => {
  if (thrown instanceof Ec2Failure) return thrown;
  const { name = '', code: given, $metadata, $fault } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as SdkError;
  // A DOMException (an abort, a timeout) has a number there that says less than its name.
  const code = typeof given === 'string' ? given : '';
  const answered = $fault !== undefined || ($metadata?.httpStatusCode ?? 0) > 0;
  const word = [code, name].find((one) => one !== '' && one !== 'Error') ?? 'unknown';
  const kind = kindOf(name, code, $metadata?.httpStatusCode ?? 0, reasonOf(thrown), answered);
  // An answer of AWS that is an error means that nothing was done, but for its own inner errors.
  const mayHaveHappened = kind === 'transient' && !NEVER_SENT.test(code);
  return new Ec2Failure(kind, action, word, reasonOf(thrown), mayHaveHappened, { cause: thrown });
};

const NEVER_SENT = /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED)$/;

const kindOf = (name: string, code: string, status: number, message: string, answered: boolean): FailureKind => {
  if (THROTTLED.test(name)) return 'throttled';
  if (DENIED.test(name)) return 'denied';
  if (CREDENTIALS.test(name)) return 'credentials';
  if (name.endsWith('.NotFound') || NO_SUCH_ROUTE.test(message)) return 'absent';
  if (LATER.test(name) || LATER.test(code) || status >= 500) return 'transient';
  return answered && status >= 400 ? 'refused' : 'transient';
};

/** Whether a route is what is missing, rather than its table or the interface. */
export const isNoSuchRoute = (failure: Ec2Failure): boolean =>
  failure.code === 'InvalidRoute.NotFound' || NO_SUCH_ROUTE.test(failure.message);

interface SdkError {
  readonly name?: string;
  readonly code?: unknown;
  readonly $fault?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}
