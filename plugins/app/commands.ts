// How app-script's commands are run: as whom, where, with what environment, and what a failure is told as. Nothing decides here.
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { type ActionContext, type Exec, reasonOf, UnderstudyError } from 'understudy/plugin';
import type { AppScriptOptions } from './definition.js';

type Acting = ActionContext<AppScriptOptions>;

/** An application may have written a log of any size: so much of its end is read for the last line. */
const TAIL_BYTES = 8192;

/** Runs a command whose failure does not decide; what went wrong, for the report. */
export const attempt = async (
  exec: Exec,
  what: 'stop' | 'clean',
  words: readonly string[],
  { options, environment, signal }: Acting,
  timeoutMs: number,
): Promise<readonly string[]> => {
  const [file, ...args] = words as readonly [string, ...string[]];
  try {
    const result = await exec.run(file, args, { ...asWho(options), addEnv: { ...options.env, ...environment }, timeoutMs, signal });
    if (result.exitCode === 0) return [];
    const how = result.timedOut ? `took longer than ${Math.round(timeoutMs)} ms` : `exited with ${result.exitCode ?? result.signal}`;
    return [`${what}: ${file} ${how}${result.stderr === '' ? '' : `: ${lastLine(result.stderr)}`}`];
  } catch (error) {
    return [`${what}: ${reasonOf(error)}`];
  }
};

/** Every command of an application goes by the rules for what root runs, monitor too: it is run on nodes where nothing was started yet. */
export const asWho = ({ user, cwd }: AppScriptOptions) => ({ cwd, trustedOnly: true, ...(user === undefined ? {} : { user }) });

/** Inside the resource's cgroup, with its mark, output to its log: for what may go on running. */
export const inPlace = ({ options, environment, logFile, cgroup }: Acting) => ({
  ...asWho(options),
  addEnv: { ...options.env, ...environment },
  logFile,
  ...(cgroup === null ? {} : { cgroup }),
});

export const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';

export const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** With the last line that the command wrote to its log, since its output goes nowhere else. */
export const failed = (what: string, logFile: string, from: number): UnderstudyError => {
  const said = sizeOf(logFile) > from ? lastLine(tailOf(logFile, from)) : '';
  return new UnderstudyError('AGENT_FAILED', said === '' ? what : `${what}: ${said}`, { hint: `See ${logFile}.` });
};

const tailOf = (file: string, from: number): string => {
  const log = openSync(file, 'r');
  try {
    const at = Math.max(from, fstatSync(log).size - TAIL_BYTES);
    const bytes = Buffer.alloc(TAIL_BYTES);
    return bytes.subarray(0, readSync(log, bytes, 0, TAIL_BYTES, at)).toString('utf8');
  } finally {
    closeSync(log);
  }
};
