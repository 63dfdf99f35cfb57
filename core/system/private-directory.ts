// Directories that sockets, pages and state lie in. Whoever else can write there can put a socket or a page of its own in the
// place of ours; so the daemons make them closed, and refuse to begin in one that is open or somebody else's.
import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { UnderstudyError } from '../errors/errors.js';

const OTHERS_WRITE = 0o022;

/** Makes the directory (0700) when it is missing. Throws REFUSED when others can write in it, or chose where it is. */
export const privateDirectory = (path: string): void => {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const self = process.geteuid?.();
  if (self === undefined) return;
  const refuse = (why: string) =>
    new UnderstudyError('REFUSED', `cannot begin in ${path}: ${why}`, {
      hint: `Look who made it, then: chown ${self} ${path}; chmod go-w ${path}`,
    });
  for (const { uid } of [lstatSync(path), statSync(path)]) if (uid !== 0 && uid !== self) throw refuse(`it belongs to user ${uid}`);
  const { mode } = statSync(path);
  if ((mode & OTHERS_WRITE) !== 0) throw refuse(`others can write in it (mode ${(mode & 0o7777).toString(8)})`);
};
