// The exclusive lock of an open file, without waiting: by flock(2) where koffi is there, else by flock(1). It is of the inode, so
// it holds across hard links, containers and network namespaces, and the kernel takes it back however the process ends.
import { spawn } from 'node:child_process';
import { reasonOf } from 'understudy/plugin';
import { ERRNO, type KernelCalls } from './kernel-calls.js';

/** How long flock(1) may take to say yes or no. */
const FLOCK_MS = 5000;

/** Locked for as long as the file is open: null. Otherwise why it is not. */
export const flock = (fd: number, kernel: KernelCalls | null): Promise<string | null> =>
  kernel === null ? byProgram(fd) : Promise.resolve(byCall(kernel, fd));

const byCall = (calls: KernelCalls, fd: number): string | null => {
  const result = calls.lock(fd);
  if (result >= 0) return null;
  return result === -ERRNO.EAGAIN ? 'another process has the lock' : `flock answers errno ${-result}`;
};

// The lock belongs to the open file, which the child shares: it stays when the child has ended.
const byProgram = (fd: number): Promise<string | null> =>
  new Promise((resolve) => {
    const child = spawn('flock', ['-n', '-x', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', fd],
      timeout: FLOCK_MS,
      killSignal: 'SIGKILL',
    });
    child.once('error', (error) => resolve(`neither koffi nor flock(1) is there: ${reasonOf(error)}. Install util-linux`));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve(null);
      else resolve(code === 1 ? 'another process has the lock' : `flock(1) ended with ${code ?? signal}`);
    });
  });
