// Whose code root would run. A plugin file that somebody else can write is that somebody's way to root, so is a directory
// in which the file could be replaced. Asked only of a process of root, and not of the package's own files.
// A sticky directory of root (/tmp) passes: in it only the owner of an entry can replace it, and the entry is checked too.
import { lstat, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface FileStatus {
  readonly uid: number;
  readonly mode: number;
  isSymbolicLink(): boolean;
}

const GROUP_OR_WORLD_WRITES = 0o022;
const STICKY = 0o1000;

/** Why root must not load the file; empty when it may. Both the path as written and the one behind its links are looked at. */
export const ownershipProblems = async (
  file: string,
  status: (path: string) => Promise<FileStatus> = lstat,
  resolveLinks: (path: string) => Promise<string> = realpath,
): Promise<readonly string[]> => {
  const paths = new Set([...withParents(file), ...withParents(await resolveLinks(file))]);
  const problems: string[] = [];
  for (const path of paths) {
    const found = await status(path);
    const { uid, mode } = found;
    if (uid !== 0) problems.push(`${path} belongs to uid ${uid}, and root loads plugins of root only: chown root ${path}`);
    else if (!found.isSymbolicLink() && (mode & GROUP_OR_WORLD_WRITES) !== 0 && (mode & STICKY) === 0)
      problems.push(`${path} can be written by others than root (mode ${(mode & 0o7777).toString(8)}): chmod go-w ${path}`);
  }
  return problems;
};

const withParents = (path: string): readonly string[] => {
  const parent = dirname(path);
  return parent === path ? [path] : [path, ...withParents(parent)];
};
