// Every write of a group's lease record, read from the witness' own log as it grows: who wrote it, and between which two
// moments. Looks from outside, every 10 ms unless told otherwise, and disturbs nobody. All times are CLOCK_MONOTONIC, which is one clock for the
// hosts' journals, the lab and the test. Invariant: `notBeforeMs` is never after the write, `seenMs` never before it.
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { LeaseRecord } from '../../core/ownership/record.js';
import { systemClock, type Timer } from '../../core/system/clock.js';
import type { DrillLab } from './drill-lab.js';

export interface LeaseWrite {
  readonly notBeforeMs: number;
  readonly seenMs: number;
  readonly record: LeaseRecord;
}

const HEAD_BYTES = 16;
const KEPT = 2000;

export class LeaseWatch {
  readonly #writes: LeaseWrite[] = [];
  readonly #file: string;
  readonly #timer: Timer;
  #inode = -1;
  #offset = 0;
  /** What the first look finds may be of any age. */
  #lastLookMs = -Infinity;

  constructor(
    lab: DrillLab,
    private readonly group: string,
    lookMs = 10,
  ) {
    this.#file = join(lab.topology.directory, 'services', 'witness.state');
    this.#timer = systemClock.every(lookMs, () => this.#look());
    this.#look();
  }

  get writes(): readonly LeaseWrite[] {
    return this.#writes;
  }

  /** The last write of an epoch. */
  lastOf(epoch: number): LeaseWrite | undefined {
    return this.#writes.findLast(({ record }) => record.epoch === epoch);
  }

  stop(): void {
    this.#timer.cancel();
  }

  /** The log is a file of records, written in place: magic, length, two sums, JSON; a new file begins with a snapshot. */
  #look(): void {
    const atMs = systemClock.nowMs();
    const ino = statSync(this.#file, { throwIfNoEntry: false })?.ino;
    // The lab is gone, by the end of the drill or its failure.
    if (ino === undefined) return this.stop();
    if (ino !== this.#inode) [this.#inode, this.#offset] = [ino, 0];
    const file = openSync(this.#file, 'r');
    try {
      for (let payload = this.#next(file); payload !== null; payload = this.#next(file)) this.#keep(payload);
    } finally {
      closeSync(file);
    }
    this.#lastLookMs = atMs;
  }

  #next(file: number): string | null {
    const head = Buffer.alloc(HEAD_BYTES);
    if (readSync(file, head, 0, HEAD_BYTES, this.#offset) < HEAD_BYTES || head.subarray(0, 4).toString('latin1') !== 'USW1') return null;
    const payload = Buffer.alloc(head.readUInt32BE(4));
    readSync(file, payload, 0, payload.length, this.#offset + HEAD_BYTES);
    // Half of it may be written by now: the next look has all of it.
    if (payload.at(-1) !== '}'.charCodeAt(0)) return null;
    this.#offset += HEAD_BYTES + payload.length;
    return payload.toString('utf8');
  }

  #keep(payload: string): void {
    const { values } = JSON.parse(payload) as { readonly values: readonly { readonly key: string; readonly value: string }[] };
    for (const { key, value } of values) {
      if (!key.endsWith(`/${this.group}`) || key.includes('/nodes/')) continue;
      const record = JSON.parse(value) as LeaseRecord;
      const last = this.#writes.at(-1)?.record;
      if (last?.seq === record.seq && last.epoch === record.epoch) continue;
      this.#writes.push({ notBeforeMs: this.#lastLookMs, seenMs: systemClock.nowMs(), record });
      if (this.#writes.length > KEPT) this.#writes.shift();
    }
  }
}
