// Desired state from the checked config, for this node and, for dry runs, for the others. Made once: a changed config is a
// restart of the controller, which costs the services nothing.
import { toDesired } from '../config/to-desired.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import { configError } from '../config/problem.js';
import type { DesiredState } from '../model/desired.js';
import type { NodeId } from '../model/ids.js';
import { agentsOf } from '../plugin/catalogue-of.js';
import type { Registry } from '../plugin/registry.js';
import type { DesiredByNode } from '../api/plan-view.js';
import { withPluginHooks } from '../scheduler/hooks.js';
import type { DesiredSource } from '../scheduler/ports.js';

/** Throws CONFIG_INVALID when an agent's schema refuses its options. */
export const desiredFrom = (config: ClusterConfig, registry: Registry, self: NodeId): DesiredSource & DesiredByNode => {
  const known = new Map<NodeId, DesiredState>();
  const desiredOn = (node: NodeId): DesiredState => {
    const before = known.get(node);
    if (before !== undefined) return before;
    const made = toDesired(config, agentsOf(registry), node);
    if ('problems' in made) throw configError(made.problems);
    const desired = {
      ...made.desired,
      groups: made.desired.groups.map((group) => ({ ...group, hooks: withPluginHooks(group.hooks, registry) })),
    };
    known.set(node, desired);
    return desired;
  };
  desiredOn(self);
  return { desired: () => desiredOn(self), desiredOn };
};
