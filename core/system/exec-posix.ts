// Other programs on Linux and other POSIX systems: each child in a session of its own, ended with its whole group.
// Wrapping by sh happens only for a cgroup or another user: a plain command costs one spawn (1–2 ms), a wrapped one about
// 1 ms more. Invariant: nothing started by `run` outlives its deadline in its process group.
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { UnderstudyError } from '../errors/errors.js';
import type { Clock } from './clock.js';
import type { Exec, RunningProcess, RunOptions, RunResult } from './exec.js';
import { type Ending, runChild, startProblem } from './exec-child.js';
import { startTimeOf } from './process.js';
import { checkScript, trustOf } from './trusted-program.js';

type StartOptions = Parameters<Exec['start']>[2];

export class PosixExec implements Exec {
  constructor(private readonly clock: Clock) {}

  async run(file: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
    const stdin = options.input === undefined ? 'ignore' : 'pipe';
    return runChild(
      {
        clock: this.clock,
        command: [file, ...args].join(' '),
        end: endGroup,
        spawn: () => spawnLogged(file, args, options, stdin, 'pipe'),
      },
      options,
    );
  }

  async start(file: string, args: readonly string[], options: StartOptions): Promise<RunningProcess> {
    const child = spawnLogged(file, args, options, 'ignore', 'ignore');
    const exited = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    });
    if (child.pid === undefined) {
      const [error] = await new Promise<[Error]>((resolve) => child.once('error', (problem) => resolve([problem])));
      const command = [file, ...args].join(' ');
      throw new UnderstudyError('COMMAND_FAILED', `${command} could not be started: ${startProblem(error)}`, { cause: error });
    }
    const { pid } = child;
    child.unref();
    let over = false;
    void exited.then(() => (over = true));
    return {
      pid,
      // Read before the event loop can reap it: the entry exists even if the child is already dead.
      startTime: startTimeOf(pid) ?? '',
      exited,
      // Once it is reaped its pid may name another process; its group number is still its own while members live.
      kill: (signal) => {
        if (!over || !existsSync(`/proc/${pid}`)) signalGroup(pid, signal);
      },
    };
  }
}

const endGroup = (child: ChildProcess, how: Ending): void => {
  if (child.pid !== undefined) signalGroup(child.pid, how === 'kill' ? 'SIGKILL' : 'SIGTERM');
};

const signalGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // No such group: it has already ended, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};

const spawnLogged = (
  file: string,
  args: readonly string[],
  options: StartOptions,
  stdin: 'ignore' | 'pipe',
  output: 'ignore' | 'pipe',
): ChildProcess => {
  const env = environmentFor(options);
  // Right before it is started: between the look and the start there is still a moment (docs/explanation/security.md).
  const program = options.trustedOnly === true ? onPath(file, env['PATH'] ?? SAFE_PATH) : null;
  if (program !== null) checkScript(program, trustOf(process.env));
  const [first, ...words] = commandLine(file, args, options);
  const log = options.logFile === undefined ? null : openSync(options.logFile, 'a', 0o640);
  try {
    return spawn(first, words, {
      detached: true,
      stdio: [stdin, log ?? output, log ?? output] satisfies StdioOptions,
      env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
  } finally {
    if (log !== null) closeSync(log);
  }
};

/**
 * The words to execute. A cgroup is entered before the program begins, so that nothing it forks can be outside; a user is
 * set by setpriv with the supplementary groups of the user database (Node's own uid/gid options drop them) and without the
 * way back to more rights. Status 126 or 127 with a sentence on stderr means the wrapping itself failed.
 */
export const commandLine = (
  file: string,
  args: readonly string[],
  { cgroup, user }: Pick<StartOptions, 'cgroup' | 'user'>,
): readonly [string, ...string[]] => {
  const other = user === undefined || isSelf(user) ? undefined : user;
  if (other !== undefined && process.geteuid?.() !== 0) {
    throw new UnderstudyError('COMMAND_FAILED', `${file} was to run as ${other}, but only root can start programs as another user`, {
      hint: 'Run understudy as root, or take `user` out of the options.',
    });
  }
  if (cgroup === undefined && other === undefined) return [file, ...args];
  const steps = [cgroup === undefined ? '' : ENTER_CGROUP, other === undefined ? '' : BECOME_USER, 'exec "$@"'];
  const given = [cgroup, other].filter((word) => word !== undefined);
  return ['/bin/sh', '-c', steps.join(''), 'understudy', ...given, file, ...args];
};

const ENTER_CGROUP = 'echo $$ >"$1/cgroup.procs" || exit 126; shift; ';
const BECOME_USER =
  'entry=$(getent passwd "$1") || { echo "understudy: no such user: $1" >&2; exit 126; }; shift; ' +
  'IFS=: read -r name _ uid gid _ home _ <<END\n$entry\nEND\n' +
  ': "${HOME:=$home}" "${USER:=$name}" "${LOGNAME:=$name}"; export HOME USER LOGNAME; ' +
  'set -- setpriv --reuid="$uid" --regid="$gid" --init-groups --no-new-privs -- "$@"; ';

/** The file that will be run. null when it is nowhere: then the start itself fails, and says so. */
const onPath = (file: string, path: string): string | null =>
  file.includes('/')
    ? file
    : (path
        .split(':')
        .map((directory) => join(directory, file))
        .find((place) => existsSync(place)) ?? null);

const isSelf = (user: string): boolean => {
  const self = process.geteuid?.();
  if (user === String(self)) return true;
  return self !== 0 && userInfo().username === user;
};

const SAFE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The short environment of every child: a fixed PATH, UTF-8, this process's own UNDERSTUDY_* (the lab's host mark travels
 * so). HOME is the user's own when another user was asked for. Nothing else of the daemon's environment reaches a child.
 */
export const environmentFor = ({ env, addEnv, user }: Pick<StartOptions, 'env' | 'addEnv' | 'user'>): Record<string, string> => {
  if (env !== undefined) return { ...env, ...addEnv };
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[0].startsWith('UNDERSTUDY_'));
  const home = user === undefined || isSelf(user) ? { HOME: process.env['HOME'] ?? '/' } : {};
  return { PATH: SAFE_PATH, LANG: 'C.UTF-8', ...home, ...Object.fromEntries(inherited), ...addEnv };
};
