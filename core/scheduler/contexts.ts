// What agents are given: their options, a bounded way to run commands, the lease check, the directories. Made here and
// nowhere else, so that monitor, start, stop and plan see the same.
import { join } from 'node:path';
import { inject, injectable } from 'tsyringe';
import { UnderstudyError } from '../errors/errors.js';
import type { DesiredGroup, DesiredResource } from '../model/desired.js';
import { resourceName, type Epoch } from '../model/ids.js';
import type { ActionContext, MonitorContext } from '../plugin/contract.js';
import { Cgroups } from '../system/cgroup.js';
import { Clock } from '../system/clock.js';
import { Exec } from '../system/exec.js';
import { Files } from '../system/files.js';
import { DesiredSource, LeasePages, Logs, Self } from './ports.js';

export interface CallLimits {
  readonly signal: AbortSignal;
  readonly limitMs: number;
  /** The epoch was taken by force. */
  readonly forced?: boolean;
}

@injectable()
export class Contexts {
  constructor(
    @inject(Clock) private readonly clock: Clock,
    @inject(Exec) private readonly exec: Exec,
    @inject(Cgroups) private readonly cgroups: Cgroups,
    @inject(LeasePages) private readonly pages: LeasePages,
    @inject(Self) private readonly self: Self,
    @inject(Logs) private readonly logs: Logs,
    @inject(DesiredSource) private readonly config: DesiredSource,
    @inject(Files) private readonly files: Files,
  ) {}

  monitor(group: DesiredGroup, resource: DesiredResource, { signal, limitMs }: CallLimits): MonitorContext<unknown> {
    const endMs = this.clock.nowMs() + limitMs;
    return {
      node: this.self.node,
      group: group.id,
      resource: resource.id,
      options: resource.options,
      active: this.pages.read(group.id).held,
      signal,
      limitMs,
      run: async (file, args, { okExit = [0], ...options } = {}) => {
        const leftMs = Math.max(1, endMs - this.clock.nowMs());
        const result = await this.exec.run(file, args, { signal, ...options, timeoutMs: Math.min(options.timeoutMs ?? leftMs, leftMs) });
        if (result.timedOut || result.aborted)
          throw new UnderstudyError('TIMED_OUT', `${[file, ...args].join(' ')} was ended after ${Math.round(result.elapsedMs)} ms`);
        if (result.exitCode === null || !okExit.includes(result.exitCode)) {
          const how = result.exitCode === null ? `was ended by ${result.signal ?? 'a signal'}` : `exited with ${result.exitCode}`;
          throw new UnderstudyError(
            'COMMAND_FAILED',
            `${[file, ...args].join(' ')} ${how}: ${(result.stderr || result.stdout).trim().slice(0, 500) || 'no output'}`,
          );
        }
        return result;
      },
      log: this.logs.child(resourceName(group.id, resource.id)),
      ...this.places(group, resource),
    };
  }

  /** For stop `leased` is false: it must end whatever the lease says. Makes the resource's directories. */
  action(group: DesiredGroup, resource: DesiredResource, epoch: Epoch, leased: boolean, limits: CallLimits): ActionContext<unknown> {
    const name = resourceName(group.id, resource.id);
    const monitor = this.monitor(group, resource, limits);
    this.files.makeDirectory(monitor.runDir);
    return {
      ...monitor,
      epoch,
      checkLease: (reserveMs = 0) => {
        const page = this.pages.read(group.id);
        if (page.held && page.epoch === epoch && page.remainingMs >= reserveMs) return;
        const why = !page.held
          ? page.because
          : page.epoch !== epoch
            ? `the page is of epoch ${page.epoch}`
            : `only ${Math.round(page.remainingMs)} ms are left`;
        throw new UnderstudyError('REFUSED', `${name} at epoch ${epoch}: ${why}`);
      },
      leaseRemainingMs: () => {
        const page = this.pages.read(group.id);
        if (page.held && page.epoch === epoch) return page.remainingMs;
        return leased ? 0 : Number.POSITIVE_INFINITY;
      },
      forced: limits.forced === true,
      stopBudgetMs: this.config.desired().timing.stopBudgetMs,
      environment: {
        UNDERSTUDY_CLUSTER: this.self.cluster,
        UNDERSTUDY_NODE: this.self.node,
        UNDERSTUDY_GROUP: group.id,
        UNDERSTUDY_RESOURCE: name,
        UNDERSTUDY_EPOCH: String(epoch),
      },
      logFile: join(this.self.logDir, `${group.id}.${resource.id}.log`),
    };
  }

  /** Where the resource lives on this host; touches nothing but the cgroup's directory. */
  places(group: DesiredGroup, resource: DesiredResource): { readonly cgroup: string | null; readonly runDir: string } {
    return { cgroup: this.cgroups.make(group.id, resource.id), runDir: join(this.self.runDir, 'resources', group.id, resource.id) };
  }
}
