// What the API answers to which request. No HTTP here beyond names and parameters, so that everything can be asked in a test.
import { inject, injectable } from 'tsyringe';
import { didYouMean } from '../config/nearest.js';
import { UnderstudyError } from '../errors/errors.js';
import { followJournal } from '../journal/follow-journal.js';
import { readJournal } from '../journal/read-journal.js';
import type { JournalEvent } from '../model/event.js';
import type { Registry } from '../plugin/registry.js';
import { Cycle, type LastCycle } from '../scheduler/cycle.js';
import { Facts } from '../scheduler/facts.js';
import { FenceCheck } from '../scheduler/fence-check.js';
import { Hooks } from '../scheduler/hooks.js';
import { GuardDoor } from '../scheduler/ports.js';
import { Quarantine } from '../scheduler/quarantine.js';
import { Clock } from '../system/clock.js';
import { findGroup } from './order-check.js';
import { Orders } from './orders.js';
import { readOrder } from './read-request.js';
import { PlanViews } from './plan-view.js';
import { statusView } from './status-view.js';
import { type OrderRequest, PLAN_OPERATIONS, type PluginsView, type StatusView } from './views.js';

/** What the routes need beside the scheduler. */
export interface ApiSources {
  readonly journalDirectory: string;
  readonly registry: Pick<Registry, 'found'>;
  /** Makes a timeline of one incident; the newest when none is named. */
  readonly explain: (events: readonly JournalEvent[], incident?: string) => unknown;
  /** Sentences of this controller that want attention. */
  readonly alarms: () => readonly string[];
}
export const ApiSources: unique symbol = Symbol('ApiSources');

export interface ApiRequest {
  readonly method: string;
  /** Path segments behind /v1. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  /** The JSON value that came with it; throws USAGE when that cannot be read. */
  readonly body: () => unknown;
  /** Fires when the asker has gone. */
  readonly signal: AbortSignal;
}

/** One value, or a stream of values, each a line. */
export type ApiAnswer = { readonly value: unknown } | { readonly stream: AsyncIterable<unknown> };

@injectable()
export class Routes {
  constructor(
    @inject(Cycle) private readonly cycle: Cycle,
    @inject(Facts) private readonly facts: Facts,
    @inject(Hooks) private readonly hooks: Hooks,
    @inject(GuardDoor) private readonly guard: GuardDoor,
    @inject(Quarantine) private readonly quarantine: Quarantine,
    @inject(Orders) private readonly orders: Orders,
    @inject(FenceCheck) private readonly fences: FenceCheck,
    @inject(PlanViews) private readonly plans: PlanViews,
    @inject(ApiSources) private readonly sources: ApiSources,
    @inject(Clock) private readonly clock: Clock,
  ) {}

  /** Rejects with a coded error. */
  async answer(request: ApiRequest): Promise<ApiAnswer> {
    const {
      method,
      path: [room, name],
      query,
      body,
    } = request;
    switch (`${method} ${room}`) {
      case 'GET status':
        return { value: this.status() };
      case 'GET plan':
        return { value: await this.plan(query) };
      case 'GET events':
        return this.events(request);
      case 'GET explain':
        return { value: await this.explain(query.get('incident')) };
      case 'GET hooks':
        return { value: this.hooks.list(findGroup(name, this.last().desired)) };
      case 'GET plugins':
        return { value: { plugins: this.sources.registry.found, quarantined: this.quarantine.types } satisfies PluginsView };
      case 'POST orders':
        return { value: await this.orders.give(this.order(body)) };
      default:
        throw new UnderstudyError('NOT_FOUND', `the API has no ${method} /v1/${(room ?? '').slice(0, 40)}`, {
          hint: 'See docs/reference/api.md.',
        });
    }
  }

  /** One that cannot be read was asked for all the same, and the audit says so. */
  private order(body: () => unknown): OrderRequest {
    try {
      return readOrder(body());
    } catch (error) {
      this.orders.unreadable(error);
      throw error;
    }
  }

  status(): StatusView {
    const last = this.last();
    const quarantined = this.quarantine.types.map(({ type, because }) => `${type} is not called any more: ${because}`);
    return statusView({
      ...last,
      guard: this.guard.view(),
      since: (group, resource) => this.clock.wallIso(this.facts.resource(group, resource).sinceMs),
      devices: this.fences.states(),
      alarms: [...quarantined, ...this.fences.alarms(), ...this.sources.alarms(), ...last.observed.selfBlockers],
    });
  }

  private async plan(query: URLSearchParams): Promise<unknown> {
    const { desired, observed } = this.last();
    const word = query.get('op') ?? 'switchover';
    const operation = PLAN_OPERATIONS.find((one) => one === word);
    if (operation === undefined)
      throw new UnderstudyError(
        'USAGE',
        `there is no operation "${word}"; ${didYouMean(word, PLAN_OPERATIONS) ?? `there are: ${PLAN_OPERATIONS.join(', ')}`}`,
      );
    const group = findGroup(query.get('group') ?? undefined, desired);
    const to = query.get('to');
    if (to !== null && !group.prefer.includes(to))
      throw new UnderstudyError(
        'NOT_FOUND',
        `${group.id} has no node "${to}"; ${didYouMean(to, group.prefer) ?? `there are: ${group.prefer.join(', ')}`}`,
      );
    return this.plans.view(operation, group, to, observed);
  }

  private async events({ query, signal }: ApiRequest): Promise<ApiAnswer> {
    const wanted = matcher(query);
    if (query.get('follow') !== null)
      return { stream: filtered(followJournal(this.sources.journalDirectory, { clock: this.clock, signal }), wanted) };
    const limit = Math.max(1, Math.min(100_000, Number(query.get('limit') ?? 1000) || 1000));
    return { value: (await readJournal(this.sources.journalDirectory)).filter(wanted).slice(-limit) };
  }

  private async explain(incident: string | null): Promise<unknown> {
    const named = incident === null || incident === 'last' ? undefined : incident;
    const timeline = this.sources.explain(await readJournal(this.sources.journalDirectory), named);
    if (timeline == null)
      throw new UnderstudyError(
        'NOT_FOUND',
        named === undefined
          ? 'nothing has happened yet that could be explained'
          : `there is no incident "${named}" in the journal of this node`,
        { hint: 'See understudy events.' },
      );
    return timeline;
  }

  private last(): LastCycle {
    if (this.cycle.last === null)
      throw new UnderstudyError('NO_DAEMON', 'the controller has only just begun and knows nothing yet', {
        hint: 'Try again in a second.',
      });
    return this.cycle.last;
  }
}

const matcher = (query: URLSearchParams): ((event: JournalEvent) => boolean) => {
  const [group, incident, kind, after] = ['group', 'incident', 'kind', 'after'].map((key) => query.get(key));
  return (event) =>
    (group == null || event.group === group) &&
    (incident == null || event.incident === incident) &&
    (kind == null || event.kind === kind || event.kind.startsWith(`${kind}.`)) &&
    (after == null || event.at > after);
};

async function* filtered(events: AsyncIterable<JournalEvent>, wanted: (event: JournalEvent) => boolean): AsyncGenerator<JournalEvent> {
  for await (const event of events) if (wanted(event)) yield event;
}
