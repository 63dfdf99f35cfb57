// What the guard and the supervisor need to know of agents without loading any: which groups are mirrored, and which long-lived
// processes a node has. Asked once, where the config is compiled; built-in plugins alone, so no code of users runs here.
import 'reflect-metadata';
import { pathToFileURL } from 'node:url';
import type { ClusterConfig } from '../config/cluster-config.js';
import { mirrorProblems, volumesOf } from '../config/mirrors.js';
import { pathText } from '../config/problem.js';
import { UnderstudyError } from '../errors/errors.js';
import type { GroupId, NodeId, ResourceId } from '../model/ids.js';
import { checkPlugin } from './check.js';
import type { AgentDefinition, Plugin } from './contract.js';
import { discoverPlugins } from './discover.js';
import { openDoor } from './door.js';

/** One long-lived process, and where it runs. */
export interface ProcessPlan {
  /** `disk-mirror/mirror`. */
  readonly process: string;
  readonly group: GroupId;
  readonly resource: ResourceId;
  readonly nodes: readonly NodeId[];
  readonly port: number;
}

export interface BuiltInAgent {
  readonly plugin: Plugin;
  readonly definition: AgentDefinition;
}

/** By type. */
export type BuiltInAgents = ReadonlyMap<string, BuiltInAgent>;

/** The groups with a mirror. Throws CONFIG_INVALID where a mirror cannot work. */
export const mirroredGroups = (config: ClusterConfig, agents: BuiltInAgents): readonly GroupId[] => {
  const isMirror = (type: string) => agents.get(type)?.definition.mirror === true;
  const problems = mirrorProblems(config, isMirror);
  if (problems.length > 0)
    throw new UnderstudyError(
      'CONFIG_INVALID',
      problems.map(({ path, message, hint }) => `${config.file}: ${pathText(path)}: ${message} (${hint})`).join('\n'),
    );
  return [...new Set(volumesOf(config.groups, isMirror).map(({ group }) => group.id))];
};

export const processPlans = (config: ClusterConfig, agents: BuiltInAgents): readonly ProcessPlan[] =>
  volumesOf(config.groups, (type) => agents.get(type)?.definition.process !== undefined).map(({ group, resource, index }) => {
    const owner = agents.get(resource.use);
    return {
      process: `${owner?.plugin.name}/${owner?.definition.process}`,
      group: group.id,
      resource: resource.id,
      nodes: group.prefer,
      port: config.ports.mirror + index,
    };
  });

/** Every agent of the built-in plugins. One that is broken has none, and `plugins list` says why. */
export const builtInAgents = async (): Promise<BuiltInAgents> => {
  openDoor();
  const candidates = await discoverPlugins({ builtin: true, configured: [], baseDirectory: '/', directories: [] });
  const found = new Map<string, BuiltInAgent>();
  for (const { file } of candidates) {
    if (file === null) continue;
    const { plugin } = checkPlugin(((await import(pathToFileURL(file).href)) as { readonly default?: unknown }).default);
    for (const [type, definition] of Object.entries(plugin?.agents ?? {})) if (plugin !== null) found.set(type, { plugin, definition });
  }
  return found;
};
