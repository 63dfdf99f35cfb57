// The lease record with its inSync, changed by CAS, and the page of each node, which follows the record a little later (SAFETY a.2,
// a.4, a.11). A tiny guard: it knows who holds the lease, and changes inSync only for the holder. Entries carry the boot.
import type { InSyncAnswer, LeaseNow } from '../../../plugins/disk-mirror/engine/ports.js';
import type { Events, Life } from './events.js';
import { otherSide, type Side } from './fake-link.js';

interface Entry {
  readonly side: Side;
  readonly bootId: string;
}

export class FakeRecord {
  readonly #events: Events;
  readonly #bootOf: (side: Side) => string;
  readonly #changed: (side: Side, what: 'add' | 'remove') => void;
  epoch = 0;
  holder: Side | null = null;
  inSync: readonly Entry[] = [];
  /** What a page says: held until it runs out, or is over. */
  readonly pages: Record<Side, { state: 'held' | 'suspended' | 'over'; epoch: number; inSync: readonly Entry[] }> = {
    a: { state: 'over', epoch: 0, inSync: [] },
    b: { state: 'over', epoch: 0, inSync: [] },
  };
  readonly #asked: Record<Side, number> = { a: 0, b: 0 };
  /** The store does not answer. */
  down = false;

  constructor(events: Events, bootOf: (side: Side) => string, changed: (side: Side, what: 'add' | 'remove') => void) {
    this.#events = events;
    this.#changed = changed;
    this.#bootOf = bootOf;
  }

  has(side: Side): boolean {
    return this.inSync.some((entry) => entry.side === side);
  }

  /** As it is now, in this boot. */
  hasAlive(side: Side): boolean {
    return this.inSync.some((entry) => entry.side === side && entry.bootId === this.#bootOf(side));
  }

  /** Everybody in it has been switched off since: the last holder may come back with what its disk kept. */
  mayAcquire(side: Side): boolean {
    if (this.inSync.length === 0) return true;
    if (this.hasAlive(side)) return true;
    return this.has(side) && this.holder === side && this.inSync.every((entry) => this.#bootOf(entry.side) !== entry.bootId);
  }

  acquire(side: Side): number {
    this.epoch += 1;
    this.holder = side;
    if (this.inSync.length === 0) this.inSync = [{ side, bootId: this.#bootOf(side) }];
    else this.inSync = this.inSync.map((entry) => (entry.side === side ? { side, bootId: this.#bootOf(side) } : entry));
    this.pages[side] = { state: 'held', epoch: this.epoch, inSync: this.inSync };
    return this.epoch;
  }

  lease(side: Side): LeaseNow {
    const { state, epoch, inSync } = this.pages[side];
    return {
      state,
      epoch,
      peerInSync: inSync.some((entry) => entry.side === otherSide(side)),
      selfInSync: inSync.some((entry) => entry.side === side && entry.bootId === this.#bootOf(side)),
    };
  }

  /** The guard's way with it: takes its time, may not know what came of it, and tells the page before it answers. */
  change(side: Side, life: Life, what: 'add' | 'remove', bootId: string, answer: (answer: InSyncAnswer) => void): void {
    const { chance } = this.#events;
    const { epoch } = this.pages[side];
    // One owner loop: what is asked later takes the place of what has not happened yet.
    this.#asked[side] += 1;
    const asked = this.#asked[side];
    this.#events.later(null, () => {
      if (asked !== this.#asked[side])
        return this.#events.later(life, () => answer({ kind: 'unknown', because: 'another change was asked for' }));
      const heard = what === 'remove' || this.#bootOf(otherSide(side)) === bootId;
      const may = heard && this.holder === side && this.epoch === epoch && this.pages[side].epoch === epoch;
      if (this.down || chance.next() < 0.05) {
        const landed = may && !this.down && chance.next() < 0.5;
        if (landed) this.#apply(side, what);
        const { inSync } = this;
        return this.#events.later(life, () => {
          if (landed) this.#tellPage(side, epoch, inSync);
          answer({ kind: 'unknown', because: 'the store did not answer' });
        });
      }
      if (!may) return this.#events.later(life, () => answer({ kind: 'refused', because: 'another epoch, or another boot' }));
      this.#apply(side, what);
      const { inSync } = this;
      return this.#events.later(life, () => {
        this.#tellPage(side, epoch, inSync);
        this.#events.later(life, () => answer({ kind: 'ok', seq: 1 }));
      });
    });
  }

  #tellPage(side: Side, epoch: number, inSync: readonly Entry[]): void {
    if (this.pages[side].epoch === epoch) this.pages[side].inSync = inSync;
  }

  #apply(side: Side, what: 'add' | 'remove'): void {
    const peer = otherSide(side);
    const others = this.inSync.filter((entry) => entry.side !== peer);
    this.#changed(peer, what);
    this.inSync = what === 'remove' ? others : [...others, { side: peer, bootId: this.#bootOf(peer) }];
  }
}
