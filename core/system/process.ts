// Which processes there are, read from /proc, and the end of those that carry a mark. A process is named by pid and start
// time together: a pid alone may be somebody else's tomorrow. Linux; elsewhere nothing is found and nothing is killed.
import { readdirSync, readFileSync } from 'node:fs';
import { inject, injectable } from 'tsyringe';
import { Clock } from './clock.js';

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

const WATCH_MS = 20;
const KILL_AGAIN_MS = 5;

@injectable()
export class ProcProcesses implements Processes {
  constructor(@inject(Clock) private readonly clock: Clock) {}

  identify(pid: number): ProcessIdentity | null {
    const stat = readStat(pid);
    return stat === null || stat.dead ? null : { pid, startTime: stat.startTime };
  }

  alive({ pid, startTime }: ProcessIdentity): boolean {
    return this.identify(pid)?.startTime === startTime;
  }

  marked(mark: string): readonly ProcessIdentity[] {
    const entry = `\0UNDERSTUDY_RESOURCE=${mark}\0`;
    return this.all((pid) => `\0${read(`/proc/${pid}/environ`) ?? ''}\0`.includes(entry));
  }

  session(leader: number): readonly ProcessIdentity[] {
    return this.all((pid) => readStat(pid)?.session === leader);
  }

  async killAll(find: () => readonly ProcessIdentity[], limitMs: number): Promise<readonly ProcessIdentity[]> {
    const endMs = this.clock.nowMs() + limitMs;
    for (;;) {
      const left = find();
      for (const found of left) this.signal(found, 'SIGKILL');
      if (left.length === 0 || this.clock.nowMs() >= endMs) return left;
      await this.clock.sleep(KILL_AGAIN_MS);
    }
  }

  signal(target: ProcessIdentity, signal: NodeJS.Signals): void {
    if (!this.alive(target)) return;
    try {
      process.kill(target.pid, signal);
    } catch (error) {
      // Gone between the look and the signal.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  watch(target: ProcessIdentity, gone: () => void): () => void {
    const timer = this.clock.every(
      WATCH_MS,
      () => {
        if (this.alive(target)) return;
        timer.cancel();
        gone();
      },
      { idle: true },
    );
    return () => timer.cancel();
  }

  private all(wanted: (pid: number) => boolean): readonly ProcessIdentity[] {
    const pids = entries('/proc').map(Number).filter(Number.isInteger);
    return pids.filter(wanted).flatMap((pid) => this.identify(pid) ?? []);
  }
}

/** Start time of a process, also of a zombie; null when there is none or no /proc. */
export const startTimeOf = (pid: number): string | null => readStat(pid)?.startTime ?? null;

interface Stat {
  readonly dead: boolean;
  readonly session: number;
  readonly startTime: string;
}

/** One line of /proc/PID/stat. The command name may hold spaces and parentheses: fields count from the last one. */
export const parseStat = (line: string): Stat | null => {
  const fields = line.slice(line.lastIndexOf(')') + 2).trimEnd().split(' ');
  const [state, , , session] = fields;
  const startTime = fields[19];
  if (state === undefined || session === undefined || startTime === undefined) return null;
  return { dead: state === 'Z' || state === 'X', session: Number(session), startTime };
};

const readStat = (pid: number): Stat | null => {
  const line = read(`/proc/${pid}/stat`);
  return line === null ? null : parseStat(line);
};

const GONE = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM']);

/** Contents, or null when the process has gone or is not ours to read. */
const read = (path: string): string | null => {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
};

const entries = (directory: string): readonly string[] => {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
};
