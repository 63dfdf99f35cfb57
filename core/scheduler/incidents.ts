// Gives every story one name: a failover, a switchover, a fault and its repair. Watches the guard's view for changes of
// ownership, remembers the transition the group is in, and says when the story is over. Writes to the journal; decides nothing.
import { inject, injectable } from 'tsyringe';
import { Journal } from '../journal/journal.js';
import type { DesiredGroup } from '../model/desired.js';
import type { Epoch, GroupId, NodeId } from '../model/ids.js';
import type { GuardView, LeaseView } from '../model/lease.js';
import type { ObservedState, Transition } from '../model/observed.js';
import type { GroupState, Plan } from '../model/plan.js';
import { Clock } from '../system/clock.js';
import { Failures } from './failures.js';
import { Self } from './ports.js';

export interface OpenIncident {
  readonly id: string;
  readonly kind: 'failover' | 'switchover' | 'start' | 'fault';
  readonly from: NodeId | null;
  readonly to: NodeId | null;
  readonly epoch: Epoch;
  readonly beganMs: number;
}

/** What changed between two views of the guard, for those who act on it. */
export type OwnershipChange =
  | { readonly kind: 'won'; readonly group: GroupId; readonly epoch: Epoch; readonly incident: OpenIncident }
  | { readonly kind: 'lost'; readonly group: GroupId; readonly epoch: Epoch; readonly because: string; readonly selfFence: boolean }
  /** Another node became the holder. */
  | {
      readonly kind: 'moved';
      readonly group: GroupId;
      readonly epoch: Epoch;
      readonly from: NodeId | null;
      readonly to: NodeId;
      readonly planned: boolean;
    };

const NO_TRANSITION: Transition = { kind: 'start', from: null, hooksDone: [], aborted: null };
const OURS = new Set<LeaseView['phase']>(['fencing', 'held', 'releasing', 'fencing-self']);

@injectable()
export class Incidents {
  private readonly open = new Map<GroupId, OpenIncident>();
  /** The last view of each group while it was not ours, and the last foreign holder any view named. */
  private readonly foreign = new Map<GroupId, { view: LeaseView; holder: NodeId | null }>();
  private readonly phases = new Map<GroupId, LeaseView>();
  private readonly states = new Map<GroupId, GroupState>();
  private readonly lastMove = new Map<GroupId, string>();
  private faults = 0;

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Journal) private readonly journal: Journal,
    @inject(Failures) private readonly failures: Failures,
    @inject(Self) private readonly self: Self,
  ) {}

  current(group: GroupId): OpenIncident | null {
    return this.open.get(group) ?? null;
  }

  id(group: GroupId): string | null {
    return this.open.get(group)?.id ?? null;
  }

  /** Compares a new view with the last one. */
  seen(view: GuardView): readonly OwnershipChange[] {
    return view.leases.flatMap((lease) => this.seenLease(lease, view));
  }

  /** A resource faulted: the story of its repair begins, unless one is being told already. */
  fault(group: GroupId, resource: string, reason: string): void {
    if (this.open.has(group)) return;
    this.faults += 1;
    const epoch = this.phases.get(group)?.epoch ?? 0;
    this.begin(
      group,
      { id: `${group}.e${epoch}.${resource}.${this.faults}`, kind: 'fault', from: this.self.node, to: this.self.node, epoch },
      `${resource}: ${reason}`,
      { resource },
    );
  }

  /** A group-level hook point ran; with `aborted` it forbade what was to follow, and runs again only after a clear. */
  hookDone(group: GroupId, epoch: Epoch, point: string, aborted: string | null): void {
    const memory = this.failures.group(group);
    const before = memory.transition?.epoch === epoch ? memory.transition : { ...NO_TRANSITION, epoch, incident: this.id(group) ?? '' };
    const done = aborted === null || !point.startsWith('before');
    memory.transition = {
      ...before,
      hooksDone: done ? [...before.hooksDone, point] : before.hooksDone,
      aborted: before.aborted ?? aborted,
    };
    this.failures.save();
  }

  /** Whoever held the group before is proven down. */
  fenced(group: GroupId, evidence: string): void {
    const memory = this.failures.group(group);
    if (memory.transition === null) return;
    memory.transition = { ...memory.transition, fenced: evidence };
    this.failures.save();
  }

  /** A new order is a new chance for what a hook forbade. */
  forgetAbort(group: GroupId): void {
    const memory = this.failures.group(group);
    if (memory.transition === null) return;
    memory.transition = {
      ...memory.transition,
      aborted: null,
      hooksDone: memory.transition.hooksDone.filter((point) => point !== 'beforeSwitchover'),
    };
    this.failures.save();
  }

  /** Writes changes of group states, and ends the stories in which nothing is left to do. */
  settle(plan: Plan, observe: () => ObservedState): void {
    for (const { group, state, because, rule } of plan.verdicts) {
      const incident = this.open.get(group);
      const before = this.states.get(group);
      if (before !== state) {
        this.states.set(group, state);
        this.journal.write({
          kind: 'group.state',
          group,
          because,
          data: { from: before ?? null, state, rule },
          ...(incident === undefined ? {} : { incident: incident.id }),
        });
      }
      if (incident === undefined || state === 'starting' || state === 'stopping') continue;
      const observed = observe().groups[group];
      if (plan.actions.some((action) => action.group === group) || (observed?.inFlight.length ?? 0) > 0) continue;
      // The old holder's part of a switchover lasts until the lease is no longer its own.
      if (incident.to !== this.self.node && OURS.has(observed?.lease.phase ?? 'idle')) continue;
      this.open.delete(group);
      this.journal.write({
        kind: 'incident.end',
        incident: incident.id,
        group,
        epoch: incident.epoch,
        because,
        data: { kind: incident.kind, from: incident.from, to: incident.to, state, elapsedMs: this.clock.nowMs() - incident.beganMs },
      });
    }
  }

  private seenLease(lease: LeaseView, view: GuardView): readonly OwnershipChange[] {
    const { group } = lease;
    const before = this.phases.get(group);
    this.phases.set(group, lease);
    const changes: OwnershipChange[] = [];
    const move = view.groupOrders[group]?.move ?? null;
    if (lease.phase === 'fencing' && (before === undefined || !OURS.has(before.phase) || before.epoch !== lease.epoch))
      changes.push(...this.won(lease, view));
    if (lease.phase === 'held' && before?.phase === 'fencing' && before.epoch === lease.epoch) this.fenced(group, lease.because);
    if (lease.phase === 'held') {
      if (before === undefined || !OURS.has(before.phase) || before.epoch !== lease.epoch) changes.push(...this.won(lease, view));
      if (move !== null && move.to !== this.self.node && this.lastMove.get(group) !== move.id) {
        this.lastMove.set(group, move.id);
        this.forgetAbort(group);
        this.begin(group, { id: move.id, kind: 'switchover', from: this.self.node, to: move.to, epoch: lease.epoch }, move.why, {
          by: move.by,
        });
      }
    } else if (!OURS.has(lease.phase)) {
      const last = this.foreign.get(group);
      const holder = lease.holder !== null && lease.holder !== this.self.node ? lease.holder : (last?.holder ?? null);
      if (last !== undefined && lease.holder !== null && lease.holder !== this.self.node && lease.epoch > last.view.epoch) {
        changes.push({
          kind: 'moved',
          group,
          epoch: lease.epoch,
          from: last.holder === lease.holder ? null : last.holder,
          to: lease.holder,
          planned: last.view.record === 'released',
        });
      }
      this.foreign.set(group, { view: lease, holder });
    }
    if (before?.phase === 'held' && lease.phase !== 'held' && lease.phase !== 'releasing') {
      changes.push({ kind: 'lost', group, epoch: before.epoch, because: lease.because, selfFence: lease.phase === 'fencing-self' });
    }
    return changes;
  }

  private won(lease: LeaseView, view: GuardView): readonly OwnershipChange[] {
    const { group, epoch } = lease;
    const memory = this.failures.group(group);
    // An earlier controller of this boot began it: the story and the hooks that ran go on.
    if (memory.transition?.epoch === epoch) return [];
    const last = this.foreign.get(group);
    if (last === undefined) {
      memory.transition = null;
      return [];
    }
    const move = view.groupOrders[group]?.move ?? null;
    // A holder that leaves because of a fault says so in the orders, under the epoch it leads to: that is no planned move.
    const left = view.groupOrders[group]?.failovers.find((noted) => noted.epoch === epoch && noted.to === this.self.node) ?? null;
    const kind = left === null ? this.kindOf(last.view, move?.to === this.self.node) : 'failover';
    const from = kind === 'start' ? null : (left?.from ?? last.holder);
    const incident = this.begin(
      group,
      { id: kind === 'switchover' && move !== null ? move.id : `${group}.e${epoch}`, kind, from, to: this.self.node, epoch },
      lease.because,
      {},
    );
    // Held at once, the guard's sentence is the proof that the old holder is down; while it waits there is none yet.
    const fenced = lease.phase === 'fencing' ? null : lease.because;
    memory.transition = { ...NO_TRANSITION, kind, from, fenced, epoch, incident: incident.id };
    this.failures.save();
    return [{ kind: 'won', group, epoch, incident }];
  }

  private kindOf({ record, holder, successor }: LeaseView, movedHere: boolean): Transition['kind'] {
    if (record === 'released') return movedHere || successor === this.self.node ? 'switchover' : 'start';
    return (record === 'held' || record === 'fencing') && holder !== null && holder !== this.self.node ? 'failover' : 'start';
  }

  private begin(group: GroupId, incident: Omit<OpenIncident, 'beganMs'>, because: string, data: Record<string, unknown>): OpenIncident {
    const before = this.open.get(group);
    if (before !== undefined)
      this.journal.write({
        kind: 'incident.end',
        incident: before.id,
        group,
        epoch: before.epoch,
        because: `${incident.kind} ${incident.id} took its place`,
        data: { kind: before.kind, from: before.from, to: before.to, state: 'superseded', elapsedMs: this.clock.nowMs() - before.beganMs },
      });
    const whole = { ...incident, beganMs: this.clock.nowMs() };
    this.open.set(group, whole);
    const { id, kind, from, to, epoch } = whole;
    this.journal.write({ kind: 'incident.begin', incident: id, group, epoch, because, data: { kind, from, to, ...data } });
    return whole;
  }
}

/** What hooks of a group are told of its transition. */
export const momentOf = (
  group: DesiredGroup,
  incident: OpenIncident | null,
  self: NodeId,
): { from: NodeId | null; to: NodeId | null; incident: string | null } =>
  incident === null
    ? { from: null, to: group.prefer.includes(self) ? self : null, incident: null }
    : { from: incident.from, to: incident.to, incident: incident.id };
