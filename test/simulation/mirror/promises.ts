// What has been promised to whoever writes, sector by sector, and which copy owes it (SAFETY c.1, I-D1, I-D2, I-D6). A copy is `whole`
// while it must have every write that was answered, in its cache at least: it was in sync when each was answered, and has not lost
// its power since. Where no copy is whole any more, what was flushed is still owed, and of the rest each sector may be as it was at
// some time since then.
import type { NodeId } from '../../../core/model/ids.js';
import { Oracle, type Written } from '../../support/mirror-world/oracle.js';

export interface Asked {
  readonly stamp: number;
  readonly sector: number;
  readonly count: number;
  readonly writes: readonly Written[];
}

export class Promises {
  readonly oracle: Oracle;
  readonly whole: Map<NodeId, boolean>;
  /** Who asked for which stamp: the node that served it. */
  readonly issuer = new Map<number, NodeId>();
  readonly #nodes: readonly NodeId[];
  readonly #async: boolean;
  readonly #violate: (invariant: string, sentence: string) => void;
  readonly #underWay = new Map<NodeId, Set<Written>>();
  /** The newest stamp answered in each sector; as it was when the last answered flush was asked; and of each stamp, before it was. */
  #answered: Float64Array;
  #kept: Float64Array;
  readonly #before = new Map<number, Float64Array>();
  #stamp = 0;

  constructor(nodes: readonly NodeId[], sectors: number, async: boolean, violate: (invariant: string, sentence: string) => void) {
    this.oracle = new Oracle(sectors);
    this.#nodes = nodes;
    this.#async = async;
    this.#violate = violate;
    this.whole = new Map(nodes.map((id, index) => [id, index === 0 || !async]));
    this.#answered = new Float64Array(sectors);
    this.#kept = new Float64Array(sectors);
  }

  /** `zero`: it reads as stamp 0 afterwards, and tells nobody which write it was. */
  begin(server: NodeId, sector: number, count: number, zero = false): Asked {
    const stamp = zero ? 0 : (this.#stamp += 1);
    const writes = Array.from({ length: count }, (_, at) => this.oracle.begin(sector + at, stamp));
    const underWay = this.#underWay.get(server) ?? new Set();
    this.#underWay.set(server, underWay);
    for (const written of writes) underWay.add(written);
    if (!zero) {
      this.issuer.set(stamp, server);
      this.#before.set(stamp, this.#kept);
    }
    return { stamp, sector, count, writes };
  }

  /** `counts`: the other copy is in sync by the record, in its present boot. */
  acked(server: NodeId, { stamp, sector, writes }: Asked, counts: boolean): void {
    this.#ended(server, writes);
    writes.forEach((written, at) => {
      this.oracle.acked(sector + at, written);
      this.#answered[sector + at] = Math.max(this.#answered[sector + at]!, stamp);
    });
    this.#oblige(server, counts);
  }

  /** An error does not mean that it was not carried out, nor that it is over. */
  refused(server: NodeId, { writes }: Asked): void {
    this.#ended(server, writes);
  }

  /** To be told when the flush is answered. */
  flushAsked(server: NodeId): (counts: boolean) => void {
    const asked = this.oracle.now();
    const kept = this.#answered.slice();
    return (counts) => {
      this.#oblige(server, counts);
      this.oracle.flushed(asked);
      this.#kept = kept;
    };
  }

  /** What it had under way is there or not. */
  died(server: NodeId): void {
    for (const written of this.#underWay.get(server) ?? []) this.oracle.ended(written);
    this.#underWay.delete(server);
  }

  /** It may lack something of what was answered. */
  spoilt(node: NodeId): void {
    if (this.whole.get(node) !== true) return;
    this.whole.set(node, false);
    if (!this.#anyWhole) this.#lose();
  }

  joined(node: NodeId): void {
    if (!this.#async) this.whole.set(node, true);
  }

  /** It is worth nothing from now on; the other is all there is. */
  removed(node: NodeId): void {
    this.whole.set(node, false);
    if (this.#anyWhole) return;
    this.#lose();
    this.whole.set(this.#other(node), true);
  }

  /** It may be the last primary from now on, also where it dies before it says so. */
  promoting(node: NodeId, cells: () => Float64Array): void {
    if (!this.#async || this.whole.get(node) === true) return;
    this.#lose();
    this.oracle.doubt(cells());
  }

  /** What it has is what there is, where nobody has more, and in async whatever the other may have. */
  serves(node: NodeId, cells: () => Float64Array): void {
    if (this.#async && this.whole.get(node) !== true) {
      const there = cells();
      this.checkPrefix(node, there);
      this.oracle.accept(there);
      this.#answered.fill(0);
      this.#kept = new Float64Array(there.length);
      this.whole.set(this.#other(node), false);
      this.whole.set(node, true);
    }
    if (!this.#anyWhole) this.whole.set(node, true);
  }

  /** I-D6: what is there has everything behind it that was behind a barrier before it. */
  checkPrefix(node: NodeId, cells: Float64Array): void {
    for (const stamp of new Set(cells)) {
      const before = this.#before.get(stamp);
      const sector = before?.findIndex((kept, at) => cells[at] !== 0 && cells[at]! < kept) ?? -1;
      if (sector >= 0)
        this.#violate(
          'I-D6',
          `${node} has write ${stamp}, and sector ${sector} holds ${cells[sector]}, older than ${before![sector]} of a barrier before it`,
        );
    }
  }

  /** I-D1: everything answered is in this image. */
  check(node: NodeId, cells: Float64Array): void {
    const sector = cells.findIndex((stamp, at) => !this.oracle.may(at, stamp));
    if (sector >= 0)
      this.#violate('I-D1', `sector ${sector} of ${node} holds write ${cells[sector]}, possible are ${this.oracle.words(sector)}`);
  }

  get #anyWhole(): boolean {
    return [...this.whole.values()].includes(true);
  }

  #lose(): void {
    this.oracle.loseUnflushed();
    this.#answered.fill(0);
  }

  /** From now on only those have everything that the record calls in sync. */
  #oblige(server: NodeId, counts: boolean): void {
    if (this.#async || !counts) this.whole.set(this.#other(server), false);
  }

  #other(node: NodeId): NodeId {
    return this.#nodes.find((id) => id !== node)!;
  }

  #ended(server: NodeId, writes: readonly Written[]): void {
    const underWay = this.#underWay.get(server);
    for (const written of writes) underWay?.delete(written);
  }
}
