// ClusterConfig to DesiredState for one node: the node's options applied and parsed by the agents' schemas, defaults
// filled in, resources in start order. Pure: the catalogue of agents is an argument.
import { frozenDeep } from './frozen.js';
import type { NodeId } from '../model/ids.js';
import type { DesiredGroup, DesiredResource, DesiredState } from '../model/desired.js';
import type { CatalogueAgent } from './catalogue.js';
import type { ClusterConfig, GroupConfig, ResourceConfig } from './cluster-config.js';
import { complaintsOf } from './describe-issue.js';
import { predecessors, startOrder } from './order.js';
import { isFencedByEpoch } from './parse-groups.js';
import { pathText, type Problem } from './problem.js';
import { resolvedOptions } from './references.js';
import { strict } from './walk-schema.js';

/** Milliseconds. The agent's definition may say otherwise, and the file has the last word. */
export const RESOURCE_DEFAULTS = { everyMs: 10_000, monitorTimeoutMs: 20_000, startTimeoutMs: 60_000, stopTimeoutMs: 60_000 } as const;

export type Desired = { readonly desired: DesiredState } | { readonly problems: readonly Problem[] };

/** What shall be, as `node` sees it. Problems carry no line: parseConfig with a catalogue finds the same ones with theirs. */
export const toDesired = (config: ClusterConfig, agents: (type: string) => CatalogueAgent | undefined, node: NodeId): Desired => {
  const problems: Problem[] = [];
  const groups = config.groups.map((group) => desiredGroup(group, agents, node, config.file, problems));
  if (problems.length > 0) return { problems };
  const { cluster, cfgHash, timing } = config;
  const nodes = config.nodes.map(({ id }) => id);
  const devices = config.fencing.levels.flat();
  const fenceable = nodes.filter((id) => devices.some((device) => device.nodes === null || device.nodes.includes(id)));
  return { desired: { cluster, cfgHash, nodes, timing, fencing: config.fencing.policy, fenceable, groups } };
};

const desiredGroup = (
  group: GroupConfig,
  agents: (type: string) => CatalogueAgent | undefined,
  node: NodeId,
  file: string,
  problems: Problem[],
): DesiredGroup => {
  const { id, prefer, failback, takeover, failover, hooks } = group;
  const before = predecessors(group.resources);
  const resources = startOrder(group.resources).flatMap((resource) => {
    const agent = agents(resource.use);
    const say = (path: readonly (string | number)[], message: string, hint?: string) =>
      problems.push({
        file,
        line: 1,
        column: 1,
        path: pathText(['groups', id, 'resources', resource.id, ...path]),
        message,
        ...(hint === undefined ? {} : { hint }),
      });
    if (agent === undefined) {
      say(['use'], `there is no agent "${resource.use}"`);
      return [];
    }
    const { options, problems: unresolved } = resolvedOptions(resource, { group: id, node, resources: group.resources, agent: agents });
    for (const { path, message, hint } of unresolved) say(path, message, hint);
    if (unresolved.length > 0) return [];
    const parsed = strict(agent.options).safeParse(options);
    if (!parsed.success) {
      for (const complaint of complaintsOf(parsed.error, strict(agent.options), options))
        say(complaint.path, complaint.message, complaint.hint);
      return [];
    }
    return [desiredResource(resource, agent, frozenDeep(parsed.data), before.get(resource.id) ?? [])];
  });
  return { id, prefer, failback, takeover, resources, failover, hooks };
};

const desiredResource = (resource: ResourceConfig, agent: CatalogueAgent, options: unknown, after: readonly string[]): DesiredResource => {
  const { id, use, critical, tolerance, unknownLimit, restart } = resource;
  const period = (name: keyof typeof RESOURCE_DEFAULTS): number => resource[name] ?? agent.defaults?.[name] ?? RESOURCE_DEFAULTS[name];
  return {
    id,
    type: use,
    options,
    after,
    critical,
    operations: agent.operations ?? 'on-off',
    promotable: agent.promotable ?? false,
    fencedByEpoch: isFencedByEpoch(agent, options),
    everyMs: period('everyMs'),
    monitorTimeoutMs: period('monitorTimeoutMs'),
    startTimeoutMs: period('startTimeoutMs'),
    stopTimeoutMs: period('stopTimeoutMs'),
    tolerance,
    unknownLimit,
    restart,
  };
};
