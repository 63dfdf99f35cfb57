// What follows at once from what the guard says or a resource does, outside the plan: running starts end when the lease is
// lost, an operator's `clear` forgets failures, the `on…` hooks run, the hard-stop list goes when all is over.
import { inject, injectable } from 'tsyringe';
import { reasonOf } from '../errors/errors.js';
import type { DesiredGroup, HookPoint } from '../model/desired.js';
import type { GuardView } from '../model/lease.js';
import { Cgroups } from '../system/cgroup.js';
import { Executor } from './execute.js';
import { Facts } from './facts.js';
import { Failures } from './failures.js';
import { HardStopLists } from './hard-stop.js';
import { Hooks, type Moment } from './hooks.js';
import { Incidents, momentOf, type OwnershipChange } from './incidents.js';
import { DesiredSource, Logs, Self } from './ports.js';
import { Quarantine } from './quarantine.js';
import type { FactEvent } from './resource-news.js';

/** A lease that is asked for is answered by then. */
const START_SOON_MS = 300;

const POINTS: Record<FactEvent['kind'], HookPoint> = {
  fault: 'onFault',
  unknown: 'onUnknown',
  changed: 'onMonitor',
  restarted: 'onRestart',
  split: 'onSplitBrain',
  'resync-start': 'onResyncStart',
  'resync-end': 'onResyncEnd',
};

@injectable()
export class Reactions {
  private before: GuardView | null = null;
  private readonly listed = new Set<string>();

  constructor(
    @inject(DesiredSource) private readonly config: DesiredSource,
    @inject(Executor) private readonly executor: Executor,
    @inject(Facts) private readonly facts: Facts,
    @inject(Failures) private readonly failures: Failures,
    @inject(HardStopLists) private readonly lists: HardStopLists,
    @inject(Hooks) private readonly hooks: Hooks,
    @inject(Incidents) private readonly incidents: Incidents,
    @inject(Quarantine) private readonly quarantine: Quarantine,
    @inject(Self) private readonly self: Self,
    @inject(Logs) private readonly logs: Logs,
    @inject(Cgroups) private readonly cgroups: Cgroups,
  ) {
    facts.incident = (group) => incidents.id(group);
    facts.onEvent((event) => this.resource(event));
  }

  /** Before the cycle that a new view causes. Does nothing that waits. */
  view(view: GuardView): void {
    const before = this.before;
    this.before = view;
    for (const group of this.config.desired().groups) this.orders(group, view, before);
    for (const group of this.config.desired().groups) {
      if (this.facts.lease(group.id).phase !== 'acquiring') continue;
      // While the arbiter is asked: so that neither the kernel nor the file stands between the answer and the first start.
      this.cgroups.keepReady(START_SOON_MS);
      if (!this.listed.has(group.id)) this.writeList(group);
    }
    for (const change of this.incidents.seen(view)) this.ownership(change);
    if (before !== null) this.neighbours(view, before);
  }

  /** After the cycle: what must not stand in the way of a start. */
  afterCycle(): void {
    for (const group of this.config.desired().groups) {
      const { phase } = this.facts.lease(group.id);
      if (phase === 'held' && !this.listed.has(group.id)) this.writeList(group);
      const over = phase === 'idle' || phase === 'observe';
      if (
        over &&
        this.listed.has(group.id) &&
        group.resources.every(({ id, operations }) => operations !== 'on-off' || this.facts.resource(group.id, id).state === 'offline')
      ) {
        this.listed.delete(group.id);
        this.lists.remove(group.id);
      }
    }
  }

  /** While the lease is held, and before, there is a list: an earlier controller may have died between its and ours. */
  private writeList(group: DesiredGroup): void {
    try {
      this.lists.write(group);
      this.listed.add(group.id);
    } catch (error) {
      this.logs
        .child('hard-stop')
        .error('the hard-stop list cannot be written: no start will be made', { group: group.id, reason: reasonOf(error) });
    }
  }

  private orders(group: DesiredGroup, view: GuardView, before: GuardView | null): void {
    const orders = view.groupOrders[group.id];
    if (orders === undefined) return;
    const memory = this.failures.group(group.id);
    this.failures.sawFailovers(
      group.id,
      orders.failovers.map(({ epoch }) => epoch),
    );
    if (orders.clears > memory.clears) {
      this.failures.clear(group.id, orders.clears);
      this.incidents.forgetAbort(group.id);
      this.quarantine.clear();
    } else if (orders.clears < memory.clears) memory.clears = orders.clears;
    const was = before?.groupOrders[group.id]?.maintenance ?? orders.maintenance;
    if (orders.maintenance !== was)
      this.hook(group, 'onMaintenance', { because: `maintenance ${orders.maintenance ? 'on' : 'off'}: ${orders.why}` });
  }

  private ownership(change: OwnershipChange): void {
    const group = this.config.desired().groups.find(({ id }) => id === change.group);
    if (group === undefined) return;
    if (change.kind === 'lost') {
      this.executor.abortLeased(group.id, `the lease was lost: ${change.because}`);
      if (change.selfFence) this.hook(group, 'onSelfFence', { because: change.because });
    }
    if (change.kind === 'moved' && change.to !== this.self.node) {
      const { from, to, epoch } = change;
      const because = `${to} holds ${group.id} at epoch ${epoch}`;
      this.hook(group, change.planned ? 'afterSwitchover' : 'afterFailover', { because, from, to, epoch, role: 'standby' });
    }
  }

  private neighbours(view: GuardView, before: GuardView): void {
    const hookAll = (point: HookPoint, because: string) => {
      for (const group of this.config.desired().groups) this.hook(group, point, { because });
    };
    for (const peer of view.peers) {
      const was = before.peers.find(({ node }) => node === peer.node)?.state;
      if (was === peer.state || was === undefined) continue;
      if (peer.state === 'lost') hookAll('onPeerLost', `${peer.node} is lost`);
      if (peer.state === 'member' && was !== 'suspect') hookAll('onPeerJoined', `${peer.node} is a member`);
    }
    if (before.arbiter.state === 'ok' && view.arbiter.state !== 'ok') hookAll('onArbiterLost', view.arbiter.because);
  }

  private resource({ kind, group: name, resource, reason }: FactEvent): void {
    const group = this.config.desired().groups.find(({ id }) => id === name);
    if (group === undefined) return;
    if (kind === 'fault') this.incidents.fault(name, resource, reason);
    this.hook(group, POINTS[kind], { because: `${resource}: ${reason}`, resource });
  }

  private hook(group: DesiredGroup, point: HookPoint, moment: Partial<Moment> & { because: string }): void {
    const lease = this.facts.lease(group.id);
    const role = moment.role ?? (lease.phase === 'held' || lease.phase === 'fencing-self' ? 'active' : 'standby');
    if (!this.hooks.any(group, point, role)) return;
    const told = momentOf(group, this.incidents.current(group.id), this.self.node);
    void this.hooks.run(group, point, { ...told, epoch: lease.epoch, role, ...moment });
  }
}
