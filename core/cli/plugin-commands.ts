// Commands that plugins bring (witness, emulator): asked for only when a name is not one of understudy's own.
import type { Command } from 'commander';
import type { CommandDefinition } from '../plugin/contract.js';
import { localResource } from '../daemon/local-resource.js';
import { loadPlugins } from '../plugin/load.js';
import { UnderstudyError } from '../errors/errors.js';
import { daemonOptions } from './daemon-options.js';

export interface PluginCommand {
  readonly name: string;
  readonly load: () => Promise<CommandDefinition>;
}

/** Of the built-in plugins alone: a command is no reason to run code that no config names. */
export const pluginCommands = async (): Promise<readonly PluginCommand[]> => {
  const registry = await loadPlugins({ directories: [] });
  return registry.commandNames.map((name) => ({
    name,
    load: async () => {
      const definition = await registry.command(name);
      if (definition === undefined) throw new UnderstudyError('PLUGIN_INVALID', `the command ${name} could not be loaded`);
      return definition;
    },
  }));
};

export const definePluginCommand = (command: Command, definition: CommandDefinition): void => {
  command.description(definition.summary).addHelpText('after', `\nExample: ${definition.example}`);
  for (const { flags, help, default: fallback } of definition.options ?? []) command.option(flags, help, fallback);
  for (const { name, help } of definition.arguments ?? []) command.argument(`<${name}>`, help);
  if (definition.resource !== undefined) daemonOptions(command).argument('<resource>', 'GROUP.RESOURCE, e.g. orders-db.data');
  command.action(async () => {
    const { resource: use } = definition;
    if (use === undefined) {
      process.exitCode = await definition.run(command.opts(), command.args);
      return;
    }
    const resource = await localResource(resourceChoice(command.args.at(-1) ?? ''), command.opts());
    if (resource.use !== use)
      throw new UnderstudyError('USAGE', `${resource.group}.${resource.resource} is a ${resource.use}; this command is for a ${use}`);
    process.exitCode = await definition.run(command.opts(), command.args, resource);
  });
};

const resourceChoice = (words: string): { readonly group: string; readonly resource: string } => {
  const [, group, resource] = /^([a-z0-9][a-z0-9-]*)\.([a-z0-9][a-z0-9-]*)$/.exec(words) ?? [];
  if (group === undefined || resource === undefined)
    throw new UnderstudyError('USAGE', `"${words}" is not GROUP.RESOURCE, e.g. orders-db.data`);
  return { group, resource };
};
