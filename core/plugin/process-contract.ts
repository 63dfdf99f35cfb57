// The contract of long-lived processes of a plugin (DESIGN 3, 5): one for each resource of a type on every node of its group,
// begun at boot with or without a lease, supervised, crash-only. What such a process may do is decided by the lease page alone.
import type { NewEvent } from '../model/event.js';
import type { BootId, Epoch, GroupId, NodeId, ResourceId } from '../model/ids.js';
import type { GuardView, InSyncAnswer, InSyncRequest } from '../model/lease.js';
import type { Timing } from '../model/timing.js';
import type { Clock } from '../system/clock.js';
import type { Exec } from '../system/exec.js';
import type { Files } from '../system/files.js';
import type { LocalSockets } from '../system/framed-socket.js';
import type { ClusterKeys } from '../system/key-file.js';
import type { PageReader } from '../system/page-file.js';
import type { Paths } from '../system/paths.js';
import type { Random } from '../system/random.js';
import type { Log } from './contract.js';

/** Numeric addresses, network by network in the same order on every node. `mirror` may be empty: then heartbeat carries it. */
export interface ProcessNetworks {
  readonly mirror: readonly string[];
  readonly heartbeat: readonly string[];
}

/** Another node of the group. */
export interface ProcessPeer<Options> {
  readonly node: NodeId;
  readonly networks: ProcessNetworks;
  /** The resource's options as that node has them. */
  readonly options: Options;
}

/** The guard, as far as a process may speak with it. A guard that is away is no error: the last view says by its age that it is old. */
export interface ProcessGuard {
  readonly connected: boolean;
  /** The last view, whatever its age; null while the guard was never heard. */
  view(): GuardView | null;
  viewAgeMs(): number | null;
  onView(listener: (view: GuardView) => void): void;
  /** What the guard tells as it happens: `lease.*`, `failsafe.*`. */
  onEvent(listener: (event: NewEvent & { readonly monoMs: number }) => void): void;
  onState(listener: (connected: boolean, because: string) => void): void;
  /**
   * Asks for another set of who is in sync (SAFETY a.11); `limitMs` is how long the guard tries. Never rejects. `ok`: it stands in
   * the record, and the lease page shows it. `refused` is said of this request alone. `unknown`: it may have happened or happens yet.
   * The page never shows fewer than the record may have: an addition as soon as it is asked for. What a mirror must do
   * (test/support/mirror-model.ts, in which each of these left out loses an acknowledged write):
   * - from asking to remove until `ok` or `refused` acknowledge nothing, also not what both copies have: this one may be all that is
   *   left, and has not flushed. `unknown` leaves it so; asking again, either way, ends it.
   * - from asking to add on every write needs the peer again; behind `ok` or `unknown` the page says how long.
   * - a process that has just begun goes on alone only behind an `ok` of its own.
   * - an `add` is asked after every handshake that ends with equal copies, also when the page shows the peer already: only so does the
   *   entry carry the peer's present boot.
   */
  inSync(request: InSyncRequest): Promise<InSyncAnswer>;
  /** The peer knows of a higher epoch than the one held here: the guard stops the group at once. False: away, say it again. */
  higherEpoch(group: GroupId, epoch: Epoch, because: string): boolean;
}

export interface ProcessContext<Options = unknown> {
  readonly cluster: string;
  readonly node: NodeId;
  readonly bootId: BootId;
  readonly group: GroupId;
  readonly resource: ResourceId;
  /** On this node, checked, references followed. */
  readonly options: Options;
  /** The plugin's own key of the config, checked; undefined where it has none. */
  readonly settings: unknown;
  readonly networks: ProcessNetworks;
  readonly peers: readonly ProcessPeer<Options>[];
  /** `ports.mirror` plus the place of this volume in the file: the same on every node. */
  readonly port: number;
  readonly timing: Timing;
  readonly paths: Paths;
  /** Of the cluster; two while one is being replaced. */
  readonly keys: ClusterKeys;
  /** Asked before every effect that only the holder may have; about a microsecond. */
  readonly leasePage: PageReader;
  readonly guard: ProcessGuard;
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly sockets: LocalSockets;
  readonly exec: Exec;
  readonly log: Log;
  /** Facts for `events` and `explain`: appended to a file of this process's own in the journal's directory, never blocking. */
  readonly journal: { write(event: NewEvent): void };
  /** Sentences that want a person, by subject; null ends one. Shown by `status`, also while this process is down. */
  readonly alarms: { set(subject: string, sentence: string | null): void };
  /** The process cannot go on: it ends, and is started again. Does not return. */
  readonly fail: (error: unknown) => never;
}

export interface StartedProcess {
  /** Ends this process's part and nothing else: what it served is taken up by the next one. Bounded: 5 s, then the process ends as it is. */
  stop(): Promise<void>;
}

/** Made by a built-in plugin under the name by which its agents ask for it (`process`). */
export interface ProcessDefinition<Options = unknown> {
  readonly summary: string;
  /** Resolves when it serves. Rejects with a coded error; the supervisor tries again. */
  start(context: ProcessContext<Options>): Promise<StartedProcess>;
}

/** Keeps the option types while it is written apart from its plugin. */
export const defineProcess = <Options>(definition: ProcessDefinition<Options>): ProcessDefinition<Options> => definition;
