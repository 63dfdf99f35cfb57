// plan(desired, observed): what this node shall do now, from its own viewpoint. Pure and level-triggered: made anew from
// fresh facts in every cycle, right after being cut anywhere. The steps of one group, in this order, are the whole planner:
// facts → the first matching rule → actions → will.
import type { DesiredGroup, DesiredState } from '../model/desired.js';
import type { Will } from '../model/lease.js';
import type { ObservedState } from '../model/observed.js';
import type { Action, GroupVerdict, Plan } from '../model/plan.js';
import { evict, leave, lookAround, run } from './expand.js';
import { factsOf, type Facts } from './facts.js';
import type { Ruled, Verdict } from './course.js';
import { decide } from './rules.js';
import {
  afterStarts,
  beforeItFences,
  beforeStarts,
  beforeStops,
  droppedMove,
  fenceAction,
  forPromises,
  inBackground,
  notes,
  waitingMove,
} from './transition.js';
import { willOf } from './wills.js';

/**
 * The plan of this cycle. An action may begin when none of its `after` ids is among the plan's actions; the executor skips
 * ids in flight and never has two actions of one resource under way.
 */
export const plan = (desired: DesiredState, observed: ObservedState): Plan => {
  const groups = desired.groups.map((group) => planGroup(desired, observed, group));
  return {
    actions: groups.flatMap(({ actions }) => actions),
    wills: groups.map(({ will }) => will),
    verdicts: groups.map(({ verdict }) => verdict),
  };
};

const planGroup = (
  desired: DesiredState,
  observed: ObservedState,
  group: DesiredGroup,
): { readonly actions: readonly Action[]; readonly will: Will; readonly verdict: GroupVerdict } => {
  const facts = factsOf(desired, observed, group);
  const decided = decide(facts);
  const actions = actionsOf(facts, decided);
  const { state, rule, because, nextCommand } = decided;
  return {
    actions,
    will: willOf(facts, decided, actions),
    verdict: { group: group.id, state, rule, because: [because, ...asides(facts, decided)].join('; '), nextCommand },
  };
};

const actionsOf = (facts: Facts, decided: Ruled): readonly Action[] => {
  const { course, rule, because } = decided;
  switch (course.kind) {
    case 'wait':
      return [];
    case 'stand-by':
      return lookAround({ facts, rule, gate: [] });
    case 'evict':
      return evict({ facts, rule, gate: [] }, because);
    case 'leave': {
      const hook = beforeStops(facts, decided);
      const noted = facts.held ? notes(facts, decided) : [];
      return [...present(hook), ...leave({ facts, rule, gate: present(hook).map(({ id }) => id) }, because), ...noted];
    }
    case 'fence':
      return [...course.nodes.map((node) => fenceAction(facts, rule, node)), ...lookAround({ facts, rule, gate: [] })];
    case 'run': {
      const hook = beforeStarts(facts, decided, []);
      const steps = run({ facts, rule, gate: present(hook).map(({ id }) => id) });
      const after = [...present(afterStarts(facts, decided, steps)), ...notes(facts, decided), ...present(inBackground(facts, decided))];
      return [...forPromises(facts, decided), ...present(beforeItFences(facts, decided)), ...present(hook), ...steps, ...after];
    }
  }
};

const present = (action: Action | null): readonly Action[] => (action === null ? [] : [action]);

/** What people should know beside the reason: an ordered move that is not made. */
const asides = (facts: Facts, { course }: Verdict): readonly string[] =>
  course.kind === 'run' ? [droppedMove(facts), waitingMove(facts)].filter((aside) => aside !== null) : [];
