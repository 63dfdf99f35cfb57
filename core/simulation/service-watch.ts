// When a group served and when it did not, as a client outside of the hosts would find: everything of it is there, on exactly
// one host that runs. The times are the world's; no understudy process can see them.
import type { GroupId, NodeId } from '../model/ids.js';
import type { World } from './world.js';

/** A time in which nobody served the group. */
export interface Outage {
  readonly group: GroupId;
  readonly fromMs: number;
  /** null: it still lasts. */
  readonly toMs: number | null;
  readonly before: NodeId;
  readonly after: NodeId | null;
}

export class ServiceWatch {
  readonly #world: World;
  readonly #serving: (group: GroupId) => readonly NodeId[];
  readonly #now = new Map<GroupId, NodeId | null>();
  readonly #open = new Map<GroupId, { readonly fromMs: number; readonly before: NodeId }>();
  readonly #outages: Outage[] = [];

  constructor(world: World, groups: readonly GroupId[], serving: (group: GroupId) => readonly NodeId[]) {
    this.#world = world;
    this.#serving = serving;
    for (const group of groups) this.#now.set(group, null);
  }

  /** Something changed on a host. */
  look(): void {
    for (const [group, before] of this.#now) {
      const [now = null] = this.#serving(group);
      if (now === before) continue;
      this.#now.set(group, now);
      const open = this.#open.get(group);
      if (now === null && before !== null) this.#open.set(group, { fromMs: this.#world.nowMs, before });
      if (now === null || open === undefined) continue;
      this.#open.delete(group);
      this.#outages.push({ group, ...open, toMs: this.#world.nowMs, after: now });
    }
  }

  get allServed(): boolean {
    return [...this.#now.values()].every((node) => node !== null);
  }

  /** Those that began at `sinceMs` or later. */
  outages(sinceMs: number): readonly Outage[] {
    const lasting = [...this.#open].map(([group, { fromMs, before }]): Outage => ({ group, fromMs, before, toMs: null, after: null }));
    return [...this.#outages, ...lasting].filter(({ fromMs }) => fromMs >= sinceMs).sort((one, other) => one.fromMs - other.fromMs);
  }
}
