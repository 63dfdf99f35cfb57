// I-8, seen from outside (SAFETY a.8): how long each holder says it may act, against what it was really given. The deadline on
// a lease page is at most D behind the sending of a renewal that happened, or of a round that every member of the record
// granted; and who granted acquires nothing before its W is over, unless the holder's end is there for all to see. It hears
// what guards send and what the store wrote, and compares on the clock of the host that counts.
import type { Message } from '../membership/contract.js';
import type { Epoch, GroupId, NodeId } from '../model/ids.js';
import type { Timing } from '../model/timing.js';
import type { LeasePage } from '../ownership/page.js';
import type { LeaseRecord } from '../ownership/record.js';
import type { SimNode } from './sim-node.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

export interface PromiseWatchOptions {
  readonly world: World;
  readonly group: GroupId;
  readonly nodes: readonly SimNode[];
  readonly timing: Timing;
  /** The last record that could be read. */
  readonly record: () => LeaseRecord | null;
}

interface Round {
  readonly sentMs: number;
  /** Who asks: an answer may be given when that boot is long over. */
  readonly bootId: string;
  readonly granted: Set<NodeId>;
  /** It was sent against the word of the store: it extends nothing. */
  readonly refused: boolean;
}

interface Given {
  readonly to: NodeId;
  readonly epoch: Epoch;
  readonly holderBootId: string;
  readonly untilMs: number;
}

/** A host that slept is noticed at the next tick of its guard, and what it counted until then is a little younger. */
const UNNOTICED_MS = 300;
/** A sleep of up to 50 ms counts as none (SAFETY a.3), in steps of 10 ms: a part of what ε is for. */
const SHORT_SLEEP_MS = 60;
const MAX_OPEN = 500;

export class PromiseWatch {
  readonly #o: PromiseWatchOptions;
  /** Writes on their way, by nonce. */
  readonly #sent = new Map<string, number>();
  /** `boot epoch`: when the last write that happened was sent, by the clock of its host. */
  readonly #renewed = new Map<string, number>();
  /** `holder epoch round`. */
  readonly #rounds = new Map<string, Round>();
  /** Guards to which the store has said no, and to what. A write that is allowed says that reads are. */
  readonly #refused = new Map<number, 'read' | 'write'>();
  /** By boot of who gave it. */
  readonly #given = new Map<string, Given>();
  /** The last epoch that a boot said to be stopped: also before the promise, which may answer a question that was long on its way. */
  readonly #stopped = new Map<string, Epoch>();

  constructor(options: PromiseWatchOptions) {
    this.#o = options;
  }

  sent({ node, trueMs }: SimProcess, { nonce, seq }: LeaseRecord): void {
    if (this.#sent.size > MAX_OPEN) this.#sent.delete(this.#sent.keys().next().value ?? '');
    this.#sent.set(`${nonce} ${seq}`, bootClock(node, trueMs));
  }

  written({ node, pid }: SimProcess, { nonce, seq, epoch }: LeaseRecord): void {
    // It was allowed after all; who lost the answer learns it by reading.
    if (this.#refused.get(pid) === 'write') this.#refused.set(pid, 'read');
    const sentMs = this.#sent.get(`${nonce} ${seq}`);
    if (sentMs === undefined) return;
    const name = `${node.bootId} ${epoch}`;
    this.#renewed.set(name, Math.max(this.#renewed.get(name) ?? 0, sentMs));
  }

  says({ node, trueMs, pid }: SimProcess, to: NodeId | 'all', message: Message): void {
    const { group, nodes, timing, record, world } = this.#o;
    if ((message.kind !== 'ask' && message.kind !== 'grant') || message.group !== group) return;
    const { epoch, round } = message;
    if (message.kind === 'ask') {
      const name = `${node.id} ${epoch} ${round}`;
      if (!this.#rounds.has(name))
        this.#rounds.set(name, {
          sentMs: bootClock(node, trueMs),
          bootId: node.bootId,
          granted: new Set(),
          refused: this.#refused.has(pid),
        });
      if (this.#rounds.size > MAX_OPEN) this.#rounds.delete(this.#rounds.keys().next().value ?? '');
      return;
    }
    world.mark('promise given');
    const asked = this.#rounds.get(`${to} ${epoch} ${round}`);
    asked?.granted.add(node.id);
    const holder = nodes.find(({ id }) => id === to);
    if (holder === undefined) return;
    const holderBootId = asked?.bootId ?? holder.bootId;
    const waitMs = Math.max(timing.takeoverWaitMs, record()?.epoch === epoch ? (record()?.ttlW ?? 0) : 0);
    // It counts from when it was decided: a guard may be stopped before it says so, and the round is older than either.
    this.#given.set(node.bootId, { to: holder.id, epoch, holderBootId, untilMs: bootClock(node, world.nowMs) + waitMs });
  }

  /** SAFETY a.8: promises are for a store that is silent. One that refuses has the last word, until it allows the same again. */
  told({ pid }: SimProcess, what: 'read' | 'write', refused: boolean): void {
    if (refused) return void this.#refused.set(pid, this.#refused.get(pid) === 'write' ? 'write' : what);
    if (what === 'write' || this.#refused.get(pid) === 'read') this.#refused.delete(pid);
    return undefined;
  }

  /** A guard says of itself that nothing of this epoch is left. */
  stopped({ node }: SimProcess, epoch: Epoch): void {
    this.#stopped.set(node.bootId, Math.max(epoch, this.#stopped.get(node.bootId) ?? 0));
  }

  /** A page that says HELD was written. */
  page(node: SimNode, page: LeasePage): void {
    const { world, timing } = this.#o;
    const counted = Math.max(
      this.#renewed.get(`${page.bootId} ${page.epoch}`) ?? Number.NEGATIVE_INFINITY,
      this.#lastFullRound(node, page.epoch),
    );
    if (page.deadlineBootMs <= counted + timing.selfFenceMs + SHORT_SLEEP_MS) return;
    const overMs = Math.round(page.deadlineBootMs - counted - timing.selfFenceMs);
    world.violate('I-8', `${node.id} takes epoch ${page.epoch} for ${overMs} ms longer than its last renewal or full round allows`);
  }

  /** A node sends an acquisition. */
  acquires({ node, trueMs }: SimProcess, { epoch }: LeaseRecord): void {
    const { world, nodes, record } = this.#o;
    const given = this.#given.get(node.bootId);
    if (given === undefined || epoch <= given.epoch) return;
    const holder = nodes.find(({ id }) => id === given.to);
    const there = record();
    const gone = holder === undefined || !holder.powered || holder.bootId !== given.holderBootId;
    const released = there !== null && (there.epoch > given.epoch || there.state === 'RELEASED');
    const leftMs = Math.round(given.untilMs - bootClock(node, trueMs));
    if (leftMs <= UNNOTICED_MS) return world.mark('promise kept to its end');
    const ended = (this.#stopped.get(given.holderBootId) ?? 0) >= given.epoch;
    if (gone || released || ended) return world.mark('promise discharged');
    return world.violate(
      'I-8',
      `${node.id} acquires epoch ${epoch} ${leftMs} ms before the end of its promise to ${given.to} for epoch ${given.epoch}`,
    );
  }

  /** All of them, never a majority: every member of the record but the holder. */
  #lastFullRound(node: SimNode, epoch: Epoch): number {
    const members = (this.#o.record()?.members ?? []).filter(({ id }) => id !== node.id);
    let lastMs = Number.NEGATIVE_INFINITY;
    for (const [name, { sentMs, granted, refused }] of this.#rounds)
      if (!refused && name.startsWith(`${node.id} ${epoch} `) && members.every(({ id }) => granted.has(id)))
        lastMs = Math.max(lastMs, sentMs);
    return lastMs;
  }
}

/** CLOCK_BOOTTIME of a host, as its guard reads it. */
const bootClock = (node: SimNode, trueMs: number): number => node.monoMs(trueMs) + node.bootOffsetMs();
