// Moves routes: each on its own, all at once, each believed only when a read shows it. Nothing is ever rolled back: a route
// that leads here is right as long as this node holds the group, whatever became of the others.
import type { Clock, Random } from 'understudy/plugin';
import { Backoff } from './calls.js';
import type { Access, CallLimits, Ec2, Route } from './ec2.js';
import { Ec2Failure, failureOf, isNoSuchRoute } from './failures.js';
import { findingsOf } from './route-findings.js';

export interface MoveParts {
  readonly ec2: Ec2;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Move extends Route {
  readonly eni: string;
  readonly access: Access;
  readonly createIfMissing: boolean;
  readonly signal: AbortSignal;
  /** The limits of one call now; throws when the lease is gone. */
  readonly limits: () => CallLimits;
}

/** `verified`: a read showed it. `refused`: final until somebody changes something. `pending`: time ran out. */
export interface Moved extends Route {
  readonly state: 'verified' | 'refused' | 'pending';
  /** Why not, naming the table; empty when verified. */
  readonly what: string;
  readonly calls: number;
  readonly elapsedMs: number;
}

/** So many reads may show the old route before it is written again. */
const STALE_READS = 6;
const MAX_CALLS = 1_000;

/** Resolves in every case but one: it rejects when `limits` throws, for then the lease is gone. */
export const moveRoute = async (parts: MoveParts, move: Move): Promise<Moved> => {
  const { clock } = parts;
  const startedMs = clock.nowMs();
  const backoff = new Backoff(clock, parts.random);
  let calls = 0;
  let written = false;
  let stale = 0;
  let last: Ec2Failure | null = null;
  const ended = (state: Moved['state'], what = ''): Moved => ({ table: move.table, destination: move.destination, state, what, calls, elapsedMs: clock.nowMs() - startedMs });

  while (calls < MAX_CALLS && !move.signal.aborted) {
    const limits = move.limits();
    calls += 1;
    const step = written ? await look(parts, move, limits) : await write(parts, move, limits);
    if (step === 'shown') return ended('verified');
    if (step === 'written') {
      [written, stale] = [true, 0];
      backoff.reset();
      continue;
    }
    if (step instanceof Ec2Failure) {
      // What the end of our own time cut off says less than what went wrong before.
      if (last === null || !move.signal.aborted) last = step;
      if (step.final) return ended('refused', `${move.table}: ${step.message}`);
      // Perhaps it was done and only the answer lost: a read tells, and is cheaper than doing it twice.
      if (!written && step.mayHaveHappened) written = true;
    } else {
      stale += 1;
      if (stale >= STALE_READS) written = false;
    }
    await backoff.wait(step, move.signal).catch(() => undefined); // Aborted: the loop's condition ends it.
  }
  return ended('pending', `${move.table}: ${last?.message ?? `the route to ${move.destination} is not seen yet`}`);
};

const write = async ({ ec2 }: MoveParts, move: Move, limits: CallLimits): Promise<'written' | Ec2Failure> => {
  try {
    await ec2.replaceRoute(move, move.eni, move.access, limits);
    return 'written';
  } catch (thrown) {
    const failure = failureOf('ReplaceRoute', thrown);
    if (!isNoSuchRoute(failure)) return failure;
    return move.createIfMissing ? create(ec2, move, limits) : missing(failure, move);
  }
};

const create = async (ec2: Ec2, move: Move, limits: CallLimits): Promise<'written' | Ec2Failure> => {
  try {
    await ec2.createRoute(move, move.eni, move.access, limits);
    return 'written';
  } catch (thrown) {
    const failure = failureOf('CreateRoute', thrown);
    // Somebody made it between the two calls, or this node did and the answer was lost: the next round replaces it.
    return failure.code === 'RouteAlreadyExists' ? new Ec2Failure('transient', 'CreateRoute', failure.code, failure.message, false, { cause: failure }) : failure;
  }
};

const missing = (failure: Ec2Failure, { destination }: Move): Ec2Failure =>
  new Ec2Failure('absent', 'ReplaceRoute', failure.code, `there is no route to ${destination}: make it, or set createIfMissing: true`, false, { cause: failure });

const look = async ({ ec2 }: MoveParts, move: Move, limits: CallLimits): Promise<'shown' | 'stale' | Ec2Failure> => {
  try {
    const tables = await ec2.routeTables([move.table], move.access, limits);
    return findingsOf([move], tables, move.eni)[0]?.ours === true ? 'shown' : 'stale';
  } catch (thrown) {
    return failureOf('DescribeRouteTables', thrown);
  }
};
