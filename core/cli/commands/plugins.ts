// understudy plugins list: what was found at the door, where it came from, what it contributes, and what is wrong with it.
import { Argument, type Command } from 'commander';
import { openConfig } from '../../plugin/catalogue-of.js';
import { loadPlugins } from '../../plugin/load.js';
import type { Registry } from '../../plugin/registry.js';
import { UnderstudyError } from '../../errors/errors.js';
import { print, printJson, printTable, styled } from '../output.js';

/** With a config its plugins too; without one, the built-in ones and those of /etc/understudy/plugins. */
const registryFor = async (config: string | undefined): Promise<Registry> => {
  try {
    return (await openConfig({ env: process.env, lenient: true, ...(config === undefined ? {} : { config }) })).registry;
  } catch (thrown) {
    if (config === undefined && thrown instanceof UnderstudyError && thrown.code === 'CONFIG_NOT_FOUND') return loadPlugins();
    throw thrown;
  }
};

export const define = (command: Command): void => {
  command
    .addArgument(new Argument('<verb>', 'list').choices(['list']))
    .option('--config <file>', 'the config whose plugins to list as well')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: understudy plugins list')
    .action(async (_verb: string, options: { config?: string; json?: boolean }) => {
      const { found } = await registryFor(options.config);
      if (options.json) return printJson(found);
      printTable(
        ['PLUGIN', 'VERSION', 'ORIGIN', 'CONTRIBUTES'],
        found.map((plugin) => [
          plugin.name,
          plugin.version,
          plugin.origin,
          plugin.problems.length > 0 ? styled('red', 'nothing') : plugin.contributions.join(', '),
        ]),
      );
      for (const plugin of found)
        for (const problem of plugin.problems) print(`${styled('red', `${plugin.name} (${plugin.origin}):`)} ${problem}`);
      if (found.some((plugin) => plugin.problems.length > 0)) process.exitCode = 1;
    });
};
