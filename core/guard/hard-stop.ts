// Runs the hard-stop list of a group, or only looks whether everything on it is gone: always through emergency-stop.sh, the
// one interpreter that guard, leash and operators share (SAFETY a.6). Nothing else decides that a group is stopped.
import { fileURLToPath } from 'node:url';
import { reasonOf } from '../errors/errors.js';
import type { GroupId } from '../model/ids.js';
import type { Exec } from '../system/exec.js';

export interface StopResult {
  /** Every line of the list is verified gone. */
  readonly verified: boolean;
  readonly because: string;
}

export interface HardStop {
  /** Makes the group harmless and verifies it. Never rejects. */
  stop(group: GroupId, limitMs: number): Promise<StopResult>;
  /** Only looks. Never rejects. */
  verify(group: GroupId, limitMs: number): Promise<StopResult>;
}

/** The script ends by itself so long before it is ended from outside: then it still says what is left. */
const LAST_WORDS_MS = 100;
const SCRIPT = fileURLToPath(new URL('./emergency-stop.sh', import.meta.url));

export const scriptHardStop = (exec: Exec, runDir: string, script = SCRIPT): HardStop => {
  const run = async (group: GroupId, how: '--verify' | '--verify-only', limitMs: number): Promise<StopResult> => {
    try {
      const ownLimitMs = Math.max(1, Math.round(limitMs - LAST_WORDS_MS));
      const args = [script, group, '--run-dir', runDir, how, '--limit-ms', String(ownLimitMs)];
      const { exitCode, stdout, stderr, timedOut } = await exec.run('/bin/sh', args, { timeoutMs: ownLimitMs + LAST_WORDS_MS });
      if (exitCode === 0) return { verified: true, because: 'everything on the hard-stop list is verified gone' };
      if (timedOut) return { verified: false, because: `emergency-stop did not end within ${Math.round(limitMs)} ms` };
      const words = `${stderr}\n${stdout}`.trim().split('\n').filter(Boolean).slice(-3).join('; ');
      return { verified: false, because: words === '' ? `emergency-stop ended with ${exitCode ?? 'a signal'}` : words };
    } catch (error) {
      return { verified: false, because: `emergency-stop could not be run: ${reasonOf(error)}` };
    }
  };
  return { stop: (group, limitMs) => run(group, '--verify', limitMs), verify: (group, limitMs) => run(group, '--verify-only', limitMs) };
};
