// All chance of a simulated world: small streams of pseudo-random numbers that depend on the seed and on what they are for.
// Each concern has a stream of its own, so that leaving out one fault does not change what the others draw (shrinking).
import type { Random } from '../system/random.js';

/** mulberry32: one 32-bit state, good enough for faults and never for secrets. Source: Tommy Ettinger, public domain. */
export class Chance implements Random {
  #state: number;
  draws = 0;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A stream of its own for a purpose; the same purpose always gets the same one. */
  stream(purpose: string): Chance {
    let hash = this.#state ^ 0x811c9dc5;
    for (let index = 0; index < purpose.length; index += 1) hash = Math.imul(hash ^ purpose.charCodeAt(index), 0x01000193);
    const stream = new Chance(hash);
    // Neighbouring states give similar first numbers.
    stream.next();
    stream.next();
    return stream;
  }

  next(): number {
    this.draws += 1;
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  hex(bytes: number): string {
    let text = '';
    while (text.length < 2 * bytes)
      text += Math.floor(this.next() * 0x1_0000_0000)
        .toString(16)
        .padStart(8, '0');
    return text.slice(0, 2 * bytes);
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** True in so many of one; draws nothing where the answer is certain. */
  happens(probability: number): boolean {
    return probability > 0 && (probability >= 1 || this.next() < probability);
  }

  /** 0 … count − 1. */
  index(count: number): number {
    return Math.floor(this.next() * count);
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.index(choices.length)];
    if (choice === undefined) throw new RangeError('nothing to pick from');
    return choice;
  }

  /** Mostly near `low`, now and then far out: how delays and pauses are in practice. */
  heavyTail(low: number, high: number): number {
    return low * (high / low) ** (this.next() ** 3);
  }
}
