// What the guard keeps on disk: the highest epoch ever seen of each group, the last one that it gave up unfinished, and the orders
// as last read, for the time when the arbiter is silent. One file, replaced whole and synced, never waited for. Invariant: maxEpochSeen never falls.
import { join } from 'node:path';
import { reasonOf } from '../errors/errors.js';
import type { BootId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { GroupOrders, NodeOrders } from '../model/lease.js';
import { parseGroupOrders, parseNodeOrders } from '../ownership/orders.js';
import { type Files, readJson } from '../system/files.js';
import type { Paths } from '../system/paths.js';

export const guardFile = (paths: Paths): string => join(paths.state, 'guard.json');

interface Dead {
  readonly bootId: BootId;
  readonly epoch: Epoch;
}

export class GuardStore {
  readonly #files: Files;
  readonly #path: string;
  readonly #trouble: (because: string | null) => void;
  readonly #epochs: Record<GroupId, Epoch> = {};
  readonly #dead: Record<GroupId, Dead> = {};
  readonly #groups: Record<GroupId, GroupOrders> = {};
  readonly #nodes: Record<NodeId, NodeOrders> = {};
  #lost: string | null = null;
  #revision = 0;
  #dirty = false;
  #writing: Promise<void> | null = null;

  /** Reads what is there. A file that cannot be read is no empty file: `maxEpochSeen` then says that there was one. */
  constructor(files: Files, path: string, trouble: (because: string | null) => void) {
    this.#files = files;
    this.#path = path;
    this.#trouble = trouble;
    const file = readJson(files, path);
    if (file.kind === 'broken') this.#lost = file.because;
    if (file.kind === 'read') this.#take(file.value);
  }

  /** Why the file could not be used at start, else null. */
  get lost(): string | null {
    return this.#lost;
  }

  maxEpochSeen(group: GroupId): Epoch {
    return Math.max(this.#epochs[group] ?? 0, this.#lost === null ? 0 : 1);
  }

  get groupOrders(): Readonly<Record<GroupId, GroupOrders>> {
    return this.#groups;
  }

  get nodeOrders(): Readonly<Record<NodeId, NodeOrders>> {
    return this.#nodes;
  }

  raiseEpoch(group: GroupId, epoch: Epoch): void {
    if (epoch <= (this.#epochs[group] ?? 0)) return;
    this.#epochs[group] = epoch;
    this.#save();
  }

  /** Kept beside the page and the phase file: when the run directory cannot be written, the next guard must know all the same. */
  keepDead(group: GroupId, dead: Dead): void {
    if (this.isDead(group, dead)) return;
    this.#dead[group] = dead;
    this.#save();
  }

  isDead(group: GroupId, { bootId, epoch }: Dead): boolean {
    const dead = this.#dead[group];
    return dead?.bootId === bootId && dead.epoch === epoch;
  }

  /** Grows with every change of the orders. */
  get revision(): number {
    return this.#revision;
  }

  /** True when they are other orders than before. */
  keepGroupOrders(group: GroupId, orders: GroupOrders): boolean {
    return this.#keep(this.#groups, group, orders);
  }

  keepNodeOrders(node: NodeId, orders: NodeOrders): boolean {
    return this.#keep(this.#nodes, node, orders);
  }

  /** Resolves when what was kept so far is on disk, or could not be written (then `trouble` was told). */
  async settled(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  #keep<Orders>(kept: Record<string, Orders>, id: string, orders: Orders): boolean {
    const before = kept[id];
    if (before === orders) return false;
    kept[id] = orders;
    if (JSON.stringify(before) === JSON.stringify(orders)) return false;
    this.#revision += 1;
    this.#save();
    return true;
  }

  /** One write at a time; what changes meanwhile goes into the next. */
  #save(): void {
    this.#dirty = true;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
      if (this.#dirty) this.#save();
    });
  }

  async #write(): Promise<void> {
    this.#dirty = false;
    try {
      await this.#files.replace(
        this.#path,
        `${JSON.stringify({ v: 1, maxEpochSeen: this.#epochs, dead: this.#dead, groupOrders: this.#groups, nodeOrders: this.#nodes })}\n`,
        { fsync: true },
      );
      this.#trouble(null);
    } catch (error) {
      this.#trouble(`cannot write ${this.#path}: ${reasonOf(error)}`);
    }
  }

  #take(value: unknown): void {
    const { maxEpochSeen, dead, groupOrders, nodeOrders } = (typeof value === 'object' && value !== null ? value : {}) as Record<
      string,
      unknown
    >;
    for (const [group, epoch] of entries(maxEpochSeen)) {
      if (Number.isSafeInteger(epoch) && (epoch as number) >= 0) this.#epochs[group] = epoch as number;
      else this.#lost = `${this.#path}: the epoch of ${group} cannot be used`;
    }
    for (const [group, left] of entries(dead)) {
      const { bootId, epoch } = (left ?? {}) as Record<string, unknown>;
      if (typeof bootId === 'string' && typeof epoch === 'number') this.#dead[group] = { bootId, epoch };
    }
    for (const [group, orders] of entries(groupOrders)) {
      const parsed = parseGroupOrders(JSON.stringify({ v: 1, ...(orders as object) }));
      if (parsed.kind === 'orders') this.#groups[group] = parsed.orders;
    }
    for (const [node, orders] of entries(nodeOrders)) {
      const parsed = parseNodeOrders(JSON.stringify({ v: 1, ...(orders as object) }));
      if (parsed.kind === 'orders') this.#nodes[node] = parsed.orders;
    }
  }
}

const entries = (value: unknown): [string, unknown][] => (typeof value === 'object' && value !== null ? Object.entries(value) : []);
