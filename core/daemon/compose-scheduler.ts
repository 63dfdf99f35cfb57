// The scheduler's own classes, one of each in a container. What they need of other rooms is registered by the composition
// root, or by a test, under the tokens of core/scheduler/ports.
import type { DependencyContainer } from 'tsyringe';
import { Contexts } from '../scheduler/contexts.js';
import { Cycle } from '../scheduler/cycle.js';
import { Executor } from '../scheduler/execute.js';
import { Facts } from '../scheduler/facts.js';
import { Failures } from '../scheduler/failures.js';
import { FenceCheck } from '../scheduler/fence-check.js';
import { Fences } from '../scheduler/fences.js';
import { HardStopLists } from '../scheduler/hard-stop.js';
import { Health } from '../scheduler/health.js';
import { Hooks } from '../scheduler/hooks.js';
import { Incidents } from '../scheduler/incidents.js';
import { Loop } from '../scheduler/loop.js';
import { Observer } from '../scheduler/observe.js';
import { Perform } from '../scheduler/perform.js';
import { Quarantine } from '../scheduler/quarantine.js';
import { Reactions } from '../scheduler/reactions.js';
import { WarmUp } from '../scheduler/warm-up.js';

export const registerScheduler = (container: DependencyContainer): void => {
  for (const service of [
    Contexts,
    Cycle,
    Executor,
    Facts,
    Failures,
    FenceCheck,
    Fences,
    HardStopLists,
    Health,
    Hooks,
    Incidents,
    Loop,
    Observer,
    Perform,
    Quarantine,
    Reactions,
    WarmUp,
  ]) {
    container.registerSingleton(service as never);
  }
};
