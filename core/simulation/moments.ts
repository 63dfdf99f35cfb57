// When a planned fault happens, and to whom: at a time of the plan, or at a moment that shows itself to anybody outside (an
// acquisition is sent, an epoch is won, a guard fences itself); to a node by its name, or by what it is then.
import type { NodeId } from '../model/ids.js';
import type { ClusterWorld } from './cluster-world.js';
import type { Fault, Moment, Role } from './fault-plan.js';

/** Calls `act` once for each node that the fault is about, when it is its time; never where nobody has that part. */
export const whenItIsTime = (cluster: ClusterWorld, fault: Fault, act: (fault: Fault) => void): void => {
  const { world } = cluster;
  const { on } = fault;
  const happen = (it: NodeId | null) => {
    for (const named of namedIn(cluster, fault, it)) act(named);
  };
  if (on === undefined) return void world.at(fault.atMs, () => happen(null));
  world.at(fault.atMs, () => waitFor(cluster, on, (it) => world.after(fault.afterMs ?? 0, () => happen(it))));
};

const waiting = new WeakMap<ClusterWorld, { readonly moment: Moment; readonly act: (it: NodeId) => void }[]>();

/** The first such moment from now on. */
const waitFor = (cluster: ClusterWorld, moment: Moment, act: (it: NodeId) => void): void => {
  const there = waiting.get(cluster);
  if (there !== undefined) return void there.push({ moment, act });
  waiting.set(cluster, [{ moment, act }]);
  cluster.oracle.onMoment = (happened, it) => {
    const all = waiting.get(cluster) ?? [];
    const due = all.filter((one) => one.moment === happened);
    waiting.set(
      cluster,
      all.filter((one) => one.moment !== happened),
    );
    for (const one of due) one.act(it);
  };
};

/** The same fault with names in the place of roles: none, one, or one for each of the others. */
const namedIn = (cluster: ClusterWorld, fault: Fault, it: NodeId | null): readonly Fault[] => {
  const { holder } = cluster.oracle;
  const others = cluster.nodes.map(({ id }) => id).filter((id) => id !== holder);
  const nodes: Readonly<Record<Role, readonly NodeId[]>> = {
    '@holder': holder === null ? [] : [holder],
    '@others': holder === null ? [] : others,
    '@it': it === null ? [] : [it],
  };
  return (['node', 'from', 'to'] as const).reduce<readonly Fault[]>(
    (all, field) =>
      all.flatMap((one) => {
        const value = (one as unknown as Record<string, unknown>)[field];
        const found = typeof value === 'string' ? nodes[value as Role] : undefined;
        return found === undefined ? [one] : found.map((id) => ({ ...one, [field]: id }) as Fault);
      }),
    [fault],
  );
};
