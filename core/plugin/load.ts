// Loads what was discovered and makes the registry. A plugin that is wrong in any way is listed with its problems and
// contributes nothing; nothing it does while loading reaches the others. Invariant: the registry never changes once made.
import { pathToFileURL } from 'node:url';
import type { DependencyContainer } from 'tsyringe';
import type { PluginReference } from '../config/cluster-config.js';
import { isRecord } from '../config/problem.js';
import { reasonOf } from '../errors/errors.js';
import { type Clock, systemClock } from '../system/clock.js';
import { distrustOf, TRUST_HINT, trustOf } from '../system/trusted-program.js';
import { containerOf, type Services } from './build-agent.js';
import { checkPlugin, onlyBuiltIn } from './check.js';
import type { Plugin } from './contract.js';
import { within } from './deadline.js';
import { type Candidate, discoverPlugins, PLUGIN_DIRECTORY } from './discover.js';
import { openDoor } from './door.js';
import { integrityOf } from './integrity.js';
import { FrozenRegistry, type Loaded } from './frozen-registry.js';
import type { FoundPlugin, Registry } from './registry.js';

export interface LoadPluginsOptions {
  /** The plugins of this package. Default true. */
  readonly builtin?: boolean;
  /** `plugins:` of the config. */
  readonly configured?: readonly PluginReference[];
  /** The directory of the config file. Default: the working directory. */
  readonly baseDirectory?: string;
  /** Default: /etc/understudy/plugins. */
  readonly directories?: readonly string[];
  /** What agents may be injected with, by token. */
  readonly services?: Services;
  /** Registered services of the caller; the plugins' containers are its children. */
  readonly container?: DependencyContainer;
  /** `settings` of the config: what each plugin's `provide` is given. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly clock?: Clock;
  /** Whether files must belong to root. Default: whether this process does. */
  readonly trustRootOnly?: boolean;
}

/** Importing one file may take so long; a module that awaits for ever at its top must not hold the start. */
const IMPORT_LIMIT_MS = 15_000;

/** Finds, loads and checks every plugin. Never rejects because of a plugin. */
export const loadPlugins = async ({
  builtin = true,
  configured = [],
  baseDirectory = process.cwd(),
  directories = [PLUGIN_DIRECTORY],
  services = new Map(),
  container,
  settings = {},
  clock = systemClock,
  trustRootOnly = process.getuid?.() === 0,
}: LoadPluginsOptions = {}): Promise<Registry> => {
  openDoor();
  const candidates = await discoverPlugins({ builtin, configured, baseDirectory, directories });
  // One after the other: two at once would make the order of their side effects a matter of chance.
  const loaded: Loaded[] = [];
  for (const candidate of candidates) loaded.push(await loadOne(candidate, clock, trustRootOnly, loaded));
  return new FrozenRegistry(loaded, { container: containerOf(services, container), settings, clock });
};

const loadOne = async (candidate: Candidate, clock: Clock, trustRootOnly: boolean, before: readonly Loaded[]): Promise<Loaded> => {
  const refused = (problems: readonly string[], exported: unknown = null): Loaded => ({
    plugin: null,
    found: foundAs(candidate, exported, problems),
    brokenTypes: keysOf(exported, 'agents'),
  });
  if (candidate.file === null) return refused([candidate.problem ?? 'was not found']);
  let exported: unknown;
  try {
    const distrust = trustRootOnly && !candidate.builtIn ? distrustOf(candidate.file, trustOf(process.env)) : null;
    if (distrust !== null) return refused([`${candidate.file} is not loaded as root: ${distrust}. ${TRUST_HINT}`]);
    const found = candidate.integrity === null ? null : integrityOf(candidate.file);
    if (found !== candidate.integrity)
      return refused([
        `${candidate.file} is not the file that the config pins: it has ${found}, and integrity says ${candidate.integrity}`,
      ]);
    const module = (await within(clock, IMPORT_LIMIT_MS, 'loading', import(pathToFileURL(candidate.file).href))) as {
      readonly default?: unknown;
    };
    exported = module.default;
  } catch (cause) {
    return refused([`could not be loaded: ${reasonOf(cause)}`]);
  }
  const { plugin, problems } = checkPlugin(exported);
  if (plugin === null) return refused(problems, exported);
  const reserved = candidate.builtIn ? [] : onlyBuiltIn(plugin);
  if (reserved.length > 0) return refused(reserved, exported);
  const clashes = clashesWith(plugin, before);
  if (clashes.length > 0) return { ...refused(clashes, exported), brokenTypes: [] };
  return { plugin: frozen(plugin), found: foundAs(candidate, plugin, []), brokenTypes: [] };
};

const keysOf = (value: unknown, member: string): readonly string[] => {
  const members = isRecord(value) ? value[member] : undefined;
  return isRecord(members) ? Object.keys(members) : [];
};

const foundAs = (candidate: Candidate, exported: unknown, problems: readonly string[]): FoundPlugin => {
  const name = isRecord(exported) && typeof exported['name'] === 'string' ? exported['name'] : candidate.name;
  const version =
    isRecord(exported) && typeof exported['version'] === 'string' ? exported['version'] : candidate.builtIn ? 'built-in' : 'unversioned';
  const contributions = CONTRIBUTIONS.flatMap(([member, what]) => keysOf(exported, member).map((key) => `${what} ${key}`));
  if (isRecord(exported) && exported['settings'] !== undefined) contributions.push(`settings ${name}`);
  return { name, version, origin: candidate.origin, contributions: problems.length === 0 ? contributions : [], problems };
};

const CONTRIBUTIONS = [
  ['agents', 'agent'],
  ['hooks', 'hook'],
  ['arbiters', 'arbiter'],
  ['fences', 'fence'],
  ['commands', 'command'],
  ['processes', 'process'],
  ['labServices', 'lab service'],
] as const;

/** A name belongs to whoever came first; silently replacing another plugin's agent would be a trap. */
const clashesWith = (plugin: Plugin, before: readonly Loaded[]): readonly string[] =>
  before.flatMap(({ plugin: other, found }) => {
    if (other === null) return [];
    const sameName = other.name === plugin.name ? [`the name "${plugin.name}" is taken (${found.origin})`] : [];
    const same = (['agents', 'arbiters', 'fences', 'commands'] as const).flatMap((member) =>
      keysOf(plugin, member)
        .filter((key) => keysOf(other, member).includes(key))
        .map((key) => `${member.slice(0, -1)} "${key}" is taken by plugin ${other.name} (${found.origin})`),
    );
    return [...sameName, ...same];
  });

/** Freezes a plugin's plain objects and lists; schemas, classes and agents with a state of their own stay as they are. */
const frozen = <T>(value: T, depth = 0): T => {
  if (typeof value !== 'object' || value === null || depth > 8 || '_zod' in value) return value;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return value;
  for (const [key, member] of Object.entries(value)) if (key !== 'agent') frozen(member, depth + 1);
  return Object.freeze(value);
};
