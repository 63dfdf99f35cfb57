// The leash (SAFETY a.2) as a process of the world: what core/guard/leash.sh does, step by step, with its times. It sleeps
// until the nearest deadline and 50 ms more, at most half a second, reads the page again, and fires when the last deadline
// it read with a good checksum has passed; then the tombstone is first, and only a verified stop renames it.
import type { GroupId } from '../model/ids.js';
import type { Timing } from '../model/timing.js';
import { decodePage } from '../ownership/page-codec.js';
import type { LeasePage } from '../ownership/page.js';
import { hardStopList, leashBeat, leasePage, tombstone } from '../system/paths.js';
import type { SimProcess } from './sim-process.js';

const MARGIN_MS = 50;
const LONGEST_MS = 500;
/** /proc/uptime has steps of so much. */
const UPTIME_STEP_MS = 10;

export interface LeashOptions {
  readonly groups: readonly GroupId[];
  readonly timing: Timing;
  readonly resetMs: () => number;
}

interface Known {
  readonly deadlineBootMs: number;
  readonly epoch: number;
}

export const startLeash = (process: SimProcess, { groups, timing, resetMs }: LeashOptions): void => {
  const { node, clock } = process;
  const { paths, disk, world } = node;
  const known = new Map<GroupId, Known>();
  const fired = new Set<string>();
  const bootNowMs = () => Math.floor((clock.nowMs() + node.bootOffsetMs()) / UPTIME_STEP_MS) * UPTIME_STEP_MS;
  const startedMs = bootNowMs();
  let beats = 0;

  const pages = new Map(
    groups.map((group) => {
      const path = leasePage(paths, group);
      return [group, pageOf(() => disk.peekBytes(path))];
    }),
  );
  const beatPath = leashBeat(paths);
  const deadPaths = new Map<GroupId, { readonly epoch: number; readonly path: string }>();
  const deadPath = (group: GroupId, epoch: number): string => {
    const known = deadPaths.get(group);
    if (known?.epoch === epoch) return known.path;
    const path = tombstone(paths, group, 'dead', epoch);
    deadPaths.set(group, { epoch, path });
    return path;
  };

  const look = (group: GroupId): void => {
    const page = pages.get(group)?.() ?? null;
    // At its start with no good page and something of the group there: after one D.
    if (page === null) {
      if (!known.has(group) && disk.peek(hardStopList(paths, group)) !== null)
        known.set(group, { deadlineBootMs: startedMs + timing.selfFenceMs, epoch: 0 });
      return;
    }
    // What an earlier leash began, this one ends; the tombstone is final, whatever the page says by now.
    if (page.bootId === node.bootId && disk.peek(deadPath(group, page.epoch)) !== null) fire(group, page);
    if (page.bootId !== node.bootId || page.state === 'RELEASED' || page.state === 'DEAD') known.delete(group);
    else known.set(group, { deadlineBootMs: page.deadlineBootMs, epoch: page.epoch });
  };

  const fire = (group: GroupId, { epoch }: Pick<Known, 'epoch'>): void => {
    if (fired.has(`${group} ${epoch}`)) return;
    fired.add(`${group} ${epoch}`);
    const dead = tombstone(paths, group, 'dead', epoch);
    const stopped = tombstone(paths, group, 'stopped', epoch);
    if (disk.peek(stopped) !== null) return;
    world.say(`${node.id} leash`, 'fires', `the lease of ${group}, epoch ${epoch}, has run out and nobody renewed it`);
    world.mark('leash fires');
    try {
      disk.create(dead);
    } catch (error) {
      world.say(`${node.id} leash`, 'no tombstone', error instanceof Error ? error.message : String(error));
    }
    const endMs = bootNowMs() + timing.stopBudgetMs;
    const stop = (): void => {
      void node.os
        .hardStop(process)
        .stop(group, timing.stopBudgetMs)
        .then(({ verified }) => {
          if (!verified) return void clock.after(100, stop);
          try {
            if (disk.peek(dead) !== null) disk.rename(dead, stopped);
            else disk.create(stopped);
          } catch {
            // `mv` failed: the loop goes round once more.
            return void clock.after(100, stop);
          }
          world.say(`${node.id} leash`, 'stopped', `everything of epoch ${epoch} is verified gone`);
        });
    };
    stop();
    const watch = (): void => {
      if (disk.peek(stopped) !== null) return;
      if (bootNowMs() >= endMs) {
        const { bootId } = node;
        world.at(process.trueMs, () => node.bootId === bootId && node.reset('the leash resets the host: not stopped within S', resetMs()));
        return;
      }
      clock.after(50, watch);
    };
    clock.after(50, watch);
  };

  const turn = (): void => {
    for (const group of groups) look(group);
    // Here it may be stopped: it then compares what it has read with a later clock.
    if (process.stallNextMs > 0) process.systemCall();
    const nowMs = bootNowMs();
    let nextMs = LONGEST_MS;
    for (const [group, one] of known) {
      if (nowMs >= one.deadlineBootMs + MARGIN_MS) process.act(() => fire(group, one));
      else nextMs = Math.min(nextMs, one.deadlineBootMs + MARGIN_MS - nowMs);
    }
    // A beat that cannot be written is a beat that is missing: the guard then acquires nothing.
    try {
      disk.write(beatPath, Buffer.from(String((beats += 1))), { inPlace: true });
    } catch (error) {
      world.say(`${node.id} leash`, 'no beat', error instanceof Error ? error.message : String(error));
    }
    clock.after(Math.max(1, nextMs), turn);
  };
  turn();
};

/** The page in these bytes; the same bytes are not decoded again. */
const pageOf = (read: () => Buffer | null): (() => LeasePage | null) => {
  let bytes: Buffer | null = null;
  let page: LeasePage | null = null;
  return () => {
    const now = read();
    if (now !== bytes) page = now === null ? null : decodePage(now);
    bytes = now;
    return page;
  };
};
