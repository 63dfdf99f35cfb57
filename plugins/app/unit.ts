// An application that really runs in a systemd unit of its own: asked and ended by systemctl. Only for app-script's `unit:`.
import { type MonitorContext, type MonitorResult, reasonOf } from 'understudy/plugin';

type Run = MonitorContext<unknown>['run'];

const STATES: Readonly<Record<string, MonitorResult['state']>> = {
  active: 'online',
  reloading: 'online',
  inactive: 'offline',
  failed: 'faulted',
};
/** Statuses of `is-active`: 3 = not active, 4 = no such unit. Source: systemctl(1). */
const ANSWERS = [0, 3, 4];

export const unitState = async (run: Run, unit: string): Promise<MonitorResult> => {
  const { stdout } = await run('systemctl', ['is-active', unit], { okExit: ANSWERS });
  const word = stdout.trim();
  return { state: STATES[word] ?? 'unknown', reason: `${unit} is ${word}` };
};

/**
 * Stops what still runs, by force when asking took longer than `limitMs`, and clears a failure so that the unit is plainly
 * inactive. Returns what went wrong on the way; whether it has ended is asked afterwards.
 */
export const endUnit = async (run: Run, unit: string, limitMs: number): Promise<readonly string[]> => {
  if ((await unitState(run, unit)).state === 'offline') return [];
  const problems: string[] = [];
  const attempt = (args: readonly string[]) =>
    run('systemctl', args, { timeoutMs: limitMs }).then(
      () => true,
      (error) => (problems.push(reasonOf(error)), false),
    );
  if (!(await attempt(['stop', unit]))) await attempt(['kill', '--kill-who=all', '--signal=KILL', unit]);
  if ((await unitState(run, unit)).state === 'faulted') await attempt(['reset-failed', unit]);
  return problems;
};
