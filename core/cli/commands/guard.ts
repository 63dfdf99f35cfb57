// understudy guard: the guard alone, for a supervisor of one's own.
import type { Command } from 'commander';
import { wordsOf, type DaemonOptions } from '../../daemon/options.js';
import { runDaemon } from '../../daemon/process-main.js';
import { startGuard } from '../../daemon/guard.js';
import { daemonOptions } from '../daemon-options.js';

export const define = (command: Command): void => {
  daemonOptions(command)
    .addHelpText('after', '\nExample: understudy guard --node a --config /etc/understudy/understudy.config.yaml')
    .action((options: DaemonOptions) => runDaemon('guard', wordsOf(options), startGuard));
};
