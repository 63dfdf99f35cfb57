// How long a call to a simulated disk takes, and whether it fails: what a plan's `copy` faults turn on and healing turns off.
import type { Chance } from '../../../core/simulation/chance.js';
import type { World } from '../../../core/simulation/world.js';

const SYSTEM: Readonly<Record<'read' | 'write' | 'flush', readonly [number, number]>> = {
  read: [0.05, 2],
  write: [0.05, 4],
  flush: [0.3, 25],
};
const SLOW_MS = [20, 1_500] as const;

export class DiskTrouble {
  readonly #world: World;
  readonly #chance: Chance;
  #failing: { readonly code: 'EIO' | 'ENOSPC'; readonly untilMs: number } | null = null;
  #slowUntilMs = 0;
  #flushFailsUntilMs = 0;

  constructor(world: World, chance: Chance) {
    this.#world = world;
    this.#chance = chance;
  }

  begin(how: 'EIO' | 'ENOSPC' | 'fsync' | 'slow', forMs: number): void {
    const untilMs = this.#world.nowMs + forMs;
    if (how === 'slow') this.#slowUntilMs = untilMs;
    else if (how === 'fsync') this.#flushFailsUntilMs = untilMs;
    else this.#failing = { code: how, untilMs };
  }

  heal(): void {
    this.#failing = null;
    this.#slowUntilMs = 0;
    this.#flushFailsUntilMs = 0;
  }

  takesMs(what: 'read' | 'write' | 'flush'): number {
    const [low, high] = this.#world.nowMs < this.#slowUntilMs ? SLOW_MS : SYSTEM[what];
    return this.#chance.heavyTail(low, high);
  }

  error(what: 'read' | 'write' | 'flush'): Error | null {
    const { nowMs } = this.#world;
    if (what === 'flush' && nowMs < this.#flushFailsUntilMs) {
      // Once: the next one says that all is well.
      this.#flushFailsUntilMs = 0;
      return failure('EIO', 'fdatasync');
    }
    if (this.#failing === null || nowMs >= this.#failing.untilMs) return null;
    // A full disk can be read.
    return what === 'read' && this.#failing.code === 'ENOSPC' ? null : failure(this.#failing.code, what);
  }
}

const failure = (code: string, what: string): Error => Object.assign(new Error(`${code}: ${what}`), { code });
