// What is known of a process, and the only door to processes that are not our children. A process is named by pid and
// start time together: a pid alone may be somebody else's tomorrow. Implementation: process-linux.ts.
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: string;
}

export interface Processes {
  /** null when there is no such process, or only its zombie. */
  identify(pid: number): ProcessIdentity | null;
  /** The same process as then, and not a zombie. */
  alive(process: ProcessIdentity): boolean;
  /** Every living process whose environment holds `UNDERSTUDY_RESOURCE=<mark>`, mark being `group/resource`. */
  marked(mark: string): readonly ProcessIdentity[];
  /** Every living process of the session that `leader` led, the leader included. */
  session(leader: number): readonly ProcessIdentity[];
  /** Sends SIGKILL to what `find` finds, again and again until it finds nothing or the time is over. What is left. */
  killAll(find: () => readonly ProcessIdentity[], limitMs: number): Promise<readonly ProcessIdentity[]>;
  /** Sends the signal if it is still the same process. */
  signal(process: ProcessIdentity, signal: NodeJS.Signals): void;
  /** Calls back once, within 25 ms after the process has gone. For processes that are not our children. */
  watch(process: ProcessIdentity, gone: () => void): () => void;
}
export const Processes: unique symbol = Symbol('Processes');

/** Start time of a process, also of a zombie; null when there is none or no /proc. */
export const startTimeOf = (pid: number): string | null => readStat(pid)?.startTime ?? null;

/** What one line of /proc/PID/stat tells. `dead`: a zombie. */
export interface Stat {
  readonly dead: boolean;
  /** It runs, or waits for nothing but a processor. */
  readonly runnable: boolean;
  readonly session: number;
  readonly startTime: string;
}

/** One line of /proc/PID/stat. The command name may hold spaces and parentheses: fields count from the last one. */
export const parseStat = (line: string): Stat | null => {
  const fields = line
    .slice(line.lastIndexOf(')') + 2)
    .trimEnd()
    .split(' ');
  const [state, , , session] = fields;
  const startTime = fields[19];
  if (state === undefined || session === undefined || startTime === undefined) return null;
  return { dead: state === 'Z' || state === 'X', runnable: state === 'R', session: Number(session), startTime };
};

/** null when there is no such process (or no /proc). */
export const readStat = (pid: number): Stat | null => {
  const line = readProc(`/proc/${pid}/stat`);
  return line === null ? null : parseStat(line);
};

const GONE = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM']);

/** A file of /proc, or null when the process has gone or is not ours to read. */
export const readProc = (path: string): string | null => {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
};
