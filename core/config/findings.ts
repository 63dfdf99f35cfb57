// Collects what is wrong while a file is checked part by part: a part that fails does not keep the others from being checked.
import type { ConfigDocument } from './document.js';
import { complaintsOf } from './describe-issue.js';
import { type z } from './fields.js';
import { didYouMean } from './nearest.js';
import type { ConfigPath, Problem } from './problem.js';

interface Say {
  readonly hint?: string | undefined;
  readonly at?: 'key' | 'value';
  readonly code?: Problem['code'];
  /** Takes the place of whatever else was said at the same spot. */
  readonly instead?: boolean;
}

interface Check {
  /** Where a path inside the value stands in the file. */
  readonly place?: ((path: ConfigPath) => ConfigPath) | undefined;
  /** Keys that are known beside it, by another schema. */
  readonly also?: readonly string[];
}

export class Findings {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #document: ConfigDocument;

  constructor(document: ConfigDocument, syntax: readonly Problem[]) {
    this.#document = document;
    this.problems.push(...syntax);
  }

  problem(path: ConfigPath, message: string, say: Say = {}): void {
    const problem = this.#document.problem(path, message, say);
    if (say.instead === true) {
      const others = this.problems.filter((other) => other.line !== problem.line || other.column !== problem.column);
      this.problems.splice(0, this.problems.length, ...others);
    }
    this.#add(this.problems, problem);
  }

  warning(path: ConfigPath, message: string, say: Say = {}): void {
    this.#add(this.warnings, this.#document.problem(path, message, say));
  }

  /** A name that must be one of those known. */
  unknownName(path: ConfigPath, what: string, name: string, known: readonly string[], { lenient = false } = {}): void {
    this[lenient ? 'warning' : 'problem'](path, `there is no ${what} "${name}"`, {
      hint: didYouMean(name, known) ?? (known.length > 0 && known.length <= 12 ? `there are: ${known.join(', ')}` : undefined),
    });
  }

  /** The value as its schema parsed it, or undefined and everything that is wrong with it noted. */
  check<Schema extends z.ZodType>(
    schema: Schema,
    value: unknown,
    path: ConfigPath,
    { place = (inner) => [...path, ...inner], also = [] }: Check = {},
  ): z.output<Schema> | undefined {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    for (const complaint of complaintsOf(result.error, schema, value, also)) {
      this.problem(place(complaint.path), complaint.message, { hint: complaint.hint, at: complaint.at });
    }
    return undefined;
  }

  /** In the order of the file, for people who mend it from top to bottom. */
  sorted(list: readonly Problem[]): readonly Problem[] {
    return [...list].sort((a, b) => a.line - b.line || a.column - b.column);
  }

  /** The same sentence at the same place is said once: options are checked once for each node. */
  #add(list: Problem[], problem: Problem): void {
    const said = list.some(
      (other) =>
        other.line === problem.line && other.column === problem.column && other.path === problem.path && other.message === problem.message,
    );
    if (!said) list.push(problem);
  }
}
