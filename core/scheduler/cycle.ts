// One turn of the house, from top to bottom: config → desired → observed → plan → actions → results → journal. Start reading
// here. Synchronous: it begins actions and waits for nothing; their results are the observed facts of a later cycle.
import { inject, injectable } from 'tsyringe';
import { reasonOf } from '../errors/errors.js';
import type { DesiredState } from '../model/desired.js';
import type { ObservedState } from '../model/observed.js';
import type { Plan } from '../model/plan.js';
import { Clock } from '../system/clock.js';
import { Executor } from './execute.js';
import { Facts } from './facts.js';
import { Health } from './health.js';
import { Incidents } from './incidents.js';
import { CaptureStore, DesiredSource, GuardDoor, Planner } from './ports.js';

/** What the last cycle saw and decided: what status shows. */
export interface LastCycle {
  readonly desired: DesiredState;
  readonly observed: ObservedState;
  readonly plan: Plan;
}

@injectable()
export class Cycle {
  last: LastCycle | null = null;

  constructor(
    @inject(DesiredSource) private readonly config: DesiredSource,
    @inject(Facts) private readonly facts: Facts,
    @inject(Planner) private readonly plan: Planner,
    @inject(GuardDoor) private readonly guard: GuardDoor,
    @inject(Executor) private readonly executor: Executor,
    @inject(Incidents) private readonly incidents: Incidents,
    @inject(Health) private readonly health: Health,
    @inject(CaptureStore) private readonly captures: CaptureStore,
    @inject(Clock) private readonly clock: Clock,
  ) {}

  run(why: string): void {
    const desired = this.config.desired();
    const observed = this.facts.snapshot();
    const plan = this.decide(desired, observed, why);
    const begun = this.executor.begin(plan, desired);
    this.guard.wills(plan.wills, this.health.loopLagMs);
    this.incidents.settle(plan, () => this.facts.snapshot());
    if (begun > 0) this.captures.keep({ v: 1, at: this.clock.wallIso(), why, desired, observed, plan, error: null });
    this.last = { desired, observed, plan };
  }

  /** A planner that throws is a programmer's error: its input is kept, and the process ends for its supervisor to restart. */
  private decide(desired: DesiredState, observed: ObservedState, why: string): Plan {
    try {
      return this.plan(desired, observed);
    } catch (error) {
      this.captures.keep({ v: 1, at: this.clock.wallIso(), why, desired, observed, plan: null, error: reasonOf(error) });
      throw error;
    }
  }
}
