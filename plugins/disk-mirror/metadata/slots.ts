// Which extents are active, in which slot of the log each, and which was not used for longest. In memory; what is durable is
// the caller's to know. All steps are O(1) but the choice of what goes, which looks from the longest unused on.
import { SparseNumbers } from '../sparse-numbers.js';
import { FREE } from './log-block.js';

const NONE = -1;

export class Slots {
  /** What each slot holds; FREE = nothing. The log's window is cut from it. */
  readonly extents: Uint32Array;
  /** Counted from 1. */
  readonly #slotOf = new SparseNumbers();
  readonly #free: number[] = [];
  // The used slots as a list, the longest unused first. Place `size` is the ring's head.
  readonly #before: Int32Array;
  readonly #after: Int32Array;

  constructor(readonly size: number) {
    this.extents = new Uint32Array(size).fill(FREE);
    this.#before = new Int32Array(size + 1).fill(NONE);
    this.#after = new Int32Array(size + 1).fill(NONE);
    this.clear();
  }

  get free(): number {
    return this.#free.length;
  }

  get used(): number {
    return this.#slotOf.size;
  }

  has(extent: number): boolean {
    return this.#slotOf.get(extent) > 0;
  }

  /** As `has`, and the extent counts as used now. */
  use(extent: number): boolean {
    const slot = this.#slotOf.get(extent) - 1;
    if (slot < 0) return false;
    if (this.#after[slot] !== this.size) {
      this.#unlink(slot);
      this.#append(slot);
    }
    return true;
  }

  /** The extents that may go, the longest unused first, at most `count`. Nothing is changed. */
  idle(count: number, mayEvict: (extent: number) => boolean): number[] {
    const found: number[] = [];
    for (let slot = this.#after[this.size] ?? NONE; slot !== this.size && found.length < count; slot = this.#after[slot] ?? this.size) {
      const extent = this.extents[slot] ?? FREE;
      if (mayEvict(extent)) found.push(extent);
    }
    return found;
  }

  /** Takes a free slot for the extent and names it. */
  take(extent: number): number {
    const slot = this.#free.pop();
    if (slot === undefined || this.has(extent)) throw new Error(`no slot for extent ${extent}`);
    this.extents[slot] = extent;
    this.#slotOf.set(extent, slot + 1);
    this.#append(slot);
    return slot;
  }

  drop(extent: number): void {
    const slot = this.#slotOf.get(extent) - 1;
    if (slot < 0) throw new Error(`extent ${extent} is in no slot`);
    this.#slotOf.delete(extent);
    this.extents[slot] = FREE;
    this.#unlink(slot);
    this.#free.push(slot);
  }

  clear(): void {
    this.extents.fill(FREE);
    this.#slotOf.clear();
    this.#free.length = 0;
    for (let slot = this.size - 1; slot >= 0; slot--) this.#free.push(slot);
    this.#before[this.size] = this.size;
    this.#after[this.size] = this.size;
  }

  #append(slot: number): void {
    const last = this.#before[this.size] ?? this.size;
    this.#before[slot] = last;
    this.#after[slot] = this.size;
    this.#after[last] = slot;
    this.#before[this.size] = slot;
  }

  #unlink(slot: number): void {
    const before = this.#before[slot] ?? this.size;
    const after = this.#after[slot] ?? this.size;
    this.#after[before] = after;
    this.#before[after] = before;
  }
}
