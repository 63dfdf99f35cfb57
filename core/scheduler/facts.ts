// The controller's memory of the world: what each resource was last seen to be, and how often it was seen wrong. Turns
// monitors' answers and actions' results into facts; `snapshot` makes the ObservedState the planner reads. Decides nothing.
import { inject, injectable } from 'tsyringe';
import { Journal } from '../journal/journal.js';
import type { DesiredGroup, DesiredResource, DesiredState } from '../model/desired.js';
import type { GroupId, NodeId, ResourceId } from '../model/ids.js';
import { type LeaseView, NO_GROUP_ORDERS, NO_NODE_ORDERS } from '../model/lease.js';
import { isMirrorStatus, type MirrorStatus } from '../model/mirror.js';
import type { InFlight, ObservedGroup, ObservedNode, ObservedResource, ObservedState, ResourceState } from '../model/observed.js';
import type { MonitorResult } from '../plugin/contract.js';
import { Clock } from '../system/clock.js';
import { Failures } from './failures.js';
import { DesiredSource, GuardDoor, LeasePages, PeerReports, Self } from './ports.js';
import { type FactEvent, ResourceNews } from './resource-news.js';

export interface ResourceFact {
  readonly state: ResourceState;
  readonly reason: string;
  readonly degraded: string | null;
  readonly role: 'primary' | 'secondary' | null;
  readonly source: string;
  readonly atMs: number;
  /** Since when the state is this one. */
  readonly sinceMs: number;
  readonly badRow: number;
  readonly unknownRow: number;
  /** It was online here under our lease, and nobody has stopped it: being anything else is a fault. */
  readonly expected: boolean;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly blockers?: readonly string[];
  readonly mirror?: MirrorStatus;
}

@injectable()
export class Facts {
  private readonly resources = new Map<string, ResourceFact>();
  private readonly news = new ResourceNews();
  /** Set by the executor and by the health checks: who begins actions and who knows the loop tells them here. */
  inFlight: (group: GroupId) => readonly InFlight[] = () => [];
  selfBlockers: () => readonly string[] = () => [];
  fences: () => ObservedState['fences'] & object = () => ({});
  incident: (group: GroupId) => string | null = () => null;

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Journal) private readonly journal: Journal,
    @inject(Self) private readonly self: Self,
    @inject(DesiredSource) private readonly source: DesiredSource,
    @inject(GuardDoor) private readonly guard: GuardDoor,
    @inject(LeasePages) private readonly pages: LeasePages,
    @inject(PeerReports) private readonly reports: PeerReports,
    @inject(Failures) private readonly failures: Failures,
  ) {}

  onEvent(listener: (event: FactEvent) => void): void {
    this.news.listener = listener;
  }

  resource(group: GroupId, resource: ResourceId): ResourceFact {
    return this.resources.get(`${group}/${resource}`) ?? this.unseen();
  }

  /** Whether this node holds the group at this very moment, and at which epoch. */
  held(group: GroupId): { readonly held: boolean; readonly epoch: number; readonly remainingMs: number } {
    const { held, epoch, remainingMs } = this.pages.read(group);
    return { held, epoch, remainingMs };
  }

  /** Takes in what a monitor said. `source`: monitor, probe or watch. */
  monitored(group: DesiredGroup, resource: DesiredResource, result: MonitorResult, source: string): void {
    const before = this.resource(group.id, resource.id);
    const held = this.held(group.id).held;
    // Without the lease nothing is expected to run: what ended then was ended by the guard or the leash, and is no failure.
    const expected = held && (resource.operations === 'none' || before.expected);
    const bad = result.state === 'faulted' || (result.state === 'offline' && expected);
    const fact: Omit<ResourceFact, 'sinceMs' | 'atMs'> = {
      state: result.state,
      reason: result.reason ?? (bad && result.state === 'offline' ? 'it ended by itself' : ''),
      degraded: result.state === 'online' ? (result.degraded ?? null) : null,
      role: result.role ?? (result.state === 'unknown' ? before.role : null),
      source,
      badRow: bad ? before.badRow + 1 : result.state === 'unknown' ? before.badRow : 0,
      unknownRow: result.state === 'unknown' ? before.unknownRow + 1 : 0,
      expected: result.state === 'online' ? held : expected,
      detail: result.detail ?? {},
      ...(result.blockers === undefined || result.blockers.length === 0 ? {} : { blockers: result.blockers }),
      ...(isMirrorStatus(result.mirror) ? { mirror: result.mirror } : {}),
    };
    this.put(group.id, resource.id, fact);
    this.news.looked(group.id, resource.id, before, fact);
    if (!held) return;
    if (bad && fact.badRow === resource.tolerance) this.faulted(group.id, resource.id, fact.reason);
    if (result.state !== 'unknown' || !expected) return;
    if (fact.unknownRow === 1) this.news.unknown(group.id, resource.id, fact.reason);
    if (fact.unknownRow === resource.unknownLimit)
      this.faulted(group.id, resource.id, `unknown ${fact.unknownRow} times in a row: ${fact.reason}`);
  }

  started(group: GroupId, { id, promotable }: DesiredResource, degraded: string | null): void {
    this.failures.resource(group, id).startFailed = null;
    this.failures.save();
    const role = promotable ? (this.resource(group, id).role ?? 'secondary') : null;
    this.put(group, id, { ...this.blank('online', 'start'), degraded, role, expected: true });
    this.news.started(group, id, this.held(group).epoch);
  }

  startFailed(group: GroupId, resource: ResourceId, reason: string): void {
    this.failures.resource(group, resource).startFailed = reason;
    this.failures.save();
    this.put(group, resource, { ...this.blank('faulted', 'start'), reason, badRow: 1 });
  }

  stopped(group: GroupId, resource: ResourceId): void {
    this.failures.resource(group, resource).stopFailed = null;
    this.failures.save();
    this.put(group, resource, this.blank('offline', 'stop'));
  }

  stopFailed(group: GroupId, resource: ResourceId, reason: string): void {
    this.failures.resource(group, resource).stopFailed = reason;
    this.failures.save();
    // What it was before is still the best that is known; the look that follows says more.
    this.put(group, resource, { ...this.resource(group, resource), reason, source: 'stop' });
  }

  demoted(group: GroupId, resource: ResourceId): void {
    this.put(group, resource, { ...this.resource(group, resource), role: 'secondary', source: 'stop' });
  }

  promoted(group: GroupId, resource: ResourceId): void {
    const { mirror } = this.resource(group, resource);
    this.put(group, resource, {
      ...this.blank('online', 'start'),
      role: 'primary',
      expected: true,
      ...(mirror === undefined ? {} : { mirror }),
    });
    this.news.started(group, resource, this.held(group).epoch);
  }

  /** An action ended of which nothing may be concluded: only a look can tell. */
  unsure(group: GroupId, resource: ResourceId, reason: string): void {
    this.put(group, resource, { ...this.resource(group, resource), state: 'unknown', reason, source: 'start', unknownRow: 0 });
  }

  snapshot(): ObservedState {
    const desired = this.source.desired();
    const nowMs = this.clock.nowMs();
    const view = this.guard.view();
    return {
      self: this.self.node,
      nowMs,
      nodes: Object.fromEntries(desired.nodes.map((id) => [id, this.node(id, desired)])),
      groups: Object.fromEntries(desired.groups.map((group) => [group.id, this.group(group, nowMs)])),
      arbiter: view?.arbiter ?? { state: 'unknown', ageMs: null, because: 'the guard has not been heard' },
      fences: this.fences(),
      selfBlockers: this.selfBlockers(),
    };
  }

  /** The guard's view of a lease, corrected by the page: the page is what every effect is checked against. */
  lease(group: GroupId): LeaseView {
    const view = this.guard.view()?.leases.find((lease) => lease.group === group);
    if (view === undefined)
      return {
        group,
        phase: 'idle',
        epoch: 0,
        holder: null,
        record: 'unread',
        remainingMs: 0,
        recordAgeMs: null,
        inSync: [],
        successor: null,
        because: 'the guard has not been heard',
      };
    if (view.phase !== 'held') return view;
    const page = this.pages.read(group);
    if (page.held && page.epoch === view.epoch) return { ...view, remainingMs: page.remainingMs };
    return { ...view, phase: page.stopping ? 'releasing' : 'fencing-self', remainingMs: page.remainingMs, because: page.because };
  }

  private node(id: NodeId, desired: DesiredState): ObservedNode {
    const view = this.guard.view();
    const orders = view?.nodeOrders[id] ?? NO_NODE_ORDERS;
    if (id === this.self.node) return { id, state: 'member', orders, cfgHash: desired.cfgHash, reportAgeMs: 0, groups: {} };
    const peer = view?.peers.find(({ node }) => node === id);
    const report = this.reports.of(id);
    return {
      id,
      state: peer?.state ?? 'unseen',
      orders,
      cfgHash: peer?.cfgHash ?? report?.cfgHash ?? null,
      reportAgeMs: report?.ageMs ?? null,
      groups: report?.groups ?? {},
    };
  }

  private group(group: DesiredGroup, nowMs: number): ObservedGroup {
    const memory = this.failures.group(group.id);
    const lease = this.lease(group.id);
    const ours = lease.phase === 'fencing' || lease.phase === 'held' || lease.phase === 'releasing' || lease.phase === 'fencing-self';
    const transition = memory.transition !== null && ours && memory.transition.epoch === lease.epoch ? memory.transition : null;
    return {
      id: group.id,
      lease,
      orders: this.guard.view()?.groupOrders[group.id] ?? NO_GROUP_ORDERS,
      failovers: this.failures.failoversWithin(group.id, group.failover.withinMs),
      transition: transition && {
        kind: transition.kind,
        from: transition.from,
        hooksDone: transition.hooksDone,
        aborted: transition.aborted,
        fenced: transition.fenced ?? null,
      },
      // A resource that nobody has looked at yet is absent: nothing is known, and that is not `unknown`.
      resources: Object.fromEntries(
        group.resources
          .filter(({ id }) => this.resources.has(`${group.id}/${id}`))
          .map((resource) => [resource.id, this.observed(group.id, resource, nowMs)]),
      ),
      inFlight: this.inFlight(group.id),
    };
  }

  private observed(group: GroupId, resource: DesiredResource, nowMs: number): ObservedResource {
    const { state, reason, degraded, source, atMs, badRow, unknownRow, role, blockers, mirror } = this.resource(group, resource.id);
    const { startFailed, stopFailed } = this.failures.resource(group, resource.id);
    const failures = this.failures.failuresWithin(group, resource.id, resource.restart.withinMs);
    return {
      state,
      reason,
      degraded,
      source,
      ageMs: Math.max(0, nowMs - atMs),
      badRow,
      unknownRow,
      failures,
      startFailed,
      stopFailed,
      role,
      ...(blockers === undefined ? {} : { blockers }),
      ...(mirror === undefined ? {} : { mirror }),
    };
  }

  private faulted(group: GroupId, resource: ResourceId, reason: string): void {
    this.failures.failed(group, resource);
    this.news.faulted(group, resource, reason, this.held(group).epoch);
  }

  private put(group: GroupId, resource: ResourceId, fact: Omit<ResourceFact, 'sinceMs' | 'atMs'>): void {
    const before = this.resource(group, resource);
    const atMs = this.clock.nowMs();
    const changed = before.state !== fact.state || before.degraded !== fact.degraded || before.role !== fact.role;
    this.resources.set(`${group}/${resource}`, { ...fact, atMs, sinceMs: before.state === fact.state ? before.sinceMs : atMs });
    if (!changed) return;
    const incident = this.incident(group);
    this.journal.write({
      kind: 'resource.state',
      group,
      resource,
      ...(incident === null ? {} : { incident }),
      because: fact.degraded ?? fact.reason,
      data: {
        from: before.state,
        to: fact.state,
        reason: fact.reason,
        source: fact.source,
        ...(fact.degraded === null ? {} : { degraded: fact.degraded }),
        ...(fact.role === null ? {} : { role: fact.role }),
      },
    });
  }

  private blank(state: ResourceState, source: string): Omit<ResourceFact, 'sinceMs' | 'atMs'> {
    return { state, reason: '', degraded: null, role: null, source, badRow: 0, unknownRow: 0, expected: false, detail: {} };
  }

  private unseen(): ResourceFact {
    const atMs = this.clock.nowMs();
    return { ...this.blank('unknown', 'none'), reason: 'not looked at yet', atMs, sinceMs: atMs };
  }
}
