// The guard's questions to the arbiter: reads of several groups in one round trip, each with its orders; one CAS at a time
// per group; and what is known of the arbiter's own state. Answers become facts here; what they mean is the machine's.
import type { GroupId, NodeId } from '../model/ids.js';
import type { ArbiterView, GroupOrders, NodeOrders } from '../model/lease.js';
import type { Arbiter, Versioned } from '../ownership/arbiter.js';
import type { Found } from '../ownership/events.js';
import { type Parsed, parseGroupOrders, parseNodeOrders } from '../ownership/orders.js';
import { encodeRecord, parseRecord } from '../ownership/record-codec.js';
import { groupOrdersKey, leaseKey, nodeOrdersKey } from '../ownership/record.js';
import type { Attempt } from '../ownership/state.js';
import type { Clock } from '../system/clock.js';
import { type Answer, askInTime } from './deadline.js';
import { remembered } from './remembered.js';

export interface ReadOfGroup {
  readonly found: Found;
  readonly orders: { readonly group: GroupOrders; readonly node: NodeOrders } | { readonly invalid: string };
}

export type CasAnswer =
  | { readonly kind: 'done'; readonly version: string }
  | { readonly kind: 'conflict'; readonly found: Found }
  | { readonly kind: 'unknown'; readonly refused: boolean; readonly because: string };

export interface ArbiterDeskOptions {
  readonly arbiter: Arbiter;
  readonly clock: Clock;
  readonly cluster: string;
  readonly node: NodeId;
  readonly nodes: readonly NodeId[];
  /** Called when the arbiter's state changes. */
  readonly changed: (view: ArbiterView) => void;
  /** Orders of any node, whenever they were read. */
  readonly nodeOrders: (node: NodeId, orders: NodeOrders) => void;
}

type Waiting = {
  readonly group: GroupId;
  readonly answer: (read: ReadOfGroup | { readonly failed: string; readonly refused: boolean }) => void;
};

export class ArbiterDesk {
  readonly #options: ArbiterDeskOptions;
  #waiting: Waiting[] = [];
  #state: ArbiterView['state'] = 'unknown';
  #because = 'not asked yet';
  #answeredMs: number | null = null;
  #revision = 0;
  readonly #nodeKeys: readonly string[];
  readonly #groupKeys = new Map<GroupId, readonly [lease: string, orders: string]>();
  readonly #keysRead = new Map<GroupId, readonly string[]>();
  readonly #groupOrders = remembered(parseGroupOrders);
  readonly #nodeOrders = remembered(parseNodeOrders);
  readonly #records = remembered((text) => (text === null ? null : parseRecord(text)));

  constructor(options: ArbiterDeskOptions) {
    this.#options = options;
    this.#nodeKeys = options.nodes.map((node) => nodeOrdersKey(options.cluster, node));
  }

  /** Every key that a guard of these groups wants to hear of. */
  keys(groups: readonly GroupId[]): readonly string[] {
    return [...groups.flatMap((group) => this.#keysOf(group)), ...this.#nodeKeys];
  }

  /** Puts a group on the next read; nothing is sent before `flush`. */
  read(group: GroupId, answer: Waiting['answer']): void {
    this.#waiting.push({ group, answer });
  }

  /** Sends one read for all groups that wait. */
  flush(timeoutMs: number): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    const [{ group } = { group: '' }, ...more] = waiting;
    const keys = more.length === 0 ? this.#readKeys(group) : this.keys(waiting.map((one) => one.group));
    this.ask(
      timeoutMs,
      (arbiter, signal) => arbiter.read(keys, signal),
      (answer) => {
        if (answer.kind === 'none') for (const { answer: tell } of waiting) tell({ failed: answer.because, refused: answer.refused });
        else this.#tell(waiting, answer.value);
      },
    );
  }

  cas(group: GroupId, { expected, record }: Attempt, timeoutMs: number, tell: (answer: CasAnswer) => void): void {
    const [key] = this.#keysOf(group);
    this.ask(
      timeoutMs,
      (arbiter, signal) => arbiter.cas(key, expected, encodeRecord(record), signal),
      (answer) => {
        if (answer.kind === 'none') tell({ kind: 'unknown', refused: answer.refused, because: answer.because });
        else if (answer.value.outcome === 'done') tell({ kind: 'done', version: answer.value.version });
        else tell({ kind: 'conflict', found: foundOf(answer.value.current) });
      },
    );
  }

  /** Asks the arbiter anything, in time, and takes note of whether it answers. */
  ask<T>(timeoutMs: number, ask: (arbiter: Arbiter, signal: AbortSignal) => Promise<T>, tell: (answer: Answer<T>) => void): void {
    const { arbiter, clock } = this.#options;
    askInTime(
      clock,
      timeoutMs,
      (signal) => ask(arbiter, signal),
      (answer) => {
        this.#note(answer);
        tell(answer);
      },
    );
  }

  /** Grows with every change of the view's state and its reason. */
  get revision(): number {
    return this.#revision;
  }

  view(): ArbiterView {
    return {
      state: this.#state,
      ageMs: this.#answeredMs === null ? null : this.#options.clock.nowMs() - this.#answeredMs,
      because: this.#because,
    };
  }

  /** Of one group alone, as most nodes have: put together once. */
  #readKeys(group: GroupId): readonly string[] {
    const known = this.#keysRead.get(group);
    if (known !== undefined) return known;
    const keys = this.keys([group]);
    this.#keysRead.set(group, keys);
    return keys;
  }

  #keysOf(group: GroupId): readonly [lease: string, orders: string] {
    const known = this.#groupKeys.get(group);
    if (known !== undefined) return known;
    const { cluster } = this.#options;
    const keys = [leaseKey(cluster, group), groupOrdersKey(cluster, group)] as const;
    this.#groupKeys.set(group, keys);
    return keys;
  }

  #tell(waiting: readonly Waiting[], values: readonly (Versioned | null)[]): void {
    const { nodes, node, nodeOrders } = this.#options;
    let own: Parsed<NodeOrders> | null = null;
    for (const [index, id] of nodes.entries()) {
      const parsed = this.#nodeOrders(id, values[2 * waiting.length + index]?.value ?? null);
      if (parsed.kind === 'orders') nodeOrders(id, parsed.orders);
      if (id === node) own = parsed;
    }
    own ??= parseNodeOrders(null);
    for (const [index, { group: id, answer }] of waiting.entries()) {
      const group = this.#groupOrders(id, values[2 * index + 1]?.value ?? null);
      const orders =
        group.kind === 'invalid'
          ? { invalid: group.because }
          : own.kind === 'invalid'
            ? { invalid: own.because }
            : { group: group.orders, node: own.orders };
      answer({ found: this.#found(id, values[2 * index] ?? null), orders });
    }
  }

  #found(group: GroupId, value: Versioned | null): Found {
    const parsed = this.#records(group, value?.value ?? null);
    return value === null || parsed === null ? { kind: 'absent' } : { ...parsed, version: value.version };
  }

  #note(answer: Answer<unknown>): void {
    const [state, because] = [this.#state, this.#because];
    if (answer.kind === 'answer') {
      this.#state = 'ok';
      this.#because = 'it answers';
      this.#answeredMs = this.#options.clock.nowMs();
    } else {
      this.#state = answer.refused ? 'refused' : 'silent';
      this.#because = answer.because;
    }
    if (this.#state !== state || this.#because !== because) this.#revision += 1;
    if (this.#state !== state) this.#options.changed(this.view());
  }
}

/** What a lease key holds, as the ownership machine takes it. */
export const foundOf = (value: Versioned | null): Found => {
  if (value === null) return { kind: 'absent' };
  const parsed = parseRecord(value.value);
  return parsed.kind === 'record' ? { ...parsed, version: value.version } : { ...parsed, version: value.version };
};
