// The guard's files in the run directory: lease pages, the leash's tombstones, and the phase of each group. All synchronous
// and without fsync: they must outlive this process, not the boot (SAFETY a.2).
import { join } from 'node:path';
import type { BootId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { LeasePhase } from '../model/lease.js';
import type { OwnershipEffect } from '../ownership/events.js';
import { decodePage } from '../ownership/page-codec.js';
import type { LeasePage } from '../ownership/page.js';
import type { Promised } from '../ownership/state.js';
import { type Files, readJson } from '../system/files.js';
import { type PageWriter, openPageWriter } from '../system/page-file.js';
import { type Paths, hardStopList, leasePage, tombstone } from '../system/paths.js';
import type { LeaseClock } from './lease-clock.js';

export const phaseFile = (paths: Paths, group: GroupId): string => join(paths.run, 'phase', group);
export const promiseFile = (paths: Paths, group: GroupId): string => join(paths.run, 'promise', group);

type PageWish = Extract<OwnershipEffect, { kind: 'write-page' }>;

export class PageDesk {
  readonly #files: Files;
  readonly #paths: Paths;
  readonly #bootId: BootId;
  readonly #leaseClock: LeaseClock;
  readonly #writers = new Map<GroupId, PageWriter>();
  readonly #tombstones = new Map<GroupId, { readonly epoch: Epoch; readonly stopped: string; readonly dead: string }>();
  /** What could not be written although it takes the right to start away: readers go on with the page before. */
  readonly #unsaid = new Map<GroupId, PageWish>();

  constructor(files: Files, paths: Paths, bootId: BootId, leaseClock: LeaseClock) {
    this.#files = files;
    this.#paths = paths;
    this.#bootId = bootId;
    this.#leaseClock = leaseClock;
  }

  /** What the last guard left; null when there is no page with a good checksum. */
  left(group: GroupId): LeasePage | null {
    const bytes = this.#files.read(leasePage(this.#paths, group));
    return bytes === null ? null : decodePage(bytes);
  }

  /** Throws when the page cannot be written: readers then go on with the old one, and nothing may be assumed held. */
  write(group: GroupId, wish: PageWish): void {
    if (wish.state !== 'HELD') this.#unsaid.set(group, wish);
    this.#write(group, wish);
    this.#unsaid.delete(group);
  }

  /**
   * For how long readers may still take the group for held because STOPPING or DEAD could not be written; that is tried
   * once more. 0 when the page says what it shall. Until then whatever was stopped may be started again.
   */
  stillHeldMs(group: GroupId): number {
    const wish = this.#unsaid.get(group);
    if (wish === undefined) return 0;
    try {
      this.write(group, wish);
      return 0;
    } catch {
      // Not writable yet: then the old page counts until its own deadline.
      const page = this.left(group);
      if (page?.state !== 'HELD' || page.bootId !== this.#bootId) return 0;
      return Math.max(0, Number(page.deadlineMonoNs) / 1e6 - this.#leaseClock.toMonoMs(this.#leaseClock.nowMs()));
    }
  }

  /** Where the leash would leave word: asked with every tick. */
  #tombstonesOf(group: GroupId, epoch: Epoch): { readonly stopped: string; readonly dead: string } {
    const known = this.#tombstones.get(group);
    if (known?.epoch === epoch) return known;
    const [stopped, dead] = [tombstone(this.#paths, group, 'stopped', epoch), tombstone(this.#paths, group, 'dead', epoch)];
    const paths = { epoch, stopped, dead };
    this.#tombstones.set(group, paths);
    return paths;
  }

  #write(group: GroupId, { state, epoch, deadlineMs, nonce, inSync }: PageWish): void {
    const monoMs = Math.max(0, this.#leaseClock.toMonoMs(deadlineMs));
    const { bootOffsetMs } = this.#leaseClock;
    const writer = this.#writers.get(group) ?? openPageWriter(leasePage(this.#paths, group), this.#files);
    this.#writers.set(group, writer);
    writer.write({
      epoch,
      state,
      deadlineMonoNs: BigInt(Math.round(monoMs * 1e6)),
      deadlineBootMs: monoMs + bootOffsetMs,
      bootOffsetMs,
      bootId: this.#bootId,
      nonce,
      inSync,
    });
  }

  /** The leash has fired for this epoch; `ended` when it has also verified the stop. */
  leashFired(group: GroupId, epoch: Epoch): 'no' | 'stopping' | 'ended' {
    const { stopped, dead } = this.#tombstonesOf(group, epoch);
    if (this.#files.exists(stopped)) return 'ended';
    return this.#files.exists(dead) ? 'stopping' : 'no';
  }

  /** Without a hard-stop list nothing of the group was ever started since the run directory was made. */
  hasHardStopList(group: GroupId): boolean {
    return this.#files.exists(hardStopList(this.#paths, group));
  }

  /** The phase that was kept last, if it is of this boot; null when there is none, or none that can be understood. */
  leftPhase(group: GroupId): { readonly epoch: Epoch; readonly phase: LeasePhase; readonly members: readonly NodeId[] } | null {
    const bytes = this.#files.read(phaseFile(this.#paths, group));
    const pattern = /^\{"bootId":"([^"]*)","epoch":(\d+),"phase":"([a-z-]+)"(?:,"members":\[((?:"[^"\\]+",?)*)\])?\}\n$/;
    const [, bootId, epoch, phase, members = ''] = pattern.exec(bytes?.toString('utf8') ?? '') ?? [];
    if (bootId !== this.#bootId || epoch === undefined) return null;
    return { epoch: Number(epoch), phase: phase as LeasePhase, members: JSON.parse(`[${members}]`) as readonly NodeId[] };
  }

  /** `members`: who may be a member by a record of this epoch. */
  writePhase(group: GroupId, epoch: Epoch, phase: LeasePhase, members?: readonly NodeId[]): void {
    const text = `${JSON.stringify({ bootId: this.#bootId, epoch, phase, ...(members === undefined ? {} : { members }) })}\n`;
    this.#files.replaceSync(phaseFile(this.#paths, group), text, { fsync: false });
  }

  /** Throws when it cannot be written: then it is not given. */
  writePromise(group: GroupId, { to, epoch, untilMs }: Promised): void {
    const body = { bootId: this.#bootId, to, epoch, untilMonoMs: this.#leaseClock.toMonoMs(untilMs) };
    this.#files.replaceSync(promiseFile(this.#paths, group), `${JSON.stringify(body)}\n`, { fsync: false });
  }

  /**
   * The word that a guard of this boot gave last. One of an earlier boot binds nobody: who boots observes the record from
   * zero for W, and that is no less than the rest of any promise given before. For the same reason a file that cannot be
   * read endangers nothing; the promise is kept as well so that nothing else than time can shorten it.
   */
  promised(group: GroupId): Promised | null {
    const file = readJson(this.#files, promiseFile(this.#paths, group));
    if (file.kind !== 'read' || typeof file.value !== 'object' || file.value === null) return null;
    const { bootId, to, epoch, untilMonoMs } = file.value as Record<string, unknown>;
    if (bootId !== this.#bootId || typeof to !== 'string' || typeof epoch !== 'number' || typeof untilMonoMs !== 'number') return null;
    return { to, epoch, untilMs: this.#leaseClock.fromMonoMs(untilMonoMs) };
  }

  close(): void {
    for (const writer of this.#writers.values()) writer.close();
    this.#writers.clear();
  }
}
