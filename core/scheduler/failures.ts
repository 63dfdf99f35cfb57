// What must outlive a controller but not a boot: local failures inside their windows, starts and stops that failed, the
// transition a group is in. `<run>/failures.json`, written after the effects, never on their path. Times are monotonic of
// one boot; a file of another boot counts for nothing.
import { join } from 'node:path';
import { inject, injectable } from 'tsyringe';
import { reasonOf } from '../errors/errors.js';
import type { Epoch, GroupId } from '../model/ids.js';
import type { Transition } from '../model/observed.js';
import { Clock } from '../system/clock.js';
import { Files, readJson } from '../system/files.js';
import { Logs, Self } from './ports.js';

/** What is remembered of one resource. */
export interface ResourceMemory {
  /** Monotonic times of local failures, oldest first, at most 64. */
  failedAtMs: number[];
  startFailed: string | null;
  stopFailed: string | null;
}

/** What is remembered of one group. */
export interface GroupMemory {
  /** The clears counter of the orders when it was last looked at. */
  clears: number;
  /** Failover epochs and when this node first saw them. */
  failovers: { epoch: Epoch; seenMs: number }[];
  transition: (Transition & { readonly epoch: Epoch; readonly incident: string }) | null;
  resources: Record<string, ResourceMemory>;
}

const MAX_FAILURES = 64;
const MAX_FAILOVERS = 16;
/** Before any window; a finite number, because it goes through JSON. */
const LONG_AGO_MS = -1e15;

@injectable()
export class Failures {
  private groups: Record<GroupId, GroupMemory> = {};
  private writing: Promise<void> | null = null;
  private dirty = false;
  private trouble = false;

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Self) private readonly self: Self,
    @inject(Logs) private readonly logs: Logs,
    @inject(Files) private readonly files: Files,
  ) {}

  /** Whether something of this boot was found: then this controller adopts what an earlier one left. */
  load(): boolean {
    const found = readJson(this.files, this.path);
    if (found.kind === 'broken')
      this.logs.child('failures').warn('failures cannot be read, counting from zero', { because: found.because });
    if (found.kind !== 'read') return false;
    const { v, bootId, groups } = found.value as { v?: number; bootId?: string; groups?: Record<GroupId, GroupMemory> };
    if (v !== 1 || bootId !== this.self.bootId || groups === undefined) return false;
    this.groups = groups;
    return true;
  }

  group(group: GroupId): GroupMemory {
    return (this.groups[group] ??= { clears: 0, failovers: [], transition: null, resources: {} });
  }

  resource(group: GroupId, resource: string): ResourceMemory {
    return (this.group(group).resources[resource] ??= { failedAtMs: [], startFailed: null, stopFailed: null });
  }

  failed(group: GroupId, resource: string): void {
    const memory = this.resource(group, resource);
    memory.failedAtMs.push(this.clock.nowMs());
    memory.failedAtMs.splice(0, Math.max(0, memory.failedAtMs.length - MAX_FAILURES));
    this.save();
  }

  failuresWithin(group: GroupId, resource: string, withinMs: number): number {
    const sinceMs = this.clock.nowMs() - withinMs;
    return this.resource(group, resource).failedAtMs.filter((atMs) => atMs >= sinceMs).length;
  }

  /** Takes in the failovers that the orders record names. Each counts from when this node first saw it (SAFETY a.4). */
  sawFailovers(group: GroupId, epochs: readonly Epoch[]): void {
    const memory = this.group(group);
    const fresh = epochs.filter((epoch) => !memory.failovers.some((seen) => seen.epoch === epoch));
    if (fresh.length === 0) return;
    memory.failovers.push(...fresh.map((epoch) => ({ epoch, seenMs: this.clock.nowMs() })));
    memory.failovers.splice(0, Math.max(0, memory.failovers.length - MAX_FAILOVERS));
    this.save();
  }

  failoversWithin(group: GroupId, withinMs: number): number {
    const sinceMs = this.clock.nowMs() - withinMs;
    return this.group(group).failovers.filter(({ seenMs }) => seenMs >= sinceMs).length;
  }

  /** After an operator's clear nothing counts that was before it; the failovers stay known, so that none is counted twice. */
  clear(group: GroupId, clears: number): void {
    const memory = this.group(group);
    memory.clears = clears;
    memory.resources = {};
    memory.failovers = memory.failovers.map(({ epoch }) => ({ epoch, seenMs: LONG_AGO_MS }));
    this.save();
  }

  /** Writes soon; many changes in one turn are one write. */
  save(): void {
    this.dirty = true;
    this.writing ??= new Promise<void>((done) => this.clock.soon(() => void this.write().finally(done))).finally(() => {
      this.writing = null;
      if (this.dirty) this.save();
    });
  }

  /** Resolves when nothing waits to be written. */
  async settled(): Promise<void> {
    while (this.writing !== null) await this.writing;
  }

  private get path(): string {
    return join(this.self.runDir, 'failures.json');
  }

  private async write(): Promise<void> {
    this.dirty = false;
    try {
      const text = JSON.stringify({ v: 1, bootId: this.self.bootId, groups: this.groups });
      await this.files.replace(this.path, text, { fsync: false });
      this.trouble = false;
    } catch (error) {
      if (!this.trouble)
        this.logs
          .child('failures')
          .warn('failures cannot be written: a restart of the controller would count from zero', { because: reasonOf(error) });
      this.trouble = true;
    }
  }
}
