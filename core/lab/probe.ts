// Starts the client probe where clients are and keeps its last report.
import { fileURLToPath } from 'node:url';
import { UnderstudyError } from '../errors/errors.js';
import { lastWords, startProcess } from './lab-process.js';
import type { ProbeReport } from './gap-meter.js';
import type { FromProbe, ProbePlan } from './probe-process.js';
import { readyWithin } from './ready.js';
import type { Substrate } from './substrate.js';

export interface Probe {
  readonly pid: number;
  /** Resolves with the name of the first node that answered; rejects when none did within the limit. */
  first(limitMs: number): Promise<string>;
  /** The latest tally, at most 250 ms old. */
  readonly report: ProbeReport | null;
  /** Ends the probe; the final report. */
  stop(): Promise<ProbeReport>;
  /** When it ended by itself. */
  readonly ended: Promise<ProbeReport>;
}

export const startProbe = (
  substrate: Substrate,
  plan: ProbePlan,
  logFile: string,
  onMessage: (message: FromProbe) => void = () => undefined,
): Probe => {
  const ended = readyWithin<ProbeReport>(plan.forMs + 30_000, 'the end of the probe');
  const firstNode = readyWithin<string>(plan.forMs + 30_000, 'a first answer');
  let report: ProbeReport | null = null;
  const script = fileURLToPath(new URL('./probe-process.js', import.meta.url));
  const probe = startProcess(substrate.inClient([process.execPath, script, JSON.stringify(plan)]), {
    logFile,
    ipc: true,
    onMessage: (received) => {
      const message = received as FromProbe;
      if (message.t === 'first') firstNode.resolve(message.node);
      if (message.t === 'tally' || message.t === 'end') report = message.report;
      if (message.t === 'end') ended.resolve(message.report);
      onMessage(message);
    },
  });
  void probe.exited.then(() => {
    const error = new UnderstudyError('LAB_FAILED', `the probe ended without a report: ${lastWords(logFile)}`);
    firstNode.reject(error);
    ended.reject(error);
  });
  return {
    pid: probe.pid,
    first: (limitMs) => {
      const limit = readyWithin<string>(limitMs, `a first answer from ${plan.address}:${plan.port}`);
      void firstNode.promise.then(limit.resolve, limit.reject);
      return limit.promise;
    },
    get report() {
      return report;
    },
    ended: ended.promise,
    stop: () => {
      if (!probe.send({ t: 'stop' })) probe.kill('SIGTERM');
      return ended.promise;
    },
  };
};
