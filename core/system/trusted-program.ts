// Which files root may be told to run or to load (SAFETY S9, S11): an absolute path, and no hand but root's (or that of the person
// behind sudo) able to change the file, a directory above it, or a link on the way. Otherwise whoever can is root on every node.
// Invariant: every way to the file is walked, name by name and link by link, as the kernel walks it.
import { lstatSync, readlinkSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { UnderstudyError } from '../errors/errors.js';

export interface Trust {
  /** Owners beside root whose files may be run. */
  readonly uids: readonly number[];
  /** Groups that may have write permission: the private group of one of them. */
  readonly gids: readonly number[];
}

/** What is there, the last name not followed. Throws the system's error. */
export interface Look {
  lstat(path: string): { readonly uid: number; readonly gid: number; readonly mode: number };
  readlink(path: string): string;
}

const SYSTEM: Look = { lstat: (path) => lstatSync(path), readlink: (path) => readlinkSync(path) };
const GROUP_WRITE = 0o020;
const WORLD_WRITE = 0o002;
/** In such a directory (/tmp) nobody can replace what belongs to somebody else; but anybody can make what is not there yet. */
const STICKY = 0o1000;
const [TYPE, LINK, DIRECTORY] = [0o170000, 0o120000, 0o040000];
/** As the kernel: more is a loop. */
const MAX_LINKS = 40;

/** Who is trusted beside root: the person who began this by sudo already is root. */
export const trustOf = (env: NodeJS.ProcessEnv): Trust => {
  const number = (name: string) => (/^\d+$/.test(env[name] ?? '') ? [Number(env[name])] : []);
  return { uids: number('SUDO_UID'), gids: number('SUDO_GID') };
};

/** Throws COMMAND_FAILED with the file or directory that breaks the rules. Nothing is checked when not root, or on Windows. */
export const checkScript = (program: string, trust: Trust): void => {
  if (process.geteuid?.() !== 0) return;
  const problem = distrustOf(program, trust);
  if (problem === null) return;
  throw new UnderstudyError('COMMAND_FAILED', `${program} is not run as root: ${problem}`, { hint: TRUST_HINT });
};

export const TRUST_HINT = 'Make the file and every directory above it owned by root and writable by nobody else (chown root, chmod go-w).';

/** Why root should not touch the file: the first thing on the way to it that others can change. null when there is none. */
export const distrustOf = (program: string, trust: Trust, look: Look = SYSTEM): string | null => {
  if (!isAbsolute(program)) return 'its path is not absolute';
  const names = ['/', ...namesOf(program)];
  let [at, open, links] = ['/', false, 0];
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const here = name === '..' ? dirname(at) : join(at, name);
    let entry: ReturnType<Look['lstat']>;
    try {
      entry = look.lstat(here);
    } catch (error) {
      return `it cannot be found (${(error as NodeJS.ErrnoException).code ?? String(error)}: ${here})`;
    }
    const { uid, gid, mode } = entry;
    const type = mode & TYPE;
    if (uid !== 0 && !trust.uids.includes(uid)) return `${here} belongs to uid ${uid}`;
    if (open && type !== DIRECTORY) return `${here} lies in a directory where everybody can make files`;
    if (type === LINK) {
      links += 1;
      if (links > MAX_LINKS) return `${here} is one of too many links`;
      const target = look.readlink(here);
      names.unshift(...(isAbsolute(target) ? ['/'] : []), ...namesOf(target));
      if (isAbsolute(target)) at = '/';
      continue;
    }
    const byAll = (mode & WORLD_WRITE) !== 0;
    const byGroup = (mode & GROUP_WRITE) !== 0 && !trust.gids.includes(gid);
    open = (byAll || byGroup) && type === DIRECTORY && (mode & STICKY) !== 0;
    if (!open && byAll) return `${here} is writable by everybody`;
    if (!open && byGroup) return `${here} is writable by group ${gid}`;
    at = here;
  }
  return null;
};

const namesOf = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');
