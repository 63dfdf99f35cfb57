// What can be seen of an application's processes: its cgroup or environment mark, its main process, its pidfile. Looking
// changes nothing; only the record of the main process is written here. A pid counts as ours only with a second proof.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cgroups, type MonitorContext, type Processes, type ProcessIdentity } from 'understudy/plugin';
import type { AppScriptOptions } from './definition.js';

export type Where = Pick<MonitorContext<AppScriptOptions>, 'group' | 'resource' | 'cgroup' | 'runDir' | 'options'>;

/**
 * `alive`: its main process (or, without one that is known, any process) lives. `headless`: the main process has gone and
 * others are left. `foreign`: the pidfile names a living process that nothing shows to be ours. `gone`: nothing is left.
 */
export type Sight = 'alive' | 'headless' | 'foreign' | 'gone';

export class Traces {
  constructor(
    private readonly processes: Processes,
    private readonly cgroups: Cgroups,
  ) {}

  sight(where: Where): Sight {
    const main = this.main(where);
    if (main !== null) return 'alive';
    if (this.pidfile(where) !== null) return 'foreign';
    if (!this.any(where)) return 'gone';
    return hasMain(where.options) ? 'headless' : 'alive';
  }

  /** The living main process, when one is known: recorded at start, or named by the pidfile and proven ours. */
  main(where: Where): ProcessIdentity | null {
    const recorded = this.recorded(where);
    const named = this.pidfile(where);
    if (named !== null && (same(named, recorded) || this.isOurs(where, named))) return named;
    return recorded !== null && this.processes.alive(recorded) ? recorded : null;
  }

  /** The living process that the pidfile names, whosever it is. */
  pidfile({ options: { pidfile } }: Where): ProcessIdentity | null {
    const pid = pidfile === undefined ? null : readPid(pidfile);
    return pid === null ? null : this.processes.identify(pid);
  }

  /** Whether any process lives in the cgroup; without cgroups, any that carries the mark. */
  any(where: Where): boolean {
    return where.cgroup === null ? this.marked(where).length > 0 : this.cgroups.populated(where.cgroup);
  }

  /** Every living process of the application, also one that left the cgroup but kept the mark. */
  all(where: Where): readonly ProcessIdentity[] {
    const inside = where.cgroup === null ? [] : this.cgroups.members(where.cgroup).flatMap((pid) => this.processes.identify(pid) ?? []);
    const main = this.main(where);
    const found = [...inside, ...this.marked(where), ...(main === null ? [] : [main])];
    return [...new Map(found.map((process) => [process.pid, process])).values()];
  }

  /** Remembers the main process for a controller that comes after this one. */
  record({ runDir }: Pick<Where, 'runDir'>, { pid, startTime }: ProcessIdentity): void {
    mkdirSync(runDir, { recursive: true, mode: 0o700 });
    writeFileSync(join(runDir, MAIN_FILE), `${pid} ${startTime}\n`);
  }

  forget({ runDir }: Pick<Where, 'runDir'>): void {
    rmSync(join(runDir, MAIN_FILE), { force: true });
  }

  private recorded({ runDir }: Where): ProcessIdentity | null {
    const [pid, startTime] = (readIfThere(join(runDir, MAIN_FILE)) ?? '').trim().split(' ');
    return pid !== undefined && startTime !== undefined && /^\d+$/.test(pid) ? { pid: Number(pid), startTime } : null;
  }

  private isOurs(where: Where, process: ProcessIdentity): boolean {
    const inside = where.cgroup !== null && this.cgroups.members(where.cgroup).includes(process.pid);
    return inside || this.marked(where).some((one) => same(one, process));
  }

  private marked({ group, resource }: Where): readonly ProcessIdentity[] {
    return this.processes.marked(`${group}/${resource}`);
  }
}

const MAIN_FILE = 'main';

/** Whether the options name one process whose death is the application's. */
export const hasMain = ({ mode, pidfile }: AppScriptOptions): boolean => mode === 'foreground' || pidfile !== undefined;

/** Whether its processes can be seen from here at all. */
export const isSeen = (options: AppScriptOptions): boolean =>
  hasMain(options) || (options.unit === undefined && options.hardStop.length === 0);

const same = (one: ProcessIdentity, other: ProcessIdentity | null): boolean => one.pid === other?.pid && one.startTime === other.startTime;

const readPid = (file: string): number | null => {
  const [, digits] = /^\s*(\d{1,10})\s/.exec(`${readIfThere(file) ?? ''}\n`) ?? [];
  return digits === undefined || Number(digits) < 2 ? null : Number(digits);
};

const readIfThere = (file: string): string | null => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
};
