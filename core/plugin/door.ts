// How a plugin reaches `understudy/plugin` from wherever it lies: a loose file has no node_modules, and a package may have
// an understudy of its own. Both get this one, because tokens are symbols and a second copy would have other ones.
// Invariant: registered once in a process, changes nothing but these names.
import { registerHooks } from 'node:module';

const DOORS: Readonly<Record<string, string>> = {
  understudy: new URL('../index.js', import.meta.url).href,
  'understudy/plugin': new URL('./index.js', import.meta.url).href,
  'understudy/arbiter': new URL('./arbiter.js', import.meta.url).href,
  'understudy/testkit': new URL('./testkit/index.js', import.meta.url).href,
};

/** Asks Node where a package's entry is, as an import from another place would find it. */
const WHERE = 'understudy-where:';

let open = false;

/** Opens the doors for this process. Idempotent. */
export const openDoor = (): void => {
  if (open) return;
  open = true;
  registerHooks({
    resolve: (specifier, context, nextResolve) => {
      const door = Object.hasOwn(DOORS, specifier) ? DOORS[specifier] : undefined;
      if (door !== undefined) return { url: door, format: 'module', shortCircuit: true };
      if (!specifier.startsWith(WHERE)) return nextResolve(specifier, context);
      const { name, from } = JSON.parse(decodeURIComponent(specifier.slice(WHERE.length))) as {
        readonly name: string;
        readonly from: string;
      };
      const { url } = nextResolve(name, { ...context, parentURL: from });
      return {
        url: `data:text/javascript,export default ${encodeURIComponent(JSON.stringify(url))}`,
        format: 'module',
        shortCircuit: true,
      };
    },
  });
};

/** URL of the entry that `import(name)` would load in a file at `from` (a file: URL). Rejects when there is none. */
export const locatePackage = async (name: string, from: string): Promise<string> => {
  openDoor();
  const answer = (await import(WHERE + encodeURIComponent(JSON.stringify({ name, from })))) as { readonly default: string };
  return answer.default;
};
