// What the loaded plugins add to the config's language, and the whole way from a config file to a checked config with its
// plugins: find, peek at what it wants loaded, load, check.
import { dirname } from 'node:path';
import type { Catalogue, CatalogueAgent } from '../config/catalogue.js';
import type { ClusterConfig } from '../config/cluster-config.js';
import { type FindOptions, findConfig } from '../config/find.js';
import { z } from '../config/fields.js';
import { parseConfig, peekConfig } from '../config/parse.js';
import { configError, type Problem } from '../config/problem.js';
import { loadPlugins, type LoadPluginsOptions } from './load.js';
import type { Registry } from './registry.js';

export interface CatalogueOptions {
  /** The arbiter whose options shall be known; the others stay unloaded. */
  readonly arbiter: string | null;
  /** The fences whose options shall be known. */
  readonly fences?: readonly string[];
  /** At run time: see Catalogue.lenient. */
  readonly lenient?: boolean;
}

/** Everything the registry knows, in the shape the config room takes. */
export const catalogueOf = async (registry: Registry, { arbiter, fences = [], lenient = false }: CatalogueOptions): Promise<Catalogue> => {
  const agents = registry.agentTypes.flatMap((type): [string, CatalogueAgent][] => {
    const definition = registry.agent(type);
    return definition === undefined ? [] : [[type, definition]];
  });
  const arbiters = registry.arbiterNames.map(
    async (name) => [name, name === arbiter ? ((await registry.arbiter(name)) ?? null) : null] as const,
  );
  const fenceEntries = registry.fenceNames.map(
    async (name) => [name, fences.includes(name) ? ((await registry.fence(name)) ?? null) : null] as const,
  );
  const settings = registry.found.flatMap(({ name }) => {
    const schema = registry.settingsOwner(name)?.settings;
    return schema === undefined ? [] : [[name, schema] as const];
  });
  return {
    agents: Object.fromEntries(agents),
    arbiters: Object.fromEntries(await Promise.all(arbiters)),
    fences: Object.fromEntries(await Promise.all(fenceEntries)),
    settings: Object.fromEntries(settings),
    lenient,
  };
};

/** For toDesired at run time: an agent that no loaded plugin has stands in the plan all the same; `instance` says what is wrong. */
export const agentsOf =
  (registry: Registry) =>
  (type: string): CatalogueAgent =>
    registry.agent(type) ?? { summary: `no loaded plugin has an agent "${type}"`, options: z.record(z.string(), z.unknown()) };

export interface OpenConfigOptions extends FindOptions, Omit<LoadPluginsOptions, 'configured' | 'baseDirectory' | 'settings'> {
  /** Daemons: a broken plugin faults its own resources. Default false: it is a problem, as `check` wants it. */
  readonly lenient?: boolean;
}

export interface OpenedConfig {
  readonly config: ClusterConfig;
  readonly registry: Registry;
  readonly warnings: readonly Problem[];
}

/** Rejects with CONFIG_NOT_FOUND, CONFIG_NEEDS_BUILD, CONFIG_INVALID, TIMING_UNSAFE or PLUGIN_INVALID. */
export const openConfig = async ({ lenient = false, ...options }: OpenConfigOptions = {}): Promise<OpenedConfig> => {
  const { file, text } = await findConfig(options);
  const { plugins, arbiter, fences, settings } = peekConfig(text, file);
  const registry = await loadPlugins({ ...options, configured: plugins, baseDirectory: dirname(file), settings });
  const parsed = parseConfig(text, file, await catalogueOf(registry, { arbiter, fences, lenient }));
  if ('problems' in parsed) throw configError(parsed.problems);
  return { config: parsed.config, registry, warnings: parsed.warnings };
};
