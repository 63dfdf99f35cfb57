// What the guard is made of: handed in as plain objects by the entry, or by a test. Interfaces only, and the policy that a
// group's ownership machine gets from the config.
import type { ClusterConfig } from '../config/cluster-config.js';
import { withoutStore } from '../model/no-store.js';
import type { Journal } from '../journal/journal.js';
import type { Heartbeats } from '../membership/contract.js';
import type { BootId, GroupId, NodeId } from '../model/ids.js';
import type { GuardView } from '../model/lease.js';
import type { Arbiter } from '../ownership/arbiter.js';
import type { PairPolicy } from '../ownership/pair.js';
import type { OwnershipPolicy } from '../ownership/state.js';
import type { Clock } from '../system/clock.js';
import type { Files } from '../system/files.js';
import type { LocalSockets } from '../system/framed-socket.js';
import type { Paths } from '../system/paths.js';
import type { ProcessorTime } from '../system/processor-time.js';
import type { Random } from '../system/random.js';
import type { ControllerIdentity } from './controller-watch.js';
import type { HardStop } from './hard-stop.js';
import type { TurnWatch } from './owner.js';
import type { Watchdog } from './watchdog.js';

export interface GuardOptions {
  readonly config: ClusterConfig;
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly paths: Paths;
  readonly arbiter: Arbiter;
  readonly heartbeats: Heartbeats;
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly sockets: LocalSockets;
  readonly journal: Journal;
  readonly watchdog: Watchdog;
  readonly hardStop: HardStop;
  /** CLOCK_BOOTTIME − CLOCK_MONOTONIC of this host: core/system/boot. */
  readonly bootOffsetMs: () => number;
  /** Ends exactly this process; false when it was no longer there. */
  readonly endProcess: (controller: ControllerIdentity) => boolean;
  /** null = not known. Default: never known. */
  readonly processorTime?: (controller: ControllerIdentity) => ProcessorTime | null;
  /** The last resort when a group cannot be stopped: must not return control to the group. */
  readonly resetHost: (because: string) => void;
  /** Whether nothing is acquired without the leash's beat. Default: where there is no watchdog. */
  readonly needsLeash?: boolean;
  /** The groups whose data is mirrored: by which resources is not the guard's to know. Default: none. */
  readonly mirrored?: readonly GroupId[];
  readonly turned?: TurnWatch;
}

export interface GuardHandle {
  view(): GuardView;
  /** Ends this process's part: sockets, timers, connections. The groups, their pages and the watchdog stay as they are. */
  stop(): Promise<void>;
}

/** One group as its ownership machine sees it. `instance` is unlike that of any other guard process. */
export const policyOf = (options: GuardOptions, id: GroupId, instance: string): OwnershipPolicy => {
  const { config, node, bootId, watchdog } = options;
  const group = config.groups.find((one) => one.id === id);
  return {
    self: node,
    bootId,
    instance,
    group: id,
    members: group?.prefer ?? [],
    timing: config.timing,
    fencing: config.fencing.policy,
    takeover: group?.takeover ?? 'lease',
    confirm: group?.confirm ?? 'renewal',
    watchdog: watchdog.present,
    cfgHash: config.cfgHash,
    failsafe: config.failsafe,
    pair: pairOf(options, group?.prefer ?? []),
    mirrored: options.mirrored?.includes(id) === true,
  };
};

/** Of two members without a store: who the other is. A group on one node alone has nobody to ask. */
const pairOf = ({ config, node, random }: GuardOptions, members: readonly NodeId[]): PairPolicy | null => {
  const peer = members.find((id) => id !== node);
  if (!withoutStore(config) || peer === undefined || !members.includes(node)) return null;
  const { standbyMs, randomMs } = config.fencing.delay;
  return { peer, low: node < peer ? 0 : 1, fenceDelayMs: standbyMs + random.next() * randomMs };
};
