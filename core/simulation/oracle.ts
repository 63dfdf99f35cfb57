// The invariants of SAFETY c.1, checked as things happen: at every effect on a simulated host, at every write and answer of
// the store, at every word a guard says. It looks at the hosts and at the store's history; the guard's own state is used
// only where a rule is about it (an epoch is dead from the moment its guard began to fence itself).
import type { GuardWatcher } from './sim-guard.js';
import type { BeatGroup, Message } from '../membership/contract.js';
import type { NewEvent } from '../model/event.js';
import type { GroupId, NodeId } from '../model/ids.js';
import { decodePage } from '../ownership/page-codec.js';
import { type LeaseRecord, leaseKey } from '../ownership/record.js';
import type { Versioned } from '../ownership/arbiter.js';
import { leasePage } from '../system/paths.js';
import type { Timing } from '../model/timing.js';
import { judgeAcquisition } from './acquisition-rule.js';
import { type FenceTarget, type Winner, judgeFence } from './fence-rule.js';
import { pageOf } from './page-of.js';
import { isPromised } from './promised.js';
import { PromiseWatch } from './promise-watch.js';
import { recordOf } from './record-of.js';
import type { StoreListener } from './sim-arbiter.js';
import { evidenceOf } from './coverage.js';
import type { Moment } from './fault-plan.js';
import type { SimNode } from './sim-node.js';
import type { Fact, OsListener } from './sim-os.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

export interface OracleOptions {
  readonly world: World;
  readonly cluster: string;
  readonly group: GroupId;
  readonly nodes: readonly SimNode[];
  readonly timing: Timing;
  readonly watchdog: boolean;
  readonly takeover: 'lease' | 'preempt';
  readonly fencing: 'required' | 'watchdog' | 'none';
  /** More than so many epochs: a lease was lost without a reason. */
  readonly atMostEpochs: number;
}

/** After a host went on from a sleep its guard needs so long to look (SAFETY a.3, residual risk). */
const DELTA_MS = 250;

export class Oracle implements OsListener, StoreListener, GuardWatcher {
  readonly #o: OracleOptions;
  readonly #key: string;
  /** Who won which epoch by a write that happened. */
  readonly #winners = new Map<number, Winner>();
  /** `boot epoch`: since when it is being fenced there, true time. */
  readonly #dead = new Map<string, number>();
  readonly #promises: PromiseWatch;
  /** `boot epoch`: RELEASED was written or STOPPED was said. */
  readonly #over = new Set<string>();
  /** `boot epoch`: a renewal was answered with a conflict that is another's. */
  readonly #lost = new Set<string>();
  #begun = { epoch: 0, node: '' };
  #epoch = 0;
  #highest = 0;
  /** The store broke its promise, or somebody edited the record: I-3 starts anew. */
  #tampered = false;
  #rolledBack = false;
  #beyondDrift = false;

  get group(): GroupId {
    return this.#o.group;
  }

  constructor(options: OracleOptions) {
    this.#o = options;
    this.#key = leaseKey(options.cluster, options.group);
    const { world, group, nodes, timing } = options;
    this.#promises = new PromiseWatch({ world, group, nodes, timing, record: () => this.lastRecord });
    for (const node of nodes) node.os.listener = this;
  }

  get wasTampered(): boolean {
    return this.#tampered;
  }

  /** Something of interest happens at a node. */
  onMoment: ((moment: Moment, node: NodeId) => void) | null = null;

  /** Who won last. */
  get holder(): NodeId | null {
    return this.#winners.get(Math.max(0, ...this.#winners.keys()))?.node ?? null;
  }

  get highestEpoch(): number {
    return this.#highest;
  }

  /** The last record that could be read. */
  lastRecord: LeaseRecord | null = null;

  /** The store went back or was edited: what was true of its history is not any more. */
  tampered(): void {
    this.#tampered = true;
  }

  /** The store forgot what it had confirmed: whoever reads it may win an epoch that is held (SAFETY a.1 assumes that it never does). */
  rolledBack(): void {
    this.#rolledBack = true;
    this.#tampered = true;
    // What was lost or dead under a number says nothing of the epoch that gets the same number now.
    this.#dead.clear();
    this.#over.clear();
    this.#lost.clear();
  }

  beyondDrift(): void {
    this.#beyondDrift = true;
  }

  /** Nodes on which anything of the group is there now. */
  active(): readonly SimNode[] {
    return this.#o.nodes.filter((node) => !node.asleep && node.os.facts(this.#o.group).length > 0);
  }

  // --- the hosts

  began(node: SimNode, fact: Fact): void {
    const { world, timing } = this.#o;
    this.#onlyOne(node);
    const winner = this.#winners.get(fact.epoch);
    if ((winner?.node !== node.id || winner.bootId !== node.bootId) && !this.#rolledBack)
      world.violate('I-2', `${node.id} begins ${fact.kind} of epoch ${fact.epoch}, which it did not win in this boot`);
    if (fact.epoch < this.#begun.epoch && !this.#tampered)
      world.violate(
        'I-2',
        `${node.id} begins ${fact.kind} of epoch ${fact.epoch} after ${this.#begun.node} began epoch ${this.#begun.epoch}`,
      );
    if (fact.epoch > this.#begun.epoch) this.onMoment?.('begins', node.id);
    if (fact.epoch > this.#begun.epoch) this.#begun = { epoch: fact.epoch, node: node.id };
    const page = pageOf(node, fact.group);
    const remainingMs = page === null ? 0 : Number(page.deadlineMonoNs) / 1e6 - node.monoMs(world.nowMs);
    // Who was stopped between its look at the page and its effect, or whose script was on its way, knows nothing of it: that
    // effect may come until the guard says that everything has stopped (I-6), and never beside another node's (I-1).
    if (fact.checkedMs < world.nowMs) world.mark('effect some time after its check');
    const deadMs = this.#dead.get(`${node.bootId} ${fact.epoch}`) ?? Number.POSITIVE_INFINITY;
    if (deadMs < fact.checkedMs) world.violate('I-3', `${node.id} begins ${fact.kind} of epoch ${fact.epoch}, which is dead there`);
    if (this.#over.has(`${node.bootId} ${fact.epoch}`) && !this.#tampered)
      world.violate('I-6', `${node.id} begins ${fact.kind} of epoch ${fact.epoch}, of which it said that everything has stopped`);
    if (fact.checkedMs < world.nowMs) return;
    // Even with a watchdog: whoever looks finds the page of this very epoch.
    if (page?.state !== 'HELD' || page.epoch !== fact.epoch)
      world.violate(
        'I-4',
        `${node.id} begins ${fact.kind} of epoch ${fact.epoch}, and its lease page says ${page?.state ?? 'nothing'}, epoch ${page?.epoch ?? 0}`,
      );
    if ((page?.state !== 'HELD' || page.epoch !== fact.epoch || remainingMs < -timing.pollMs) && !node.dog.armed)
      world.violate(
        'I-4',
        `${node.id} begins ${fact.kind} of epoch ${fact.epoch} with ${Math.round(remainingMs)} ms of lease and no watchdog`,
      );
  }

  ended(): void {
    this.#o.world.mark('effect ended');
  }

  /** A host goes on after a sleep with what it ran before. */
  woken(node: SimNode): void {
    const { boot } = node;
    const { world, group } = this.#o;
    world.after(DELTA_MS, () => {
      if (node.powered && node.boot === boot && !node.asleep && node.os.facts(group).length > 0) this.#onlyOne(node);
    });
  }

  #onlyOne(node: SimNode): void {
    const { world, group, takeover } = this.#o;
    world.mark('effect');
    const others = this.active().filter((other) => other !== node);
    if (others.length === 0) return;
    if (takeover === 'preempt') return world.mark('two active under preempt: not promised');
    if (this.#beyondDrift) return world.mark('two active beyond the drift: not promised');
    if (this.#rolledBack) return world.mark('two active after the store went back: not promised');
    const all = [node, ...others];
    const old = all.reduce((lowest, next) => (next.os.epoch(group) < lowest.os.epoch(group) ? next : lowest));
    if (!isPromised(this.#o, old)) return world.mark('two active without a watchdog, nobody scheduled: not promised');
    world.violate('I-1', `${group} is active on ${all.map((one) => `${one.id} (epoch ${one.os.epoch(group)})`).join(' and ')}`);
  }

  // --- the store

  sent(by: SimProcess, key: string, value: string): void {
    if (key !== this.#key) return;
    const record = recordOf(value);
    if (record === null || record.holder !== by.node.id || record.state === 'RELEASED') return;
    const { world } = this.#o;
    const name = `${by.node.bootId} ${record.epoch}`;
    if (record.bootId !== by.node.bootId) return;
    this.#promises.sent(by, record);
    if (!this.#tampered && !this.#winners.has(record.epoch)) this.#promises.acquires(by, record);
    if (!this.#winners.has(record.epoch)) this.onMoment?.('asks', by.node.id);
    if (this.#dead.has(name)) world.violate('I-3', `${by.node.id} writes its dead epoch ${record.epoch}`);
    if (this.#lost.has(name)) world.violate('I-5', `${by.node.id} renews epoch ${record.epoch} after it saw a conflict`);
  }

  written(key: string, before: Versioned | null, after: Versioned, by: SimProcess | null): void {
    if (key !== this.#key) return;
    const { world, group } = this.#o;
    const record = recordOf(after.value);
    if (record !== null) {
      this.lastRecord = record;
      this.#highest = Math.max(this.#highest, record.epoch);
    }
    if (by === null || record === null) return this.tampered();
    world.mark(`write ${record.state}`);
    const previous = before === null ? null : recordOf(before.value);
    if (record.epoch < this.#epoch && !this.#tampered)
      world.violate('I-3', `the epoch of the record fell from ${this.#epoch} to ${record.epoch}`);
    this.#epoch = Math.max(this.#epoch, record.epoch);
    const { node } = by;
    this.#promises.written(by, record);
    if (record.holder !== null && record.epoch > (previous?.epoch ?? -1)) {
      world.mark('takeover');
      if (this.#winners.has(record.epoch) && !this.#tampered) world.violate('I-3', `epoch ${record.epoch} was won twice`);
      this.#winners.set(record.epoch, { node: record.holder, bootId: record.bootId, atMs: world.nowMs });
      if (previous !== null && !previous.members.some(({ id }) => id === record.holder))
        world.violate('I-7', `${record.holder} acquires epoch ${record.epoch} and is no member of the record`);
      if (previous !== null && !this.#tampered && !previous.inSync.some(({ id }) => id === record.holder))
        world.violate('I-7', `${record.holder} acquires epoch ${record.epoch} and is not in sync by the record`);
      if (record.holder !== node.id) world.violate('I-7', `${node.id} acquires epoch ${record.epoch} in the name of ${record.holder}`);
      if (this.#winners.size > this.#o.atMostEpochs)
        world.violate('availability', `${node.id} takes epoch ${record.epoch}, and nothing has happened for which a lease may be lost`);
      this.onMoment?.('wins', record.holder);
    }
    if (
      record.state === 'RELEASED' &&
      previous?.holder === node.id &&
      previous.bootId === record.bootId &&
      node.bootId === previous.bootId
    ) {
      const left = node.os.facts(group).filter(({ epoch }) => epoch <= record.epoch);
      this.#over.add(`${node.bootId} ${record.epoch}`);
      if (left.length > 0)
        world.violate('I-6', `${node.id} releases epoch ${record.epoch} while ${left.map(({ kind }) => kind).join(', ')} is there`);
    }
  }

  removed(key: string): void {
    if (key === this.#key) this.tampered();
  }

  conflicted(by: SimProcess, key: string, value: string, current: Versioned | null): void {
    if (key !== this.#key) return;
    const record = recordOf(value);
    if (record === null || record.holder !== by.node.id || record.bootId !== by.node.bootId || record.state !== 'HELD') return;
    const there = current === null ? null : recordOf(current.value);
    const own = there?.epoch === record.epoch && there.bootId === record.bootId && there.holder === record.holder;
    // An acquisition that lost is no renewal: the same epoch may be tried again on what is there now. That it once won it is no
    // sign where the store has forgotten that; who renews has a page that says so.
    const renews = this.#winners.get(record.epoch)?.bootId === record.bootId && pageOf(by.node, this.#o.group)?.epoch === record.epoch;
    if (!own && renews) this.#lost.add(`${record.bootId} ${record.epoch}`);
  }

  told(by: SimProcess, keys: readonly string[], what: 'read' | 'write', refused: boolean): void {
    if (keys.includes(this.#key)) this.#promises.told(by, what, refused);
  }

  // --- the guards

  beats(process: SimProcess, groups: readonly BeatGroup[]): void {
    const { world } = this.#o;
    for (const { group, epoch, stopped } of groups) {
      if (!stopped) continue;
      this.#over.add(`${process.node.bootId} ${epoch}`);
      this.#promises.stopped(process, epoch);
      const left = process.node.os.facts(group).filter((fact) => fact.epoch <= epoch);
      if (left.length > 0)
        world.violate('I-6', `${process.node.id} says STOPPED(${epoch}) while ${left.map(({ kind }) => kind).join(', ')} is there`);
    }
  }

  says(process: SimProcess, to: NodeId | 'all', message: Message): void {
    this.#o.world.mark(`says ${message.kind}`);
    this.#promises.says(process, to, message);
  }

  /** The lease page of this group was written on a host. */
  page(node: SimNode, bytes: Uint8Array): void {
    const page = decodePage(bytes);
    if (page?.state === 'HELD' && page.bootId === node.bootId && !this.#tampered) this.#promises.page(node, page);
  }

  /** Whether this node won this epoch of this group. */
  won({ node, epoch }: { readonly node: NodeId; readonly epoch: number }): boolean {
    return this.#winners.get(epoch)?.node === node;
  }

  fences({ node }: SimProcess, target: FenceTarget): void {
    if (!this.#tampered) judgeFence({ world: this.#o.world, node, target, winners: this.#winners });
  }

  journal(process: SimProcess, event: NewEvent): void {
    const { world } = this.#o;
    world.mark(`guard ${event.kind}`);
    if (event.kind === 'lease.acquiring') this.#acquires(process.node, event);
    if (event.kind === 'lease.proof') world.mark('proof of an earlier holder');
    if (event.kind === 'lease.fencing' && (event.data?.['waitsFor'] as readonly unknown[] | undefined)?.length === 0)
      world.mark('late acquisition waits for a renewal');
    if (event.kind !== 'lease.fencing-self' || event.epoch === undefined) return;
    this.onMoment?.('stops', process.node.id);
    // Where the page could not be written nobody but this guard knows of it, and nothing is given up before the page has run
    // out: the next guard may take the epoch up again.
    const page = pageOf(process.node, this.#o.group);
    if (page?.state === 'HELD' && page.epoch === event.epoch && process.node.disk.fails(leasePage(process.node.paths, this.#o.group)))
      world.mark('fencing that could not be written');
    else this.#dead.set(`${process.node.bootId} ${event.epoch}`, world.nowMs);
  }

  #acquires(node: SimNode, { epoch = 0, because = '', data }: NewEvent): void {
    const before = this.#tampered ? undefined : this.#winners.get(epoch - 1);
    this.#o.world.mark(`evidence ${evidenceOf(because)}`);
    judgeAcquisition({ ...this.#o, node, epoch, preempts: data?.['evidence'] === 'preempt' ? (before ?? null) : null });
  }

  running = (): void => this.#o.world.mark('guard started');
}
