// The builders every option of the config is made with: one line gives the type, the check, the reference and the editor's
// completion. Durations and sizes are written with units; a bare number is refused with the unit to add.
import { z } from 'zod';
import { SECRET_REFERENCE } from './secret-reference.js';

const DURATION_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_BYTES: Record<string, number> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

const quantity = (text: string, units: Record<string, number>): number | null => {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : units[unit];
  return digits === undefined || factor === undefined ? null : Number(digits) * factor;
};

/** `250ms`, `2s`, `1m30s` is not accepted: one number, one unit. Milliseconds, or null when it is not a duration. */
export const parseDurationMs = (text: string): number | null => quantity(text, DURATION_MS);
export const parseSizeBytes = (text: string): number | null => quantity(text, SIZE_BYTES);

const withUnits = (what: string, example: string, units: Record<string, number>, min: number, max: number) =>
  z.union([z.string(), z.number()]).transform((value, context) => {
    const wrong = (message: string) => {
      context.addIssue({ code: 'custom', message, input: value });
      return z.NEVER;
    };
    if (typeof value === 'number') return wrong(`${value} has no unit: write ${what} with one, e.g. ${example}`);
    const amount = quantity(value, units);
    if (amount === null)
      return wrong(`"${value}" is not ${what}: write a number and a unit (${Object.keys(units).join(', ')}), e.g. ${example}`);
    if (amount < min || amount > max)
      return wrong(`"${value}" is out of range: ${what} from ${min} to ${max} ${units === DURATION_MS ? 'ms' : 'bytes'}`);
    return amount;
  });

/** A duration in the config (`5s`), milliseconds in the code. */
export const durationMs = (describe: string, fallbackMs?: number, { minMs = 1, maxMs = 30 * 86_400_000 } = {}) => {
  const schema = withUnits('a duration', '5s', DURATION_MS, minMs, maxMs);
  return (fallbackMs === undefined ? schema : schema.default(fallbackMs)).meta({
    description: describe,
    examples: ['5s'],
    unit: 'duration',
  }) as z.ZodType<number, string | undefined>;
};

/** A size in the config (`4MiB`), bytes in the code. */
export const sizeBytes = (describe: string, fallbackBytes?: number, { minBytes = 0, maxBytes = Number.MAX_SAFE_INTEGER } = {}) => {
  const schema = withUnits('a size', '64MiB', SIZE_BYTES, minBytes, maxBytes);
  return (fallbackBytes === undefined ? schema : schema.default(fallbackBytes)).meta({
    description: describe,
    examples: ['64MiB'],
    unit: 'size',
  }) as z.ZodType<number, string | undefined>;
};

/** A non-empty text. */
export const text = (describe: string) => z.string().min(1).describe(describe);
/** One of a few words; a misspelt one is answered with the nearest. */
export const choice = <const Words extends readonly [string, ...string[]]>(describe: string, words: Words) =>
  z.enum(words).describe(describe);
export const flag = (describe: string, fallback: boolean) => z.boolean().default(fallback).describe(describe);
export const integer = (describe: string, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) => z.int().min(min).max(max).describe(describe);
/** A command as argv: the program and its arguments, never a shell line. */
export const argv = (describe: string) =>
  z
    .array(z.string(), {
      error: ({ input }) =>
        typeof input === 'string'
          ? 'a command is a list of words, not a shell line: write [/path/program, word, …], or for a shell say so: [sh, -c, "…"]'
          : undefined,
    })
    .min(1)
    .readonly()
    .describe(describe);
export const list = <T extends z.ZodType>(describe: string, item: T) => z.array(item).readonly().describe(describe);
export const table = <T extends z.ZodType>(describe: string, value: T) => z.record(z.string(), value).readonly().describe(describe);
/** The options of an agent, an arbiter or a plugin's settings: unknown keys are errors. */
export const options = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape);
/** A secret: a reference to a file that only its owner can read. Its content: `new Secret(reference).reveal()`. */
export const secret = (describe: string) =>
  z
    .string()
    .regex(SECRET_REFERENCE, 'secrets do not belong in this file: write file:/PATH of a file that only its owner can read')
    .describe(`${describe}, as file:/PATH`);
export { z };
