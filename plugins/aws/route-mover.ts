// Moves routes: each on its own, all at once, each believed only when a read shows it. Nothing is ever rolled back: a route
// that leads here is right as long as this node holds the group, whatever became of the others.
import type { Access, CallLimits, Ec2, Route } from './ec2.js';
import { Ec2Failure, failureOf, isNoSuchRoute } from './failures.js';
import { makeTrue, type Pacing } from './make-true.js';
import { findingsOf } from './route-findings.js';

export interface MoveParts extends Pacing {
  readonly ec2: Ec2;
}

export interface Move extends Route {
  readonly eni: string;
  readonly access: Access;
  readonly createIfMissing: boolean;
  readonly signal: AbortSignal;
  /** The limits of one call now; rejects when the lease is gone. */
  readonly limits: () => Promise<CallLimits>;
}

/** `verified`: a read showed it. `refused`: final until somebody changes something. `pending`: time ran out. */
export interface Moved extends Route {
  readonly state: 'verified' | 'refused' | 'pending';
  /** Why not, naming the table; empty when verified. */
  readonly what: string;
  readonly calls: number;
  readonly elapsedMs: number;
}

/** Resolves in every case but one: it rejects when `limits` does, for then the lease is gone. */
export const moveRoute = async ({ ec2, ...pacing }: MoveParts, move: Move): Promise<Moved> => {
  const { table, destination, eni, access, signal, limits } = move;
  const { clock } = pacing;
  const startedMs = clock.nowMs();
  const shown = async (call: CallLimits) => findingsOf([move], await ec2.routeTables([table], access, call), eni)[0]?.ours === true;
  const { state, failure, calls } = await makeTrue({ write: (call) => write(ec2, move, call), shown, limits, signal }, pacing);
  const what = state === 'shown' ? '' : `${table}: ${failure?.message ?? `the route to ${destination} is not seen yet`}`;
  return { table, destination, state: state === 'shown' ? 'verified' : state, what, calls, elapsedMs: clock.nowMs() - startedMs };
};

const write = async (ec2: Ec2, move: Move, limits: CallLimits): Promise<void> => {
  try {
    await ec2.replaceRoute(move, move.eni, move.access, limits);
  } catch (thrown) {
    const failure = failureOf('ReplaceRoute', thrown);
    if (!isNoSuchRoute(failure)) throw failure;
    if (!move.createIfMissing) {
      throw new Ec2Failure(
        'absent',
        'ReplaceRoute',
        failure.code,
        `there is no route to ${move.destination}: make it, or set createIfMissing: true`,
        false,
        { cause: failure },
      );
    }
    await create(ec2, move, limits);
  }
};

const create = async (ec2: Ec2, move: Move, limits: CallLimits): Promise<void> => {
  try {
    await ec2.createRoute(move, move.eni, move.access, limits);
  } catch (thrown) {
    const failure = failureOf('CreateRoute', thrown);
    // Somebody made it between the two calls, or this node did and the answer was lost: the next round replaces it.
    throw failure.code === 'RouteAlreadyExists'
      ? new Ec2Failure('transient', 'CreateRoute', failure.code, failure.message, false, { cause: failure })
      : failure;
  }
};
