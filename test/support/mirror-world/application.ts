// The application: writes stamps, flushes, reads, against whoever serves, and keeps the oracle. It knows which copy an answer
// obliges: the check of W2 and I-D9.
import { type Side, otherSide } from './fake-link.js';
import { bytesOf, SECTOR, stampsOf } from './fake-disk.js';
import type { MirrorWorld } from './mirror-world.js';
import { Oracle, type Written } from './oracle.js';

export class Application {
  readonly #world: MirrorWorld;
  oracle: Oracle;
  #stamp = 0;
  #underWay = new Map<Side, Set<Written>>();
  answered = 0;
  refused = 0;
  /** The newest stamp answered in each sector; of each flush that was answered, as it was when it was asked. */
  readonly #answeredIn: Float64Array;
  #lastKept: Float64Array;
  /** Of each stamp: what was surely behind a barrier before it was asked. */
  readonly #before = new Map<number, Float64Array>();

  constructor(world: MirrorWorld) {
    this.#world = world;
    const { sectors } = world.nodes.a.disk;
    this.oracle = new Oracle(sectors);
    this.#answeredIn = new Float64Array(sectors);
    this.#lastKept = new Float64Array(sectors);
  }

  write(sector: number, count: number, fua = false): void {
    const server = this.#world.primary();
    if (server?.engine == null) return;
    const { side, engine } = server;
    this.#stamp += 1;
    const stamp = this.#stamp;
    const bytes = bytesOf(new Float64Array(count).fill(stamp));
    const asked = this.oracle.now();
    const writes = this.#begin(side, sector, count, stamp);
    this.#before.set(stamp, this.#lastKept);
    engine.write(bytes, sector * SECTOR, fua, (error) => {
      if (this.#end(side, sector, writes, error)) {
        this.#acked(side, stamp, sector, count);
        if (fua) this.#kept(side, stamp, sector, count, asked);
      }
      bytes.fill(254);
    });
  }

  /** Reads as stamp 0 afterwards; as any other write to everybody else. */
  zero(sector: number, count: number, trim: boolean): void {
    const server = this.#world.primary();
    if (server?.engine == null) return;
    const { side, engine } = server;
    const writes = this.#begin(side, sector, count, 0);
    const done = (error: string | null) => void this.#end(side, sector, writes, error);
    if (trim) engine.trim(sector * SECTOR, count * SECTOR, false, done);
    else engine.zero(sector * SECTOR, count * SECTOR, true, false, done);
  }

  flush(): void {
    const server = this.#world.primary();
    if (server?.engine == null) return;
    const { side, engine } = server;
    const asked = this.oracle.now();
    const kept = this.#answeredIn.slice();
    engine.flush((error) => {
      if (error !== null || this.#stale(side)) return;
      this.answered += 1;
      this.#promised(side);
      this.oracle.flushed(asked);
      this.#lastKept = kept;
    });
  }

  read(sector: number, count: number): void {
    const server = this.#world.primary();
    // An old primary that has not heard of it yet may show what is old: that is not promised (SAFETY a.7b).
    if (server?.engine == null || server.side !== this.#world.record.holder) return;
    const { side, engine } = server;
    const since = this.oracle.now();
    const into = new Uint8Array(count * SECTOR);
    engine.read(into, sector * SECTOR, (error) => {
      if (error !== null || this.#stale(side) || side !== this.#world.record.holder) return;
      stampsOf(into).forEach((stamp, at) => {
        const allowed = this.oracle.words(sector + at);
        if (!this.oracle.saw(sector + at, stamp, since))
          this.#world.violate(`I-D1: a read of sector ${sector + at} at ${side} saw ${stamp}, possible were ${allowed}`);
      });
    });
  }

  /** What it had under way is there or not. */
  serverDied(side: Side): void {
    for (const written of this.#underWay.get(side) ?? []) this.oracle.ended(written);
    this.#underWay.delete(side);
  }

  /** Nobody has all of it any more. */
  lose(): void {
    this.oracle.loseUnflushed();
    this.#answeredIn.fill(0);
  }

  /** A standby that may lag behind is about to take over. */
  doubt(cells: Float64Array): void {
    this.oracle.loseUnflushed();
    this.oracle.doubt(cells);
    this.#answeredIn.fill(0);
  }

  /** A standby has taken over that lags behind: what it has is what there is (RPO), if it is a prefix. */
  accept(cells: Float64Array, whose: Side): void {
    this.checkPrefix(cells, whose);
    this.oracle.accept(cells);
    this.#answeredIn.fill(0);
    this.#lastKept = new Float64Array(cells.length);
  }

  /** I-D6: what is there has everything behind it that was behind a barrier before it. Zeroes have no stamp and tell nothing. */
  checkPrefix(cells: Float64Array, whose: Side): void {
    for (const stamp of new Set(cells)) {
      const before = this.#before.get(stamp);
      before?.forEach((kept, sector) => {
        if (cells[sector] !== 0 && cells[sector]! < kept)
          this.#world.violate(
            `I-D6: ${whose} has ${stamp}, and sector ${sector} is ${cells[sector]}, older than ${kept} of a barrier before`,
          );
      });
    }
  }

  /** Everything answered is in this image. */
  check(cells: Float64Array, whose: string): void {
    cells.forEach((stamp, sector) => {
      if (!this.oracle.may(sector, stamp))
        this.#world.violate(`I-D1: sector ${sector} of ${whose} holds ${stamp}, possible are ${this.oracle.words(sector)}`);
    });
  }

  #begin(side: Side, sector: number, count: number, stamp: number): readonly Written[] {
    const writes = Array.from({ length: count }, (_, at) => this.oracle.begin(sector + at, stamp));
    const underWay = this.#underWay.get(side) ?? new Set();
    this.#underWay.set(side, underWay);
    for (const written of writes) underWay.add(written);
    return writes;
  }

  #end(side: Side, sector: number, writes: readonly Written[], error: string | null): boolean {
    const underWay = this.#underWay.get(side);
    for (const written of writes) underWay?.delete(written);
    if (error === null && !this.#stale(side)) {
      this.answered += 1;
      this.#promised(side);
      writes.forEach((written, at) => {
        this.oracle.acked(sector + at, written);
        this.#answeredIn[sector + at] = Math.max(this.#answeredIn[sector + at]!, written.stamp);
      });
      return true;
    }
    this.refused += 1;
    // An error does not mean that it was not carried out, nor that it is over: the old primary may still be at it.
    return false;
  }

  /** W2: answered under a lease that is over. */
  #stale(side: Side): boolean {
    return this.#world.record.pages[side].state === 'over';
  }

  /** From now on only those have everything that the record calls in sync. */
  #promised(side: Side): void {
    const { record, intact, options } = this.#world;
    if (record.pages[side].state !== 'held') this.#world.violate(`W2: ${side} answered while its lease was ${record.pages[side].state}`);
    const peer = otherSide(side);
    if (options.mode === 'async' || !record.hasAlive(peer)) intact[peer] = false;
  }

  /** I-D9: whoever is in sync by the record, and has not been switched off since, has it. */
  #acked(side: Side, stamp: number, sector: number, count: number): void {
    const { record, nodes, options } = this.#world;
    const peer = otherSide(side);
    if (options.mode !== 'sync' || !record.hasAlive(peer)) return;
    const { seen, cells } = nodes[peer].disk;
    // A resync may have brought what has overwritten it since.
    const overwritten = () => Array.from(cells.subarray(sector, sector + count)).every((there) => there > stamp || there === 0);
    if (!seen.has(stamp) && !overwritten())
      this.#world.violate(`I-D9: ${side} answered write ${stamp} (${count} sectors at ${sector}), ${peer} is in sync and never got it`);
  }

  /** I-D2, FUA: durable on every copy in sync, or overwritten there. */
  #kept(side: Side, stamp: number, sector: number, count: number, _asked: number): void {
    const { record, nodes } = this.#world;
    for (const one of [side, otherSide(side)] as const) {
      if (!record.hasAlive(one) || (one !== side && this.#world.options.mode === 'async')) continue;
      const { durable } = nodes[one].disk;
      for (let at = sector; at < sector + count; at++)
        if (durable[at]! < stamp && durable[at] !== 0)
          this.#world.violate(`I-D2: FUA write ${stamp} is not durable at ${one}, sector ${at}`);
    }
  }
}
