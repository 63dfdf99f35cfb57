// `understudy check --print FILE.ts`: the one place where a config written as code is run, because an operator asked for
// it, in a child process with a deadline. Exec stands above this room, so its `run` is an argument.
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { UnderstudyError } from '../errors/errors.js';

export interface PrintOptions {
  /** `exec.run`: ends the whole process group at the deadline. */
  readonly run: (
    file: string,
    args: readonly string[],
    options: { readonly timeoutMs: number; readonly cwd: string; readonly maxOutputBytes: number },
  ) => Promise<{
    readonly exitCode: number | null;
    readonly stdout: string;
    readonly stderr: string;
    readonly timedOut: boolean;
    readonly truncated: boolean;
  }>;
  /** Default 20 s. */
  readonly timeoutMs?: number;
  readonly workingDirectory?: string;
}

/** Stands before the result, so that what the config itself prints is no part of it. */
const MARK = '\u0002understudy-config\u0003';
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
const PROGRAM = `
const exported = (await import(process.argv[1])).default;
const config = await (typeof exported === 'function' ? exported() : exported);
if (typeof config !== 'object' || config === null) throw new Error('the default export is not an object, nor a function that returns one');
process.stdout.write(${JSON.stringify(MARK)} + JSON.stringify(config));
`;

/** Runs the file and returns its default export as YAML. Rejects with CONFIG_INVALID and what the file printed. */
export const printConfig = async (
  file: string,
  { run, timeoutMs = 20_000, workingDirectory = process.cwd() }: PrintOptions,
): Promise<string> => {
  const path = resolve(workingDirectory, file);
  const done = await run(process.execPath, ['--input-type=module', '--eval', PROGRAM, pathToFileURL(path).href], {
    timeoutMs,
    cwd: workingDirectory,
    maxOutputBytes: MAX_OUTPUT_BYTES,
  });
  if (done.timedOut) throw new UnderstudyError('CONFIG_INVALID', `${path} did not end within ${timeoutMs} ms and was stopped`);
  const at = done.stdout.lastIndexOf(MARK);
  if (done.exitCode !== 0 || at < 0)
    throw new UnderstudyError('CONFIG_INVALID', `${path} could not be run:\n${(done.stderr || done.stdout).trim()}`);
  if (done.truncated) throw new UnderstudyError('CONFIG_INVALID', `${path} made more than ${MAX_OUTPUT_BYTES} bytes of config`);
  return `# Made from ${file} by: understudy check --print ${file}\n${stringify(JSON.parse(done.stdout.slice(at + MARK.length)))}`;
};
