// The last resort when a group cannot be stopped: reset this host, at once and without ceremony. Armed only where the unit
// says so ($UNDERSTUDY_RESET_HOST=sysrq): a guard that somebody starts by hand, or in a lab, must never take the machine down.
import { writeFileSync } from 'node:fs';
import { reasonOf } from '../errors/errors.js';
import type { Log } from '../plugin/contract.js';

/** What the leash runs when it cannot verify a stop: the same last resort, armed by the same word. */
export const leashReset = (env: NodeJS.ProcessEnv): string =>
  env['UNDERSTUDY_RESET_HOST'] === 'sysrq' ? 'echo b >/proc/sysrq-trigger' : 'echo "the host would be reset now; it is not told to" >&2';

export const resetHost =
  (log: Log, env: NodeJS.ProcessEnv = process.env) =>
  (because: string): void => {
    if (env['UNDERSTUDY_RESET_HOST'] !== 'sysrq') {
      log.error('the host would be reset now; it is not told to: a watchdog or an operator must', { because });
      return;
    }
    log.error('resetting the host', { because });
    try {
      // Allow everything, then reboot without syncing: a sync could hang on the very disk that is the trouble.
      writeFileSync('/proc/sys/kernel/sysrq', '1');
      writeFileSync('/proc/sysrq-trigger', 'b');
    } catch (error) {
      log.error('the host could not be reset', { reason: reasonOf(error) });
    }
  };
