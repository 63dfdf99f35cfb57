// What nobody caught. If a plugin's code was running, that plugin is quarantined and the rest goes on (or the next process
// is told, when the plugin ended this one); anything else is our own fault and ends the process at once: its supervisor starts it again, and it adopts what runs (crash-only).
import { jsonLine } from '../log/stderr-log.js';
import type { Log } from '../plugin/contract.js';

export interface CrashOptions {
  /** Whose code was running, by agent type. */
  readonly culprit: () => string | null;
  readonly quarantine: (type: string, because: string) => void;
  /** A plugin ends this process (`process.exit`): synchronous, and the last that is done. */
  readonly ending: (type: string, what: string) => void;
  readonly log: Log;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}

/** EX_SOFTWARE of sysexits(3). */
const CRASHED = 70;

/** Returns the way to take the handlers away again. */
export const handleCrashes = ({ culprit, quarantine, ending, log, exit }: CrashOptions): (() => void) => {
  const uncaught = (what: string) => (error: unknown) => {
    const type = culprit();
    if (type !== null) {
      log.error('a plugin threw where nobody was waiting', { type, what, error });
      quarantine(type, `${what}: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    // Synchronous and without the log: the process is not to be trusted any more.
    process.stderr.write(
      `${jsonLine({ level: 'error', message: 'ended by its own fault', what, error, stack: error instanceof Error ? error.stack : undefined })}\n`,
    );
    exit(CRASHED);
  };
  const [thrown, rejected] = [uncaught('uncaught exception'), uncaught('unhandled rejection')];
  // Told in the context of whoever called process.exit.
  const ended = (code: number): void => {
    const type = culprit();
    if (type !== null) ending(type, `its process.exit(${code})`);
  };
  process.on('exit', ended);
  process.on('uncaughtException', thrown);
  process.on('unhandledRejection', rejected);
  return () => {
    process.off('exit', ended);
    process.off('uncaughtException', thrown);
    process.off('unhandledRejection', rejected);
  };
};
