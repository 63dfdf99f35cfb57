// The registry: what all usable plugins contribute. Frozen when made; agents are built when first asked for.
// Invariant: whatever is wrong with a plugin is told by the call that needs it (PLUGIN_INVALID), never by a crash.
import type { DependencyContainer } from 'tsyringe';
import { isRecord } from '../config/problem.js';
import { frozenDeep } from '../config/frozen.js';
import { didYouMean } from '../config/nearest.js';
import type { HookPoint } from '../model/desired.js';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { Clock } from '../system/clock.js';
import { buildAgent, pluginContainer } from './build-agent.js';
import type {
  Agent,
  AgentDefinition,
  ArbiterDefinition,
  CommandDefinition,
  FenceContext,
  FenceDefinition,
  FenceDevice,
  HookDefinition,
  LabServiceDefinition,
  Plugin,
} from './contract.js';
import { strict } from '../config/walk-schema.js';
import { within } from './deadline.js';
import type { FoundPlugin, Registry } from './registry.js';

/** One candidate after loading. */
export interface Loaded {
  /** null when it has problems. */
  readonly plugin: Plugin | null;
  readonly found: FoundPlugin;
  /** Agent types that a broken plugin would have had, as far as can be seen. */
  readonly brokenTypes: readonly string[];
}

export interface RegistrySurroundings {
  readonly container: DependencyContainer;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
}

const LIMIT_MS = 15_000;

export class FrozenRegistry implements Registry {
  readonly found: readonly FoundPlugin[];
  readonly agentTypes: readonly string[];
  readonly arbiterNames: readonly string[];
  readonly fenceNames: readonly string[];
  readonly commandNames: readonly string[];
  readonly labServices: Registry['labServices'];
  readonly #plugins: readonly Plugin[];
  readonly #loaded: readonly Loaded[];
  readonly #around: RegistrySurroundings;
  readonly #containers = new Map<Plugin, Promise<DependencyContainer>>();
  readonly #agents = new Map<string, Promise<Agent>>();

  constructor(loaded: readonly Loaded[], around: RegistrySurroundings) {
    this.#loaded = [...loaded];
    this.#around = around;
    this.#plugins = loaded.flatMap(({ plugin }) => plugin ?? []);
    const names = (member: 'agents' | 'arbiters' | 'fences' | 'commands') =>
      Object.freeze(this.#plugins.flatMap((plugin) => Object.keys(plugin[member] ?? {})).sort());
    this.found = Object.freeze(
      loaded.map(({ found }) =>
        Object.freeze({ ...found, contributions: Object.freeze([...found.contributions]), problems: Object.freeze([...found.problems]) }),
      ),
    );
    this.agentTypes = names('agents');
    this.arbiterNames = names('arbiters');
    this.fenceNames = names('fences');
    this.commandNames = names('commands');
    this.labServices = Object.freeze(
      this.#plugins.flatMap((plugin) =>
        Object.entries(plugin.labServices ?? {}).map(([name, load]) =>
          Object.freeze({
            plugin: plugin.name,
            name,
            load: () => this.#load<LabServiceDefinition>(plugin, `lab service ${name}`, load, ['summary', 'start']),
          }),
        ),
      ),
    );
    Object.freeze(this);
  }

  agent(type: string): AgentDefinition | undefined {
    const plugin = this.#owner('agents', type);
    return plugin?.agents?.[type] as AgentDefinition | undefined;
  }

  instance(type: string): Promise<Agent> {
    const known = this.#agents.get(type);
    if (known !== undefined) return known;
    const building = this.#build(type);
    this.#agents.set(type, building);
    // A failure is not kept: what provide needs (a metadata service, say) may come later.
    building.catch(() => this.#agents.delete(type));
    return building;
  }

  hooks(point: HookPoint): readonly { readonly plugin: string; readonly definition: HookDefinition }[] {
    return this.#plugins.flatMap(({ name, hooks }) => {
      const definition = hooks !== undefined && Object.hasOwn(hooks, point) ? hooks[point] : undefined;
      return definition === undefined ? [] : [{ plugin: name, definition }];
    });
  }

  async arbiter(name: string): Promise<ArbiterDefinition | undefined> {
    const plugin = this.#owner('arbiters', name);
    const load = plugin?.arbiters?.[name];
    return plugin === undefined || load === undefined
      ? undefined
      : this.#load<ArbiterDefinition>(plugin, `arbiter ${name}`, load, ['summary', 'options', 'open']);
  }

  async fence(name: string): Promise<FenceDefinition | undefined> {
    const plugin = this.#owner('fences', name);
    const load = plugin?.fences?.[name];
    return plugin === undefined || load === undefined
      ? undefined
      : this.#load<FenceDefinition>(plugin, `fence ${name}`, load, ['summary', 'options', 'open']);
  }

  async openFence(name: string, options: unknown, context: Omit<FenceContext, 'service'>): Promise<FenceDevice> {
    const plugin = this.#owner('fences', name);
    const definition = await this.fence(name);
    if (plugin === undefined || definition === undefined) {
      const hint = didYouMean(name, this.fenceNames) ?? `there are: ${this.fenceNames.join(', ') || 'none'}`;
      throw new UnderstudyError('PLUGIN_INVALID', `no loaded plugin has a fence "${name}": ${hint}`);
    }
    const refuse = (why: string, cause?: unknown) =>
      new UnderstudyError('PLUGIN_INVALID', `plugin ${plugin.name}: fence ${name} ${why}`, { cause, plugin: plugin.name });
    const parsed = strict(definition.options).safeParse(options);
    if (!parsed.success)
      throw refuse(`has wrong options: ${parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`);
    const container = await this.#container(plugin);
    try {
      const opening = definition.open(frozenDeep(parsed.data), { ...context, service: (token) => container.resolve(token) });
      const device = await within(this.#around.clock, LIMIT_MS, 'open', Promise.resolve(opening));
      const lacking = (['fence', 'close'] as const).filter((member) => typeof (device as Partial<FenceDevice>)[member] !== 'function');
      if (lacking.length > 0) throw new TypeError(`the device lacks ${lacking.join(', ')}`);
      return device;
    } catch (cause) {
      throw refuse(`could not be opened: ${reasonOf(cause)}`, cause);
    }
  }

  async command(name: string): Promise<CommandDefinition | undefined> {
    const plugin = this.#owner('commands', name);
    const load = plugin?.commands?.[name];
    return plugin === undefined || load === undefined
      ? undefined
      : this.#load<CommandDefinition>(plugin, `command ${name}`, load, ['summary', 'example', 'run']);
  }

  settingsOwner(key: string): Plugin | undefined {
    return this.#plugins.find(({ name, settings }) => name === key && settings !== undefined);
  }

  #owner(member: 'agents' | 'arbiters' | 'fences' | 'commands', name: string): Plugin | undefined {
    return this.#plugins.find((plugin) => Object.hasOwn(plugin[member] ?? {}, name));
  }

  async #build(type: string): Promise<Agent> {
    const plugin = this.#owner('agents', type);
    const definition = this.agent(type);
    if (plugin === undefined || definition === undefined) throw this.#unknownAgent(type);
    const container = await this.#container(plugin);
    return buildAgent(plugin, type, definition, container, this.#around.clock);
  }

  #container(plugin: Plugin): Promise<DependencyContainer> {
    const known = this.#containers.get(plugin);
    if (known !== undefined) return known;
    const making = pluginContainer(plugin, this.#around.settings[plugin.name], this.#around.container, this.#around.clock);
    this.#containers.set(plugin, making);
    making.catch(() => this.#containers.delete(plugin));
    return making;
  }

  /** Loads a lazy contribution; a second call is answered by the module cache. */
  async #load<T>(plugin: Plugin, what: string, load: () => Promise<unknown>, needed: readonly string[]): Promise<T> {
    const refuse = (why: string, cause?: unknown) =>
      new UnderstudyError('PLUGIN_INVALID', `plugin ${plugin.name}: ${what} ${why}`, { cause, plugin: plugin.name });
    let definition: unknown;
    try {
      definition = await within(this.#around.clock, LIMIT_MS, 'its loader', Promise.resolve(load()));
    } catch (cause) {
      throw refuse(`could not be loaded: ${reasonOf(cause)}`, cause);
    }
    // `() => import('./witness.js')` brings a module; its default export is meant.
    const meant: unknown = isRecord(definition) && isRecord(definition['default']) ? definition['default'] : definition;
    const missing = isRecord(meant) ? needed.filter((key) => meant[key] === undefined) : needed;
    if (missing.length > 0) throw refuse(`lacks ${missing.join(', ')}`);
    return meant as T;
  }

  #unknownAgent(type: string): UnderstudyError {
    const culprit = this.#loaded.find(({ brokenTypes }) => brokenTypes.includes(type));
    const suspects = this.#loaded.filter(({ found }) => found.problems.length > 0);
    const why = (loaded: Loaded) =>
      `plugin ${loaded.found.name} (${loaded.found.origin}) cannot be used: ${loaded.found.problems.join('; ')}`;
    if (culprit !== undefined)
      return new UnderstudyError('PLUGIN_INVALID', `no agent "${type}": ${why(culprit)}`, { plugin: culprit.found.name });
    const hint =
      suspects.length > 0
        ? suspects.map(why).join(' · ')
        : (didYouMean(type, this.agentTypes) ?? `there are: ${this.agentTypes.join(', ')}`);
    return new UnderstudyError('PLUGIN_INVALID', `no plugin has an agent "${type}": ${hint}`);
  }
}
