// The guard's way to its arbiter: one built-in plugin, no container, no registry, nothing else loaded (DESIGN 6).
import { pathToFileURL } from 'node:url';
import { UnderstudyError } from '../errors/errors.js';
import { checkPlugin } from './check.js';
import type { ArbiterDefinition } from './contract.js';
import { discoverPlugins } from './discover.js';
import { openDoor } from './door.js';

/** The arbiter of that name from a built-in plugin. Rejects with PLUGIN_INVALID when none has it. */
export const builtInArbiter = async (name: string): Promise<ArbiterDefinition> => {
  openDoor();
  const candidates = await discoverPlugins({ builtin: true, configured: [], baseDirectory: '/', directories: [] });
  // The folder of the arbiter's own name first: it is the usual home, and the others need not be loaded then.
  const order = [...candidates].sort((a, b) => Number(b.name === name) - Number(a.name === name));
  for (const { file } of order) {
    if (file === null) continue;
    const { plugin } = checkPlugin(((await import(pathToFileURL(file).href)) as { readonly default?: unknown }).default);
    const load = plugin?.arbiters !== undefined && Object.hasOwn(plugin.arbiters, name) ? plugin.arbiters[name] : undefined;
    if (load !== undefined) return load();
  }
  throw new UnderstudyError('PLUGIN_INVALID', `no built-in plugin has an arbiter "${name}", and the guard loads no others`);
};
