// The guard of a simulated node: the production guard with the production heartbeats, behind simulated doors. Nothing of it
// is modelled here but the checksum that stands for the tags of frames (sim-mac.ts); what surrounds the process (its
// supervisor, its journal, who resets the host) is the world's.
import type { ClusterConfig } from '../config/cluster-config.js';
import { type GuardHandle, type GuardOptions, runGuard } from '../guard/run-guard.js';
import { noWatchdog } from '../guard/watchdog.js';
import type { BeatGroup, Heartbeats, Message } from '../membership/contract.js';
import { createHeartbeats } from '../membership/heartbeats.js';
import type { NewEvent } from '../model/event.js';
import type { GroupId, NodeId } from '../model/ids.js';
import type { ClusterKeys } from '../system/key-file.js';
import type { Network } from './network.js';
import type { SimArbiter } from './sim-arbiter.js';
import { simulatedMac } from './sim-mac.js';
import type { SimProcess } from './sim-process.js';

export interface GuardSurroundings {
  readonly config: ClusterConfig;
  readonly keys: ClusterKeys;
  readonly network: Network;
  readonly arbiter: SimArbiter;
  readonly watchdog: boolean;
  readonly mirrored: readonly GroupId[];
  /** How long the host is off when the guard resets it. */
  readonly resetMs: () => number;
  readonly watcher: GuardWatcher;
}

/** What the oracle wants to see of guards. */
export interface GuardWatcher {
  /** A beat is put together: what this guard says of its groups to its peers. */
  beats(process: SimProcess, groups: readonly BeatGroup[]): void;
  /** Any other message leaves the guard. */
  says(process: SimProcess, to: NodeId | 'all', message: Message): void;
  journal(process: SimProcess, event: NewEvent): void;
  running(process: SimProcess, guard: GuardHandle): void;
}

/** Starts the guard as its unit does. */
export const startGuard = (process: SimProcess, around: GuardSurroundings): void => {
  const { node, clock } = process;
  const { world, disk } = node;
  const who = `${node.id} guard`;
  const own = around.config.nodes.find(({ id }) => id === node.id);
  const watchdog = around.watchdog ? node.dog.forProcess(process) : noWatchdog;
  const options: GuardOptions = {
    config: around.config,
    node: node.id,
    bootId: node.bootId,
    paths: node.paths,
    arbiter: around.arbiter.forProcess(process),
    heartbeats: watched(
      process,
      createHeartbeats({
        config: around.config,
        node: node.id,
        bootId: node.bootId,
        keys: around.keys,
        clock,
        random: process.chance.stream('heartbeats'),
        sockets: around.network.forProcess(process, own?.networks.heartbeat ?? []),
        mac: simulatedMac,
      }),
      around.watcher,
    ),
    clock,
    random: process.chance.stream('guard'),
    files: disk.forProcess(process),
    sockets: node.sockets.forProcess(process),
    journal: {
      write: (event) => {
        if (!process.alive) return;
        world.say(who, event.kind, event.because ?? '');
        around.watcher.journal(process, event);
      },
      sync: () => Promise.resolve(),
      close: () => Promise.resolve(),
    },
    watchdog,
    mirrored: around.mirrored,
    turned: (_group, before, event) => world.mark(turnMark(before, event)),
    hardStop: node.os.hardStop(process),
    bootOffsetMs: () => node.bootOffsetMs(),
    endProcess: ({ pid }) => {
      const found = [...node.processes.values()].find((other) => other.pid === pid);
      found?.kill();
      return found !== undefined;
    },
    resetHost: (because) => {
      world.mark('reset by the guard');
      if (process.alive)
        world.at(
          process.trueMs,
          () => node.bootId === options.bootId && node.reset(`the guard resets the host: ${because}`, around.resetMs()),
        );
    },
  };
  runGuard(options).then(
    (guard) => around.watcher.running(process, guard),
    (error: unknown) => {
      // As systemd sees it: it ended with an error and is started again.
      world.say(who, 'failed to start', error instanceof Error ? error.message : String(error));
      process.kill();
    },
  );
};

/** The same heartbeats, with an eye on what is said. */
const watched = (process: SimProcess, heartbeats: Heartbeats, watcher: GuardWatcher): Heartbeats => ({
  start: () => heartbeats.start(),
  stop: () => heartbeats.stop(),
  describe: (source) =>
    heartbeats.describe(() => {
      const beat = source();
      watcher.beats(process, beat.groups);
      return beat;
    }),
  send: (to, message) => {
    watcher.says(process, to, message);
    heartbeats.send(to, message);
  },
  beatNow: () => heartbeats.beatNow(),
  onReceived: (listener) => heartbeats.onReceived(listener),
  onChange: (listener) => heartbeats.onChange(listener),
  peers: () => heartbeats.peers(),
  get revision() {
    return heartbeats.revision;
  },
  steadyBeforeSilenceMs: (peer) => heartbeats.steadyBeforeSilenceMs(peer),
  dropped: () => heartbeats.dropped(),
});

const turnMarks = new Map<string, Map<string, string>>();
/** The same text each time: one that is put together anew is hashed anew, some thousand times a second. */
const turnMark = (before: string, event: string): string => {
  let marks = turnMarks.get(before);
  if (marks === undefined) turnMarks.set(before, (marks = new Map()));
  let mark = marks.get(event);
  if (mark === undefined) marks.set(event, (mark = `turn ${before} ${event}`));
  return mark;
};
