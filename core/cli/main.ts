// The entry that bin.ts hands over to: finds the command, loads only its file, runs it, and turns whatever was thrown into a
// message with a next step and an exit status (DESIGN 9). Nothing is decided here.
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { COMMANDS } from './command-table.js';
import { reportFailure } from './output.js';
import { definePluginCommand, pluginCommands } from './plugin-commands.js';

const version = (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** The first word that is not an option; commands come before their own options. */
const wanted = process.argv.slice(2).find((word) => !word.startsWith('-'));

const program = new Command('understudy')
  .description('Keeps a service group running on exactly one node, with its address, its disk and its application.')
  .version(version)
  .exitOverride()
  .showSuggestionAfterError()
  .showHelpAfterError('(see understudy --help)')
  .addHelpText('after', '\nExit status: 0 done, 1 failed, 2 usage or configuration, 3 no daemon, 4 refused for safety.');

const quiet = (command: Command): Command => command.exitOverride().showSuggestionAfterError().showHelpAfterError(false);

// Whoever reads may have enough (`| head`): that is no failure, and nothing more can be said to anybody.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  for (const { name, summary, group, load } of COMMANDS) {
    const command = quiet(program.command(name).description(summary).helpGroup(`${group}:`));
    if (name === wanted) (await load()).define(command);
  }
  if (!COMMANDS.some(({ name }) => name === wanted)) {
    for (const { name, load } of await pluginCommands()) {
      const command = quiet(program.command(name).helpGroup('Run:'));
      definePluginCommand(command, await load());
    }
  }
  await program.parseAsync(process.argv);
} catch (thrown) {
  if (thrown instanceof CommanderError) process.exitCode = thrown.exitCode === 0 ? 0 : 2;
  else process.exitCode = reportFailure(thrown);
}
