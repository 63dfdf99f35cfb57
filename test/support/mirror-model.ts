// A mirror over the ownership machines of lease-world: two copies, acknowledgements by the rules of SAFETY a.4 and a.11, data that is
// lost with a boot, and an account of every acknowledged write. The machines know nothing of it but what it asks them.
import type { InSyncAnswer } from '../../core/model/lease.js';

/** One write; a copy is the chain that ends in it. */
interface Write {
  readonly before: Write | null;
  readonly depth: number;
}

interface Copy {
  head: Write | null;
  flushed: Write | null;
  /** The epoch under which it serves. */
  serves: number | null;
  /** What was asked of the guard and not answered. */
  asked: { readonly id: number; readonly change: 'add' | 'remove'; readonly wasOpen: boolean } | null;
  /**
   * A removal may have happened, or happens yet: nothing is acknowledged, not even what both have, because this copy alone may be
   * what is left, and it has not flushed.
   */
  open: boolean;
  /** Of the mutant: it goes on alone without an answer that says so. */
  alone: boolean;
}

export type MirrorMutant =
  | 'none'
  | 'boots do not count'
  | 'alone before the answer'
  | 'unknown counts as ok'
  | 'goes on while a removal is open';

/** What one turn of a holder's mirror sees. */
export interface Turn {
  readonly node: string;
  readonly peer: string;
  readonly epoch: number;
  /** The page says HELD at this moment; who it calls in sync. */
  readonly inSync: readonly string[];
  readonly connected: boolean;
  readonly flush: boolean;
  readonly ask: (id: number, change: 'add' | 'remove') => void;
}

export class MirrorModel {
  readonly violations: string[] = [];
  acknowledged = 0;
  alone = 0;
  promotions = 0;
  #acked: Write | null = null;
  #ids = 0;
  readonly #copies = new Map<string, Copy>();

  constructor(readonly mutant: MirrorMutant) {}

  /** The holder's mirror does one write, or what has to come before it. */
  turn({ node, peer, epoch, inSync, connected, flush, ask }: Turn): void {
    const [own, other] = [this.#copy(node), this.#copy(peer)];
    if (own.serves !== epoch && !this.#promote(node, epoch, inSync)) return;
    const wish = (change: 'add' | 'remove'): void => {
      if (own.asked !== null) return;
      own.asked = { id: (this.#ids += 1), change, wasOpen: own.open };
      if (change === 'remove' && this.mutant !== 'goes on while a removal is open') own.open = true;
      ask(own.asked.id, change);
    };
    const together = connected && other.head === own.head;
    // From the question on: between it and the guard's page nobody else speaks for the peer.
    const needed = inSync.includes(peer) || own.asked?.change === 'add';
    if (own.open && !own.alone) return wish(together ? 'add' : 'remove');
    if (!together && needed) {
      wish('remove');
      if (this.mutant === 'alone before the answer') own.alone = true;
      if (!own.alone) return;
    }
    const write: Write = { before: own.head, depth: (own.head?.depth ?? 0) + 1 };
    if (together) other.head = write;
    own.head = write;
    this.#acknowledge(node, epoch, write);
    if (!together) this.alone += 1;
    if (flush) {
      own.flushed = own.head;
      if (together) other.flushed = other.head;
    }
    if (!connected || together) {
      if (together && !inSync.includes(peer)) wish('add');
      return;
    }
    // Resync: everything, flushed, before it is called in sync.
    other.head = own.head;
    other.flushed = own.head;
    own.flushed = own.head;
    own.alone = false;
    wish('add');
  }

  answered(node: string, id: number, answer: InSyncAnswer): void {
    const own = this.#copy(node);
    if (own.asked?.id !== id) return;
    const { change, wasOpen } = own.asked;
    own.asked = null;
    // A refusal is said of this question alone: what an earlier one came to stays open.
    if (answer.kind === 'ok') own.open = false;
    else if (answer.kind === 'refused') own.open = wasOpen;
    if (change === 'remove' && answer.kind === 'unknown' && this.mutant === 'unknown counts as ok') own.alone = true;
  }

  /** The process of the mirror or its guard ended: what was asked is not heard of any more. */
  forget(node: string): void {
    const own = this.#copy(node);
    if (own.asked?.change === 'remove') own.open = true;
    own.asked = null;
  }

  lost(node: string): void {
    // A removal on its way stays one: it may land yet.
    Object.assign(this.#copy(node), { serves: null, asked: null, alone: false });
  }

  /**
   * Power: what was not flushed is gone. `left`: the others that are in sync by the record, in the boot they are in: what they have
   * is not lost by this one failure. Where there is none, or is about to be none (the link is down already, and the removal may land
   * yet), it is what the disk here still has.
   */
  reboot(node: string, left: readonly string[]): void {
    const own = this.#copy(node);
    own.head = own.flushed;
    const single = left.length === 0 || own.open;
    this.lost(node);
    const keepers = single ? [own] : left.map((name) => this.#copy(name));
    while (this.#acked !== null && !keepers.some(({ head }) => contains(head, this.#acked))) this.#acked = this.#acked.before;
  }

  #promote(node: string, epoch: number, inSync: readonly string[]): boolean {
    if (!inSync.includes(node)) return false;
    const own = this.#copy(node);
    for (const other of this.#copies.values()) if (other !== own) Object.assign(other, { serves: null });
    Object.assign(own, { serves: epoch, asked: null, open: false, alone: false });
    this.promotions += 1;
    if (!contains(own.head, this.#acked)) this.violations.push(`epoch ${epoch} on ${node} begins without an acknowledged write`);
    this.#acked = contains(own.head, this.#acked) ? this.#acked : own.head;
    return true;
  }

  #acknowledge(node: string, epoch: number, write: Write): void {
    if ([...this.#copies].some(([name, { serves }]) => name !== node && serves !== null && serves > epoch))
      this.violations.push(`${node} acknowledges at epoch ${epoch} while a later one serves`);
    this.#acked = write;
    this.acknowledged += 1;
  }

  #copy(node: string): Copy {
    let copy = this.#copies.get(node);
    if (copy === undefined)
      this.#copies.set(node, (copy = { head: null, flushed: null, serves: null, asked: null, open: false, alone: false }));
    return copy;
  }
}

const contains = (head: Write | null, write: Write | null): boolean => {
  if (write === null) return true;
  let at = head;
  while (at !== null && at.depth > write.depth) at = at.before;
  return at === write;
};
