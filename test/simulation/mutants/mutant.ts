// A mutant is one line of the protocol done wrong, as data: the built module, a text that stands there exactly once, what stands
// there instead. Production code knows nothing of it. Invariant: a text that is not found exactly once is an error, never a
// mutant that changes nothing.
import type { Plan } from '../../../core/simulation/fault-plan.js';
import type { WorldKind } from '../../../core/simulation/whole.js';

export interface Edit {
  /** Below dist: `core/ownership/holder.js`. */
  readonly module: string;
  readonly find: string;
  readonly put: string;
}

/** Who must see it. */
export type Judge =
  /** The swarm: which of its worlds (core/simulation/whole). `where`: only these plans can show it. */
  | { readonly by: WorldKind; readonly where?: (plan: Plan) => boolean }
  /** A suite of its own, because the swarm does not run this code, or because only availability is lost. */
  | { readonly by: 'suite'; readonly file: string; readonly because: string }
  /** Nobody can: what else keeps the promise. It is tried by a search all the same. */
  | { readonly by: 'nobody'; readonly world: WorldKind; readonly where?: (plan: Plan) => boolean; readonly because: string };

export interface Mutant {
  readonly name: string;
  /** The rule it breaks, as SAFETY names it. */
  readonly rule: string;
  readonly edits: readonly Edit[];
  readonly judge: Judge;
}

/** The module with the mutant in it. Throws when an edit does not apply in exactly one place. */
export const mutated = ({ name, edits }: Mutant, module: string, source: string): string =>
  edits
    .filter((edit) => edit.module === module)
    .reduce((text, { find, put }) => {
      const places = text.split(find).length - 1;
      if (places !== 1) throw new Error(`the mutant ${name} does not apply to ${module}: found ${places} times: ${find}`);
      return text.replace(find, () => put);
    }, source);

/** The world of the swarm that is to show it; null where only a suite can. */
export const worldOf = ({ judge }: Mutant): WorldKind | null =>
  judge.by === 'suite' ? null : judge.by === 'nobody' ? judge.world : judge.by;

/** A search of the swarm must find it. */
export const isOfTheSwarm = ({ judge }: Mutant): boolean => judge.by !== 'suite' && judge.by !== 'nobody';
