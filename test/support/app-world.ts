// A world for app-script with real processes and no root: found by their environment mark, since there is no cgroup.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ActionContext, HardStopContext, MonitorContext } from '../../core/plugin/contract.js';
import { makeActionContext, makeMonitorContext, type MakeContextOptions } from '../../core/plugin/testkit/contexts.js';
import type { Cgroups } from '../../core/system/cgroup.js';
import { systemClock } from '../../core/system/clock.js';
import { PosixExec } from '../../core/system/exec-posix.js';
import { LinuxProcesses } from '../../core/system/process-linux.js';
import { AppScript } from '../../plugins/app/app-script.js';
import { appScript, type AppScriptOptions } from '../../plugins/app/definition.js';

export const exec = new PosixExec(systemClock);
export const processes = new LinuxProcesses(systemClock);
const noCgroups: Cgroups = {
  base: null,
  make: () => null,
  remove: () => true,
  populated: () => false,
  members: () => [],
  kill: async () => true,
  keepReady: () => undefined,
  watch: () => () => undefined,
};

let worlds = 0;

export interface AppWorld {
  readonly directory: string;
  readonly options: AppScriptOptions;
  readonly agent: AppScript;
  /** Another controller's agent: it knows nothing but what it finds. */
  readonly successor: () => AppScript;
  readonly monitoring: (more?: Partial<MakeContextOptions<AppScriptOptions>>) => MonitorContext<AppScriptOptions>;
  readonly acting: (more?: Partial<MakeContextOptions<AppScriptOptions>>) => ActionContext<AppScriptOptions>;
  readonly hardStop: () => readonly string[];
  /** Living processes of the application. */
  readonly pids: () => readonly number[];
  readonly read: (file: string) => string | null;
  readonly end: () => Promise<void>;
}

/** `DIR` in the options' words is the world's own directory. */
export const appWorld = (
  options: Record<string, unknown>,
  { cgroups = noCgroups, user }: { cgroups?: Cgroups; user?: string } = {},
): AppWorld => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-app-'));
  const group = 'agents-test';
  const resource = `app-${process.pid}-${(worlds += 1)}`;
  const parsed = appScript.options.parse(
    JSON.parse(JSON.stringify({ ...options, ...(user === undefined ? {} : { user }) }).replaceAll('DIR', directory)),
  ) as AppScriptOptions;
  const successor = () => new AppScript(exec, systemClock, processes, cgroups);
  const base = (): MakeContextOptions<AppScriptOptions> => ({
    options: parsed,
    exec,
    group,
    resource,
    cgroup: cgroups.make(group, resource),
    runDir: join(directory, 'run'),
    logFile: join(directory, 'log/app.log'),
  });
  const pids = () => processes.marked(`${group}/${resource}`).map(({ pid }) => pid);
  return {
    directory,
    options: parsed,
    agent: successor(),
    successor,
    monitoring: (more = {}) => makeMonitorContext({ ...base(), ...more }),
    acting: (more = {}) => makeActionContext({ ...base(), ...more }),
    hardStop: () => appScript.hardStop?.({ ...(base() as unknown as HardStopContext<AppScriptOptions>), addressLine: () => '' }) ?? [],
    pids,
    read: (file) => (existsSync(join(directory, file)) ? readFileSync(join(directory, file), 'utf8') : null),
    end: async () => {
      await processes.killAll(() => processes.marked(`${group}/${resource}`), 5000);
      const cgroup = cgroups.make(group, resource);
      if (cgroup !== null) {
        await cgroups.kill(cgroup, 5000);
        cgroups.remove(cgroup);
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
};

/** A shell line as argv. */
export const sh = (script: string): string[] => ['/bin/sh', '-c', script];
