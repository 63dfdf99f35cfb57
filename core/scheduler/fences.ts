// Powers nodes off through the configured devices: level after level, device after device, each with its own deadline. One
// attempt per node at a time, however many groups wait for it; between attempts a pause that grows from 2 s to 5 min, so that a
// device that refuses is never flooded. Invariant: no device is called unless somebody who asked still may; a level confirms
// only with the word of all its devices.
import { inject, injectable } from 'tsyringe';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { Journal } from '../journal/journal.js';
import type { BootId, Epoch, GroupId, NodeId } from '../model/ids.js';
import type { FenceFact } from '../model/observed.js';
import { Clock } from '../system/clock.js';
import { bounded } from './deadline.js';
import { Fence, type FenceHandle, Self } from './ports.js';

export interface FenceOrder {
  readonly node: NodeId;
  /** The boot that must be gone. */
  readonly bootId: BootId;
  /** The epoch that boot held. */
  readonly epoch: Epoch;
  /** For which group; null for an operator's own order. */
  readonly group: GroupId | null;
  /** Asked before each call of a device: null when it is still to be done, else why not. */
  readonly forbidden: () => string | null;
}

interface Attempt {
  readonly bootId: BootId;
  readonly orders: FenceOrder[];
  readonly abort: AbortController;
  readonly outcome: Promise<{ readonly evidence: string }>;
  /** What a device told meanwhile. */
  seen: string | null;
}

interface Memory {
  readonly bootId: BootId;
  readonly failures: number;
  readonly because: string;
  readonly notBeforeMs: number;
}

const [FIRST_PAUSE_MS, LAST_PAUSE_MS] = [2_000, 300_000];
/** A device that was told to end may clean up for so long. */
const GRACE_MS = 2_000;
/** So much of a device's words is shown. */
const SEEN_LENGTH = 200;

@injectable()
export class Fences {
  private readonly running = new Map<NodeId, Attempt>();
  private readonly memory = new Map<NodeId, Memory>();
  /** The last boot of a node that was seen off, and as what: true for ever. */
  private readonly confirmed = new Map<NodeId, { readonly bootId: BootId; readonly evidence: string }>();
  /** Devices with a call that has not ended although its time is over. */
  private readonly stuck = new Set<FenceHandle>();

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Journal) private readonly journal: Journal,
    @inject(Self) private readonly self: Self,
    @inject(Fence) private readonly devices: Fence,
  ) {}

  /** What came of it so far, by node. */
  facts(): Readonly<Record<NodeId, FenceFact>> {
    const nodes = new Set([...this.running.keys(), ...this.memory.keys()]);
    return Object.fromEntries(
      [...nodes].map((node): [NodeId, FenceFact] => {
        const { failures = 0, because = null } = this.memory.get(node) ?? {};
        const attempt = this.running.get(node);
        const seen = attempt === undefined || attempt.seen === null ? {} : { seen: attempt.seen };
        return [node, { running: attempt !== undefined, ...seen, failures, because, waitMs: this.waitMs(node) }];
      }),
    );
  }

  /** Until the next attempt may begin; 0 = now. */
  waitMs(node: NodeId): number {
    return Math.max(0, (this.memory.get(node)?.notBeforeMs ?? 0) - this.clock.nowMs());
  }

  /** Resolves when the node was observed off. Rejects with REFUSED, or FENCE_FAILED with what each device said. */
  fence(order: FenceOrder): Promise<{ readonly evidence: string }> {
    const { node, bootId } = order;
    const refuse = (why: string) => Promise.reject(new UnderstudyError('REFUSED', `${node} is not fenced: ${why}`));
    if (node === this.self.node) return refuse('it is this node');
    const off = this.confirmed.get(node);
    if (off?.bootId === bootId) return Promise.resolve({ evidence: off.evidence });
    const attempt = this.running.get(node);
    if (attempt !== undefined && attempt.bootId !== bootId) return refuse('another boot of it is being fenced');
    if (attempt !== undefined) {
      attempt.orders.push(order);
      return attempt.outcome;
    }
    const before = this.memory.get(node);
    if (before !== undefined && before.bootId !== bootId) this.memory.delete(node);
    else if (this.waitMs(node) > 0) return refuse(`the last attempt failed, the next is made in ${Math.ceil(this.waitMs(node) / 1000)} s`);
    const levels = this.devices.levels
      .map((level) => level.filter(({ nodes }) => nodes === null || nodes.includes(node)))
      .filter((level) => level.length > 0);
    if (levels.length === 0) return refuse('no configured fence can power it off');
    const orders = [order];
    const abort = new AbortController();
    const outcome = this.attempt(order, orders, levels, abort.signal);
    this.running.set(node, { bootId, orders, abort, outcome, seen: null });
    return outcome;
  }

  /** Ends attempts that nobody may want any more: a device still at work could power off the boot that came after. */
  withdraw(): void {
    for (const [node, { orders, abort }] of this.running) {
      const forbidden = orders.map((order) => order.forbidden());
      if (forbidden.every((why) => why !== null))
        abort.abort(new UnderstudyError('REFUSED', `${node} is no longer to be fenced: ${forbidden[0]}`));
    }
  }

  private async attempt(
    order: FenceOrder,
    orders: readonly FenceOrder[],
    levels: readonly (readonly FenceHandle[])[],
    signal: AbortSignal,
  ): Promise<{ readonly evidence: string }> {
    const { node, bootId, epoch } = order;
    const beganMs = this.clock.nowMs();
    const number = (this.memory.get(node)?.failures ?? 0) + 1;
    const about = { ...(order.group === null ? {} : { group: order.group }), epoch };
    const data = () => ({ node, bootId, attempt: number, elapsedMs: Math.round(this.clock.nowMs() - beganMs) });
    this.journal.write({
      kind: 'fence.begin',
      ...about,
      because: `${node} (boot ${bootId}, epoch ${epoch}) is to be seen off`,
      data: data(),
    });
    try {
      const evidence = await this.throughLevels(levels, { ...order, attempt: number }, orders, signal);
      this.memory.delete(node);
      this.confirmed.set(node, { bootId, evidence });
      this.journal.write({ kind: 'fence.confirmed', ...about, because: evidence, data: data() });
      return { evidence };
    } catch (error) {
      const because = reasonOf(error);
      const pauseMs = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (number - 1));
      this.memory.set(node, { bootId, failures: number, because, notBeforeMs: this.clock.nowMs() + pauseMs });
      this.journal.write({ kind: 'fence.failed', ...about, because, data: { ...data(), nextInMs: pauseMs } });
      throw error;
    } finally {
      this.running.delete(node);
    }
  }

  /** The first level that confirms is enough. */
  private async throughLevels(
    levels: readonly (readonly FenceHandle[])[],
    request: FenceOrder & { readonly attempt: number },
    orders: readonly FenceOrder[],
    signal: AbortSignal,
  ): Promise<string> {
    const failures: string[] = [];
    for (const level of levels) {
      const said: string[] = [];
      for (const handle of level) {
        const forbidden = orders.map((order) => order.forbidden());
        if (forbidden.every((why) => why !== null)) throw new UnderstudyError('REFUSED', `no longer to be fenced: ${forbidden[0]}`);
        const outcome = await this.call(handle, request, signal);
        if ('failed' in outcome) {
          failures.push(`${handle.name}: ${outcome.failed}`);
          break;
        }
        said.push(`${handle.name}: ${outcome.evidence}`);
      }
      if (said.length === level.length) return said.join('; ');
    }
    throw new UnderstudyError('FENCE_FAILED', failures.join('; '));
  }

  private async call(
    handle: FenceHandle,
    { node, bootId, epoch, attempt }: FenceOrder & { readonly attempt: number },
    withdrawn: AbortSignal,
  ): Promise<{ readonly evidence: string } | { readonly failed: string }> {
    if (this.stuck.has(handle)) return { failed: 'its last call has not ended yet' };
    let opened: Awaited<ReturnType<FenceHandle['open']>>;
    try {
      opened = await handle.open();
    } catch (error) {
      return { failed: reasonOf(error) };
    }
    const { device, limitMs } = opened;
    const tell = (seen: string): void => {
      const under = this.running.get(node);
      if (under?.bootId === bootId) under.seen = `${handle.name}: ${String(seen).slice(0, SEEN_LENGTH)}`;
    };
    const outcome = await bounded((signal) => device.fence({ node, bootId, epoch, attempt, signal, limitMs, tell }), {
      clock: this.clock,
      limitMs,
      graceMs: GRACE_MS,
      signal: withdrawn,
      onSettledLate: () => this.stuck.delete(handle),
    });
    if (outcome.kind === 'threw') return { failed: reasonOf(outcome.error) };
    if (outcome.kind !== 'value') {
      // A confirmation that comes after its time is no confirmation: the next attempt asks again.
      if (!outcome.settled) this.stuck.add(handle);
      return { failed: outcome.kind === 'aborted' ? reasonOf(outcome.error) : `no confirmation within ${limitMs} ms` };
    }
    const evidence: unknown = outcome.value?.evidence;
    return typeof evidence === 'string' && evidence !== '' ? { evidence } : { failed: 'it confirmed without saying what it saw' };
  }
}
