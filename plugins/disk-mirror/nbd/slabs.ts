// Memory that payloads lie in from the socket to the export and back, used again without copying. A slab is counted: whoever
// still needs a part of it holds it, and with the last one gone it goes back to its pool. The pool keeps a bounded number of
// free bytes; what is in use is bounded by the limits of the sessions.

export class Slab {
  readonly buffer: Buffer;
  readonly #pool: SlabPool;
  #holders = 1;

  constructor(buffer: Buffer, pool: SlabPool) {
    this.buffer = buffer;
    this.#pool = pool;
  }

  /** Nobody but the one who asks holds it. */
  get alone(): boolean {
    return this.#holders === 1;
  }

  hold(): void {
    this.#holders += 1;
  }

  release(count = 1): void {
    this.#holders -= count;
    if (this.#holders > 0) return;
    if (this.#holders < 0) throw new Error('a slab was released twice');
    this.#pool.back(this);
  }

  /** For the pool: in use again. */
  renew(): void {
    this.#holders = 1;
  }
}

const SMALLEST_BITS = 16;
const LARGEST_BITS = 25;
/** Beside each power of two: headers that go with a payload of just that size. */
const SLACK_BYTES = 4096;

export class SlabPool {
  readonly #free: Slab[][] = Array.from({ length: LARGEST_BITS + 1 }, () => []);
  readonly #keepBytes: number;
  #freeBytes = 0;

  /** Keeps at most so many free bytes. */
  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** At least `bytes` long, with old content, held once. At most 32 MiB and the slack. */
  take(bytes: number): Slab {
    const bits = bitsFor(bytes);
    const slab = this.#free[bits]?.pop();
    if (slab === undefined) return new Slab(Buffer.allocUnsafeSlow((1 << bits) + SLACK_BYTES), this);
    this.#freeBytes -= slab.buffer.length;
    slab.renew();
    return slab;
  }

  /** For slabs alone. */
  back(slab: Slab): void {
    if (this.#freeBytes + slab.buffer.length > this.#keepBytes) return;
    this.#freeBytes += slab.buffer.length;
    this.#free[bitsFor(slab.buffer.length)]?.push(slab);
  }
}

const bitsFor = (bytes: number): number => {
  const bits = Math.max(SMALLEST_BITS, 32 - Math.clz32(Math.max(1, bytes - SLACK_BYTES) - 1));
  if (bits > LARGEST_BITS) throw new RangeError(`${bytes} bytes are more than a slab can hold`);
  return bits;
};
