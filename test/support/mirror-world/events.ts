// What is under way in a fake world: carried out one at a time, in an order that chance picks. Whoever ended meanwhile is not told.
import type { Chance } from '../../../core/simulation/chance.js';

/** One run of a process; its events end with it. */
export interface Life {
  alive: boolean;
}

export class Events {
  readonly chance: Chance;
  #pending: { readonly life: Life | null; readonly run: () => void }[] = [];

  constructor(chance: Chance) {
    this.chance = chance;
  }

  get size(): number {
    return this.#pending.length;
  }

  /** `life` null: it happens whoever dies (a disk, a network). */
  later(life: Life | null, run: () => void): void {
    this.#pending.push({ life, run });
  }

  /** Carries out one, whichever chance picks; false when there is none. */
  step(): boolean {
    while (this.#pending.length > 0) {
      const at = Math.floor(this.chance.next() * this.#pending.length);
      const event = this.#pending[at]!;
      const last = this.#pending.pop()!;
      if (last !== event) this.#pending[at] = last;
      if (event.life !== null && !event.life.alive) continue;
      event.run();
      return true;
    }
    return false;
  }
}
