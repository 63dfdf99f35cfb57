// Begins the actions of a plan that may begin now, and turns what comes of them into facts. An action is begun when nothing
// it comes after is left in the plan, it is not running already, and nothing else runs on its resource. Begins in the
// caller's turn; never waits.
import { inject, injectable } from 'tsyringe';
import { UnderstudyError } from '../errors/errors.js';
import { Journal } from '../journal/journal.js';
import type { DesiredGroup, DesiredState } from '../model/desired.js';
import type { GroupId } from '../model/ids.js';
import type { InFlight } from '../model/observed.js';
import type { Action, Plan } from '../model/plan.js';
import { Cgroups } from '../system/cgroup.js';
import { Clock } from '../system/clock.js';
import { Facts } from './facts.js';
import { Fences } from './fences.js';
import { Incidents } from './incidents.js';
import { Observer } from './observe.js';
import { Perform, type Performed } from './perform.js';

interface Running {
  readonly action: Action;
  readonly beganMs: number;
  readonly abort: AbortController;
}

/** Actions running at once on this node, over all groups. */
const MAX_RUNNING = 256;
/** What failed and is still in the plan is tried again after 1 s, then 2 s, 4 s, … at most 30 s. */
const [FIRST_RETRY_MS, LAST_RETRY_MS] = [1000, 30_000];
const READ_AGAIN_MS = 3000;
/** What a start waits for takes so long, or else a few milliseconds more do not matter. */
const NEXT_START_MS = 1000;

@injectable()
export class Executor {
  private readonly running = new Map<string, Running>();
  private readonly retry = new Map<string, { readonly notBeforeMs: number; readonly delayMs: number }>();
  private ended: () => void = () => undefined;

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Journal) private readonly journal: Journal,
    @inject(Facts) private readonly facts: Facts,
    @inject(Incidents) private readonly incidents: Incidents,
    @inject(Observer) private readonly observer: Observer,
    @inject(Perform) private readonly performer: Perform,
    @inject(Cgroups) private readonly cgroups: Cgroups,
    @inject(Fences) private readonly fences: Fences,
  ) {
    facts.fences = () => fences.facts();
    facts.inFlight = (group) => this.inFlight(group);
  }

  /** Called after each action, when its facts are in. */
  onEnded(listener: () => void): void {
    this.ended = listener;
  }

  inFlight(group: GroupId): readonly InFlight[] {
    const running = [...this.running.values()].filter(({ action }) => action.group === group);
    return running.map(({ action, beganMs }) => ({ kind: action.kind, resource: action.resource, sinceMs: this.clock.nowMs() - beganMs }));
  }

  /** How many actions that change something were begun. */
  begin(plan: Plan, desired: DesiredState): number {
    const left = new Set(plan.actions.map(({ id }) => id));
    // Its pause outlives a plan without it: a promotion that is refused is a fault, and with the next look it is none any more.
    for (const [id, { notBeforeMs }] of this.retry) if (!left.has(id) && notBeforeMs <= this.clock.nowMs()) this.retry.delete(id);
    this.cutShort(plan);
    this.fences.withdraw();
    let begun = 0;
    for (const action of plan.actions) {
      const group = desired.groups.find(({ id }) => id === action.group);
      if (group === undefined || action.after.some((id) => left.has(id)) || !this.free(action)) continue;
      this.run(action, group);
      if (action.kind !== 'probe') begun += 1;
    }
    if (begun > 0 && plan.actions.some(({ kind, after }) => kind === 'start' && after.some((id) => left.has(id))))
      this.cgroups.keepReady(NEXT_START_MS);
    return begun;
  }

  /** The lease is gone: nothing that needs it may go on. Stops go on. */
  abortLeased(group: GroupId, because: string): void {
    for (const { action, abort } of this.running.values()) {
      if (action.group === group && (action.kind === 'start' || action.kind === 'promote'))
        abort.abort(new UnderstudyError('REFUSED', because));
    }
  }

  /** A stop need not wait for a start that hangs: the start is told to end, and the stop begins when it has. */
  private cutShort(plan: Plan): void {
    if (this.running.size === 0) return;
    for (const { kind, group, resource, because } of plan.actions) {
      if (kind !== 'stop') continue;
      for (const { action, abort } of this.running.values()) {
        if (action.kind === 'start' && action.group === group && action.resource === resource)
          abort.abort(new UnderstudyError('REFUSED', `a stop came first: ${because}`));
      }
    }
  }

  private free(action: Action): boolean {
    if (this.running.has(action.id) || this.running.size >= MAX_RUNNING) return false;
    if (action.kind === 'fence' && this.fences.waitMs(action.node ?? '') > 0) return false;
    if ((this.retry.get(action.id)?.notBeforeMs ?? 0) > this.clock.nowMs()) return false;
    if (action.resource === null) return true;
    const other = [...this.running.values()].find(
      (running) => running.action.group === action.group && running.action.resource === action.resource,
    );
    return other === undefined;
  }

  private run(action: Action, group: DesiredGroup): void {
    const abort = new AbortController();
    const beganMs = this.clock.nowMs();
    this.running.set(action.id, { action, beganMs, abort });
    const resource = group.resources.find(({ id }) => id === action.resource) ?? null;
    if (resource !== null && action.kind !== 'probe') this.observer.hold(group, resource);
    const performed =
      action.kind === 'probe' && resource !== null
        ? this.probe(action, group)
        : this.performer.perform({ action, group, resource, signal: abort.signal });
    // Told after the call was made: the journal is not on the way to a start. A look is told by what it found.
    if (action.kind !== 'probe')
      this.journal.write({
        kind: 'action.begin',
        monoMs: beganMs,
        ...this.about(action),
        because: action.because,
        data: {
          kind: action.kind,
          rule: action.rule,
          ...(resource === null ? {} : { type: resource.type }),
          ...(action.hook === null ? {} : { point: action.hook }),
        },
      });
    void performed.then((result) => this.finish(result, group));
  }

  private async probe(action: Action, group: DesiredGroup): Promise<Performed> {
    const beganMs = this.clock.nowMs();
    const resource = group.resources.find(({ id }) => id === action.resource)!;
    const result = await this.observer.look(group, resource, 'probe');
    return {
      action,
      outcome: 'done',
      reason: '',
      elapsedMs: this.clock.nowMs() - beganMs,
      detail: { state: result.state, reason: result.reason ?? '' },
      degraded: null,
    };
  }

  private finish(result: Performed, group: DesiredGroup): void {
    const { action, outcome, reason, elapsedMs, detail } = result;
    this.running.delete(action.id);
    this.toFacts(result, group);
    const resource = group.resources.find(({ id }) => id === action.resource);
    if (action.kind !== 'probe')
      this.journal.write({
        kind: outcome === 'done' ? 'action.done' : 'action.failed',
        ...this.about(action),
        because: outcome === 'done' ? action.because : reason,
        data: {
          kind: action.kind,
          outcome,
          elapsedMs: Math.round(elapsedMs * 1000) / 1000,
          detail,
          ...(resource === undefined ? {} : { type: resource.type }),
          ...(action.hook === null ? {} : { point: action.hook }),
          ...(reason === '' ? {} : { reason }),
          ...(result.degraded === null ? {} : { degraded: result.degraded }),
        },
      });
    if (outcome === 'done' && (action.kind === 'orders' || action.kind === 'fence')) {
      // The record is read again soon; until then the plan still wants the note that was just written, or the proof just given.
      this.retry.set(action.id, { notBeforeMs: this.clock.nowMs() + READ_AGAIN_MS, delayMs: FIRST_RETRY_MS / 2 });
    } else if (outcome === 'done') this.retry.delete(action.id);
    else {
      const delayMs = Math.min(LAST_RETRY_MS, (this.retry.get(action.id)?.delayMs ?? FIRST_RETRY_MS / 2) * 2);
      this.retry.set(action.id, { notBeforeMs: this.clock.nowMs() + delayMs, delayMs });
    }
    if (resource !== undefined && action.kind !== 'probe') {
      this.observer.release(group, resource);
      this.observer.soon(group, resource);
    }
    this.ended();
  }

  private toFacts({ action, outcome, reason, degraded }: Performed, group: DesiredGroup): void {
    if (action.resource === null) return;
    const [name, resource] = [group.id, action.resource];
    const why = outcome === 'timed-out' ? reason : reason || outcome;
    switch (action.kind) {
      case 'start':
        if (outcome === 'done') return this.facts.started(name, group.resources.find(({ id }) => id === resource)!, degraded);
        if (outcome === 'stale') return this.facts.unsure(name, resource, why);
        return this.facts.startFailed(name, resource, why);
      case 'stop':
        if (outcome === 'done') return this.facts.stopped(name, resource);
        return this.facts.stopFailed(name, resource, why);
      case 'promote':
        if (outcome === 'done') return this.facts.promoted(name, resource);
        if (outcome === 'stale') return this.facts.unsure(name, resource, why);
        return this.facts.startFailed(name, resource, why);
      case 'demote':
        if (outcome === 'done') return this.facts.demoted(name, resource);
        return this.facts.stopFailed(name, resource, why);
      case 'probe':
      case 'fence':
      case 'hook':
      case 'orders':
    }
  }

  private about(action: Action): { group: string; epoch: number; resource?: string; incident?: string } {
    const incident = this.incidents.id(action.group);
    return {
      group: action.group,
      epoch: this.facts.lease(action.group).epoch,
      ...(action.resource === null ? {} : { resource: action.resource }),
      ...(incident === null ? {} : { incident }),
    };
  }
}
