// understudy process: a plugin's long-lived process of one resource, for a supervisor of one's own.
import type { Command } from 'commander';
import { type DaemonOptions, wordsOf } from '../../daemon/options.js';
import { startPluginProcess } from '../../daemon/plugin-process.js';
import { runDaemon } from '../../daemon/process-main.js';
import { parseProcessWords } from '../../daemon/process-words.js';
import { daemonOptions } from '../daemon-options.js';

export const define = (command: Command): void => {
  daemonOptions(command)
    .argument('<process>', 'PLUGIN/NAME, e.g. disk-mirror/mirror')
    .argument('<resource>', 'GROUP.RESOURCE, e.g. orders-db.data')
    .addHelpText('after', '\nExample: understudy process disk-mirror/mirror orders-db.data --node a')
    .action((process: string, resource: string, options: DaemonOptions) =>
      runDaemon('process', wordsOf(options), async (parsed) => startPluginProcess(parseProcessWords([process, resource]), parsed)),
    );
};
