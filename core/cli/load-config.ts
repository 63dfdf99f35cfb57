// The config as a command needs it: found, checked with its plugins, and as every node would see it. Touches nothing else.
import type { ClusterConfig } from '../config/cluster-config.js';
import { configError, type Problem } from '../config/problem.js';
import { toDesired } from '../config/to-desired.js';
import type { DesiredState } from '../model/desired.js';
import type { NodeId } from '../model/ids.js';
import { agentsOf, openConfig } from '../plugin/catalogue-of.js';
import type { Registry } from '../plugin/registry.js';

export interface LoadedConfig {
  readonly config: ClusterConfig;
  readonly registry: Registry;
  readonly warnings: readonly Problem[];
  readonly desiredOf: (node: NodeId) => DesiredState;
}

/** Rejects with every problem of the file, each with its line. */
export const loadConfig = async (file: string | undefined): Promise<LoadedConfig> => {
  const opened = await openConfig({ env: process.env, ...(file === undefined ? {} : { config: file }) });
  return {
    ...opened,
    desiredOf: (node) => {
      const made = toDesired(opened.config, agentsOf(opened.registry), node);
      if ('problems' in made) throw configError(made.problems);
      return made.desired;
    },
  };
};
