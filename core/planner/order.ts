// The start order of a group as a graph of indexes. Resources stand in start order (config/to-desired sorts them), so one
// pass forwards sees every predecessor first, and one pass backwards every dependent first: no sorting, no search.
import type { DesiredGroup } from '../model/desired.js';

export interface Graph {
  /** Direct predecessors of each resource: started before it, stopped after it. */
  readonly before: readonly (readonly number[])[];
  /** Direct dependents of each resource. */
  readonly behind: readonly (readonly number[])[];
}

/** A group is made once from the config and planned in every cycle; its graph goes with it. */
const known = new WeakMap<DesiredGroup, Graph>();

/** @throws when a resource comes after one that does not stand before it: a defect of whoever made the group. */
export const graphOf = (group: DesiredGroup): Graph => {
  const graph = known.get(group) ?? build(group);
  known.set(group, graph);
  return graph;
};

const build = (group: DesiredGroup): Graph => {
  const index = new Map<string, number>();
  const before: number[][] = [];
  const behind: number[][] = [];
  group.resources.forEach((resource, at) => {
    index.set(resource.id, at);
    behind.push([]);
    before.push(
      resource.after.map((id) => {
        const earlier = index.get(id);
        if (earlier === undefined || earlier === at)
          throw new Error(`${group.id}/${resource.id} comes after ${id}, which does not stand before it`);
        behind[earlier]?.push(at);
        return earlier;
      }),
    );
  });
  return { before, behind };
};

/** What must be waited for, without doubles. Mostly one list or none has anything in it: that costs no copy. */
export const union = (lists: readonly (readonly string[])[]): readonly string[] => {
  let found: readonly string[] = [];
  for (const list of lists) {
    if (list.length === 0 || list === found) continue;
    if (found.length > 0) return [...new Set(lists.flat())];
    found = list;
  }
  return found;
};
