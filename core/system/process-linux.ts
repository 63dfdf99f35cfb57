// Processes by /proc. Where there is no /proc nothing is found and nothing is killed. Between a look and a signal lie some
// microseconds in which a pid could change hands; start times are compared last before each signal.
import { readdirSync } from 'node:fs';
import { inject, injectable } from 'tsyringe';
import { Clock } from './clock.js';
import { type Processes, type ProcessIdentity, readProc, readStat } from './process.js';

const WATCH_MS = 20;
const KILL_AGAIN_MS = 5;
const LAB_HOST = 'UNDERSTUDY_LAB_HOST';

@injectable()
export class LinuxProcesses implements Processes {
  constructor(@inject(Clock) private readonly clock: Clock) {}

  identify(pid: number): ProcessIdentity | null {
    const stat = readStat(pid);
    return stat === null || stat.dead ? null : { pid, startTime: stat.startTime };
  }

  alive({ pid, startTime }: ProcessIdentity): boolean {
    return this.identify(pid)?.startTime === startTime;
  }

  marked(mark: string): readonly ProcessIdentity[] {
    // Several hosts of a lab share one /proc: there a process is ours only with our host's mark as well.
    const host = process.env[LAB_HOST];
    const entries = [`UNDERSTUDY_RESOURCE=${mark}`, ...(host === undefined ? [] : [`${LAB_HOST}=${host}`])];
    return this.all((pid) => {
      const environment = `\0${readProc(`/proc/${pid}/environ`) ?? ''}\0`;
      return entries.every((entry) => environment.includes(`\0${entry}\0`));
    });
  }

  session(leader: number): readonly ProcessIdentity[] {
    return this.all((pid) => readStat(pid)?.session === leader);
  }

  async killAll(find: () => readonly ProcessIdentity[], limitMs: number): Promise<readonly ProcessIdentity[]> {
    const endMs = this.clock.nowMs() + limitMs;
    for (;;) {
      const left = find();
      for (const found of left) this.signal(found, 'SIGKILL');
      if (left.length === 0 || this.clock.nowMs() >= endMs) return left;
      await this.clock.sleep(KILL_AGAIN_MS);
    }
  }

  signal(target: ProcessIdentity, signal: NodeJS.Signals): void {
    if (!this.alive(target)) return;
    try {
      process.kill(target.pid, signal);
    } catch (error) {
      // Gone between the look and the signal.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  watch(target: ProcessIdentity, gone: () => void): () => void {
    const timer = this.clock.every(
      WATCH_MS,
      () => {
        if (this.alive(target)) return;
        timer.cancel();
        gone();
      },
      { idle: true },
    );
    return () => timer.cancel();
  }

  private all(wanted: (pid: number) => boolean): readonly ProcessIdentity[] {
    const pids = entries('/proc').map(Number).filter(Number.isInteger);
    return pids.filter(wanted).flatMap((pid) => this.identify(pid) ?? []);
  }
}

const entries = (directory: string): readonly string[] => {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
};
