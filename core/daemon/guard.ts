// The guard's life: put together by hand, without container, logger library or schema, so that after a crash it is back
// within a fraction of its deadline. Ending it stops nothing: the next guard takes up what this one held.
import { withoutStore } from '../model/no-store.js';
import { quickHardStop, scriptHardStop } from '../guard/hard-stop.js';
import { LocalRecords } from '../guard/local-records.js';
import { type GuardHandle, runGuard } from '../guard/run-guard.js';
import { FileJournal } from '../journal/file-journal.js';
import { stderrLog } from '../log/stderr-log.js';
import { createHeartbeats } from '../membership/heartbeats.js';
import { systemSockets } from '../membership/transport.js';
import { openArbiter } from '../plugin/open-arbiter.js';
import { bootOffsetMs, readBootId } from '../system/boot.js';
import { systemClock } from '../system/clock.js';
import { systemExec } from '../system/exec-system.js';
import { systemFiles } from '../system/files-system.js';
import { systemLocalSockets } from '../system/framed-socket.js';
import { loadKeys } from '../system/key-file.js';
import { journalDir } from '../system/paths.js';
import { readStat } from '../system/process.js';
import { processorTime } from '../system/processor-time.js';
import { privateDirectory } from '../system/private-directory.js';
import { systemRandom } from '../system/random.js';
import { loadGuardConfig } from './guard-config.js';
import { type DaemonOptions, levelOf, nodeOf, pathsOf } from './options.js';
import { resetHost } from './reset-host.js';
import { notifyReady } from './sd-notify.js';
import { tellWatchdogReset, watchdogOf } from './watchdog-of.js';

export interface RunningGuard {
  readonly handle: GuardHandle;
  stop(): Promise<void>;
}

export interface GuardStartOptions extends DaemonOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** For tests without a leash. Default: needed where there is no watchdog. */
  readonly needsLeash?: boolean;
}

/** Resolves when it listens and observes. Rejects with the coded errors of config, key, arbiter and sockets. */
export const startGuard = async (options: GuardStartOptions): Promise<RunningGuard> => {
  const env = options.env ?? process.env;
  const paths = pathsOf(options);
  for (const directory of [paths.run, paths.state]) privateDirectory(directory);
  const log = stderrLog({ component: 'guard', level: levelOf(options, env), wallIso: systemClock.wallIso, env });
  const { config, arbiterOptions, mirrored } = await loadGuardConfig(options, paths, env);
  const node = nodeOf(config, options, env);
  const keys = loadKeys(config.keyFile);
  const bootId = readBootId(paths);
  const exec = systemExec();
  const journal = new FileJournal({
    directory: journalDir(paths),
    source: 'guard',
    node,
    bootId,
    clock: systemClock,
    onTrouble: (reason) => reason !== null && log.error('the journal cannot be written', { reason }),
  });
  const { watchdog, door } = watchdogOf(config, node, { clock: systemClock, exec });
  const { cluster, ports } = config;
  const arbiter = withoutStore(config)
    ? new LocalRecords(systemFiles, paths, node)
    : await openArbiter(config.arbiter.use, arbiterOptions, { cluster, node, key: keys.current.bytes, ports, log });
  const handle = await runGuard({
    config,
    node,
    bootId,
    paths,
    arbiter,
    journal,
    bootOffsetMs,
    clock: systemClock,
    random: systemRandom,
    files: systemFiles,
    sockets: systemLocalSockets,
    heartbeats: createHeartbeats({ config, node, bootId, keys, clock: systemClock, random: systemRandom, sockets: systemSockets }),
    watchdog,
    hardStop: quickHardStop(scriptHardStop(exec, paths.run), paths.run),
    endProcess: ({ pid, startTime }) => endProcess(pid, startTime),
    processorTime: ({ pid }) => processorTime(pid),
    resetHost: resetHost(log, env),
    mirrored,
    ...(options.needsLeash === undefined ? {} : { needsLeash: options.needsLeash }),
  });
  journal.write({
    kind: 'guard.start',
    because: 'the guard began',
    data: { pid: process.pid, sinceProcessStartMs: Math.round(performance.now()) },
  });
  tellWatchdogReset(door, paths.run, bootId, journal);
  log.info('guard ready', { node, cluster: config.cluster, afterMs: Math.round(performance.now()) });
  await notifyReady(exec, log, env);
  const stop = async (): Promise<void> => {
    await handle.stop();
    await arbiter.close();
    await journal.close();
  };
  return { handle, stop };
};

/** Only the very process that said hello, and no other that got its number. */
const endProcess = (pid: number, startTime: string): boolean => {
  const found = readStat(pid);
  if (found === null || found.startTime !== startTime) return false;
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
};
