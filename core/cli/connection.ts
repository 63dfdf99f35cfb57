// The options that find this node's daemon, and the client behind them; shared by every command that asks or orders.
import type { Command } from 'commander';
import { type ApiClient, openApi } from '../api/client.js';
import { pathsFrom, type Paths } from '../system/paths.js';

export interface ConnectionOptions {
  readonly runDir?: string;
  readonly stateDir?: string;
  readonly logDir?: string;
  readonly json?: boolean;
}

/** Where the daemon's files lie; `--json` prints the API's own view. */
export const connectionOptions = (command: Command): Command =>
  command
    .option('--run-dir <dir>', 'sockets and lease pages (default: $UNDERSTUDY_RUN_DIR, /run/understudy)')
    .option('--state-dir <dir>', 'journal and captures (default: $UNDERSTUDY_STATE_DIR, /var/lib/understudy)')
    .option('--json', 'the API’s view, unchanged');

export const pathsOf = (options: ConnectionOptions): Paths =>
  pathsFrom({
    ...(options.runDir === undefined ? {} : { run: options.runDir }),
    ...(options.stateDir === undefined ? {} : { state: options.stateDir }),
    ...(options.logDir === undefined ? {} : { log: options.logDir }),
  });

export const connect = (options: ConnectionOptions): ApiClient => openApi(pathsOf(options));
