// What an exit status of a monitor command means. Pure. Only what was seen to be wrong is a fault; a command that could not
// look is `unknown`. Sources: LSB init scripts (status 0, 3; 4 = unknown), OCF 1.1 (7 = not running), sh (126, 127).
import type { ResourceState } from 'understudy/plugin';

const DEFAULTS: Readonly<Record<number, ResourceState>> = {
  0: 'online',
  3: 'offline',
  7: 'offline',
  4: 'unknown',
  // The shell's words for "cannot be run": nothing was seen.
  126: 'unknown',
  127: 'unknown',
};

/** The state for an exit status. `else` in the table replaces the last resort, which is `faulted`. */
export const stateOf = (exitCode: number, table: Readonly<Record<string, ResourceState>> = {}): ResourceState => {
  const named = table[String(exitCode)];
  if (named !== undefined) return named;
  return DEFAULTS[exitCode] ?? table['else'] ?? 'faulted';
};
