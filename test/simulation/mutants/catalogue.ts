// All mutants, by the room they are in.
import { GUARD } from './of-the-guard.js';
import { OWNERSHIP } from './of-ownership.js';
import { TAKEOVER } from './of-takeover.js';
import { OUTSIDE } from './outside.js';
import type { Mutant } from './mutant.js';

export const MUTANTS: readonly Mutant[] = [...OWNERSHIP, ...TAKEOVER, ...GUARD, ...OUTSIDE];
