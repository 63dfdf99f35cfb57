// The guard's way to its arbiter: one file of one built-in plugin, `plugins/*/NAME-arbiter.js`, that exports `open` and has
// nothing heavy behind it (`understudy/arbiter` only). An arbiter without such a file is opened by its whole definition.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Arbiter } from '../ownership/arbiter.js';
import type { ArbiterContext } from './contract.js';

const BUILT_IN = fileURLToPath(new URL('../../plugins/', import.meta.url));

/** `options` as the arbiter's schema made them. Rejects with PLUGIN_INVALID when no built-in plugin has an arbiter of that name. */
export const openArbiter = async (name: string, options: unknown, context: ArbiterContext): Promise<Arbiter> => {
  const file = /^[a-z0-9-]+$/.test(name) ? openerOf(name) : undefined;
  if (file !== undefined) return ((await import(pathToFileURL(file).href)) as { open: Opener }).open(options, context);
  const { builtInArbiter } = await import('./builtin-arbiter.js');
  return (await builtInArbiter(name)).open(options, context);
};

type Opener = (options: unknown, context: ArbiterContext) => Promise<Arbiter>;

const openerOf = (name: string): string | undefined =>
  readdirSync(BUILT_IN)
    .map((plugin) => join(BUILT_IN, plugin, `${name}-arbiter.js`))
    .find((file) => existsSync(file));
