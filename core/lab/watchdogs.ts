// The lab's end of the watchdog process: starts it, hears of bites, tells it of power cycles. Node options and the meaning of
// a bite are in watchdog-process.ts.
import { fileURLToPath } from 'node:url';
import type { NodeId } from '../model/ids.js';
import { UnderstudyError } from '../errors/errors.js';
import { LAB_MARK } from './host-processes.js';
import { type LabProcess, lastWords, startProcess } from './lab-process.js';
import { readyWithin } from './ready.js';
import type { FromWatchdog, WatchdogHost } from './watchdog-process.js';

export type Bite = Extract<FromWatchdog, { t: 'bitten' }>;

export interface Watchdogs {
  readonly pid: number;
  /** The host's power was cycled by other means: its watchdog sleeps until armed again. */
  reset(node: NodeId): void;
  stop(): Promise<void>;
}

/** Starts the process; resolves when every socket listens. `onBite` is called when a host's power is already cut. */
export const startWatchdogs = async (
  labId: string,
  hosts: readonly WatchdogHost[],
  logFile: string,
  onBite: (bite: Bite) => void,
  onFailure: (why: string) => void,
): Promise<Watchdogs> => {
  const ready = readyWithin(10_000, 'the watchdog process');
  const watchdog: LabProcess = startProcess(
    {
      argv: [process.execPath, fileURLToPath(new URL('./watchdog-process.js', import.meta.url)), JSON.stringify(hosts)],
      env: { [LAB_MARK]: labId },
    },
    {
      logFile,
      ipc: true,
      onMessage: (received) => {
        const message = received as FromWatchdog;
        if (message.t === 'ready') ready.resolve();
        else if (message.t === 'bitten') onBite(message);
        else onFailure(`watchdog of ${message.node}: ${message.why}`);
      },
    },
  );
  void watchdog.exited.then(() =>
    ready.reject(new UnderstudyError('LAB_FAILED', `the watchdog process ended at its start: ${lastWords(logFile)}`)),
  );
  await ready.promise;
  return {
    pid: watchdog.pid,
    reset: (node) => void watchdog.send({ t: 'reset', node }),
    stop: async () => {
      watchdog.kill('SIGKILL');
      await watchdog.exited;
    },
  };
};
