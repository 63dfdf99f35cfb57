// Which implementation of Exec this host needs. For what has no container: a plugin's commands.
import { systemClock } from './clock.js';
import type { Exec } from './exec.js';
import { PosixExec } from './exec-posix.js';
import { WindowsExec } from './exec-windows.js';

/** The Exec of this host's operating system. */
export const systemExec = (): Exec => (process.platform === 'win32' ? new WindowsExec(systemClock) : new PosixExec(systemClock));
