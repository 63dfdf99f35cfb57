// Does one action: hooks before, lease check, the agent's call with its time, lease check, hooks after. The only place where
// agents change the world. Begins in the turn in which it is called: a start must not wait for anything but its own hooks.
import { inject, injectable } from 'tsyringe';
import { reasonOf } from '../errors/errors.js';
import type { DesiredGroup, DesiredResource, HookPoint } from '../model/desired.js';
import { type Epoch, type NodeId, resourceName } from '../model/ids.js';
import type { EarlierHolderView, GroupOrders, LeaseView } from '../model/lease.js';
import type { Action, OrdersChange } from '../model/plan.js';
import type { ActionOutcome, ActionResult } from '../model/result.js';
import type { ActionContext, ActionReport, Agent, Operation } from '../plugin/contract.js';
import { Clock } from '../system/clock.js';
import { Contexts } from './contexts.js';
import { bounded } from './deadline.js';
import { Facts } from './facts.js';
import { Fences } from './fences.js';
import { HardStopLists } from './hard-stop.js';
import { Hooks, type Moment } from './hooks.js';
import { Incidents, momentOf } from './incidents.js';
import { Agents, GuardDoor, LeasePages, Self } from './ports.js';
import { Quarantine } from './quarantine.js';

export interface Work {
  readonly action: Action;
  readonly group: DesiredGroup;
  readonly resource: DesiredResource | null;
  /** Ends the action early: the lease was lost, or its opposite was ordered. */
  readonly signal: AbortSignal;
}

/** `degraded` and `role` go into the facts; the rest is the ActionResult. */
export interface Performed extends ActionResult {
  readonly degraded: string | null;
}

interface Ended {
  readonly outcome: ActionOutcome;
  readonly reason?: string;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly degraded?: string | undefined;
}

/** A call that was told to end may clean up for so long: stop kills what it started. */
const GRACE_MS = 2000;
const POINTS: Record<Operation, { before: HookPoint; after: HookPoint }> = {
  start: { before: 'beforeStart', after: 'afterStart' },
  stop: { before: 'beforeStop', after: 'afterStop' },
  promote: { before: 'beforePromote', after: 'afterPromote' },
  demote: { before: 'beforeDemote', after: 'afterDemote' },
};

@injectable()
export class Perform {
  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Contexts) private readonly contexts: Contexts,
    @inject(Agents) private readonly agents: Agents,
    @inject(Hooks) private readonly hooks: Hooks,
    @inject(HardStopLists) private readonly lists: HardStopLists,
    @inject(Quarantine) private readonly quarantine: Quarantine,
    @inject(Incidents) private readonly incidents: Incidents,
    @inject(Facts) private readonly facts: Facts,
    @inject(GuardDoor) private readonly guard: GuardDoor,
    @inject(Self) private readonly self: Self,
    @inject(Fences) private readonly fences: Fences,
    @inject(LeasePages) private readonly pages: LeasePages,
  ) {}

  /** Never rejects. */
  async perform(work: Work): Promise<Performed> {
    const beganMs = this.clock.nowMs();
    const end = (ended: Ended): Performed => ({
      action: work.action,
      outcome: ended.outcome,
      reason: ended.reason ?? '',
      elapsedMs: this.clock.nowMs() - beganMs,
      detail: ended.detail ?? {},
      degraded: ended.degraded ?? null,
    });
    try {
      return end(await this.byKind(work));
    } catch (error) {
      return end({ outcome: 'failed', reason: reasonOf(error) });
    }
  }

  private byKind(work: Work): Promise<Ended> {
    const { action } = work;
    switch (action.kind) {
      case 'start':
      case 'promote':
        return this.operate(work, action.kind, true);
      case 'stop':
      case 'demote':
        return this.operate(work, action.kind, false);
      case 'hook':
        return this.runHooks(work);
      case 'orders':
        return this.changeOrders(work);
      case 'fence':
        return this.fenceNode(work);
      case 'probe':
        // The executor hands probes to the observer: a probe is a monitor.
        return Promise.resolve({ outcome: 'failed', reason: 'a probe is not an action of an agent' });
    }
  }

  private async operate(work: Work, op: Operation, leased: boolean): Promise<Ended> {
    const { group, resource, signal, action } = work;
    if (resource === null) return { outcome: 'failed', reason: `${group.id} has no resource ${action.resource}` };
    const name = resourceName(group.id, resource.id);
    const agent = this.usable(resource.type);
    if ('unusable' in agent) return { outcome: 'failed', reason: agent.unusable };
    const call = agent[op]?.bind(agent);
    if (call === undefined) return { outcome: 'done', detail: { note: `${resource.type} has no ${op}` } };
    const epoch = this.facts.lease(group.id).epoch;
    const lost = () => (leased ? this.lostLease(group, epoch) : null);
    const before = lost();
    if (before !== null) return { outcome: 'stale', reason: before };
    if (leased) this.lists.write(group);
    const moment = this.moment(group, resource, epoch, action.because);
    if (this.hooks.any(group, POINTS[op].before, moment.role)) {
      const { abort, fault } = await this.hooks.run(group, POINTS[op].before, moment);
      if ((abort ?? fault) !== null) return { outcome: 'failed', reason: (abort ?? fault)! };
      const meanwhile = lost();
      if (meanwhile !== null) return { outcome: 'stale', reason: meanwhile };
    }
    const ended = await this.callAgent(resource, name, op, call, group, epoch, leased, signal);
    const after = lost();
    if (after !== null) return { outcome: 'stale', reason: after };
    if (ended.outcome !== 'done' || !this.hooks.any(group, POINTS[op].after, moment.role)) return ended;
    const { fault } = await this.hooks.run(group, POINTS[op].after, moment);
    return fault === null ? ended : { ...ended, outcome: 'failed', reason: fault };
  }

  private async callAgent(
    resource: DesiredResource,
    name: string,
    op: Operation,
    call: (context: ActionContext<unknown>) => Promise<ActionReport | void>,
    group: DesiredGroup,
    epoch: Epoch,
    leased: boolean,
    outer: AbortSignal,
  ): Promise<Ended> {
    const limitMs = op === 'start' || op === 'promote' ? resource.startTimeoutMs : resource.stopTimeoutMs;
    const outcome = await bounded(
      (signal) => {
        const forced = this.facts.lease(group.id).mirror?.forced === true;
        const context = this.contexts.action(group, resource, epoch, leased, { signal, limitMs, forced });
        return this.quarantine.marked(resource.type, `${op} of ${name}`, () => call(context));
      },
      { clock: this.clock, limitMs, graceMs: GRACE_MS, signal: outer, onSettledLate: () => this.quarantine.settledLate(resource.type) },
    );
    if (outcome.kind === 'value') return { outcome: 'done', degraded: outcome.value?.degraded, detail: outcome.value?.detail ?? {} };
    if (outcome.kind === 'threw') return { outcome: 'failed', reason: reasonOf(outcome.error) };
    if (!outcome.settled) this.quarantine.gaveUp(resource.type, `${op} of ${name}`);
    if (outcome.kind === 'aborted') return { outcome: 'stale', reason: reasonOf(outcome.error) };
    return { outcome: 'timed-out', reason: `${op} took longer than ${limitMs} ms${outcome.settled ? '' : ' and is still running'}` };
  }

  private async runHooks({ action, group }: Work): Promise<Ended> {
    if (action.hook === null) return { outcome: 'failed', reason: 'the action names no hook point' };
    const epoch = this.facts.lease(group.id).epoch;
    const { ran, abort, fault } = await this.hooks.run(group, action.hook, this.moment(group, null, epoch, action.because));
    const stopping = abort ?? fault;
    this.incidents.hookDone(group.id, epoch, action.hook, stopping);
    return stopping === null ? { outcome: 'done', detail: { ran } } : { outcome: 'failed', reason: stopping, detail: { ran } };
  }

  private async changeOrders({ action, group }: Work): Promise<Ended> {
    if (action.orders === null) return { outcome: 'failed', reason: 'the action names no change of orders' };
    const move = this.guard.view()?.groupOrders[group.id]?.move ?? null;
    await this.guard.orders({ key: 'group', group: group.id, set: ordersSet(action.orders, this.self.node, move) });
    return { outcome: 'done' };
  }

  private async fenceNode({ action, group }: Work): Promise<Ended> {
    const { node } = action;
    const lease = this.facts.lease(group.id);
    const earlier = node === null ? null : earlierHolder(lease, node);
    if (node === null || earlier === null)
      return { outcome: 'stale', reason: `${group.id} does not wait for ${node ?? 'anybody'} any more` };
    const { bootId, epoch } = earlier;
    const { evidence } = await this.fences.fence({
      node,
      bootId,
      epoch,
      group: group.id,
      forbidden: () => this.mayNotFence(group, lease.epoch, node),
    });
    this.guard.fenced({ group: group.id, node, bootId, forEpoch: epoch, evidence });
    this.incidents.fenced(group.id, evidence);
    await this.hooks.run(group, 'onFence', this.moment(group, null, lease.epoch, evidence));
    return { outcome: 'done', detail: { node, evidence } };
  }

  /** I-9: only the owner of the newer epoch, by its page at this very moment, and only while the proof is still owed. */
  private mayNotFence(group: DesiredGroup, epoch: Epoch, node: NodeId): string | null {
    const page = this.pages.read(group.id);
    if (page.epoch !== epoch || !(page.held || page.stopping)) return `this node does not own epoch ${epoch} of ${group.id} any more`;
    const lease = this.facts.lease(group.id);
    return lease.epoch === epoch && earlierHolder(lease, node) !== null ? null : `${node} is proven down`;
  }

  private usable(type: string): Agent | { readonly unusable: string } {
    const quarantined = this.quarantine.reason(type);
    return quarantined === null ? this.agents.agent(type) : { unusable: `${type} is not called any more: ${quarantined}` };
  }

  private lostLease(group: DesiredGroup, epoch: Epoch): string | null {
    const now = this.facts.held(group.id);
    if (now.held && now.epoch === epoch) return null;
    return now.held ? `the lease is of epoch ${now.epoch} now` : 'the lease is not held any more';
  }

  private moment(group: DesiredGroup, resource: DesiredResource | null, epoch: Epoch, because: string): Moment {
    const told = momentOf(group, this.incidents.current(group.id), this.self.node);
    return { ...told, ...(resource === null ? {} : { resource: resource.id }), epoch, because, role: 'active' };
  }
}

const ordersSet = (change: OrdersChange, self: NodeId, move: GroupOrders['move']) => {
  if (change.kind === 'move-done') return { removeMove: change.id };
  const { epoch, from, to, because } = change;
  return { addFailover: { epoch, from, to: to ?? self, because }, ...(move?.to === self && from !== self ? { removeMove: move.id } : {}) };
};

/** Whom this epoch may fence by that name, and has no proof of. */
const earlierHolder = (
  { phase, epoch, fencing = [], unproven = null, failsafe = null, withoutStore = null }: LeaseView,
  node: NodeId,
): EarlierHolderView | null => {
  // In failsafe the proof is for this epoch: that the member takes no other while it lasts.
  const members = [...(failsafe?.fence ?? []), ...(withoutStore?.fence === true ? [withoutStore] : [])];
  const silent = phase === 'held' ? members.map(({ node: member, bootId }) => ({ node: member, bootId, epoch, proof: null })) : [];
  const named = phase === 'fencing' ? fencing : unproven === null ? silent : [...silent, unproven];
  return named.find((earlier) => earlier.node === node && earlier.proof === null) ?? null;
};
