// One resource as this node has it, from the config alone: for its long-lived process and for commands. Built-in plugins only.
import type { ClusterConfig } from '../config/cluster-config.js';
import { resolvedOptions } from '../config/references.js';
import { strict } from '../config/walk-schema.js';
import { UnderstudyError } from '../errors/errors.js';
import type { NodeId } from '../model/ids.js';
import { type BuiltInAgent, type BuiltInAgents, builtInAgents } from '../plugin/builtin-agents.js';
import type { LocalResource } from '../plugin/local-resource.js';
import { readBootId } from '../system/boot.js';
import { loadGuardConfig } from './guard-config.js';
import { type DaemonOptions, nodeOf, pathsOf } from './options.js';

/** Which one. */
export interface ResourceChoice {
  readonly group: string;
  readonly resource: string;
}

/** Throws USAGE, CONFIG_INVALID, NODE_UNKNOWN. */
export const localResource = async (which: ResourceChoice, options: DaemonOptions): Promise<LocalResource> => {
  const { env } = process;
  const paths = pathsOf(options);
  const [{ config }, agents] = await Promise.all([loadGuardConfig(options, paths, env), builtInAgents()]);
  const node = nodeOf(config, options, env);
  const { use } = resourceOf(config, which);
  const { group, resource } = which;
  return {
    cluster: config.cluster,
    node,
    bootId: readBootId(paths),
    group,
    resource,
    use,
    options: optionsOn(config, agents, which, node),
    peers: (config.groups.find(({ id }) => id === group)?.prefer ?? []).filter((id) => id !== node),
    paths,
  };
};

/** Throws USAGE with what there is. */
export const resourceOf = (
  { groups, file }: ClusterConfig,
  { group, resource }: ResourceChoice,
): ClusterConfig['groups'][number]['resources'][number] => {
  const found = groups.find(({ id }) => id === group)?.resources.find(({ id }) => id === resource);
  if (found !== undefined) return found;
  const known = groups.flatMap(({ id, resources }) => resources.map((each) => `${id}.${each.id}`));
  throw new UnderstudyError('USAGE', `${file} has no resource ${group}.${resource}; there are: ${known.join(', ') || 'none'}`);
};

export const ownerOf = (config: ClusterConfig, agents: BuiltInAgents, which: ResourceChoice): BuiltInAgent => {
  const { use } = resourceOf(config, which);
  const owner = agents.get(use);
  if (owner === undefined) throw new UnderstudyError('PLUGIN_INVALID', `no built-in plugin has an agent "${use}"`);
  return owner;
};

/** The options on a node as the agent's schema makes them. Throws CONFIG_INVALID. */
export const optionsOn = (config: ClusterConfig, agents: BuiltInAgents, which: ResourceChoice, node: NodeId): unknown => {
  const { group, resource } = which;
  const own = resourceOf(config, which);
  const resources = config.groups.find(({ id }) => id === group)?.resources ?? [];
  const { options: schema } = ownerOf(config, agents, which).definition;
  const { options, problems } = resolvedOptions(own, { group, node, resources, agent: (type) => agents.get(type)?.definition });
  const parsed = strict(schema).safeParse(options);
  const wrong = [
    ...problems.map(({ message }) => message),
    ...(parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
  ];
  if (!parsed.success || wrong.length > 0)
    throw new UnderstudyError('CONFIG_INVALID', `${config.file}: ${group}.${resource} on ${node}: ${wrong.join('; ')}`);
  return parsed.data;
};
