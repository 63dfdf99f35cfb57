// One ownership machine played by hand: the test is its guard, its store and its peers. And the records it meets.
import { NO_GROUP_ORDERS, NO_NODE_ORDERS, type Will } from '../../core/model/lease.js';
import type { Found, OwnershipEffect, OwnershipEvent } from '../../core/ownership/events.js';
import { machine } from '../../core/ownership/machine.js';
import type { LeaseRecord } from '../../core/ownership/record.js';
import { type OwnershipPolicy, type OwnershipState, initialState } from '../../core/ownership/state.js';
import { LAN } from './lease-world.js';

export type Happening = OwnershipEvent extends infer Event
  ? Event extends { readonly nowMs: number }
    ? Omit<Event, 'nowMs'>
    : never
  : never;
type Of<Kind extends OwnershipEffect['kind']> = Extract<OwnershipEffect, { kind: Kind }>;

/** One machine on node a, and everything it wanted. */
export class Bench {
  state: OwnershipState;
  nowMs = 10_000;
  all: OwnershipEffect[] = [];
  #last: readonly OwnershipEffect[] = [];

  constructor(policy: Partial<OwnershipPolicy> = {}, maxEpochSeen = 0) {
    this.state = initialState(
      {
        self: 'a',
        bootId: 'a1',
        instance: 'i',
        group: 'g',
        members: ['a', 'b'],
        timing: LAN,
        fencing: 'watchdog',
        takeover: 'lease',
        confirm: 'renewal',
        watchdog: false,
        cfgHash: 'cfg',
        failsafe: { peerLost: 'stop', arbiterLossMoveMs: 60_000 },
        ...policy,
      },
      this.nowMs,
      maxEpochSeen,
    );
  }

  step(happening: Happening): this {
    const [state, effects] = machine(this.state, { ...happening, nowMs: this.nowMs } as OwnershipEvent);
    this.state = state;
    this.#last = effects;
    this.all.push(...effects);
    return this;
  }

  /** Lets time pass in ticks of 50 ms, the store silent. */
  pass(ms: number): this {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs = Math.min(endMs, this.nowMs + 50);
      this.step({ kind: 'tick', gapMs: 50 });
    }
    return this;
  }

  start = () => this.step({ kind: 'start', leftover: { kind: 'nothing', stoppedEpoch: 0 } });
  will = (will: Partial<Will> = {}) =>
    this.step({
      kind: 'will',
      will: { group: 'g', want: 'hold', rank: 0, blockers: [], preemptOk: true, successor: null, because: 'test', ...will },
      saidMs: this.nowMs,
    });

  /** Answers the read that is under way. */
  read(found: Found, orders = NO_GROUP_ORDERS): this {
    const id = this.state.reading?.id;
    if (id === undefined) throw new Error('no read is under way');
    return this.step({ kind: 'read-done', readId: id, found, orders: { group: orders, node: NO_NODE_ORDERS } });
  }

  /** Answers the read under way, or the next one. */
  nextRead(found: Found, orders = NO_GROUP_ORDERS): this {
    for (let turns = 0; turns < 10 && this.state.reading === null; turns += 1) this.pass(50);
    return this.read(found, orders);
  }

  done = (version = 'next') => this.step({ kind: 'cas-done', attemptId: this.attempt.id, version });
  conflict = (found: Found) => this.step({ kind: 'cas-conflict', attemptId: this.attempt.id, found });
  unknown = () => this.step({ kind: 'cas-unknown', attemptId: this.attempt.id, because: 'silence' });

  get attempt() {
    if (this.state.writing === null) throw new Error('no write is under way');
    return this.state.writing;
  }

  last<Kind extends OwnershipEffect['kind']>(kind: Kind): Of<Kind> | undefined {
    return this.#last.findLast((effect): effect is Of<Kind> => effect.kind === kind);
  }

  said = (event: string): boolean => this.all.some((effect) => effect.kind === 'journal' && effect.event === event);

  /** Observes `seen` for W with a fresh will, the store answering every read, and acquires. */
  observeFor(ms: number, seen: Found): this {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs && this.state.writing === null; ) {
      this.pass(50);
      if (this.state.writing === null && this.state.reading !== null) this.read(seen);
      if (this.state.writing === null) this.will();
    }
    return this;
  }

  /** A machine that holds epoch 8. */
  static holding(policy: Partial<OwnershipPolicy> = {}): Bench {
    const bench = new Bench(policy).start().read(released()).will().pass(100);
    if (bench.state.reading !== null) bench.read(released());
    return bench.done('v8');
  }
}

export const record = (change: Partial<LeaseRecord> = {}): LeaseRecord => ({
  v: 1,
  epoch: 7,
  holder: 'b',
  bootId: 'b1',
  nonce: 'n',
  seq: 70,
  state: 'HELD',
  fencing: [],
  ttlW: 3_000,
  d: 1_250,
  members: [
    { id: 'a', bootId: '' },
    { id: 'b', bootId: 'b1' },
  ],
  inSync: [
    { id: 'a', bootId: 'a1' },
    { id: 'b', bootId: 'b1' },
  ],
  successor: null,
  watchdog: true,
  reason: '',
  prevHolder: null,
  cfgHash: 'cfg',
  ...change,
});
export const heldByB = (change: Partial<LeaseRecord> = {}, version = 'v70'): Found => ({ kind: 'record', record: record(change), version });
export const released = (change: Partial<LeaseRecord> = {}): Found =>
  heldByB({ state: 'RELEASED', holder: null, prevHolder: 'b', ...change }, 'v71');
export const beatOfB = (change: Partial<Extract<Happening, { kind: 'beat' }>['group'] & object> = {}): Happening => ({
  kind: 'beat',
  from: 'b',
  bootId: 'b1',
  cfgHash: 'cfg',
  group: { group: 'g', epoch: 7, seq: 70, version: 'v70', phase: 'held', stopped: false, ...change },
});
