// Asks each fence device at a slow pace whether it could fence: a device without its rights must be known before it is needed.
// Changes nothing outside. Invariant: one question per device at a time, each with a deadline.
import { inject, injectable } from 'tsyringe';
import { reasonOf } from '../errors/errors.js';
import { Journal } from '../journal/journal.js';
import type { NodeId } from '../model/ids.js';
import { Clock, type Timer } from '../system/clock.js';
import { bounded } from './deadline.js';
import { Fence, type FenceHandle } from './ports.js';

export interface DeviceState {
  readonly name: string;
  /** Level it stands in, from 1. */
  readonly level: number;
  readonly nodes: readonly NodeId[] | null;
  /** null when it could fence, as far as is known; else why not. */
  readonly trouble: string | null;
  /** Since it was asked; null: not yet. */
  readonly ageMs: number | null;
}

const EVERY_MS = 300_000;
/** After trouble it is asked sooner: somebody may be mending it. */
const TROUBLED_MS = 30_000;
const LIMIT_MS = 20_000;

@injectable()
export class FenceCheck {
  private readonly seen = new Map<FenceHandle, { readonly trouble: string | null; readonly atMs: number }>();
  private readonly timers = new Map<FenceHandle, Timer>();
  private stopped = true;

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Journal) private readonly journal: Journal,
    @inject(Fence) private readonly devices: Fence,
  ) {}

  start(): void {
    this.stopped = false;
    for (const handle of this.devices.levels.flat()) void this.look(handle);
  }

  /** Ends the questions, and the devices. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
    await Promise.all(this.devices.levels.flat().map((handle) => handle.close()));
  }

  states(): readonly DeviceState[] {
    const nowMs = this.clock.nowMs();
    return this.devices.levels.flatMap((level, depth) =>
      level.map((handle) => {
        const seen = this.seen.get(handle);
        const { name, nodes } = handle;
        return { name, level: depth + 1, nodes, trouble: seen?.trouble ?? null, ageMs: seen === undefined ? null : nowMs - seen.atMs };
      }),
    );
  }

  alarms(): readonly string[] {
    return this.states().flatMap(({ name, trouble }) => (trouble === null ? [] : [`fence device ${name} cannot be used: ${trouble}`]));
  }

  private async look(handle: FenceHandle): Promise<void> {
    const trouble = await this.ask(handle);
    if (this.stopped) return;
    const before = this.seen.get(handle)?.trouble ?? null;
    this.seen.set(handle, { trouble, atMs: this.clock.nowMs() });
    if (trouble !== before)
      this.journal.write({
        kind: trouble === null ? 'fence.usable' : 'fence.unusable',
        because:
          trouble === null ? `fence device ${handle.name} can be used again` : `fence device ${handle.name} cannot be used: ${trouble}`,
        data: { device: handle.name },
      });
    const waitMs = trouble === null ? EVERY_MS : TROUBLED_MS;
    this.timers.set(
      handle,
      this.clock.after(waitMs, () => void this.look(handle), { idle: true }),
    );
  }

  private async ask(handle: FenceHandle): Promise<string | null> {
    try {
      const { device } = await handle.open();
      if (device.check === undefined) return null;
      const outcome = await bounded((signal) => device.check?.(signal) ?? null, { clock: this.clock, limitMs: LIMIT_MS });
      return outcome.kind === 'value'
        ? outcome.value
        : outcome.kind === 'threw'
          ? reasonOf(outcome.error)
          : `no answer within ${LIMIT_MS} ms`;
    } catch (error) {
      return reasonOf(error);
    }
  }
}
