// understudy plugins list: what was found at the door, where it came from, what it contributes, and what is wrong with it.
// understudy plugins hash FILE: what `integrity` of the config must say for that plugin.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Argument, type Command } from 'commander';
import { openConfig } from '../../plugin/catalogue-of.js';
import { discoverPlugins } from '../../plugin/discover.js';
import { integrityOf } from '../../plugin/integrity.js';
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

/** Of the file that would be loaded: the entry of a package or directory. Loads nothing. */
const hashOf = async (plugin: string | undefined): Promise<{ readonly file: string; readonly integrity: string }> => {
  if (plugin === undefined) throw new UnderstudyError('USAGE', 'plugins hash needs the path of a plugin, or the name of a package');
  const isFile = existsSync(resolve(plugin));
  const [found] = await discoverPlugins({
    builtin: false,
    configured: [isFile ? resolve(plugin) : plugin],
    baseDirectory: process.cwd(),
    directories: [],
  });
  if (found?.file == null)
    throw new UnderstudyError('NOT_FOUND', found?.problem ?? `there is no plugin ${plugin}`, {
      hint: 'Name the file, e.g. understudy plugins hash ./x.ts',
    });
  return { file: found.file, integrity: integrityOf(found.file) };
};

export const define = (command: Command): void => {
  command
    .addArgument(new Argument('<verb>', 'list, or hash').choices(['list', 'hash']))
    .argument('[plugin]', 'for hash: the path or package, as `plugins` of the config names it')
    .option('--config <file>', 'the config whose plugins to list as well')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: understudy plugins list')
    .action(async (verb: string, plugin: string | undefined, options: { config?: string; json?: boolean }) => {
      if (verb === 'hash') {
        const pinned = await hashOf(plugin);
        return options.json ? printJson(pinned) : print(`${pinned.integrity}  ${pinned.file}`);
      }
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
