// What the witness says to its clients. Every message is checked before it is used: authentic is not the same as well formed
// (another version, a defect). Checked by hand: the guard loads this file, and a schema library would double its memory.
import type { Versioned } from 'understudy/arbiter';
import { MAX_KEY_LENGTH, NONCE_BYTES, WireError } from './wire.js';

/** Witness → client, sealed. */
export type Answer =
  /** Some of the values of a read; `last` ends it. Keys that are absent are not named. */
  | {
      readonly t: 'values';
      readonly id: number;
      readonly values: readonly Versioned[];
      readonly last: boolean;
      readonly generation: number;
    }
  | { readonly t: 'done'; readonly id: number; readonly version: string; readonly generation: number }
  | { readonly t: 'conflict'; readonly id: number; readonly current: Versioned | null; readonly generation: number }
  | { readonly t: 'refused'; readonly id: number; readonly why: string }
  | { readonly t: 'push'; readonly value: Versioned };

/** Witness → client, sealed: proves the key, says which state this is. */
export interface Welcome {
  readonly stateId: string;
  readonly generation: number;
}

/** Witness → client, unsigned: the first words. Its nonce, or a WireError. */
export const parseGreeting = (value: unknown): string => {
  const { witness, nonce } = record(value, 'a greeting');
  if (witness !== 1) throw new WireError('the greeting is not of version 1');
  return text(nonce, 'nonce', new RegExp(`^[0-9a-f]{${2 * NONCE_BYTES}}$`));
};

/** Throws WireError. */
export const parseWelcome = (value: unknown): Welcome => {
  const { t, stateId, generation } = record(value, 'a welcome');
  if (t !== 'welcome') throw new WireError('it sent no welcome');
  return { stateId: text(stateId, 'stateId', /^[^]{8,64}$/), generation: count(generation, 'generation') };
};

/** Throws WireError. */
export const parseAnswer = (value: unknown): Answer => {
  const said = record(value, 'an answer');
  switch (said['t']) {
    case 'values':
      return { t: 'values', ...numbered(said), values: list(said['values']), last: flag(said['last'], 'last') };
    case 'done':
      return { t: 'done', ...numbered(said), version: text(said['version'], 'version') };
    case 'conflict':
      return { t: 'conflict', ...numbered(said), current: said['current'] === null ? null : versioned(said['current']) };
    case 'refused':
      return { t: 'refused', id: count(said['id'], 'id'), why: text(said['why'], 'why') };
    case 'push':
      return { t: 'push', value: versioned(said['value']) };
    default:
      throw new WireError('it sent a kind of answer that does not exist');
  }
};

const record = (value: unknown, what: string): Readonly<Record<string, unknown>> => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  throw new WireError(`it sent what is not ${what}`);
};

const text = (value: unknown, name: string, pattern?: RegExp): string => {
  if (typeof value === 'string' && (pattern === undefined || pattern.test(value))) return value;
  throw new WireError(`"${name}" is not as it must be`);
};

const count = (value: unknown, name: string): number => {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new WireError(`"${name}" is not a number that counts`);
};

const flag = (value: unknown, name: string): boolean => {
  if (typeof value === 'boolean') return value;
  throw new WireError(`"${name}" is neither true nor false`);
};

const numbered = (said: Readonly<Record<string, unknown>>): { readonly id: number; readonly generation: number } => ({
  id: count(said['id'], 'id'),
  generation: count(said['generation'], 'generation'),
});

const versioned = (value: unknown): Versioned => {
  const { key, value: content, version } = record(value, 'a value');
  const name = text(key, 'key');
  if (name === '' || name.length > MAX_KEY_LENGTH) throw new WireError('"key" is not as it must be');
  return { key: name, value: text(content, 'value'), version: text(version, 'version') };
};

const list = (value: unknown): readonly Versioned[] => {
  if (!Array.isArray(value)) throw new WireError('"values" is not a list');
  return value.map(versioned);
};
