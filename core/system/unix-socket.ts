// One way to listen on a Unix socket, for the guard's frames and the controller's HTTP: only its owner may use it, from its
// first moment; nothing that is not a dead socket of ours is ever removed from its place. Invariant: an accept that fails
// later (no descriptors left, no memory) costs that client its connection and is told; it never ends the process.
import { lstatSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { reasonOf, UnderstudyError } from '../errors/errors.js';

/** Told of every accept that failed after the socket was bound. A storm of clients makes a storm of calls: tell it on rarely. */
export type SocketTrouble = (because: string) => void;

const CONNECT_MS = 1_000;

/** Resolves when it listens. Rejects with REFUSED when another process answers there, or something else stands there. */
export const listenUnix = async (server: Server, path: string, onTrouble: SocketTrouble): Promise<void> => {
  if (process.platform !== 'win32') assertReplaceable(path);
  if (await answers(path))
    throw new UnderstudyError('REFUSED', `cannot listen on ${path}: another process already answers there`, {
      hint: 'Stop the other one first: two of a kind on one run directory are never right.',
    });
  rmSync(path, { force: true });
  await bind(server, path);
  server.on('error', (error) => onTrouble(`a client could not be let in on ${path}: ${error.message}`));
};

/** A file, directory or link in the socket's place was not put there by us, and neither was another user's socket. */
const assertReplaceable = (path: string): void => {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  const own = there.uid === process.geteuid?.();
  if (there.isSocket() && own) return;
  throw new UnderstudyError(
    'REFUSED',
    `cannot listen on ${path}: ${there.isSocket() ? `a socket of user ${there.uid}` : 'something that is not a socket'} stands there`,
    { hint: 'Look at what it is and who put it there, then remove it and start again.' },
  );
};

/** Binds with a mask that leaves the socket to its owner from its first moment, whatever the umask of the process. */
const bind = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const failed = (error: Error) =>
      reject(
        new UnderstudyError('REFUSED', `cannot listen on ${path}: ${reasonOf(error)}`, {
          cause: error,
          hint: 'The run directory must exist, be writable, and its path be shorter than 100 characters.',
        }),
      );
    server.once('error', failed);
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', failed);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });

/** False only when certainly nobody listens: a full queue is somebody too. */
const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(CONNECT_MS, () => end(true));
    socket.once('connect', () => end(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => end(code === 'EAGAIN'));
  });
