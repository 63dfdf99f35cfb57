// Start order of a group's resources. Pure; used by the check of the file and by to-desired, so that both mean the same.
// Invariant: `startOrder` is stable: among the resources that may come next, the first in the file comes first.
import type { ResourceId } from '../model/ids.js';

export interface Ordered {
  readonly id: ResourceId;
  /** null: after the previous resource in the file. */
  readonly after: readonly ResourceId[] | null;
}

/** Direct predecessors of each resource; names that do not exist are left out. */
export const predecessors = (resources: readonly Ordered[]): ReadonlyMap<ResourceId, readonly ResourceId[]> => {
  const known = new Set(resources.map(({ id }) => id));
  return new Map(
    resources.map(({ id, after }, index) => {
      const previous = resources[index - 1]?.id;
      const wanted = after ?? (previous === undefined ? [] : [previous]);
      return [id, [...new Set(wanted)].filter((one) => known.has(one))];
    }),
  );
};

/** One cycle, as the path that comes back to its beginning, or null. */
export const findCycle = (resources: readonly Ordered[]): readonly ResourceId[] | null => {
  const before = predecessors(resources);
  const done = new Set<ResourceId>();
  for (const { id } of resources) {
    const path: ResourceId[] = [];
    const walk = (at: ResourceId): readonly ResourceId[] | null => {
      if (done.has(at)) return null;
      if (path.includes(at)) return [...path.slice(path.indexOf(at)), at];
      path.push(at);
      for (const next of before.get(at) ?? []) {
        const cycle = walk(next);
        if (cycle !== null) return cycle;
      }
      path.pop();
      done.add(at);
      return null;
    };
    const cycle = walk(id);
    if (cycle !== null) return cycle;
  }
  return null;
};

/** The resources in start order. What stands in a cycle keeps its place in the file, behind all others. */
export const startOrder = <T extends Ordered>(resources: readonly T[]): readonly T[] => {
  const before = predecessors(resources);
  const placed = new Set<ResourceId>();
  const order: T[] = [];
  const rest = [...resources];
  while (rest.length > 0) {
    const next = rest.findIndex(({ id }) => (before.get(id) ?? []).every((one) => placed.has(one)));
    const [resource] = rest.splice(Math.max(0, next), 1);
    if (resource === undefined) break;
    placed.add(resource.id);
    order.push(resource);
  }
  return order;
};
