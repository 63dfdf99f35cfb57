// Makes an agent from what its plugin gave: an object as it is, a class built by the container with what it asks for, or
// what a loader function brings. Each plugin has a container of its own, so what it provides is seen by its agents only.
import 'reflect-metadata';
import { container as root, type DependencyContainer, Lifecycle } from 'tsyringe';
import { frozenDeep } from '../config/frozen.js';
import { strict } from '../config/walk-schema.js';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { Clock } from '../system/clock.js';
import { agentProblems, isClass } from './check.js';
import type { Agent, AgentDefinition, Plugin, Register } from './contract.js';
import { within } from './deadline.js';

export type Services = ReadonlyMap<symbol, unknown>;

/** How long `provide` and a loader may take: a plugin that hangs must fault its resources, not the start. */
const LIMIT_MS = 15_000;

/** What agents of all plugins may ask for, on top of a container of the caller's if there is one. */
export const containerOf = (services: Services, parent: DependencyContainer = root): DependencyContainer => {
  const container = parent.createChildContainer();
  for (const [token, value] of services) container.register(token, { useValue: value });
  return container;
};

/** The container of one plugin, with what its `provide` registers. Rejects with PLUGIN_INVALID. */
export const pluginContainer = async (
  plugin: Plugin,
  settings: unknown,
  parent: DependencyContainer,
  clock: Clock,
): Promise<DependencyContainer> => {
  const container = parent.createChildContainer();
  if (plugin.provide === undefined) return container;
  const parsed = plugin.settings === undefined ? undefined : strict(plugin.settings).safeParse(settings ?? {});
  if (parsed !== undefined && !parsed.success) {
    throw invalid(
      plugin,
      `its settings are wrong: ${parsed.error.issues.map(({ path, message }) => `${[plugin.name, ...path].join('.')}: ${message}`).join('; ')}`,
    );
  }
  const register: Register = {
    value: (token, value) => void container.register(token, { useValue: value }),
    class: (token, constructor) => void container.register(token, { useClass: constructor as never }, { lifecycle: Lifecycle.Singleton }),
  };
  try {
    await within(clock, LIMIT_MS, 'provide', Promise.resolve(plugin.provide(register, frozenDeep(parsed?.data))));
  } catch (cause) {
    throw invalid(plugin, `provide failed: ${reasonOf(cause)}`, cause);
  }
  return container;
};

/** One agent, built. Rejects with PLUGIN_INVALID. */
export const buildAgent = async (
  plugin: Plugin,
  type: string,
  definition: AgentDefinition,
  container: DependencyContainer,
  clock: Clock,
): Promise<Agent> => {
  const refuse = (why: string, cause?: unknown) => invalid(plugin, `agent ${type} ${why}`, cause);
  let source: unknown = definition.agent;
  if (typeof source === 'function' && !isClass(source)) {
    const load = source as () => Promise<unknown>;
    try {
      source = moduleDefault(await within(clock, LIMIT_MS, 'its loader', Promise.resolve(load())));
    } catch (cause) {
      throw refuse(`could not be loaded: ${reasonOf(cause)}`, cause);
    }
  }
  const problems = agentProblems(source, definition);
  if (problems.length > 0) throw refuse(problems.join('; '));
  if (!isClass(source)) return source as Agent;
  let agent: unknown;
  try {
    const tokens: unknown = 'inject' in source ? source.inject : undefined;
    agent = Array.isArray(tokens)
      ? new source(...(tokens.map((token) => container.resolve(token as symbol)) as never[]))
      : container.resolve(source as new () => unknown);
  } catch (cause) {
    throw refuse(`could not be built: ${reasonOf(cause)}`, cause);
  }
  const missing = agentProblems(agent, definition);
  if (missing.length > 0) throw refuse(missing.join('; '));
  return agent as Agent;
};

/** `() => import('./agent.js')` brings a module; its default export is meant. */
const moduleDefault = (loaded: unknown): unknown =>
  typeof loaded === 'object' && loaded !== null && Object.prototype.toString.call(loaded) === '[object Module]' && 'default' in loaded
    ? loaded.default
    : loaded;

const invalid = (plugin: Plugin, why: string, cause?: unknown): UnderstudyError =>
  new UnderstudyError('PLUGIN_INVALID', `plugin ${plugin.name}: ${why}`, { cause, plugin: plugin.name });
