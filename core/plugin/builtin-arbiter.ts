// The definition of a built-in plugin's arbiter: no container, no registry. For those who check its options, and for opening
// one that has no file of its own to open it (open-arbiter.ts).
import 'reflect-metadata';
import { pathToFileURL } from 'node:url';
import type { ClusterConfig } from '../config/cluster-config.js';
import { withoutStore } from '../model/no-store.js';
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

/** The options of the config's arbiter as its schema makes them. Rejects with CONFIG_INVALID, or PLUGIN_INVALID. */
export const checkedArbiterOptions = async ({ arbiter, file }: ClusterConfig): Promise<unknown> => {
  if (withoutStore({ arbiter })) return {};
  const checked = (await builtInArbiter(arbiter.use)).options.safeParse(arbiter.options);
  if (checked.success) return checked.data;
  const issues = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new UnderstudyError('CONFIG_INVALID', `${file}: arbiter ${arbiter.use}: ${issues}`);
};
