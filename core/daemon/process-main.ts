// What the entries of all daemons have in common: parse the words, begin, end on SIGTERM or SIGINT, and turn an error into
// a message and an exit status. A daemon that is told to end ends itself and nothing else.
import { ERRORS, UnderstudyError } from '../errors/errors.js';
import { type DaemonOptions, parseDaemonOptions } from './options.js';

/** A second signal, or this long after the first, and the process ends as it is. */
const END_LIMIT_MS = 5000;

export const runDaemon = async (
  name: string,
  words: readonly string[],
  start: (options: DaemonOptions) => Promise<{ stop(): Promise<void> }>,
): Promise<void> => {
  try {
    const running = await start(parseDaemonOptions(words));
    const end = () => {
      setTimeout(() => process.exit(0), END_LIMIT_MS).unref();
      process.once('SIGTERM', () => process.exit(0));
      running.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`understudy ${name}: ended untidily: ${String(error)}\n`);
          process.exit(0);
        },
      );
    };
    process.once('SIGTERM', end);
    process.once('SIGINT', end);
  } catch (error) {
    process.stderr.write(`${describe(name, error)}\n`);
    process.exit(error instanceof UnderstudyError ? ERRORS[error.code].exit : 70);
  }
};

const describe = (name: string, error: unknown): string =>
  error instanceof UnderstudyError
    ? `understudy ${name}: ${error.message}\n${error.hint}`
    : `understudy ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
