// Tells systemd that a daemon is ready. Node has no datagram Unix sockets, so `systemd-notify` does it, once at the start;
// the unit says NotifyAccess=all. Without systemd nothing happens.
import { reasonOf } from '../errors/errors.js';
import type { Log } from '../plugin/contract.js';
import type { Exec } from '../system/exec.js';

/** Never rejects: a daemon that serves is not ended because nobody could be told. */
export const notifyReady = async (exec: Exec, log: Log, env: NodeJS.ProcessEnv = process.env): Promise<void> => {
  const socket = env['NOTIFY_SOCKET'];
  if (socket === undefined) return;
  try {
    const { exitCode, stderr } = await exec.run('systemd-notify', ['--ready', `--pid=${process.pid}`], {
      timeoutMs: 5000,
      addEnv: { NOTIFY_SOCKET: socket },
    });
    if (exitCode !== 0) log.warn('systemd was not told that this is ready', { exitCode, stderr });
  } catch (error) {
    log.warn('systemd was not told that this is ready', { reason: reasonOf(error) });
  }
};
