// Which programs root may be told to run (SAFETY S9): an absolute path, no hand but root's (or the run-as user's) able to
// change the file or any directory above it. Otherwise whoever can write there is root on every node of the cluster.
import { realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';
import { UnderstudyError } from '../errors/errors.js';

export interface Trust {
  /** Owners beside root whose files may be run. */
  readonly uids: readonly number[];
  /** Groups that may have write permission: the private group of one of them. */
  readonly gids: readonly number[];
}

const GROUP_WRITE = 0o020;
const WORLD_WRITE = 0o002;
/** In such a directory (/tmp) nobody can replace what belongs to somebody else. */
const STICKY = 0o1000;

/** Who is trusted beside root: the person who began this by sudo already is root. */
export const trustOf = (env: NodeJS.ProcessEnv): Trust => {
  const number = (name: string) => (/^\d+$/.test(env[name] ?? '') ? [Number(env[name])] : []);
  return { uids: number('SUDO_UID'), gids: number('SUDO_GID') };
};

/** Throws COMMAND_FAILED with the file or directory that breaks the rules. Nothing is checked when not root, or on Windows. */
export const checkScript = (program: string, trust: Trust): void => {
  if (process.geteuid?.() !== 0) return;
  const problem = problemOf(program, trust);
  if (problem === null) return;
  throw new UnderstudyError('COMMAND_FAILED', `${program} is not run as root: ${problem}`, {
    hint: 'Make the program and every directory above it owned by root and writable by nobody else (chown root, chmod go-w).',
  });
};

const problemOf = (program: string, trust: Trust): string | null => {
  if (!isAbsolute(program)) return 'its path is not absolute';
  let real: string;
  try {
    real = realpathSync(program);
  } catch (error) {
    return `it cannot be found (${(error as NodeJS.ErrnoException).code})`;
  }
  // Both ways to it: whoever can change a link's directory chooses what is run.
  for (const path of new Set([...upwards(real), ...upwards(dirname(program))])) {
    const { uid, gid, mode } = statSync(path);
    if (uid !== 0 && !trust.uids.includes(uid)) return `${path} belongs to uid ${uid}`;
    if ((mode & STICKY) !== 0) continue;
    if ((mode & WORLD_WRITE) !== 0) return `${path} is writable by everybody`;
    if ((mode & GROUP_WRITE) !== 0 && gid !== 0 && !trust.gids.includes(gid)) return `${path} is writable by group ${gid}`;
  }
  return null;
};

const upwards = (path: string): readonly string[] => (dirname(path) === path ? [path] : [path, ...upwards(dirname(path))]);
