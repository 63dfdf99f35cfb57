// What is wrong in a config file, and where. Problems are data: all of them are found, then shown together.
import { type ErrorCode, UnderstudyError } from '../errors/errors.js';

/** Where a value stands in the file's structure, e.g. ['groups', 'db', 'resources', 'vip']. */
export type ConfigPath = readonly (string | number)[];

export interface Problem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** e.g. `groups.db.resources.vip.address`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
  /** Set when it is not simply CONFIG_INVALID. */
  readonly code?: Extract<ErrorCode, 'TIMING_UNSAFE'>;
}

/** `file:line:column: path: message (hint)`: editors and terminals make a link of the beginning. */
export const formatProblem = ({ file, line, column, path, message, hint }: Problem): string =>
  `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : ` (${hint})`}`;

/** All problems of a file as the one error that a command ends with. */
export const configError = (problems: readonly Problem[]): UnderstudyError => {
  const code = problems.every((problem) => problem.code === 'TIMING_UNSAFE') ? 'TIMING_UNSAFE' : 'CONFIG_INVALID';
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  const file = problems[0]?.file ?? 'the configuration';
  return new UnderstudyError(code, [`${file} has ${count}:`, ...problems.map((problem) => `  ${formatProblem(problem)}`)].join('\n'), {
    problems,
  });
};

/** `groups.db.prefer[0]`. */
export const pathText = (path: ConfigPath): string =>
  path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`), '');

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
