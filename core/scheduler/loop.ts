// When a cycle runs: at once when something happened (the guard spoke, a look or an action ended, an order came), many
// happenings of one turn together, never two cycles at once, and at least every second, for the wills. A cycle that always
// causes the next gives way to the event loop after a while: sockets and timers come first then.
import { inject, injectable } from 'tsyringe';
import { Clock, type Timer } from '../system/clock.js';
import { Cycle } from './cycle.js';
import { Facts } from './facts.js';
import { Health } from './health.js';
import { Observer } from './observe.js';
import { Executor } from './execute.js';
import { DesiredSource } from './ports.js';
import { Reactions } from './reactions.js';
import type { GuardView } from '../model/lease.js';

/** Wills are good for 3 s at the guard; a missed second must not cost the lease (DESIGN 4). */
const BEAT_MS = 900;
/** Cycles in a row without giving way. */
const MAX_IN_A_ROW = 32;

@injectable()
export class Loop {
  private beat: Timer | null = null;
  private wanted: string | null = null;
  private running = false;
  private stopped = true;
  private tidying = false;
  private readonly listeners = new Set<() => void>();
  private inARow = 0;
  private cyclesRun = 0;

  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Cycle) private readonly cycle: Cycle,
    @inject(Facts) private readonly facts: Facts,
    @inject(Observer) private readonly observer: Observer,
    @inject(Executor) private readonly executor: Executor,
    @inject(Reactions) private readonly reactions: Reactions,
    @inject(Health) private readonly health: Health,
    @inject(DesiredSource) private readonly config: DesiredSource,
  ) {}

  get cycles(): number {
    return this.cyclesRun;
  }

  /** Called after cycles, many of one turn together, behind whatever they began. Returns the way to end it. */
  onCycle(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Looks at every resource before anything else: what runs is adopted, never started again. */
  start(): void {
    this.stopped = false;
    this.observer.onLooked(() => this.soon('a resource was looked at'));
    this.executor.onEnded(() => this.soon('an action ended'));
    this.facts.selfBlockers = () => this.health.blockers();
    this.health.start();
    this.observer.start(this.config.desired().groups);
    this.beat = this.clock.every(BEAT_MS, () => this.now('a second has passed'));
    this.soon('the controller began');
  }

  stop(): void {
    this.stopped = true;
    this.beat?.cancel();
    this.health.stop();
    this.observer.stop();
  }

  /** The guard's view changed: what it means for running actions first, then a cycle, all in this turn. */
  guardSpoke(view: GuardView): void {
    if (this.stopped) return;
    this.reactions.view(view);
    this.now('the guard spoke');
  }

  /** In this very turn, unless a cycle is running: then right behind it. For what must not wait, a lease that was won. */
  now(why: string): void {
    if (this.stopped) return;
    if (this.running) {
      this.soon(why);
      return;
    }
    this.wanted = null;
    this.running = true;
    try {
      this.cycle.run(why);
      this.cyclesRun += 1;
    } finally {
      this.running = false;
    }
    if (this.tidying) return;
    this.tidying = true;
    this.clock.soon(() => {
      this.tidying = false;
      if (this.stopped) return;
      this.reactions.afterCycle();
      for (const listener of this.listeners) listener();
    });
  }

  /** At the end of this turn, together with whatever else happens in it. */
  soon(why: string): void {
    if (this.wanted !== null || this.stopped) return;
    this.wanted = why;
    this.inARow += 1;
    if (this.inARow === 1) this.clock.soon(() => (this.inARow = 0));
    if (this.inARow > MAX_IN_A_ROW) this.clock.soon(() => this.runWanted());
    else queueMicrotask(() => this.runWanted());
  }

  private runWanted(): void {
    if (this.wanted !== null) this.now(this.wanted);
  }
}
