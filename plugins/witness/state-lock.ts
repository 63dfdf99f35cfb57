// One process at a time serves a state: two would each grant the same epoch. The lock is a name that the kernel takes
// back when its process ends, however it ends, so that no stale lock file can stop a restart.
import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { UnderstudyError, reasonOf } from 'understudy/plugin';

/** Takes the lock of this state file; returns the way to give it back. Throws REFUSED when another process has it. */
export const lockState = async (stateFile: string): Promise<() => Promise<void>> => {
  const directory = await realpath(dirname(stateFile)).catch((error: unknown) => {
    throw new UnderstudyError('REFUSED', `cannot use the witness's state ${stateFile}: ${reasonOf(error)}`, { cause: error });
  });
  const name = `understudy-witness-${createHash('sha256')
    .update(join(directory, basename(stateFile)))
    .digest('hex')
    .slice(0, 32)}`;
  // Linux: a socket without a file. Windows: a named pipe. Elsewhere the port alone keeps two apart.
  const path = process.platform === 'linux' ? `\0${name}` : process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : null;
  if (path === null) return () => Promise.resolve();
  const holder = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    holder.once('error', (error) =>
      reject(
        new UnderstudyError('REFUSED', `another witness on this host serves ${stateFile}`, {
          cause: error,
          hint: 'Stop it first; one state has one witness.',
        }),
      ),
    );
    holder.listen(path, resolve);
  });
  return () => new Promise((resolve) => holder.close(() => resolve()));
};
