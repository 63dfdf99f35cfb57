// What every daemon is told on its command line, and how it finds out where and who it is.
import { networkInterfaces } from 'node:os';
import { parseArgs } from 'node:util';
import type { ClusterConfig } from '../config/cluster-config.js';
import { whichNode } from '../config/identity.js';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import { LEVELS, type Level } from '../log/stderr-log.js';
import type { NodeId } from '../model/ids.js';
import { type Paths, pathsFrom } from '../system/paths.js';

export interface DaemonOptions {
  readonly node?: string | undefined;
  readonly config?: string | undefined;
  readonly runDir?: string | undefined;
  readonly stateDir?: string | undefined;
  readonly logDir?: string | undefined;
  readonly logLevel?: string | undefined;
}

/** The options as words of a command line, for a child. */
export const wordsOf = ({ node, config, runDir, stateDir, logDir, logLevel }: DaemonOptions): readonly string[] =>
  Object.entries({ node, config, 'run-dir': runDir, 'state-dir': stateDir, 'log-dir': logDir, 'log-level': logLevel }).flatMap(
    ([name, value]) => (value === undefined ? [] : [`--${name}`, value]),
  );

/** Throws USAGE on anything else than these options. */
export const parseDaemonOptions = (words: readonly string[]): DaemonOptions => {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      args: [...words],
      strict: true,
      options: { node: text, config: text, 'run-dir': text, 'state-dir': text, 'log-dir': text, 'log-level': text },
    });
    return {
      node: values.node,
      config: values.config,
      runDir: values['run-dir'],
      stateDir: values['state-dir'],
      logDir: values['log-dir'],
      logLevel: values['log-level'],
    };
  } catch (error) {
    throw new UnderstudyError('USAGE', reasonOf(error), { cause: error });
  }
};

export const pathsOf = ({ runDir, stateDir, logDir }: DaemonOptions): Paths =>
  pathsFrom({
    ...(runDir === undefined ? {} : { run: runDir }),
    ...(stateDir === undefined ? {} : { state: stateDir }),
    ...(logDir === undefined ? {} : { log: logDir }),
  });

/** `--log-level`, $UNDERSTUDY_LOG_LEVEL, else `info`. Throws USAGE. */
export const levelOf = ({ logLevel }: DaemonOptions, env: NodeJS.ProcessEnv = process.env): Level => {
  const word = logLevel ?? env['UNDERSTUDY_LOG_LEVEL'] ?? 'info';
  if (word in LEVELS) return word as Level;
  throw new UnderstudyError('USAGE', `there is no log level "${word}"; there are: ${Object.keys(LEVELS).join(', ')}`);
};

/** Which node of the config this process is for. Throws NODE_UNKNOWN. */
export const nodeOf = (config: ClusterConfig, { node }: DaemonOptions, env: NodeJS.ProcessEnv = process.env): NodeId => {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address));
  return whichNode(config, node ?? env['UNDERSTUDY_NODE'], addresses);
};
