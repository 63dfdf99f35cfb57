// What a failed call says about its outcome. `refused` only where etcd answered and did nothing; everything else is unknown,
// also where it probably did nothing: "no leader", "request timed out" and a connection that broke may come after a proposal
// that is carried out later. Pure.
import { ArbiterError } from 'understudy/arbiter';

/** gRPC's codes (github.com/grpc/grpc, doc/statuscodes.md) for which etcd has answered and will not. */
const REFUSALS: ReadonlySet<number> = new Set([
  3, // INVALID_ARGUMENT: wrong password, too large
  7, // PERMISSION_DENIED
  9, // FAILED_PRECONDITION: authentication is not enabled
  12, // UNIMPLEMENTED: not etcd, or one without the v3 protocol
  15, // DATA_LOSS: it found itself corrupt
  16, // UNAUTHENTICATED
]);
const RESOURCE_EXHAUSTED = 8;
const UNAUTHENTICATED = 16;

interface Status {
  readonly code: number;
  readonly details: string;
}

const statusOf = (error: unknown): Status | null =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error
    ? { code: error.code, details: String(error.details) }
    : null;

/** The call as an ArbiterError. `what` is the endpoint, `late` whether its time was over. */
export const failureOf = (what: string, error: unknown, late: boolean): ArbiterError => {
  if (error instanceof ArbiterError) return error;
  const status = statusOf(error);
  if (late) return new ArbiterError('unknown', `no answer from etcd ${what}: it did not answer in time`, { cause: error });
  if (status === null) return new ArbiterError('unknown', `no answer from etcd ${what}: ${String(error)}`, { cause: error });
  const { code, details } = status;
  const refused = REFUSALS.has(code) || (code === RESOURCE_EXHAUSTED && /space exceeded/.test(details));
  return refused
    ? new ArbiterError('refused', `etcd ${what} refused: ${details}${hintFor(details)}`, { cause: error })
    : new ArbiterError('unknown', `no answer from etcd ${what}: ${details}`, { cause: error });
};

/** The token was not accepted. etcd looks at it before it proposes anything, so such a write did not happen. */
export const isTokenRefused = (error: unknown): boolean => {
  const status = statusOf(error);
  return (
    status !== null &&
    ((status.code === UNAUTHENTICATED && /invalid auth token/.test(status.details)) || /auth store is old/.test(status.details))
  );
};

const hintFor = (details: string): string => {
  if (/user name is empty/.test(details)) return ' (it wants a user: set "user" and "password", or a client certificate)';
  if (/space exceeded/.test(details)) return ' (compact and defragment it, then disarm the alarm: etcdctl alarm disarm)';
  if (/permission denied/.test(details)) return ' (the user’s role must read and write the keys under the prefix)';
  return '';
};
