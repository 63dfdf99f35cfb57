// A number for some of many places: what a Map from place to number is, at the price of an array. Looked up with every write, where
// a Map of some ten thousand entries costs as much as the checksum. Memory follows the regions in use, 1 KiB for each, and the
// volume only by one reference for each region. Pure.

const BITS = 8;
const PLACES = 1 << BITS;
/** Empty regions kept for the next. */
const MAX_SPARE = 64;

interface Region {
  readonly numbers: Uint32Array;
  used: number;
}

export class SparseNumbers {
  readonly #regions: (Region | undefined)[] = [];
  readonly #spare: Region[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** 0 = there is none. */
  get(place: number): number {
    return this.#regions[place >>> BITS]?.numbers[place & (PLACES - 1)] ?? 0;
  }

  /** `number`: 1 to 2^32 - 1. */
  set(place: number, number: number): void {
    const index = place >>> BITS;
    // No holes: an array with some is a Map again.
    while (this.#regions.length <= index) this.#regions.push(undefined);
    const region = (this.#regions[index] ??= this.#spare.pop() ?? { numbers: new Uint32Array(PLACES), used: 0 });
    const at = place & (PLACES - 1);
    if (region.numbers[at] === 0) {
      region.used += 1;
      this.#size += 1;
    }
    region.numbers[at] = number;
  }

  delete(place: number): void {
    const index = place >>> BITS;
    const region = this.#regions[index];
    const at = place & (PLACES - 1);
    if (region === undefined || region.numbers[at] === 0) return;
    region.numbers[at] = 0;
    region.used -= 1;
    this.#size -= 1;
    if (region.used > 0) return;
    this.#regions[index] = undefined;
    if (this.#spare.length < MAX_SPARE) this.#spare.push(region);
  }

  clear(): void {
    this.#regions.length = 0;
    this.#size = 0;
  }
}
