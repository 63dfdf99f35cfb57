// Starts the lab's programs: each in a session of its own, output to a file or a pipe with a limit, ended with its whole
// group. The engine's own children go through core/system/exec; these are the lab's, which may have to live in another
// namespace or talk over an IPC channel. Invariant: nothing waits without a deadline.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { Command } from './substrate.js';

export interface StartOptions {
  /** Append stdout and stderr to this file. */
  readonly logFile: string;
  /** Give the child an IPC channel (it must be Node, at the end of an exec chain that keeps descriptor 3). */
  readonly ipc?: boolean;
  readonly onMessage?: (message: unknown) => void;
}

export interface LabProcess {
  readonly pid: number;
  readonly exited: Promise<number | null>;
  readonly running: () => boolean;
  /** False when the channel is gone. */
  send(message: unknown): boolean;
  /** To the whole process group. */
  kill(signal: NodeJS.Signals): void;
  /** Lets it live on by itself: its channel is closed, and this process may end before it. */
  release(): void;
}

/** The system's own tools first: a package's program of the same name (there is an `nft` on npm) must not stand in for them. */
const toolPath = (): string => `/usr/sbin:/usr/bin:/sbin:/bin:${process.env['PATH'] ?? ''}`;

/** A short, clean environment: what a shell would need, and the lab's marks. */
export const baseEnvironment = () => ({
  PATH: toolPath(),
  HOME: process.env['HOME'] ?? '/',
  LANG: process.env['LANG'] ?? 'C.UTF-8',
  TMPDIR: process.env['TMPDIR'] ?? '/tmp',
});

/** Signals a process group; a group that is already gone is what was wanted. */
export const signalGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
  }
};

/** Starts a program that goes on running. Throws LAB_FAILED when it cannot be started. */
export const startProcess = (command: Command, options: StartOptions): LabProcess => {
  const [file, ...args] = command.argv;
  if (file === undefined) throw new UnderstudyError('LAB_FAILED', 'could not start an empty command');
  const log = openSync(options.logFile, 'a');
  let child: ChildProcess;
  try {
    child = spawn(file, args, {
      detached: true,
      env: { ...baseEnvironment(), ...command.env },
      stdio: options.ipc ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
    });
  } finally {
    closeSync(log);
  }
  const { pid } = child;
  if (options.onMessage) child.on('message', options.onMessage);
  let running = true;
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      running = false;
      resolve(code);
    });
    child.on('error', () => {
      running = false;
      resolve(null);
    });
  });
  if (pid === undefined) throw new UnderstudyError('LAB_FAILED', `could not start ${file}`, { hint: `Check that ${file} is installed.` });
  return {
    pid,
    exited,
    running: () => running,
    send: (message) => child.connected && child.send(message as object),
    kill: (signal) => signalGroup(pid, signal),
    release: () => {
      if (child.connected) child.disconnect();
      child.unref();
    },
  };
};

export interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

/** Runs a program to its end, at most `timeoutMs`; then its whole group is killed and exitCode is null. */
export const runProcess = (command: Command, timeoutMs: number): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const [file = '', ...args] = command.argv;
    const child = spawn(file, args, { detached: true, env: { ...baseEnvironment(), ...command.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (chunk: string) => {
        if (output[name].length < MAX_OUTPUT_BYTES) output[name] += chunk;
      });
    const timer = setTimeout(() => child.pid !== undefined && signalGroup(child.pid, 'SIGKILL'), timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new UnderstudyError('LAB_FAILED', `could not run ${file}: ${error.message}`, { cause: error }));
    });
    child.once('exit', (exitCode) => {
      clearTimeout(timer);
      // A grandchild may hold the pipe open: what came until now is the answer (DESIGN 3).
      setImmediate(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ exitCode, ...output });
      });
    });
  });

/** Runs a short tool now, blocking: for the steps of a power cut and for set-up, where order is all. Throws LAB_FAILED. */
export const tool = (argv: readonly string[], input?: string): string => {
  const [file = '', ...args] = argv;
  const done = spawnSync(file, args, {
    encoding: 'utf8',
    timeout: 10_000,
    killSignal: 'SIGKILL',
    env: { ...process.env, PATH: toolPath() },
    ...(input === undefined ? {} : { input }),
  });
  if (done.error || done.status !== 0) {
    const why = done.error ? reasonOf(done.error) : done.stderr.trim() || `exit ${done.status ?? done.signal}`;
    throw new UnderstudyError('LAB_FAILED', `${argv.join(' ')}: ${why}`, { ...(done.error ? { cause: done.error } : {}), input });
  }
  return done.stdout;
};

/** The end of a log file, to be told where the file itself will not outlive the failure. */
export const lastWords = (logFile: string, lines = 5): string => {
  if (!existsSync(logFile)) return '(its log is gone)';
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') || '(it said nothing)';
};
