// The public door `understudy/plugin`: what built-in and users' plugins alike may use, and nothing else.
import 'reflect-metadata'; // Before anything decorated: a plugin's own tests begin here.
export * from './contract.js';
export { argv, choice, durationMs, flag, integer, list, options, secret, sizeBytes, table, text, z } from '../config/fields.js';
export { UnderstudyError, reasonOf } from '../errors/errors.js';
export { Clock, systemClock, type Timer } from '../system/clock.js';
export { Random, systemRandom } from '../system/random.js';
export { systemExec } from '../system/exec-system.js';
export { Exec, type RunOptions, type RunResult, type RunningProcess } from '../system/exec.js';
export { type ClusterKey, type ClusterKeys, loadKeys } from '../system/key-file.js';
export { privateDirectory } from '../system/private-directory.js';
export { readPrivateFile } from '../system/private-file.js';
export { Secret } from '../system/secret.js';
export { checkScript, trustOf } from '../system/trusted-program.js';
export { listenUnix, type SocketTrouble } from '../system/unix-socket.js';
export { Processes, type ProcessIdentity } from '../system/process.js';
export { Cgroups } from '../system/cgroup.js';
export { Addresses, type AddOptions, canonicalAddress, type HostAddress, sameAddress } from '../system/addresses.js';
export { type Arbiter, ArbiterError, type CasResult, type Versioned } from '../ownership/arbiter.js';
export type { ResourceState } from '../model/observed.js';
export { HOOK_POINTS, type HookPoint, type Operations } from '../model/desired.js';
export type { Epoch, GroupId, NodeId, ResourceId } from '../model/ids.js';
