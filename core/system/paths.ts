// Where things lie on a host. One home for every path that two processes share.
import { join } from 'node:path';

export interface Paths {
  /** Volatile: sockets, lease pages, hard-stop lists. `--run-dir`, $UNDERSTUDY_RUN_DIR, /run/understudy. */
  readonly run: string;
  /** Durable: maxEpochSeen, journal, captures. `--state-dir`, $UNDERSTUDY_STATE_DIR, /var/lib/understudy. */
  readonly state: string;
  /** Logs and the output of applications. `--log-dir`, $UNDERSTUDY_LOG_DIR, /var/log/understudy. */
  readonly log: string;
}

export const pathsFrom = (options: Partial<Paths>, env: NodeJS.ProcessEnv = process.env): Paths => ({
  run: options.run ?? env['UNDERSTUDY_RUN_DIR'] ?? '/run/understudy',
  state: options.state ?? env['UNDERSTUDY_STATE_DIR'] ?? '/var/lib/understudy',
  log: options.log ?? env['UNDERSTUDY_LOG_DIR'] ?? '/var/log/understudy',
});

export const guardSocket = (paths: Paths): string => join(paths.run, 'guard.sock');
export const apiSocket = (paths: Paths): string => join(paths.run, 'api.sock');
export const leasePage = (paths: Paths, group: string): string => join(paths.run, 'lease', group);
export const hardStopList = (paths: Paths, group: string): string => join(paths.run, 'hardstop', group);
/** Written by the leash when it fires: `<group>.dead.<epoch>`, then `<group>.stopped.<epoch>` (SAFETY a.2). */
export const tombstone = (paths: Paths, group: string, kind: 'dead' | 'stopped', epoch: number): string =>
  join(paths.run, 'lease', `${group}.${kind}.${epoch}`);
/** Sentences of a long-lived process that want a person. */
export const alarmFile = (paths: Paths, process: string): string => join(paths.run, 'alarms', process);
export const leashBeat = (paths: Paths): string => join(paths.run, 'leash.beat');
/** The lab and nobody else makes this at power-on; the bootId hashes it in (SAFETY a.4). */
export const bootSalt = (paths: Paths): string => join(paths.run, 'boot-salt');
export const journalDir = (paths: Paths): string => join(paths.state, 'journal');
export const captureDir = (paths: Paths): string => join(paths.state, 'captures');
