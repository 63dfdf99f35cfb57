// The narrow door `understudy/arbiter`: all that the file which opens an arbiter may use. The guard loads that file, and must
// be small and back at once after a crash; so no schema, container or logger library may ever be behind this door.
export type { ArbiterContext, Log } from './contract.js';
export { UnderstudyError, reasonOf } from '../errors/errors.js';
export { type Arbiter, ArbiterError, type CasResult, type Versioned } from '../ownership/arbiter.js';
export type { NodeId } from '../model/ids.js';
export { type Clock, systemClock } from '../system/clock.js';
export { readPrivateFile } from '../system/private-file.js';
export { Secret } from '../system/secret.js';
export { type Random, systemRandom } from '../system/random.js';
