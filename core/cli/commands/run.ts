// understudy run: guard, controller and leash of this node, each restarted when it ends; ends none of the applications.
import type { Command } from 'commander';
import { wordsOf, type DaemonOptions } from '../../daemon/options.js';
import { runDaemon } from '../../daemon/process-main.js';
import { startRun } from '../../daemon/run.js';
import { daemonOptions } from '../daemon-options.js';

export const define = (command: Command): void => {
  daemonOptions(command)
    .addHelpText('after', '\nExample: understudy run --node a --config /etc/understudy/understudy.config.yaml')
    .action((options: DaemonOptions) => runDaemon('run', wordsOf(options), startRun));
};
