// How the planner writes lists and spans into its sentences. Every `because` is read by somebody at 3 a.m.: plain words,
// names as the config spells them. Nothing here decides.

/** `a`, `a and b`, `a, b and c`; more than four end in `and N more`. */
export const listOf = (names: readonly string[]): string => {
  if (names.length <= 1) return names[0] ?? 'nothing';
  if (names.length > 5) return `${names.slice(0, 4).join(', ')} and ${names.length - 4} more`;
  return `${names.slice(0, -1).join(', ')} and ${names[names.length - 1]}`;
};

/** `are` for more than one, else `is`. */
export const isOrAre = (names: readonly unknown[]): string => (names.length > 1 ? 'are' : 'is');

const UNITS: readonly (readonly [number, string])[] = [
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
];

/** A span as the config file writes it: `10m`, `90s`, `250ms`. */
export const span = (ms: number): string => {
  for (const [size, unit] of UNITS) if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  return ms >= 1_000 ? `${(ms / 1_000).toFixed(1)}s` : `${Math.round(ms)}ms`;
};

/** `once`, `twice`, `3 times`. */
export const times = (count: number): string => (count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`);

/** A reason in an agent's words behind a colon, or nothing. */
export const tail = (reason: string): string => (reason === '' ? '' : `: ${reason}`);
