// Commands that plugins bring (witness, emulator): asked for only when a name is not one of understudy's own.
import type { Command } from 'commander';
import type { CommandDefinition } from '../plugin/contract.js';
import { loadPlugins } from '../plugin/load.js';
import { UnderstudyError } from '../errors/errors.js';

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
  command.action(async () => {
    process.exitCode = await definition.run(command.opts(), command.args);
  });
};
