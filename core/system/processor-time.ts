// What a process had of the processors: whether it is slow, or is not let run.
import { readProc, readStat } from './process.js';

/** What the main thread of a process had of the processors, in ms of all its life. `runnable`: it runs, or could. */
export interface ProcessorTime {
  readonly ranMs: number;
  readonly waitedMs: number;
  readonly runnable: boolean;
}

/**
 * null when there is no such process, or the kernel does not count. A wait is in it when it is over. Source: Linux,
 * Documentation/scheduler/sched-stats: /proc/PID/schedstat, nanoseconds run and nanoseconds waited to run.
 */
export const processorTime = (pid: number): ProcessorTime | null => {
  const [ranNs, waitedNs] = readProc(`/proc/${pid}/schedstat`)?.trim().split(' ') ?? [];
  const stat = readStat(pid);
  if (ranNs === undefined || waitedNs === undefined || stat === null) return null;
  return { ranMs: Number(ranNs) / 1e6, waitedMs: Number(waitedNs) / 1e6, runnable: stat.runnable };
};
