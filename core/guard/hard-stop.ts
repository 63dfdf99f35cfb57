// Runs the hard-stop list of a group through emergency-stop.sh, the one interpreter that guard, leash and operators share, or
// only looks whether everything on it is gone (SAFETY a.6). Nothing else decides that a group is stopped.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { reasonOf } from '../errors/errors.js';
import type { GroupId } from '../model/ids.js';
import type { Exec } from '../system/exec.js';
import { hardStopList } from '../system/paths.js';
import { looksGone } from './look-gone.js';

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
const GONE: StopResult = { verified: true, because: 'everything on the hard-stop list is verified gone' };
const SCRIPT = fileURLToPath(new URL('./emergency-stop.sh', import.meta.url));

export const scriptHardStop = (exec: Exec, runDir: string, script = SCRIPT): HardStop => {
  const run = async (group: GroupId, how: '--verify' | '--verify-only', limitMs: number): Promise<StopResult> => {
    try {
      const ownLimitMs = Math.max(1, Math.round(limitMs - LAST_WORDS_MS));
      const args = [script, group, '--run-dir', runDir, how, '--limit-ms', String(ownLimitMs)];
      const { exitCode, stdout, stderr, timedOut } = await exec.run('/bin/sh', args, { timeoutMs: ownLimitMs + LAST_WORDS_MS });
      if (exitCode === 0) return GONE;
      if (timedOut) return { verified: false, because: `emergency-stop did not end within ${Math.round(limitMs)} ms` };
      const words = `${stderr}\n${stdout}`.trim().split('\n').filter(Boolean).slice(-3).join('; ');
      return { verified: false, because: words === '' ? `emergency-stop ended with ${exitCode ?? 'a signal'}` : words };
    } catch (error) {
      return { verified: false, because: `emergency-stop could not be run: ${reasonOf(error)}` };
    }
  };
  return { stop: (group, limitMs) => run(group, '--verify', limitMs), verify: (group, limitMs) => run(group, '--verify-only', limitMs) };
};

/** Looks in this process first, and asks the script for whatever is not plainly gone: a planned move waits for this look. */
export const quickHardStop = (script: HardStop, runDir: string, looks: (list: string) => boolean = looksGone): HardStop => ({
  stop: (group, limitMs) => script.stop(group, limitMs),
  verify: (group, limitMs) => {
    const list = readList(hardStopList({ run: runDir, state: '', log: '' }, group));
    return list !== null && looks(list) ? Promise.resolve(GONE) : script.verify(group, limitMs);
  },
});

/** null when it is missing or cannot be read: what that means is the script's to say. */
const readList = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};
