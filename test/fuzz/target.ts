// What a parser must do to be fuzzed: its right inputs, and one call that judges one input. Anything that the call throws is
// a finding; exceptions that the parser documents are caught in it and become an outcome.
import type { Chance } from './mutator.js';

export interface Target {
  readonly name: string;
  /** Right inputs, as bytes. */
  readonly seeds: readonly Buffer[];
  /** Right inputs as values, where they are JSON. */
  readonly values?: readonly unknown[];
  /** A value as the bytes that the parser reads. Default: JSON alone. */
  readonly encode?: (value: unknown, chance: Chance) => Buffer;
  /** Makes length, checksum or signature right again, so that what is behind them is reached. */
  readonly repair?: (bytes: Buffer) => Buffer;
  /** Says what became of it, in a word. Throws on a finding. */
  readonly judge: (bytes: Buffer, repaired: boolean) => string | Promise<string>;
  /** No input may take longer, milliseconds , the best of several tries. */
  readonly slowMs: number;
  /** One of so many inputs only: for a parser that takes longer than the others together. */
  readonly oneOf?: number;
}

export class Finding extends Error {
  override readonly name = 'Finding';
}

export const assertThat = (good: boolean, what: string): void => {
  if (!good) throw new Finding(what);
};

/** The same text again after reading and writing once more: a parser that forgives must not grow or change what it forgave. */
export const assertStable = (once: unknown, again: unknown): void => {
  const [first, second] = [JSON.stringify(once), JSON.stringify(again)];
  assertThat(first === second, `read, written and read again it is another: ${first?.slice(0, 200)} became ${second?.slice(0, 200)}`);
};
