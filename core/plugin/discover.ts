// Where plugins are: the built-in folders of this package, the paths and packages of the config, and plugin directories.
// Finds files, loads none. Invariant: the order is the same on every node (built-in and directories by name, config as written).
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { reasonOf } from '../errors/errors.js';
import type { PluginReference } from '../config/cluster-config.js';
import { locatePackage } from './door.js';

/** One place where a plugin should be. */
export interface Candidate {
  /** The name to show until the plugin says its own. */
  readonly name: string;
  readonly origin: string;
  /** Absolute path of the file to load; null when nothing was found there. */
  readonly file: string | null;
  /** Part of this package: as trustworthy as the program itself. */
  readonly builtIn: boolean;
  /** The fingerprint that the config pins; null = any. */
  readonly integrity: string | null;
  /** Why it was not found. */
  readonly problem: string | null;
}

export interface DiscoverOptions {
  readonly builtin: boolean;
  readonly configured: readonly PluginReference[];
  /** Directory of the config file: relative paths and package names start there. */
  readonly baseDirectory: string;
  readonly directories: readonly string[];
}

export const PLUGIN_DIRECTORY = '/etc/understudy/plugins';
const BUILT_IN = fileURLToPath(new URL('../../plugins/', import.meta.url));
const LOADABLE = new Set(['.js', '.mjs', '.ts', '.mts']);

/** Every candidate in loading order. */
export const discoverPlugins = async ({
  builtin,
  configured,
  baseDirectory,
  directories,
}: DiscoverOptions): Promise<readonly Candidate[]> => [
  ...(builtin ? await builtInPlugins() : []),
  ...(await Promise.all(configured.map((reference) => configuredPlugin(reference, baseDirectory)))),
  ...(await Promise.all(directories.map((directory) => pluginsIn(directory)))).flat(),
];

const builtInPlugins = async (): Promise<readonly Candidate[]> => {
  const names = (await entriesOf(BUILT_IN)).sort();
  const found = await Promise.all(names.map(async (name) => ({ name, file: await entryOf(join(BUILT_IN, name)) })));
  return found.flatMap(({ name, file }) =>
    file === null ? [] : [{ name, origin: 'built-in', file, builtIn: true, integrity: null, problem: null }],
  );
};

const configuredPlugin = async (reference: PluginReference, baseDirectory: string): Promise<Candidate> => {
  const { use: specifier, integrity } = typeof reference === 'string' ? { use: reference, integrity: null } : reference;
  const isPath = isAbsolute(specifier) || specifier.startsWith('./') || specifier.startsWith('../');
  const candidate = { name: nameOf(specifier), origin: `${isPath ? 'config' : 'package'}: ${specifier}`, builtIn: false, integrity };
  if (isPath) {
    const path = resolve(baseDirectory, specifier);
    const file = await entryOf(path);
    return {
      ...candidate,
      file,
      problem: file === null ? `there is no plugin at ${path}: neither a .ts or .js file, nor a directory with index.js or index.ts` : null,
    };
  }
  try {
    const url = await locatePackage(specifier, pathToFileURL(join(baseDirectory, 'understudy.config.yaml')).href);
    if (url.startsWith('file:')) return { ...candidate, file: fileURLToPath(url), problem: null };
    return { ...candidate, file: null, problem: `"${specifier}" is no package but ${url}; a path begins with ./` };
  } catch (cause) {
    return {
      ...candidate,
      file: null,
      problem: `package ${specifier} was not found from ${baseDirectory}: ${reasonOf(cause)}; a path begins with ./`,
    };
  }
};

const pluginsIn = async (directory: string): Promise<readonly Candidate[]> => {
  const names = (await entriesOf(directory)).filter((name) => !name.startsWith('.') && !name.endsWith('.d.ts')).sort();
  const found = await Promise.all(names.map(async (name) => ({ name, file: await entryOf(join(directory, name)) })));
  return found.flatMap(({ name, file }) =>
    file === null
      ? []
      : [{ name: nameOf(name), origin: `directory: ${join(directory, name)}`, file, builtIn: false, integrity: null, problem: null }],
  );
};

/** A file that can be loaded, or the index of a directory; null for anything else. */
const entryOf = async (path: string): Promise<string | null> => {
  const found = await kindOf(path);
  if (found === 'file') return LOADABLE.has(extname(path)) ? path : null;
  if (found !== 'directory') return null;
  for (const index of ['index.js', 'index.mjs', 'index.ts']) if ((await kindOf(join(path, index))) === 'file') return join(path, index);
  return null;
};

const kindOf = async (path: string): Promise<'file' | 'directory' | 'other'> => {
  try {
    const status = await stat(path);
    return status.isFile() ? 'file' : status.isDirectory() ? 'directory' : 'other';
  } catch {
    return 'other'; // Not there, or not to be seen: both mean that no plugin is to be had from here, and the caller says so.
  }
};

/** A directory that does not exist has no plugins. */
const entriesOf = async (directory: string): Promise<string[]> => {
  try {
    return await readdir(directory);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return [];
    throw error;
  }
};

const nameOf = (specifier: string): string => {
  const last = basename(specifier);
  return LOADABLE.has(extname(last)) ? last.slice(0, -extname(last).length) : specifier.startsWith('@') ? specifier : last;
};
