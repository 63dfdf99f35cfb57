// Other programs on Windows. There are no process groups and no signals: a tree is ended by taskkill /T. Scripts are not
// programs there, so .cmd, .bat and .ps1 get their interpreter, with UTF-8 output also where the code page is another one
// (949 in Korea). The command lines are pure functions, tested by their text.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { extname } from 'node:path';
import { UnderstudyError } from '../errors/errors.js';
import type { Clock } from './clock.js';
import type { Exec, RunningProcess, RunOptions, RunResult } from './exec.js';
import { type Ending, runChild, startProblem } from './exec-child.js';

type StartOptions = Parameters<Exec['start']>[2];

/** What is handed to CreateProcess. `verbatim`: the arguments are already quoted for cmd.exe. */
export interface WindowsCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly verbatim: boolean;
}

export class WindowsExec implements Exec {
  constructor(private readonly clock: Clock) {}

  async run(file: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
    refuseUnixOnly(file, options);
    const stdin = options.input === undefined ? 'ignore' : 'pipe';
    const command = [file, ...args].join(' ');
    return runChild({ clock: this.clock, command, end: endTree, spawn: () => launch(file, args, options, stdin, 'pipe') }, options);
  }

  async start(file: string, args: readonly string[], options: StartOptions): Promise<RunningProcess> {
    refuseUnixOnly(file, options);
    const child = launch(file, args, options, 'ignore', 'ignore');
    const exited = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    });
    if (child.pid === undefined) {
      const [error] = await new Promise<[Error]>((resolve) => child.once('error', (problem) => resolve([problem])));
      throw new UnderstudyError('COMMAND_FAILED', `${[file, ...args].join(' ')} could not be started: ${startProblem(error)}`, {
        cause: error,
      });
    }
    child.unref();
    return {
      pid: child.pid,
      // There is no /proc: the pid alone names it, so an old pid is never trusted after a restart of the controller.
      startTime: '',
      exited,
      kill: (signal) => {
        if (child.exitCode === null && child.signalCode === null) endTree(child, signal === 'SIGKILL' ? 'kill' : 'terminate');
      },
    };
  }
}

/** `taskkill /PID n /T` asks windows and console programs to close; `/F` ends the whole tree. */
export const taskkillArgs = (pid: number, how: Ending): readonly string[] => ['/PID', String(pid), '/T', ...(how === 'kill' ? ['/F'] : [])];

/** The interpreter for a script, the program itself for anything else. */
export const windowsCommand = (file: string, args: readonly string[]): WindowsCommand => {
  switch (extname(file).toLowerCase()) {
    case '.cmd':
    case '.bat': {
      // chcp first: what the script and its children print is UTF-8 whatever the host's code page is.
      const line = [file, ...args].map(quoteForCmd).join(' ');
      return { file: 'cmd.exe', args: ['/d', '/v:off', '/s', '/c', `"chcp 65001>nul & ${line}"`], verbatim: true };
    }
    case '.ps1':
      return {
        file: 'powershell.exe',
        args: ['-NoLogo', '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File', file, ...args],
        verbatim: false,
      };
    default:
      return { file, args, verbatim: false };
  }
};

/**
 * One word for cmd.exe. Inside double quotes its own characters are plain, except `"` and `%`; both are refused, since no
 * quoting of them survives every batch file. Source: `cmd /?`; CVE-2024-27980 (arguments of batch files).
 */
export const quoteForCmd = (word: string): string => {
  if (/["%\r\n\0]/.test(word)) {
    throw new UnderstudyError('COMMAND_FAILED', `the argument ${JSON.stringify(word)} cannot be passed to a batch file safely`, {
      hint: 'Pass it in the environment, or use a .ps1 script.',
    });
  }
  // A backslash before the closing quote would escape it for the program that reads the line.
  return `"${word.replace(/\\+$/, '$&$&')}"`;
};

const launch = (
  file: string,
  args: readonly string[],
  options: StartOptions,
  stdin: 'ignore' | 'pipe',
  output: 'ignore' | 'pipe',
): ChildProcess => {
  const command = windowsCommand(file, args);
  const log = options.logFile === undefined ? null : openSync(options.logFile, 'a');
  try {
    return spawn(command.file, command.args, {
      stdio: [stdin, log ?? output, log ?? output],
      windowsHide: true,
      windowsVerbatimArguments: command.verbatim,
      env: windowsEnvironment(options),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
  } finally {
    if (log !== null) closeSync(log);
  }
};

/** Windows programs do not start without these. */
const NEEDED = ['SystemRoot', 'SystemDrive', 'ComSpec', 'PATHEXT', 'TEMP', 'TMP', 'ProgramData', 'ProgramFiles', 'USERPROFILE', 'windir'];

/** Short like the one on Linux: what the system needs, a fixed Path, own UNDERSTUDY_*, UTF-8 for Python programs. */
export const windowsEnvironment = (
  { env, addEnv }: Pick<StartOptions, 'env' | 'addEnv'>,
  own: NodeJS.ProcessEnv = process.env,
): Record<string, string> => {
  if (env !== undefined) return { ...env, ...addEnv };
  const root = own['SystemRoot'] ?? 'C:\\Windows';
  const kept = Object.entries(own).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && (NEEDED.includes(entry[0]) || entry[0].startsWith('UNDERSTUDY_')),
  );
  const path = [`${root}\\System32`, root, `${root}\\System32\\Wbem`, `${root}\\System32\\WindowsPowerShell\\v1.0`];
  return { ...Object.fromEntries(kept), Path: path.join(';'), PYTHONUTF8: '1', ...addEnv };
};

const endTree = (child: ChildProcess, how: Ending): void => {
  if (child.pid === undefined) return;
  const killer = spawn('taskkill.exe', taskkillArgs(child.pid, how), { stdio: 'ignore', windowsHide: true });
  // taskkill itself is missing or hangs: end at least the child; the result's deadline does not wait for either.
  killer.on('error', () => child.kill('SIGKILL'));
  killer.unref();
};

const refuseUnixOnly = (file: string, { user, cgroup }: StartOptions): void => {
  const option = user !== undefined ? 'user' : cgroup !== undefined ? 'cgroup' : null;
  if (option === null) return;
  throw new UnderstudyError('COMMAND_FAILED', `${file} cannot be started with the option ${option} on Windows`, {
    hint: 'Run it as a service or a scheduled task of that account and start that from the script.',
  });
};
