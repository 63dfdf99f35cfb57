// What the agent remembers between two looks of a resource: what the routes were like, when that was learnt, and why it could
// not be learnt since. Makes the monitor's verdict of it. A call that failed never turns into a fault: old facts stay facts
// for a while, then the state is unknown.
import { reasonOf, type Clock, type MonitorContext, type MonitorResult } from 'understudy/plugin';
import type { Route } from './ec2.js';
import type { RouteFinding } from './route-findings.js';
import type { Moved } from './route-mover.js';

export interface Inspection {
  readonly routes: readonly RouteFinding[];
  /** Words when the source/destination check is on, else empty. */
  readonly check: string;
}

interface Kept {
  routes: readonly (RouteFinding & { readonly refused?: boolean })[];
  check: string;
  /** When the routes were last seen; null when never. */
  seenMs: number | null;
  askedMs: number;
  /** Why the last look failed; null when it did not. */
  failure: string | null;
  closelyUntilMs: number;
}

type Key = Pick<MonitorContext<unknown>, 'group' | 'resource'>;

/** After a start every look asks anew for so long: a request of the old holder may still be on its way (SAFETY a.7). */
const CLOSELY_MS = 20_000;
const CLOSE_EVERY_MS = 1_000;
const AFTER_FAILURE_MS = 5_000;
/** Routes seen within so many periods count although the last looks failed. */
const PATIENCE = 3;

export class RouteMemory {
  private readonly kept = new Map<string, Kept>();
  private readonly enis = new Map<string, string>();

  constructor(private readonly clock: Clock) {}

  async eniOf(interfaceName: string, ask: () => Promise<string>): Promise<string> {
    const known = this.enis.get(interfaceName) ?? (await ask());
    this.enis.set(interfaceName, known);
    return known;
  }

  /** Looks, if a look is due. */
  async refresh(key: Key, everyMs: number, inspect: () => Promise<Inspection>): Promise<void> {
    const kept = this.of(key);
    const nowMs = this.clock.nowMs();
    if (kept.askedMs + this.period(kept, everyMs) > nowMs) return;
    kept.askedMs = nowMs;
    try {
      const seen = await inspect();
      Object.assign(kept, { ...seen, seenMs: this.clock.nowMs(), failure: null });
    } catch (thrown) {
      kept.failure = reasonOf(thrown);
    }
  }

  private period(kept: Kept, everyMs: number): number {
    if (kept.closelyUntilMs > this.clock.nowMs()) return CLOSE_EVERY_MS;
    return kept.failure === null ? everyMs : Math.min(everyMs, AFTER_FAILURE_MS);
  }

  verdict(key: Key, everyMs: number): MonitorResult {
    const kept = this.of(key);
    const wrong = kept.routes.filter(({ ours }) => !ours);
    const ageMs = kept.seenMs === null ? null : Math.round(this.clock.nowMs() - kept.seenMs);
    const detail = { routesAgeMs: ageMs, routesWrong: wrong.length };
    if (kept.failure !== null && (ageMs === null || ageMs > PATIENCE * everyMs)) {
      return {
        state: 'unknown',
        reason: `the routes were ${ageMs === null ? 'never' : `not for ${Math.round(ageMs / 1000)} s`} seen: ${kept.failure}`,
        detail,
      };
    }
    const degraded = [...wrong.map(({ what }) => what), kept.check].filter((what) => what !== '').join('; ');
    const hopeless = wrong.length > 0 && wrong.length === kept.routes.length && wrong.every(({ refused }) => refused === true);
    if (hopeless) return { state: 'faulted', reason: `no route leads here, and none may be moved: ${degraded}`, detail };
    return { state: 'online', ...(degraded !== '' && { degraded }), ...(kept.failure !== null && { reason: kept.failure }), detail };
  }

  /** What a start or a reassert found out about the routes it moved. */
  moved(key: Key, moved: readonly Moved[], check: string): void {
    const kept = this.of(key);
    const news = moved.map(({ table, destination, state, what }) => ({
      table,
      destination,
      ours: state === 'verified',
      what,
      refused: state === 'refused',
    }));
    const same = (a: Route, b: Route) => a.table === b.table && a.destination === b.destination;
    kept.routes = [...kept.routes.filter((route) => !news.some((one) => same(one, route))), ...news];
    kept.check = check;
    if (news.some(({ ours }) => ours)) Object.assign(kept, { seenMs: this.clock.nowMs(), failure: null });
  }

  wrong(key: Key): { readonly routes: readonly Route[]; readonly check: string } {
    const { routes, check } = this.of(key);
    return { routes: routes.filter(({ ours }) => !ours).map(({ table, destination }) => ({ table, destination })), check };
  }

  watchClosely(key: Key): void {
    const kept = this.of(key);
    kept.askedMs = this.clock.nowMs();
    kept.closelyUntilMs = this.clock.nowMs() + CLOSELY_MS;
  }

  forget(key: Key): void {
    this.kept.delete(nameOf(key));
  }

  private of(key: Key): Kept {
    const known = this.kept.get(nameOf(key)) ?? {
      routes: [],
      check: '',
      seenMs: null,
      askedMs: Number.NEGATIVE_INFINITY,
      failure: null,
      closelyUntilMs: Number.NEGATIVE_INFINITY,
    };
    this.kept.set(nameOf(key), known);
    return known;
  }
}

const nameOf = ({ group, resource }: Key): string => `${group}/${resource}`;
