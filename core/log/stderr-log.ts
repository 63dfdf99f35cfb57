// The small log: one JSON line for each message on stderr, or `<4>message` for journald. For the guard and every process
// that must start fast: it loads nothing. Never blocks a decision: it is told what was decided.
import { reasonOf } from '../errors/errors.js';
import type { Log } from '../plugin/contract.js';

export const LEVELS = { error: 3, warn: 4, info: 6, debug: 7 } as const;
export type Level = keyof typeof LEVELS;

export interface StderrLogOptions {
  readonly component: string;
  /** Default `info`. */
  readonly level?: Level;
  /** ISO time for people. */
  readonly wallIso: () => string;
  readonly env?: NodeJS.ProcessEnv;
  readonly out?: (line: string) => void;
}

export const stderrLog = ({ component, level = 'info', wallIso, env = process.env, out = toStderr }: StderrLogOptions): Log => {
  const write = (at: Level) => (message: string, data?: Record<string, unknown>) => {
    if (LEVELS[at] > LEVELS[level]) return;
    out(
      env['JOURNAL_STREAM'] === undefined
        ? jsonLine({ at: wallIso(), level: at, component, message, ...data })
        : journaldLine(at, component, message, data),
    );
  };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
};

/** sd-daemon(3): a line that begins with `<N>` is given that priority by the journal. */
export const journaldLine = (level: Level, component: string, message: string, data?: Record<string, unknown>): string => {
  const rest = data === undefined || Object.keys(data).length === 0 ? '' : ` ${jsonLine(data)}`;
  return `<${LEVELS[level]}>${component}: ${message}${rest}`;
};

/** Errors in the data are written as their message and code; what cannot be written says so. */
export const jsonLine = (value: Record<string, unknown>): string => {
  try {
    return JSON.stringify(value, (_key, part: unknown) =>
      part instanceof Error
        ? {
            message: part.message,
            ...('code' in part ? { code: part.code } : {}),
            ...(part.cause === undefined ? {} : { cause: reasonOf(part.cause) }),
          }
        : part,
    );
  } catch (error) {
    return JSON.stringify({ message: typeof value['message'] === 'string' ? value['message'] : '', unwritable: String(error) });
  }
};

const toStderr = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
