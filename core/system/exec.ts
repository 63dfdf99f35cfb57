// The only door to other programs. Every child is started in a session of its own, has a deadline, and is ended with its
// whole group. Implementation: exec-posix.ts, exec-windows.ts.

export interface RunOptions {
  /** Ends the whole process group with SIGKILL when it is over. Required: nothing waits for ever. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Replaces the whole environment; default: a short safe one (PATH, HOME, LANG, UNDERSTUDY_*). */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to the environment. */
  readonly addEnv?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Run as this user (name or uid) with its groups; only root can. */
  readonly user?: string;
  readonly input?: string;
  /** Output kept per stream; the rest is thrown away and `truncated` says so. Default 64 KiB. */
  readonly maxOutputBytes?: number;
  /** Root refuses a program that others than root could have written (SAFETY S9), right before it is started; a bare name is found on the PATH. */
  readonly trustedOnly?: boolean;
  /** Start inside this cgroup (absolute path of its directory). */
  readonly cgroup?: string;
  /** Append stdout and stderr to this file instead of keeping them: for what outlives the call (DESIGN 3). */
  readonly logFile?: string;
  /** TERM first and KILL only after so long when the time is over; default 0 = KILL at once. */
  readonly termGraceMs?: number;
}

export interface RunResult {
  /** null when ended by a signal or never started. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
  readonly timedOut: boolean;
  readonly aborted: boolean;
  readonly elapsedMs: number;
}

/** A child that goes on running. Its death is told at once. */
export interface RunningProcess {
  readonly pid: number;
  /** Start time in clock ticks from /proc/PID/stat (field 22): pid and this together name one process for ever. */
  readonly startTime: string;
  readonly exited: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>;
  /** Sends the signal to the whole process group. */
  kill(signal: NodeJS.Signals): void;
}

export interface Exec {
  /** Runs a command to its end. Rejects with COMMAND_FAILED only when it could not be started at all. */
  run(file: string, args: readonly string[], options: RunOptions): Promise<RunResult>;
  /** Starts a command that goes on running; stdin from /dev/null, output to `logFile`. Survives this process. */
  start(
    file: string,
    args: readonly string[],
    options: Omit<RunOptions, 'timeoutMs' | 'signal' | 'input' | 'maxOutputBytes' | 'termGraceMs'>,
  ): Promise<RunningProcess>;
}
export const Exec: unique symbol = Symbol('Exec');
