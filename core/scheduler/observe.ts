// Looks at the resources: each when its time has come, when its agent says something changed, and after every action. One
// look at a time for each resource, none while an action runs on it. A throw or a late answer is `unknown`. Where the
// holder finds something missing that its agent can put right, it is put right and looked at again (level-triggered).
import { inspect } from 'node:util';
import { inject, injectable } from 'tsyringe';
import { reasonOf } from '../errors/errors.js';
import { Journal } from '../journal/journal.js';
import type { DesiredGroup, DesiredResource } from '../model/desired.js';
import { resourceName } from '../model/ids.js';
import { RESOURCE_STATES } from '../model/observed.js';
import type { Agent, MonitorResult } from '../plugin/contract.js';
import { Clock, type Timer } from '../system/clock.js';
import { Contexts } from './contexts.js';
import { bounded } from './deadline.js';
import { Facts } from './facts.js';
import { Incidents } from './incidents.js';
import { Agents, GuardDoor, LeasePages, Logs } from './ports.js';
import { Quarantine } from './quarantine.js';

interface Watched {
  readonly group: DesiredGroup;
  readonly resource: DesiredResource;
  timer: Timer | null;
  /** The look that runs now. */
  looking: Promise<MonitorResult> | null;
  /** Somebody asked for a look while one was running. */
  again: boolean;
  /** An action runs on it: answers of looks begun before it are worthless. */
  held: boolean;
  /** Grows with each action: tells a look's answer that it is too old. */
  generation: number;
  /** Ends the agent's watch. */
  unwatch: (() => void) | null;
  lastLookMs: number;
  /** The round of the quarantine in which a look was given up that still runs somewhere: none is begun beside it until a clear. */
  hungIn: number | null;
}

/** Changes that come faster than this are one change. */
const MIN_GAP_MS = 10;
/** After an agent's answer was given up, it may end for so long before the next look calls it still running. */
const GRACE_MS = 200;

@injectable()
export class Observer {
  private readonly watched = new Map<string, Watched>();
  private changed: () => void = () => undefined;
  private stopped = false;

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Journal) private readonly journal: Journal,
    @inject(Facts) private readonly facts: Facts,
    @inject(Contexts) private readonly contexts: Contexts,
    @inject(Agents) private readonly agents: Agents,
    @inject(Quarantine) private readonly quarantine: Quarantine,
    @inject(Incidents) private readonly incidents: Incidents,
    @inject(LeasePages) private readonly pages: LeasePages,
    @inject(GuardDoor) private readonly guard: GuardDoor,
    @inject(Logs) private readonly logs: Logs,
  ) {}

  /** Called after each look, when its facts are in. */
  onLooked(listener: () => void): void {
    this.changed = listener;
  }

  /** Looks at everything once, at once, and from then on when due. */
  start(groups: readonly DesiredGroup[]): void {
    for (const group of groups) for (const resource of group.resources) void this.look(group, resource, 'probe');
  }

  stop(): void {
    this.stopped = true;
    for (const watched of this.watched.values()) {
      watched.timer?.cancel();
      watched.unwatch?.();
    }
  }

  /** No looks until `release`: an action begins. */
  hold(group: DesiredGroup, resource: DesiredResource): void {
    const watched = this.of(group, resource);
    watched.held = true;
    watched.generation += 1;
    watched.timer?.cancel();
  }

  release(group: DesiredGroup, resource: DesiredResource): void {
    this.of(group, resource).held = false;
  }

  /** A look as soon as the running one has ended. */
  soon(group: DesiredGroup, resource: DesiredResource, source = 'monitor'): void {
    const watched = this.of(group, resource);
    if (watched.held || this.stopped) return;
    if (watched.looking !== null) watched.again = true;
    else this.schedule(watched, Math.max(0, watched.lastLookMs + MIN_GAP_MS - this.clock.nowMs()), source);
  }

  /** Looks now, or waits for the look that runs. Never rejects. */
  look(group: DesiredGroup, resource: DesiredResource, source: string): Promise<MonitorResult> {
    const watched = this.of(group, resource);
    watched.timer?.cancel();
    watched.looking ??= this.lookOnce(watched, source).finally(() => {
      watched.looking = null;
      watched.lastLookMs = this.clock.nowMs();
      if (this.stopped) return;
      const again = watched.again;
      watched.again = false;
      this.schedule(watched, again ? MIN_GAP_MS : resource.everyMs, 'monitor');
      this.changed();
    });
    return watched.looking;
  }

  private schedule(watched: Watched, afterMs: number, source: string): void {
    watched.timer?.cancel();
    watched.timer = this.clock.after(afterMs, () => {
      if (!watched.held && !this.stopped) void this.look(watched.group, watched.resource, source);
    });
  }

  private async lookOnce(watched: Watched, source: string): Promise<MonitorResult> {
    const { group, resource, generation } = watched;
    const agent = this.usable(resource.type);
    let found: MonitorResult = 'unusable' in agent ? { state: 'unknown', reason: agent.unusable } : await this.ask(agent, watched);
    if (generation !== watched.generation) return found;
    if (!('unusable' in agent) && this.mayReassert(agent, group, resource, found)) found = await this.reassert(agent, watched, found);
    if (generation !== watched.generation) return found;
    this.facts.monitored(group, resource, found, source);
    if (!('unusable' in agent)) this.keepWatch(agent, watched, found);
    return found;
  }

  private async ask(agent: Agent, watched: Watched): Promise<MonitorResult> {
    const { group, resource } = watched;
    const name = resourceName(group.id, resource.id);
    if (watched.hungIn === this.quarantine.round) {
      this.quarantine.gaveUp(resource.type, `monitor of ${name}`);
      return { state: 'unknown', reason: 'the last look is still running' };
    }
    const limitMs = resource.monitorTimeoutMs;
    const outcome = await bounded(
      (signal) => {
        const context = this.contexts.monitor(group, resource, { signal, limitMs });
        return this.quarantine.marked(resource.type, `monitor of ${name}`, () => agent.monitor(context));
      },
      { clock: this.clock, limitMs, graceMs: GRACE_MS, onSettledLate: () => this.settledLate(watched) },
    );
    if (outcome.kind === 'value') return answerOf(outcome.value);
    if (outcome.kind === 'threw') return { state: 'unknown', reason: reasonOf(outcome.error) };
    if (!outcome.settled) {
      watched.hungIn = this.quarantine.round;
      this.quarantine.gaveUp(resource.type, `monitor of ${name}`);
    }
    return { state: 'unknown', reason: `no answer within ${limitMs} ms` };
  }

  private settledLate(watched: Watched): void {
    watched.hungIn = null;
    this.quarantine.settledLate(watched.resource.type);
  }

  private mayReassert(agent: Agent, group: DesiredGroup, resource: DesiredResource, found: MonitorResult): boolean {
    if (agent.reassert === undefined || found.state === 'unknown') return false;
    if (found.state === 'online' && found.degraded === undefined) return false;
    if (!this.facts.resource(group.id, resource.id).expected || !this.pages.read(group.id).held) return false;
    const view = this.guard.view();
    return view?.groupOrders[group.id]?.maintenance !== true && view?.nodeOrders[view.self]?.maintenance !== true;
  }

  /** Puts right what was found missing, and looks again; what it could not put right stays as it was found. */
  private async reassert(agent: Agent, watched: Watched, found: MonitorResult): Promise<MonitorResult> {
    const { group, resource } = watched;
    const name = resourceName(group.id, resource.id);
    const epoch = this.facts.lease(group.id).epoch;
    const limitMs = resource.monitorTimeoutMs;
    const outcome = await bounded(
      (signal) => {
        const context = this.contexts.action(group, resource, epoch, true, { signal, limitMs });
        return this.quarantine.marked(resource.type, `reassert of ${name}`, () => agent.reassert!(context, found));
      },
      { clock: this.clock, limitMs, graceMs: GRACE_MS, onSettledLate: () => this.quarantine.settledLate(resource.type) },
    );
    const what = found.degraded ?? found.reason ?? found.state;
    const incident = this.incidents.id(group.id);
    const about = { group: group.id, resource: resource.id, epoch, ...(incident === null ? {} : { incident }) };
    if (outcome.kind !== 'value') {
      const reason = reasonOf(outcome.error);
      this.journal.write({ kind: 'resource.reassert-failed', ...about, because: what, data: { reason, elapsedMs: outcome.elapsedMs } });
      this.logs.child('observe').debug('reassert failed', { resource: name, reason });
      return { ...found, reason: found.reason === undefined ? reason : `${found.reason}; putting it right failed: ${reason}` };
    }
    this.journal.write({
      kind: 'resource.reasserted',
      ...about,
      because: what,
      data: {
        elapsedMs: outcome.elapsedMs,
        detail: outcome.value?.detail ?? {},
        ...(outcome.value?.degraded === undefined ? {} : { degraded: outcome.value.degraded }),
      },
    });
    return this.ask(agent, watched);
  }

  /** Watches what is online; begins anew each time it came online, for then it is another process or address. */
  private keepWatch(agent: Agent, watched: Watched, found: MonitorResult): void {
    if (found.state !== 'online') {
      if (found.state !== 'unknown') this.endWatch(watched);
      return;
    }
    if (agent.watch === undefined || watched.unwatch !== null || this.stopped) return;
    const { group, resource } = watched;
    const abort = new AbortController();
    const context = this.contexts.monitor(group, resource, { signal: abort.signal, limitMs: Number.MAX_SAFE_INTEGER });
    try {
      const end = this.quarantine.marked(resource.type, `watch of ${resourceName(group.id, resource.id)}`, () =>
        agent.watch!(context, () => this.quarantine.outside(() => this.soon(group, resource, 'watch'))),
      );
      watched.unwatch = () => {
        abort.abort();
        end();
      };
    } catch (error) {
      this.logs
        .child('observe')
        .warn('cannot watch, polling only', { resource: resourceName(group.id, resource.id), reason: reasonOf(error) });
      watched.unwatch = () => abort.abort();
    }
  }

  private endWatch(watched: Watched): void {
    const end = watched.unwatch;
    watched.unwatch = null;
    try {
      end?.();
    } catch (error) {
      this.logs
        .child('observe')
        .warn('a watch could not be ended', { resource: resourceName(watched.group.id, watched.resource.id), reason: reasonOf(error) });
    }
  }

  private usable(type: string): Agent | { readonly unusable: string } {
    const quarantined = this.quarantine.reason(type);
    return quarantined === null ? this.agents.agent(type) : { unusable: `${type} is not called any more: ${quarantined}` };
  }

  private of(group: DesiredGroup, resource: DesiredResource): Watched {
    const name = resourceName(group.id, resource.id);
    let watched = this.watched.get(name);
    if (watched === undefined) {
      watched = {
        group,
        resource,
        timer: null,
        looking: null,
        again: false,
        held: false,
        generation: 0,
        unwatch: null,
        lastLookMs: Number.NEGATIVE_INFINITY,
        hungIn: null,
      };
      this.watched.set(name, watched);
    }
    return watched;
  }
}

/** A plugin's author may have no compiler: an answer that is no state of a resource is no knowledge of it. */
const answerOf = (answer: unknown): MonitorResult => {
  const found = (typeof answer === 'string' ? { state: answer } : answer) as MonitorResult | null | undefined;
  if (RESOURCE_STATES.some((state) => state === found?.state)) return found!;
  return { state: 'unknown', reason: `its monitor answered ${inspect(answer, { depth: 1 }).slice(0, 100)}: no state of a resource` };
};
