// The public door `understudy/plugin`: what built-in and users' plugins alike may use, and nothing else.
import 'reflect-metadata'; // Before anything decorated: a plugin's own tests begin here.
export * from './contract.js';
export { defineProcess } from './process-contract.js';
export type { LocalResource } from './local-resource.js';
export {
  argv,
  choice,
  durationMs,
  flag,
  integer,
  list,
  options,
  parseSizeBytes,
  secret,
  sizeBytes,
  table,
  text,
  z,
} from '../config/fields.js';
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
export { type Alarms } from '../system/alarms.js';
export { Files, readJson, type JsonFile } from '../system/files.js';
export { writeAtomicSync } from '../system/atomic-file.js';
export { systemFiles } from '../system/files-system.js';
export { connectFramed, type FramedConnection, type FramedServer, type LocalSockets, listenFramed } from '../system/framed-socket.js';
export { FreezeDoor, type FreezeDoorOptions } from '../system/freeze-door.js';
export { listenUnix, type SocketTrouble } from '../system/unix-socket.js';
export type { Paths } from '../system/paths.js';
export { openPageReader, type PageReader, systemPageClocks } from '../system/page-file.js';
export { secureStreams, type SecureStreams, type StreamListeners, type StreamTarget } from '../system/secure-streams.js';
export { readStat, startTimeOf } from '../system/process.js';
export { Processes, type ProcessIdentity } from '../system/process.js';
export { Cgroups } from '../system/cgroup.js';
export { Addresses, type AddOptions, canonicalAddress, type HostAddress, sameAddress } from '../system/addresses.js';
export { type Arbiter, ArbiterError, type CasResult, type Versioned } from '../ownership/arbiter.js';
export type { PageReading } from '../ownership/page.js';
export type { GuardView, InSyncAnswer, InSyncRequest, LeaseView } from '../model/lease.js';
export type { MirrorStatus } from '../model/mirror.js';
export type { NewEvent } from '../model/event.js';
export type { Timing } from '../model/timing.js';
export type { ResourceState } from '../model/observed.js';
export { HOOK_POINTS, type HookPoint, type Operations } from '../model/desired.js';
export type { BootId, Epoch, GroupId, NodeId, ResourceId } from '../model/ids.js';
