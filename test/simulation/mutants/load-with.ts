// Lets the present thread, or process, load the modules of one mutant instead of the built ones. Must come before any of them
// is loaded: nothing is imported here but the catalogue, which imports none. As `--import` it takes the name from $MUTANT.
import { registerHooks } from 'node:module';
import { MUTANTS } from './catalogue.js';
import { type Mutant, mutated } from './mutant.js';

const DIST = new URL('../../../', import.meta.url).href;

export const mutantOf = (name: string): Mutant => {
  const found = MUTANTS.find((mutant) => mutant.name === name);
  if (found === undefined) throw new RangeError(`there is no mutant ${name}`);
  return found;
};

export const loadWith = (mutant: Mutant): void => {
  const modules = new Map(mutant.edits.map(({ module }) => [`${DIST}${module}`, module]));
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      const module = modules.get(url);
      if (module === undefined || loaded.source == null) return loaded;
      return { ...loaded, source: mutated(mutant, module, Buffer.from(loaded.source as Uint8Array).toString('utf8')) };
    },
  });
};

const { MUTANT } = process.env;
if (MUTANT !== undefined) loadWith(mutantOf(MUTANT));
