// What an operation would do, before it is done: the planner is run on a picture of the world in which it was ordered, step
// after step, and each step's agent says what effects it would have. Touches nothing.
import { inject, injectable } from 'tsyringe';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { DesiredGroup, DesiredState } from '../model/desired.js';
import type { GroupId, NodeId } from '../model/ids.js';
import type { LeaseView } from '../model/lease.js';
import type { ObservedGroup, ObservedState, Transition } from '../model/observed.js';
import type { Action } from '../model/plan.js';
import { plan } from '../planner/plan.js';
import { readyActions } from '../planner/ready.js';
import { applyAction, CLEAN } from '../planner/simulate.js';
import type { Operation, SideEffect } from '../plugin/contract.js';
import { Contexts } from '../scheduler/contexts.js';
import { bounded } from '../scheduler/deadline.js';
import { Hooks } from '../scheduler/hooks.js';
import { Agents } from '../scheduler/ports.js';
import { Clock } from '../system/clock.js';
import { activeOf, blockersOn } from './status-view.js';
import type { PlanOperation, PlanStep, PlanView } from './views.js';

/** Desired state as another node of the cluster sees it: `on:` overrides differ. */
export interface DesiredByNode {
  desiredOn(node: NodeId): DesiredState;
}
export const DesiredByNode: unique symbol = Symbol('DesiredByNode');

/** Steps of one dry run. A plan that does not end is a fault of the planner, shown as such. */
const MAX_STEPS = 1000;
/** An agent's own plan may ask the outside world (read only) for so long. */
const EFFECTS_LIMIT_MS = 5000;

@injectable()
export class PlanViews {
  constructor(
    @inject(Agents) private readonly agents: Agents,
    @inject(Contexts) private readonly contexts: Contexts,
    @inject(Hooks) private readonly hooks: Hooks,
    @inject(DesiredByNode) private readonly config: DesiredByNode,
    @inject(Clock) private readonly clock: Clock,
  ) {}

  async view(operation: PlanOperation, group: DesiredGroup, to: NodeId | null, observed: ObservedState): Promise<PlanView> {
    const now = observed.groups[group.id]!;
    const from = activeOf(now.lease, observed.self);
    const target = operation === 'stop' ? null : (to ?? defaultTarget(operation, group, from, observed.self));
    const parts: { node: NodeId; actions: readonly Action[]; end: string | null }[] = [];
    if (from !== null && operation !== 'start' && operation !== 'failover') {
      const orders =
        operation === 'stop'
          ? { want: 'offline' as const }
          : { move: { id: 'plan', to: target ?? '', by: 'plan', why: 'to see what it would do' } };
      parts.push({
        node: from,
        actions: dryRun(this.config.desiredOn(from), leaving(observed, group, from, target, orders)),
        end: 'verify that nothing runs here, and give the lease back',
      });
    }
    if (target !== null && target !== from) {
      const kind = operation === 'stop' ? 'start' : operation;
      parts.push({
        node: target,
        actions: dryRun(
          this.config.desiredOn(target),
          arriving(
            observed,
            group,
            target,
            { kind, from, hooksDone: [], aborted: null },
            kind === 'failover' && this.config.desiredOn(target).fencing === 'required',
          ),
        ),
        end: null,
      });
    }
    const steps: PlanStep[] = [];
    for (const { node, actions, end } of parts) {
      if (end === null)
        steps.push({
          node,
          what: 'acquire the lease',
          because: operation === 'failover' ? `${from ?? 'the holder'} is silent for the takeover wait, or proven down` : 'it is free',
          effects: [],
        });
      for (const action of actions) steps.push(await this.step(action, group, node));
      if (end !== null) steps.push({ node, what: 'release the lease', because: end, effects: [] });
    }
    const blockers =
      target === null || target === from
        ? []
        : blockersOn(group.id, target, observed, plan(this.config.desiredOn(observed.self), observed));
    return { operation, group: group.id, from, to: target, steps, blockers };
  }

  private async step(action: Action, group: DesiredGroup, node: NodeId): Promise<PlanStep> {
    const what =
      action.kind === 'hook'
        ? `run the ${action.hook} hooks`
        : action.kind === 'orders'
          ? 'note it in the orders record'
          : action.kind === 'fence'
            ? `fence ${action.node}`
            : `${action.kind} ${action.resource}`;
    return {
      node,
      what,
      because: action.because,
      effects: action.kind === 'hook' ? this.hookEffects(action, group) : await this.effects(action, group, node),
    };
  }

  private hookEffects({ hook }: Action, group: DesiredGroup): readonly SideEffect[] {
    if (hook === null) return [];
    return this.hooks
      .ordered(group, hook)
      .map(({ name, run }) => ({ kind: 'command', what: run.kind === 'script' ? run.argv.join(' ') : name }));
  }

  private async effects({ kind, resource: id }: Action, group: DesiredGroup, node: NodeId): Promise<readonly SideEffect[]> {
    const resource = this.config
      .desiredOn(node)
      .groups.find((one) => one.id === group.id)
      ?.resources.find((one) => one.id === id);
    if (resource === undefined || kind === 'probe') return [];
    const agent = this.agents.agent(resource.type);
    if ('unusable' in agent) return [{ kind: 'process', what: `unknown: ${agent.unusable}` }];
    if (agent.plan === undefined) return [{ kind: 'process', what: `${resource.type} does not say what its ${kind} would do` }];
    const outcome = await bounded(
      (signal) =>
        agent.plan!(kind as Operation, { ...this.contexts.monitor(group, resource, { signal, limitMs: EFFECTS_LIMIT_MS }), node }),
      { clock: this.clock, limitMs: EFFECTS_LIMIT_MS },
    );
    return outcome.kind === 'value' ? outcome.value : [{ kind: 'process', what: `unknown: ${reasonOf(outcome.error)}` }];
  }
}

/** The actions of one node from now until nothing is left to do, each taken to succeed. */
export const dryRun = (desired: DesiredState, start: ObservedState): readonly Action[] => {
  const taken: Action[] = [];
  let observed = start;
  for (;;) {
    const [next] = readyActions(plan(desired, observed), new Set());
    if (next === undefined) return taken;
    if (taken.length >= MAX_STEPS)
      throw new UnderstudyError(
        'REFUSED',
        `the plan did not end after ${MAX_STEPS} steps; the last was ${next.kind} ${next.resource ?? next.hook ?? ''}`,
      );
    taken.push(next);
    observed = applyAction(desired, observed, next);
  }
};

const defaultTarget = (operation: PlanOperation, group: DesiredGroup, from: NodeId | null, self: NodeId): NodeId =>
  group.prefer.find((id) => id !== from) ?? (operation === 'start' ? (group.prefer[0] ?? self) : self);

/** The world as its holder sees it when the order has come. */
const leaving = (
  observed: ObservedState,
  group: DesiredGroup,
  from: NodeId,
  to: NodeId | null,
  orders: Partial<ObservedGroup['orders']>,
): ObservedState => {
  const now = observed.groups[group.id]!;
  const own = from === observed.self;
  const lease = own ? now.lease : { ...now.lease, phase: 'held' as const, holder: from, record: 'held' as const };
  const resources = own ? now.resources : allIn(group, 'online');
  const ready =
    to === null
      ? {}
      : {
          [to]: {
            ...observed.nodes[to]!,
            state: 'member' as const,
            orders: { ...observed.nodes[to]!.orders, standby: false, maintenance: false },
            reportAgeMs: 0,
            groups: { [group.id]: { resources: {}, blockers: [] } },
          },
        };
  return onlyGroup(
    {
      ...observed,
      self: from,
      nodes: { ...observed.nodes, ...ready },
      groups: { [group.id]: { ...now, lease, resources, orders: { ...now.orders, move: null, ...orders }, inFlight: [] } },
    },
    group.id,
  );
};

/** The world as the next holder sees it when it has the lease. */
const arriving = (observed: ObservedState, group: DesiredGroup, to: NodeId, transition: Transition, prove: boolean): ObservedState => {
  const now = observed.groups[group.id]!;
  const { from } = transition;
  const wait = prove && from !== null;
  const lease: LeaseView = {
    ...now.lease,
    phase: wait ? 'fencing' : 'held',
    holder: to,
    record: wait ? 'fencing' : 'held',
    fencing: wait ? [{ node: from, bootId: now.lease.holderBootId ?? '', epoch: now.lease.epoch, proof: null }] : [],
    unproven: null,
    epoch: now.lease.epoch + 1,
    remainingMs: 1000,
    successor: null,
  };
  const orders = { ...now.orders, want: 'online' as const, move: null, frozen: false, maintenance: false };
  return onlyGroup(
    {
      ...observed,
      self: to,
      selfBlockers: [],
      groups: { [group.id]: { ...now, lease, orders, transition, resources: allIn(group, 'offline'), inFlight: [] } },
    },
    group.id,
  );
};

const onlyGroup = (observed: ObservedState, group: GroupId): ObservedState => ({
  ...observed,
  groups: { [group]: observed.groups[group]! },
});

const allIn = (group: DesiredGroup, state: 'online' | 'offline'): ObservedGroup['resources'] =>
  Object.fromEntries(
    group.resources.map(({ id, operations, promotable }) => [
      id,
      { ...CLEAN, state: operations === 'none' ? ('online' as const) : state, role: promotable ? ('secondary' as const) : null },
    ]),
  );
