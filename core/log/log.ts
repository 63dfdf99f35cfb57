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
  /** Resolves when everything is handed to the system. */
  close(): Promise<void>;
}

/** Opens the log of a process. With $JOURNAL_STREAM set (a systemd unit) lines go to stdout with their priority as well. */
export const openLog = ({ directory, name, level = 'info', maxBytes = 8 * 1024 * 1024, maxFiles = 4, env = process.env }: LogOptions): RootLog => {
  const file = new transports.File({ filename: join(directory, `${name}.log`), maxsize: maxBytes, maxFiles, tailable: true });
  const journald = env['JOURNAL_STREAM'] === undefined ? [] : [new transports.Console({ format: format.printf(asJournald), forceConsole: false })];
  const logger = createLogger({
    level,
    levels: { error: 3, warn: 4, info: 6, debug: 7 },
    format: format.combine(format.timestamp(), format.printf((info) => jsonLine({ at: info['timestamp'], ...dropTimestamp(info) }))),
    transports: [file, ...journald],
    exitOnError: false,
  });
  // A full disk silences the log, never the daemon.
  logger.on('error', (error) => process.stderr.write(`${jsonLine({ level: 'error', component: 'log', message: 'log cannot be written', error })}\n`));
  return {
    ...asLog(logger, 'main'),
    child: (component) => asLog(logger, component),
    close: () =>
      new Promise((resolve) => {
        file.once('finish', () => resolve());
        file.once('error', () => resolve());
        logger.end();
      }),
  };
};

const asLog = (logger: Logger, component: string): Log => {
  const write = (level: Level) => (message: string, data?: Record<string, unknown>) => {
    if (logger.isLevelEnabled(level)) logger.log(level, message, { component, ...data });
  };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
};

const dropTimestamp = ({ timestamp: _, ...rest }: Record<string, unknown>): Record<string, unknown> => rest;

const asJournald = ({ level, message, component, timestamp: _, ...data }: Record<string, unknown>): string =>
  journaldLine(level as Level, String(component), String(message), data);
