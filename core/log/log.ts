// The log for people: winston, one bounded set of files for each process, static messages with metadata, child loggers by
// component. The journal holds the facts; nothing reads the log back. `error` needs a human now.
import { join } from 'node:path';
import { createLogger, format, transports, type Logger } from 'winston';
import type { Log } from '../plugin/contract.js';
import { journaldLine, jsonLine, type Level } from './stderr-log.js';

export interface LogOptions {
  readonly directory: string;
  /** The file's name: `controller` gives controller.log, controller1.log, … */
  readonly name: string;
  /** Default `info`. */
  readonly level?: Level;
  /** Size of one file. Default 8 MiB. */
  readonly maxBytes?: number;
  /** Default 4. */
  readonly maxFiles?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** A log with components and an end. */
export interface RootLog extends Log {
  child(component: string): Log;
  /** Resolves when everything told before is in the file, or after a second: a log never holds an end back. */
  close(): Promise<void>;
}

const CLOSE_LIMIT_MS = 1000;

/** Opens the log of a process. With $JOURNAL_STREAM set (a systemd unit) lines go to stdout with their priority as well. */
export const openLog = ({
  directory,
  name,
  level = 'info',
  maxBytes = 8 * 1024 * 1024,
  maxFiles = 4,
  env = process.env,
}: LogOptions): RootLog => {
  const file = new transports.File({ filename: join(directory, `${name}.log`), maxsize: maxBytes, maxFiles, tailable: true });
  const journald =
    env['JOURNAL_STREAM'] === undefined ? [] : [new transports.Console({ format: format.printf(asJournald), forceConsole: false })];
  const logger = createLogger({
    level,
    levels: { error: 3, warn: 4, info: 6, debug: 7 },
    format: format.combine(
      format.timestamp(),
      format.printf((info) => jsonLine({ at: info['timestamp'], ...dropTimestamp(info) })),
    ),
    transports: [file, ...journald],
    exitOnError: false,
  });
  // A full disk silences the log, never the daemon.
  logger.on('error', (error) =>
    process.stderr.write(`${jsonLine({ level: 'error', component: 'log', message: 'log cannot be written', error })}\n`),
  );
  // While the file is rotated winston keeps lines back and tells of each when it is taken: the end waits for the last.
  const lines = { told: 0, taken: 0 };
  file.on('logged', () => (lines.taken += 1));
  return {
    ...asLog(logger, 'main', lines),
    child: (component) => asLog(logger, component, lines),
    close: () =>
      new Promise((resolve) => {
        const late = setTimeout(resolve, CLOSE_LIMIT_MS);
        const done = () => {
          clearTimeout(late);
          resolve();
        };
        const end = () => {
          if (lines.taken < lines.told) return;
          file.off('logged', end);
          logger.end();
        };
        file.once('finish', done);
        file.once('error', done);
        file.on('logged', end);
        end();
      }),
  };
};

const asLog = (logger: Logger, component: string, lines: { told: number }): Log => {
  const write = (level: Level) => (message: string, data?: Record<string, unknown>) => {
    if (!logger.isLevelEnabled(level)) return;
    lines.told += 1;
    logger.log(level, message, { component, ...data });
  };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
};

const dropTimestamp = ({ timestamp: _, ...rest }: Record<string, unknown>): Record<string, unknown> => rest;

const asJournald = ({ level, message, component, timestamp: _, ...data }: Record<string, unknown>): string =>
  journaldLine(level as Level, String(component), String(message), data);
