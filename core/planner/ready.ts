// Which actions of a plan may begin now. The whole contract between plan and executor in one function, used by both the
// scheduler and the simulation.
import type { Action, Plan } from '../model/plan.js';

/** Actions of which nothing is left in the plan that must be done first, and that are not under way already. */
export const readyActions = ({ actions }: Plan, inFlight: ReadonlySet<string>): readonly Action[] => {
  const planned = new Set(actions.map(({ id }) => id));
  return actions.filter(({ id, after }) => !inFlight.has(id) && after.every((earlier) => !planned.has(earlier)));
};
