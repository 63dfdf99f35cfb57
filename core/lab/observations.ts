// What the observer concludes from looks: who held what from when to when, and whether two hosts ever held one thing at the
// same time. Pure: looks with their times in, intervals and overlaps out. The eyes are observer-process.ts.
import type { NodeId } from '../model/ids.js';

/** One look at one thing (`address 192.168.0.10`, `application web/app`): all hosts that had it. */
export interface Look {
  readonly atMs: number;
  readonly thing: string;
  readonly holders: readonly NodeId[];
}

export interface Interval {
  readonly thing: string;
  readonly node: NodeId;
  readonly fromMs: number;
  /** null while it lasts. */
  readonly toMs: number | null;
}

export interface Overlap {
  readonly thing: string;
  readonly nodes: readonly NodeId[];
  readonly fromMs: number;
  /** The last look that saw it. */
  readonly toMs: number;
}

const MAX_INTERVALS = 10_000;

/** Follows looks in the order of their times. Looks that change nothing may be left out. */
export class Observations {
  readonly #open = new Map<string, Map<NodeId, number>>();
  readonly #closed: Interval[] = [];
  readonly #overlaps: Overlap[] = [];
  /** Things that two hosts hold right now: index of the overlap that lasts. */
  readonly #lasting = new Map<string, number>();

  see({ atMs, thing, holders }: Look): void {
    const open = this.#open.get(thing) ?? new Map<NodeId, number>();
    this.#open.set(thing, open);
    for (const [node, fromMs] of open)
      if (!holders.includes(node)) {
        open.delete(node);
        this.#closed.push({ thing, node, fromMs, toMs: atMs });
        if (this.#closed.length > MAX_INTERVALS) this.#closed.shift();
      }
    for (const node of holders) if (!open.has(node)) open.set(node, atMs);
    this.#judge(atMs, thing, holders);
  }

  #judge(atMs: number, thing: string, holders: readonly NodeId[]): void {
    const lasting = this.#lasting.get(thing);
    const last = lasting === undefined ? undefined : this.#overlaps[lasting];
    if (holders.length < 2) {
      if (lasting !== undefined && last) this.#overlaps[lasting] = { ...last, toMs: atMs };
      this.#lasting.delete(thing);
      return;
    }
    if (lasting !== undefined && last)
      this.#overlaps[lasting] = { ...last, nodes: [...new Set([...last.nodes, ...holders])].toSorted(), toMs: atMs };
    else this.#lasting.set(thing, this.#overlaps.push({ thing, nodes: holders.toSorted(), fromMs: atMs, toMs: atMs }) - 1);
  }

  holders(thing: string): readonly NodeId[] {
    return [...(this.#open.get(thing)?.keys() ?? [])];
  }

  get things(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** In order of their begin; at most the last 10 000 that ended. */
  get intervals(): readonly Interval[] {
    const lasting = [...this.#open].flatMap(([thing, nodes]) =>
      [...nodes].map(([node, fromMs]): Interval => ({ thing, node, fromMs, toMs: null })),
    );
    return [...this.#closed, ...lasting].toSorted((one, other) => one.fromMs - other.fromMs || one.node.localeCompare(other.node));
  }

  /** Empty in a run that was safe. */
  get overlaps(): readonly Overlap[] {
    return this.#overlaps;
  }
}
