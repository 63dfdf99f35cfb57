// understudy hooks list GROUP: the hooks in the order in which they will run.
import { Argument, type Command } from 'commander';
import { connect, type ConnectionOptions, connectionOptions } from '../connection.js';
import { print, printJson, printTable } from '../output.js';

export const define = (command: Command): void => {
  connectionOptions(command)
    .addArgument(new Argument('<verb>', 'list').choices(['list']))
    .argument('<group>', 'the group')
    .addHelpText('after', '\nExample: understudy hooks list orders-db')
    .action(async (_verb: string, group: string, options: ConnectionOptions) => {
      const hooks = await connect(options).hooks(group);
      if (options.json) return printJson(hooks);
      if (hooks.length === 0) return print(`group ${group} has no hooks`);
      printTable(
        ['POINT', 'ORDER', 'HOOK', 'ON', 'TIMEOUT', 'ON FAILURE'],
        hooks.map((hook) => [hook.point, hook.order, hook.name, hook.on, `${hook.timeoutMs} ms`, hook.onFailure]),
      );
    });
};
