// What really runs on a simulated host, as an observer outside of it would see: per group the application's processes, its
// address, its writable export and its mount, each with the epoch under which it was begun. The oracle looks here and
// nowhere else. Nothing in it decides; agents begin and end things, the hard stop and the loss of power end everything.
import type { Epoch, GroupId } from '../model/ids.js';
import type { HardStop, StopResult } from '../guard/hard-stop.js';
import type { SimNode } from './sim-node.js';
import type { SimProcess } from './sim-process.js';
import { isListed } from './hard-stop-list.js';
import { hardStopList } from '../system/paths.js';

export const FACT_KINDS = ['process', 'address', 'export', 'mount'] as const;
export type FactKind = (typeof FACT_KINDS)[number];

/** One thing of a group that is there. `key` tells several of one kind apart (a resource's id). */
export interface Fact {
  readonly group: GroupId;
  readonly kind: FactKind;
  readonly key: string;
  readonly epoch: Epoch;
  readonly sinceMs: number;
  /** True time at which whoever began it last looked at the lease page: earlier than `sinceMs` after a pause in between. */
  readonly checkedMs: number;
}

export interface OsListener {
  began(node: SimNode, fact: Fact, by: string): void;
  ended(node: SimNode, fact: Fact, by: string): void;
}

export class SimOs {
  readonly #node: SimNode;
  readonly #facts = new Map<string, Fact>();
  listener: OsListener | null = null;
  /** What ends serving at once, by its line of the hard-stop list (`freeze SOCKET`); gone with the power. */
  readonly freezers = new Map<string, () => void>();
  /** A hard stop takes most of the time that it has. */
  slowStops = false;
  /** True time until which no process of a group dies of SIGKILL (D state). */
  #unkillableUntilMs = Number.NEGATIVE_INFINITY;

  constructor(node: SimNode) {
    this.#node = node;
  }

  facts(group?: GroupId): readonly Fact[] {
    if (this.#facts.size === 0) return [];
    const all = [...this.#facts.values()];
    return group === undefined ? all : all.filter((fact) => fact.group === group);
  }

  has(group: GroupId, kind: FactKind, key: string = kind): boolean {
    return this.fact(group, kind, key) !== undefined;
  }

  fact(group: GroupId, kind: FactKind, key: string = kind): Fact | undefined {
    return this.#facts.get(`${group} ${kind} ${key}`);
  }

  /** Something of the group is there from now on; nothing happens when it is there already. */
  begin(group: GroupId, kind: FactKind, epoch: Epoch, by: string, key: string = kind, checkedMs = this.#node.world.nowMs): void {
    const name = `${group} ${kind} ${key}`;
    if (!this.#node.powered || this.#facts.has(name)) return;
    const fact: Fact = { group, kind, key, epoch, sinceMs: this.#node.world.nowMs, checkedMs };
    this.#facts.set(name, fact);
    this.#node.world.say(`${this.#node.id} os`, `${kind} begins`, `${group} ${key}, epoch ${epoch}, by ${by}`);
    this.listener?.began(this.#node, fact, by);
  }

  /** False when it cannot be ended now. */
  end(group: GroupId, kind: FactKind, by: string, key: string = kind): boolean {
    const name = `${group} ${kind} ${key}`;
    const fact = this.#facts.get(name);
    if (fact === undefined) return true;
    if (kind === 'process' && this.unkillable) return false;
    this.#facts.delete(name);
    this.#node.world.say(`${this.#node.id} os`, `${kind} ends`, `${group} ${key}, epoch ${fact.epoch}, by ${by}`);
    this.listener?.ended(this.#node, fact, by);
    return true;
  }

  get unkillable(): boolean {
    return this.#node.world.nowMs < this.#unkillableUntilMs;
  }

  makeUnkillable(forMs: number): void {
    this.#unkillableUntilMs = Math.max(this.#unkillableUntilMs, this.#node.world.nowMs + forMs);
  }

  makeKillable(): void {
    this.#unkillableUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** The highest epoch in whose name something of the group is there; 0 when nothing is. */
  epoch(group: GroupId): number {
    return Math.max(0, ...this.facts(group).map(({ epoch }) => epoch));
  }

  /** Every process of the group that is no start script. */
  endProcesses(group: GroupId, by: string): void {
    for (const { kind, key } of this.facts(group)) if (kind === 'process' && !key.includes(':')) this.end(group, kind, by, key);
  }

  powerLost(): void {
    this.freezers.clear();
    this.#unkillableUntilMs = Number.NEGATIVE_INFINITY;
    for (const { group, kind, key } of this.facts()) this.end(group, kind, 'the loss of power', key);
  }

  /** What the group's hard-stop list names and can be ended at once is ended, and nothing else. True when nothing is left. */
  stopListed(group: GroupId, by: string): boolean {
    const list = this.#node.disk.peek(hardStopList(this.#node.paths, group))?.split('\n') ?? [];
    for (const [line, freeze] of this.freezers) if (list.includes(line)) freeze();
    for (const { kind, key } of this.facts(group)) if (isListed(list, group, kind, key)) this.end(group, kind, by, key);
    return this.facts(group).length === 0;
  }

  /** emergency-stop as the given process runs it: it takes a while, and says only what it sees. */
  hardStop(process: SimProcess): HardStop {
    return { stop: (group, limitMs) => this.#stop(process, group, limitMs), verify: (group) => this.#verify(process, group) };
  }

  #stop(process: SimProcess, group: GroupId, limitMs: number): Promise<StopResult> {
    const { chance } = process;
    // Freeze, address, kill, verify: some ten milliseconds, and now and then most of what S allows.
    const tookMs = this.slowStops ? limitMs * chance.between(0.6, 0.9) : Math.min(limitMs * 0.9, chance.heavyTail(8, limitMs));
    return new Promise((resolve) => {
      const look = (leftMs: number) => {
        const gone = this.stopListed(group, 'the hard stop');
        if (gone || leftMs <= 0) return process.enqueue('socket', 0, () => resolve(this.#result(process, group)));
        return this.#later(process, 20, () => look(leftMs - 20));
      };
      // A child of its own: it goes on while its parent is stopped, and ends with the host.
      this.#later(process, tookMs, () => look(limitMs - tookMs));
    });
  }

  #later(process: SimProcess, afterMs: number, act: () => void): void {
    const { world } = this.#node;
    const { boot } = this.#node;
    world.at(process.trueMs + afterMs, () => {
      if (this.#node.powered && this.#node.boot === boot) act();
    });
  }

  #verify(process: SimProcess, group: GroupId): Promise<StopResult> {
    return new Promise((resolve) => {
      process.enqueue('socket', process.chance.heavyTail(0.2, 40), () => resolve(this.#result(process, group)));
    });
  }

  #result(process: SimProcess, group: GroupId): StopResult {
    const left = this.facts(group);
    if (left.length > 0) return { verified: false, because: `still there: ${left.map(({ kind, key }) => `${kind} ${key}`).join(', ')}` };
    const list = hardStopList(this.#node.paths, group);
    const page = this.#node.disk.peek(`${this.#node.paths.run}/lease/${group}`);
    // A missing list for a page in state HELD is not verified: nobody knows what to look for.
    if (!this.#node.disk.forProcess(process).exists(list) && page?.includes(' HELD '))
      return { verified: false, because: 'there is no list' };
    return { verified: true, because: 'everything on the hard-stop list is verified gone' };
  }
}
