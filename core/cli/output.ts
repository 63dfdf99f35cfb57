// How the CLI speaks: colour only on a terminal, tables, progress for what takes longer than a second, and one way to end.
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { reasonOf, UnderstudyError } from '../errors/errors.js';

type Style = Parameters<typeof styleText>[0];

/** Text in a style where the stream is a terminal that wants colour, else as it is. */
export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, text, { stream, validateStream: true });

/** Good, middling and bad states, coloured alike everywhere. */
export const stateStyle = (state: string): Style => {
  if (['online', 'member', 'up', 'ok', 'held', 'ready', 'connected', 'UpToDate'].includes(state)) return 'green';
  if (['offline', 'unseen', 'standby', 'none'].includes(state)) return 'gray';
  if (['faulted', 'blocked', 'lost', 'refused', 'silent', 'fencing-self', 'down', 'split', 'Failed'].includes(state)) return 'red';
  return 'yellow';
};
export const stateText = (state: string): string => styled(stateStyle(state), state);

export const print = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

/** The API's answer unchanged, for `--json`. */
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

export const printTable = (head: readonly string[], rows: readonly (readonly string[])[]): void => {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '',
    },
  });
  table.push(...rows.map((row) => [...row]));
  for (const line of table.toString().split('\n')) print(line.trimEnd());
};

/** Duration for people: 12 ms, 1.3 s, 4 min 10 s. */
export const durationText = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
};

/** Shows on a terminal, after a second, what is being waited for; says nothing elsewhere. Returns the work's own result. */
export const withProgress = async <T>(what: string, work: Promise<T>): Promise<T> => {
  if (!process.stderr.isTTY) return work;
  let seconds = 0;
  const timer = setInterval(() => process.stderr.write(`\r${what} … ${++seconds} s `), 1000);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (seconds > 0) process.stderr.write('\r\u001b[K');
  }
};

/** Prints what went wrong and what to do next; returns the exit status for it. */
export const reportFailure = (thrown: unknown): number => {
  if (!(thrown instanceof UnderstudyError)) {
    process.stderr.write(
      `${styled('red', 'internal error:', process.stderr)} ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : reasonOf(thrown)}\n`,
    );
    return 1;
  }
  process.stderr.write(`${styled('red', 'error:', process.stderr)} ${thrown.message}\n`);
  process.stderr.write(`${styled('yellow', 'next:', process.stderr)}  ${thrown.hint}\n`);
  return thrown.exit;
};
