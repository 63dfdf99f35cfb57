// The one place that owns the ownership states. Events are handled strictly one after the other, never inside one another,
// and an effect is carried out before the next event is looked at; nothing here waits. Answers come back as events with the
// numbers of their questions, so what belongs to an earlier question is recognised and dropped by the machine.
import type { GroupId } from '../model/ids.js';
import type { LeasePhase } from '../model/lease.js';
import type { OwnershipEffect, OwnershipEvent } from '../ownership/events.js';
import { machine, nextWakeMs } from '../ownership/machine.js';
import type { OwnershipState } from '../ownership/state.js';
import type { Clock, Timer } from '../system/clock.js';
import type { LeaseClock } from './lease-clock.js';

/** An event as its source gives it; the owner adds the time at which it is handled. */
export type Happening = OwnershipEvent extends infer Event
  ? Event extends { readonly nowMs: number }
    ? Omit<Event, 'nowMs'>
    : never
  : never;

export interface OwnerOptions {
  readonly clock: Clock;
  readonly leaseClock: LeaseClock;
  readonly states: readonly OwnershipState[];
  readonly perform: (group: GroupId, effect: OwnershipEffect) => void;
  /** All events so far are handled: send what was gathered, and tell what changed unless only time has passed. */
  readonly settled: (news: boolean) => void;
  /** Sees every event that was handled, with the phase before and after it. */
  readonly turned?: TurnWatch | undefined;
}

/** For whoever counts what was tried: coverage of (phase, event) pairs. */
export type TurnWatch = (group: GroupId, before: LeasePhase, event: Happening['kind'], after: LeasePhase) => void;

/** Timers are not set finer than this; a deadline is never missed by it, only met later. */
const TIMER_STEP_MS = 0.5;

export class Owner {
  readonly #options: OwnerOptions;
  readonly #states = new Map<GroupId, OwnershipState>();
  readonly #wakes = new Map<GroupId, number>();
  readonly #queue: { readonly group: GroupId; readonly happening: Happening }[] = [];
  /** The states in the order of the groups; null after a change, until somebody asks. */
  #list: readonly OwnershipState[] | null = null;
  #busy = false;
  #closed = false;
  #news = false;
  #timer: { readonly atMs: number; readonly timer: Timer } | null = null;
  #tickedMs: number;

  constructor(options: OwnerOptions) {
    this.#options = options;
    this.#tickedMs = options.leaseClock.nowMs();
    for (const state of options.states) this.#states.set(state.policy.group, state);
  }

  get states(): readonly OwnershipState[] {
    return (this.#list ??= [...this.#states.values()]);
  }

  state(group: GroupId): OwnershipState | undefined {
    return this.#states.get(group);
  }

  dispatch(group: GroupId | 'all', happening: Happening): void {
    if (this.#closed) return;
    if (group !== 'all') this.#queue.push({ group, happening });
    else for (const target of this.#states.keys()) this.#queue.push({ group: target, happening });
    if (!this.#busy) this.#drain();
  }

  /** Time passed: every group looks at its deadlines. Returns how long nobody had looked. */
  tick(): number {
    const gapMs = this.#lookAtTime();
    this.dispatch('all', { kind: 'tick', gapMs });
    return gapMs;
  }

  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#timer?.timer.cancel();
  }

  #drain(): void {
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#handle(next.group, next.happening);
      const news = this.#news;
      this.#news = false;
      this.#options.settled(news);
      // What settling has caused (an answer that was there at once) belongs to this turn.
    } finally {
      this.#busy = false;
    }
    if (this.#queue.length > 0 && !this.#closed) return this.#drain();
    return this.#schedule();
  }

  #handle(group: GroupId, happening: Happening): void {
    const before = this.#states.get(group);
    if (before === undefined) return;
    const [after, effects] = machine(before, eventAt(happening, this.#options.leaseClock.eventMs()));
    this.#states.set(group, after);
    this.#list = null;
    if (happening.kind !== 'tick' || effects.length > 0) this.#news = true;
    this.#options.turned?.(group, before.phase, happening.kind, after.phase);
    for (const effect of effects) this.#options.perform(group, effect);
    this.#wakes.set(group, nextWakeMs(after));
  }

  #schedule(): void {
    if (this.#closed) return;
    let atMs = Number.POSITIVE_INFINITY;
    for (const wakeMs of this.#wakes.values()) atMs = Math.min(atMs, wakeMs);
    if (this.#timer !== null && Math.abs(this.#timer.atMs - atMs) < TIMER_STEP_MS) return;
    this.#timer?.timer.cancel();
    this.#timer = null;
    if (!Number.isFinite(atMs) && atMs > 0) return;
    const waitMs = Math.max(TIMER_STEP_MS, atMs - this.#options.leaseClock.nowMs());
    this.#timer = { atMs, timer: this.#options.clock.after(Math.ceil(waitMs), () => this.#wake()) };
  }

  /** Only the groups that asked for this moment. */
  #wake(): void {
    this.#timer = null;
    const gapMs = this.#lookAtTime();
    const nowMs = this.#options.leaseClock.nowMs() + TIMER_STEP_MS;
    const due = [...this.#wakes].filter(([, atMs]) => atMs <= nowMs).map(([group]) => group);
    for (const group of due) this.#queue.push({ group, happening: { kind: 'tick', gapMs } });
    if (!this.#busy) this.#drain();
  }

  #lookAtTime(): number {
    const nowMs = this.#options.leaseClock.nowMs();
    const gapMs = nowMs - this.#tickedMs;
    this.#tickedMs = nowMs;
    return gapMs;
  }
}

/** Most are ticks, and those are made in one piece. */
const eventAt = (happening: Happening, nowMs: number): OwnershipEvent =>
  happening.kind === 'tick' ? { kind: 'tick', gapMs: happening.gapMs, nowMs } : ({ ...happening, nowMs } as OwnershipEvent);
