// One short-lived child from spawn to result: bounded output, a deadline, an abort signal, and the end of the whole group.
// Shared by exec-posix.ts and exec-windows.ts, which differ only in how a child is made and how its group is ended.
// Invariant: the promise settles within deadline + termGraceMs + REAP_MS, whatever the child and its children do.
import type { ChildProcess } from 'node:child_process';
import { setImmediate as nextPoll } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import { UnderstudyError } from '../errors/errors.js';
import type { Clock, Timer } from './clock.js';
import type { RunOptions, RunResult } from './exec.js';

/** A killed child that has not gone after so long (uninterruptible I/O) is left to the kernel and reported as it stands. */
const REAP_MS = 1000;
const DEFAULT_OUTPUT_BYTES = 64 * 1024;
/** A grandchild may hold the pipe and write for ever: so many polls with news after the child's exit, then no more. */
const MAX_DRAIN_POLLS = 64;
/** Exit may be told before the last bytes are read: two rounds hold at least one whole poll of the pipes. */
const LEAST_DRAIN_POLLS = 3;

export type Ending = 'terminate' | 'kill';

export interface ChildSteps {
  readonly clock: Clock;
  /** Spawns; stdio 1 and 2 are pipes or files, stdin is a pipe only when there is input. */
  readonly spawn: () => ChildProcess;
  /** Ends the child and everything in its group. */
  readonly end: (child: ChildProcess, how: Ending) => void;
  /** The command as people read it, for errors. */
  readonly command: string;
}

/** Runs one child to its end. Rejects with COMMAND_FAILED only when it could not be started. */
export const runChild = async ({ clock, spawn, end, command }: ChildSteps, options: RunOptions): Promise<RunResult> => {
  const startedMs = clock.nowMs();
  if (options.signal?.aborted) return notRun();
  const child = spawn();
  const limit = options.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES;
  const stdout = new Kept(child.stdout, limit);
  const stderr = new Kept(child.stderr, limit);
  feed(child, options.input);

  let timedOut = false;
  let aborted = false;
  const timers: Timer[] = [];
  let onAbort: (() => void) | undefined;
  const ended = await new Promise<{ exitCode: number | null; signal: string | null }>((resolve, reject) => {
    const kill = () => {
      end(child, 'kill');
      timers.push(clock.after(REAP_MS, () => resolve({ exitCode: null, signal: 'SIGKILL' })));
    };
    const over = () => {
      if (!options.termGraceMs) return kill();
      end(child, 'terminate');
      timers.push(clock.after(options.termGraceMs, kill));
    };
    onAbort = () => {
      if (timedOut || aborted) return;
      aborted = true;
      over();
    };
    child.on('error', (error) =>
      reject(new UnderstudyError('COMMAND_FAILED', `${command} could not be started: ${startProblem(error)}`, { cause: error })),
    );
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    timers.push(
      clock.after(options.timeoutMs, () => {
        if (aborted) return;
        timedOut = true;
        over();
      }),
    );
    options.signal?.addEventListener('abort', onAbort, { once: true });
  }).finally(() => {
    for (const timer of timers) timer.cancel();
    if (onAbort) options.signal?.removeEventListener('abort', onAbort);
  });

  // `close` would wait for grandchildren that hold the pipe; what the child itself wrote is already in it.
  for (let polls = 0; polls < MAX_DRAIN_POLLS && (stdout.hasNews() || stderr.hasNews() || polls < LEAST_DRAIN_POLLS); polls++)
    await nextPoll();
  stdout.close();
  stderr.close();
  child.stdin?.destroy();
  return {
    ...ended,
    stdout: stdout.text(),
    stderr: stderr.text(),
    truncated: stdout.truncated || stderr.truncated,
    timedOut,
    aborted,
    elapsedMs: clock.nowMs() - startedMs,
  };
};

const notRun = (): RunResult => ({
  exitCode: null,
  signal: null,
  stdout: '',
  stderr: '',
  truncated: false,
  timedOut: false,
  aborted: true,
  elapsedMs: 0,
});

/** The first bytes of a stream; the rest is read and thrown away, so that the child never blocks on a full pipe. */
class Kept {
  truncated = false;
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private ended = false;
  private news = false;

  constructor(
    private readonly stream: Readable | null,
    private readonly limit: number,
  ) {
    if (stream === null) this.ended = true;
    stream?.on('data', (chunk: Buffer) => this.take(chunk));
    stream?.once('close', () => (this.ended = true));
    // A reset pipe ends like any other; the exit status says what there is to say.
    stream?.once('error', () => (this.ended = true));
  }

  /** Whether more came since the last call, or may be on its way into the stream. */
  hasNews(): boolean {
    const news = this.news && !this.ended;
    this.news = false;
    return news;
  }

  close(): void {
    this.stream?.destroy();
  }

  text(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }

  private take(chunk: Buffer): void {
    this.news = true;
    const room = this.limit - this.bytes;
    if (chunk.length > room) this.truncated = true;
    if (room <= 0) return;
    this.chunks.push(chunk.subarray(0, room));
    this.bytes += Math.min(room, chunk.length);
  }
}

const feed = (child: ChildProcess, input: string | undefined): void => {
  if (input === undefined) return;
  // EPIPE: the child did not want its input. Its exit status tells whether that is an error.
  child.stdin?.on('error', () => child.stdin?.destroy());
  child.stdin?.end(input);
};

/** Why a spawn failed, in words: ENOENT means the program or the working directory. */
export const startProblem = (error: Error & { code?: string }): string => {
  if (error.code === 'ENOENT') return 'the program or its working directory does not exist';
  if (error.code === 'EACCES') return 'it is not executable by this user';
  return error.message;
};
