// What one resource's observation means: the rungs of the ladder restart → failover → give up, counted by the scheduler,
// judged here. `unknown` is never a fault until its own limit is reached; one bad monitor is none below its tolerance.
import type { DesiredResource } from '../model/desired.js';
import type { InFlight, ObservedResource } from '../model/observed.js';
import type { ActionKind } from '../model/plan.js';
import { span, tail, times } from './words.js';

/**
 * `unprobed`: nothing was seen yet. `doubtful`: bad, but fewer times in a row than tolerated. `unknown`: cannot be told, and
 * nothing follows from that. `offline`: stopped cleanly or never started; an unexpected end is `doubtful` or `faulted`.
 */
export type Status = 'unprobed' | 'online' | 'offline' | 'doubtful' | 'unknown' | 'faulted';

/** One resource of a group with its observation and what follows from it on this node. */
export interface Member {
  /** Its place in the start order. */
  readonly at: number;
  readonly resource: DesiredResource;
  readonly seen: ObservedResource | undefined;
  readonly status: Status;
  /** What the executor is doing to it now. */
  readonly flight: ReadonlySet<ActionKind>;
  /** Something of it may be active here. */
  readonly up: boolean;
  /** It certainly runs here as it may only where the lease is held. */
  readonly active: boolean;
  /** It does its part: whatever comes after it may start. */
  readonly satisfied: boolean;
  /** A fault that a local restart shall mend. */
  readonly restart: boolean;
  /** Why this node cannot mend it by itself any more; null while it can. */
  readonly broken: string | null;
}

/** What an observation amounts to. The scheduler counts a failure whenever this becomes `faulted` on the holder. */
export const statusOf = (resource: DesiredResource, seen: ObservedResource | undefined): Status => {
  if (seen === undefined) return 'unprobed';
  // What an action left behind is no matter of tolerance, which is for monitors of what was online.
  const counts = seen.source === 'start' || seen.source === 'stop' || Math.max(1, seen.badRow) >= resource.tolerance;
  switch (seen.state) {
    case 'online':
      return 'online';
    case 'unknown':
      return resource.unknownLimit > 0 && seen.unknownRow >= resource.unknownLimit ? 'faulted' : 'unknown';
    case 'faulted':
      return counts ? 'faulted' : 'doubtful';
    case 'offline':
      // What is only watched cannot be off on purpose.
      if (resource.operations === 'none') return counts ? 'faulted' : 'doubtful';
      // A stop that was done explains "offline", whatever went before it.
      if (seen.badRow === 0 || seen.source === 'stop') return 'offline';
      return counts ? 'faulted' : 'doubtful';
  }
};

/** What changes a resource: never two of these at once. */
export const CHANGES: readonly ActionKind[] = ['start', 'stop', 'promote', 'demote'];
const NO_FLIGHT: ReadonlySet<ActionKind> = new Set();

export const memberOf = (
  resource: DesiredResource,
  at: number,
  seen: ObservedResource | undefined,
  inFlight: readonly InFlight[],
): Member => {
  const status = statusOf(resource, seen);
  const flight =
    inFlight.length === 0 ? NO_FLIGHT : new Set(inFlight.filter((action) => action.resource === resource.id).map(({ kind }) => kind));
  const broken = brokenBecause(resource, seen, status);
  const changing = CHANGES.some((kind) => flight.has(kind));
  return {
    at,
    resource,
    seen,
    status,
    flight,
    up: flight.has('start') || flight.has('promote') || (status !== 'offline' && status !== 'unprobed'),
    // A primary that serves nobody any more (a hard stop froze it) is one all the same: it must be demoted to be of use again.
    active: resource.promotable
      ? seen?.role === 'primary' && (status === 'online' || status === 'faulted')
      : status === 'online' && resource.operations === 'on-off',
    satisfied:
      resource.operations === 'none'
        ? status !== 'faulted'
        : status === 'online' && (!resource.promotable || seen?.role === 'primary') && !changing,
    restart: status === 'faulted' && broken === null && resource.operations !== 'none' && !changing,
    broken,
  };
};

/** The reason a resource shows for itself. */
export const reasonOfMember = ({ seen }: Member): string => seen?.reason ?? '';

// Judged from counters that outlive the stop, not from the state alone: a move that was cut after the faulted resource had
// been stopped must go on as a move, not become a restart.
const brokenBecause = (resource: DesiredResource, seen: ObservedResource | undefined, status: Status): string | null => {
  if (seen === undefined || status === 'online') return null;
  if (resource.operations === 'none')
    return status === 'faulted' ? `${resource.id} is ${seen.state === 'faulted' ? 'faulted' : seen.state} here${tail(seen.reason)}` : null;
  if (seen.startFailed !== null) return `${resource.id} could not be started here${tail(seen.startFailed)}`;
  const over = seen.failures > resource.restart.max && (status === 'faulted' || status === 'offline');
  return over
    ? `${resource.id} failed ${times(seen.failures)} within ${span(resource.restart.withinMs)} here, and ${resource.restart.max} ${resource.restart.max === 1 ? 'restart is' : 'restarts are'} allowed${tail(seen.reason)}`
    : null;
};
