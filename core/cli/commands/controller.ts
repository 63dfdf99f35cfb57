// understudy controller: the controller alone, for a supervisor of one's own.
import type { Command } from 'commander';
import { wordsOf, type DaemonOptions } from '../../daemon/options.js';
import { runDaemon } from '../../daemon/process-main.js';
import { startController } from '../../daemon/controller.js';
import { daemonOptions } from '../daemon-options.js';

export const define = (command: Command): void => {
  daemonOptions(command)
    .addHelpText('after', '\nExample: understudy controller --node a --config /etc/understudy/understudy.config.yaml')
    .action((options: DaemonOptions) => runDaemon('controller', wordsOf(options), startController));
};
